//! Messages in amounts: written, read, copied and damaged.

use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut};
use keyway_carriers::value::run::{self, WriteError};
use keyway_carriers::value::{Binding, CoinBits, Damage, ImpossibleLength, Layout, MessageLen, Run};
use keyway_chain::Chain;
use proptest::prelude::*;

use crate::support::{authored, coin, party, pay, signed, transaction};

/// A payment from party 0 to party 1 with change at both ends, so that nothing hangs on the run's place.
pub struct Payment {
    pub chain: Chain,
    pub input0: OutPoint,
    pub run: Vec<TxOut>,
}

impl Payment {
    pub fn of(chain: &str, message: &[u8], price: u64) -> Self {
        let (chain, input0) = (Chain::named(chain).unwrap(), coin(7));
        let run = run::write(&binding(&chain, input0), message, Amount::from_sat(price)).unwrap();
        Self { chain, input0, run }
    }

    pub fn tx(&self) -> Transaction {
        let mut outputs = vec![pay(&party(0), 77_000)];
        outputs.extend(self.run.clone());
        outputs.push(pay(&party(2), 1_234));
        signed(transaction(&[(self.input0, Sequence::MAX)], outputs), &party(0))
    }

    pub fn read(&self) -> Result<Option<Run>, Damage> {
        run::read(&self.chain, &authored(&self.tx()), party(1).key)
    }
}

pub fn binding(chain: &Chain, input0: OutPoint) -> Binding<'_> {
    Binding { chain, input0, author: party(0).key, recipient: party(1).key }
}

pub fn offer() -> [u8; 33] {
    std::array::from_fn(|index| (index * 37 + 1) as u8)
}

fn paid() -> Payment {
    Payment::of("regtest", &offer(), 250_000)
}

#[test]
fn a_recipient_reads_the_offer_and_the_coins_that_carry_it() {
    let payment = paid();
    let (tx, run) = (payment.tx(), payment.read().unwrap().unwrap());
    assert_eq!(run.message(), offer());
    assert_eq!(run.layout().bits(), CoinBits::new(13).unwrap());
    assert_eq!(run.price(), Amount::from_sat(250_000));
    assert_eq!(run.anchor(), OutPoint::new(tx.compute_txid(), 1));
    let coins: Vec<_> = run.coins().collect();
    assert_eq!(coins.len(), 26);
    for (index, coin) in coins.iter().enumerate() {
        assert_eq!(coin.outpoint, OutPoint::new(tx.compute_txid(), index as u32 + 1));
        assert_eq!(coin.amount, tx.output[index + 1].value);
    }
}

#[test]
fn the_amounts_are_those_the_document_describes() {
    let run = paid().run;
    assert_eq!(run[0].value, Amount::from_sat(1_000 + 32 * 33 + 13));
    // The first 13 bits of the bytes 1, 38, 75.
    assert_eq!(run[1].value, Amount::from_sat(1_000 + (1 << 5 | 38 >> 3)));
    assert_eq!(run[2].value, Amount::from_sat(1_000 + ((38 & 7) << 10 | 75 << 2 | 112 >> 6)));
}

#[test]
fn an_empty_message_is_not_written() {
    let chain = Chain::regtest();
    let written = run::write(&binding(&chain, coin(7)), &[], Amount::from_sat(250_000));
    assert_eq!(written, Err(WriteError::Length(ImpossibleLength(0))));
}

#[test]
fn amounts_copied_into_a_payment_with_another_input_0_are_no_message() {
    let copied = Payment { input0: coin(8), ..paid() };
    assert_eq!(copied.read(), Err(Damage::Checksum));
    let OutPoint { txid, vout } = coin(7);
    let copied = Payment { input0: OutPoint::new(txid, vout + 1), ..paid() };
    assert_eq!(copied.read(), Err(Damage::Checksum));
}

#[test]
fn amounts_copied_by_another_author_are_no_message() {
    let tx = signed(paid().tx(), &party(3));
    assert_eq!(run::read(&Chain::regtest(), &authored(&tx), party(1).key), Err(Damage::Checksum));
}

#[test]
fn amounts_copied_to_another_recipient_are_no_message() {
    let mut copied = paid();
    for output in &mut copied.run {
        output.script_pubkey = party(3).key.script();
    }
    assert_eq!(run::read(&copied.chain, &authored(&copied.tx()), party(3).key), Err(Damage::Checksum));
    assert_eq!(copied.read(), Ok(None));
}

#[test]
fn amounts_copied_to_another_chain_are_no_message() {
    let copied = Payment { chain: Chain::named("signet").unwrap(), ..paid() };
    assert_eq!(copied.read(), Err(Damage::Checksum));
    // Another floor makes other numbers of the same amounts; these are below it.
    let copied = Payment { chain: Chain::named("litecoin-regtest").unwrap(), ..paid() };
    assert_eq!(copied.read(), Ok(None));
}

#[test]
fn a_signet_of_ones_own_reads_no_message_of_the_public_one() {
    let chain = Chain::custom_signet(bitcoin::ScriptBuf::from_bytes(vec![0x51]));
    let copied = Payment { chain, ..Payment::of("signet", &offer(), 250_000) };
    assert_eq!(copied.read(), Err(Damage::Checksum));
}

#[test]
fn a_run_cut_short_by_any_of_its_outputs_is_called_that() {
    for index in 1..26 {
        let mut short = paid();
        short.run.remove(index);
        assert_eq!(short.read(), Err(Damage::Count { expected: 26, found: 25 }), "without {index}");
    }
}

#[test]
fn a_run_without_its_header_is_no_message() {
    let mut headless = paid();
    headless.run.remove(0);
    assert!(!matches!(headless.read(), Ok(Some(_))));
}

#[test]
fn a_run_with_an_output_more_is_called_that_wherever_it_is() {
    for index in 1..=26 {
        let mut long = paid();
        long.run.insert(index, pay(&party(1), 1_500));
        assert_eq!(long.read(), Err(Damage::Count { expected: 26, found: 27 }), "more at {index}");
    }
    for apart in [0, 27, 28] {
        let mut tx = paid().tx();
        tx.output.insert(apart, pay(&party(1), 5));
        let read = run::read(&Chain::regtest(), &authored(&signed(tx, &party(0))), party(1).key);
        assert!(!matches!(read, Ok(Some(_))), "beside it at {apart}");
    }
}

#[test]
fn a_run_interrupted_by_an_output_to_somebody_else_is_called_that() {
    for index in 1..26 {
        let mut interrupted = paid();
        interrupted.run.insert(index, pay(&party(2), 1_500));
        assert_eq!(interrupted.read(), Err(Damage::Interrupted { vout: index + 1 }));
    }
}

#[test]
fn a_run_with_two_data_outputs_exchanged_is_no_message() {
    for first in 1..25 {
        for second in first + 1..25 {
            let mut exchanged = paid();
            exchanged.run.swap(first, second);
            if exchanged.run != paid().run {
                assert!(exchanged.read().is_err(), "{first} with {second}");
            }
        }
    }
}

#[test]
fn a_data_output_beyond_the_range_of_c_is_named() {
    let mut damaged = paid();
    damaged.run[5].value = Amount::from_sat(1_000 + (1 << 13));
    let (amount, bits) = (damaged.run[5].value, CoinBits::new(13).unwrap());
    assert_eq!(damaged.read(), Err(Damage::OutOfRange { vout: 6, amount, bits }));
    damaged.run[5].value = Amount::from_sat(999);
    assert!(matches!(damaged.read(), Err(Damage::OutOfRange { vout: 6, .. })));
}

#[test]
fn set_bits_beyond_the_checksum_are_noticed() {
    let mut damaged = paid();
    damaged.run[24].value += Amount::from_sat(1);
    assert_eq!(damaged.read(), Err(Damage::Padding));
}

#[test]
fn a_final_output_below_the_floor_is_no_message_and_any_above_is_the_price() {
    let mut payment = paid();
    let most: u64 = u64::MAX - payment.run[..25].iter().map(|output| output.value.to_sat()).sum::<u64>();
    for fine in [1_000, 1_001, 2_100_000_000_000_000, most] {
        payment.run[25].value = Amount::from_sat(fine);
        let run = payment.read().unwrap().unwrap();
        assert_eq!(run.price(), payment.run.iter().map(|output| output.value).sum());
    }
    for wrong in [0, 999, most + 1, u64::MAX] {
        payment.run[25].value = Amount::from_sat(wrong);
        assert!(matches!(payment.read(), Err(Damage::OutOfRange { vout: 26, .. })));
    }
}

fn chains() -> impl Strategy<Value = String> {
    prop::sample::select(Chain::all().map(|chain| chain.name().to_owned()).collect::<Vec<_>>())
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![any::<u8>().boxed(), Just(0).boxed(), Just(255).boxed()];
    prop_oneof![19 => prop::collection::vec(bytes.clone(), 1..80), 1 => prop::collection::vec(bytes, 80..=4095)]
}

proptest! {
    #[test]
    fn what_is_written_at_any_price_is_read(chain in chains(), message in messages(), more in 0u64..1 << 33) {
        let len = MessageLen::new(message.len()).unwrap();
        let least = Layout::least(&Chain::named(&chain).unwrap(), len).worst_case().to_sat();
        for price in [least, least + more % 100_000, least + more] {
            let payment = Payment::of(&chain, &message, price);
            prop_assert!(payment.run.iter().all(|output| output.value >= payment.chain.value_floor()));
            let run = payment.read().unwrap().unwrap();
            prop_assert_eq!(run.message(), &message);
            prop_assert_eq!(run.price(), Amount::from_sat(price));
            prop_assert_eq!(run.price(), payment.run.iter().map(|output| output.value).sum());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn what_is_written_at_any_c_is_read(chain in chains(), message in messages()) {
        let chain = Chain::named(&chain).unwrap();
        let len = MessageLen::new(message.len()).unwrap();
        for bits in CoinBits::descending() {
            let layout = Layout::new(&chain, len, bits);
            let run = run::write_with(&binding(&chain, coin(7)), &message, layout.worst_case(), bits).unwrap();
            prop_assert_eq!(run.len(), layout.outputs());
            let read = Payment { chain: chain.clone(), input0: coin(7), run }.read().unwrap().unwrap();
            prop_assert_eq!(read.message(), &message);
            prop_assert_eq!(read.layout(), layout);
        }
    }
}
