//! Payments that have nothing to do with Keyway, drawn so that they look as if they had.

use bitcoin::{Amount, Sequence, TxOut};
use keyway_carriers::value::{CoinBits, Layout, MessageLen, run};
use keyway_chain::Chain;
use proptest::prelude::*;

use crate::support::{authored, coin, party, pay, signed, transaction};

/// Amounts with the header and the number of outputs of some layout, the rest drawn, mostly in range.
fn likely_amounts() -> impl Strategy<Value = Vec<u64>> {
    (1usize..60, 1u8..=30, -1isize..=1, 0u8..4).prop_flat_map(|(len, bits, more, wild)| {
        let bits = CoinBits::new(bits).unwrap();
        let layout = Layout::new(&Chain::regtest(), MessageLen::new(len).unwrap(), bits);
        let header = 1_000 + 32 * len as u64 + u64::from(bits.get());
        let more = if wild == 0 { more } else { 0 };
        let count = (layout.outputs() - 1).saturating_add_signed(more);
        let most = if wild == 1 { u64::from(u32::MAX) } else { (1 << bits.get()) - 1 };
        prop::collection::vec(1_000..=1_000 + most, count)
            .prop_map(move |rest| std::iter::once(header).chain(rest).collect())
    })
}

/// Amounts that people and exchanges pay: few digits, often the same again.
fn usual_amounts() -> impl Strategy<Value = Vec<u64>> {
    let amount = (1u64..100, 1u32..8).prop_map(|(digits, zeros)| digits * 10u64.pow(zeros));
    prop_oneof![
        (amount.clone(), 1usize..60).prop_map(|(amount, count)| vec![amount; count]),
        prop::collection::vec(amount, 1..60),
        prop::collection::vec(1_000u64..4_000, 1..60),
        prop::collection::vec(any::<u64>(), 1..60),
    ]
}

fn outputs() -> impl Strategy<Value = Vec<TxOut>> {
    let others = prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 0..3);
    let amounts = prop_oneof![3 => likely_amounts(), 2 => usual_amounts()];
    (amounts, others).prop_map(|(amounts, others)| {
        let mut outputs: Vec<TxOut> = amounts.into_iter().map(|sat| pay(&party(1), sat)).collect();
        for (place, amount) in others {
            let value = Amount::from_sat(u64::from(amount));
            let output = TxOut { value, script_pubkey: party(2).key.script() };
            outputs.insert(place.index(outputs.len() + 1), output);
        }
        outputs
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_strangers_payment_is_never_taken_for_a_message(outputs in outputs()) {
        let tx = signed(transaction(&[(coin(7), Sequence::MAX)], outputs), &party(0));
        for recipient in [1, 2] {
            let read = run::read(&Chain::regtest(), &authored(&tx), party(recipient).key);
            prop_assert!(!matches!(read, Ok(Some(_))), "{:?}", read);
        }
    }
}

#[test]
fn nothing_is_said_of_a_payment_of_few_outputs() {
    for count in 1..4 {
        for sat in (0..5_000).step_by(7) {
            let outputs = vec![pay(&party(1), sat); count];
            let tx = signed(transaction(&[(coin(7), Sequence::MAX)], outputs), &party(0));
            assert_eq!(run::read(&Chain::regtest(), &authored(&tx), party(1).key), Ok(None));
        }
    }
}
