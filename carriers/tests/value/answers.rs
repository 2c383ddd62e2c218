//! Answers: in the sequence numbers of the coins collected, and in amounts paid back.

use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Sequence, Transaction};
use keyway_carriers::value::run::Damage;
use keyway_carriers::value::{Binding, MessageLen, NotCollecting, UNUSED_SEQUENCE, amounts, run, sequences};
use keyway_chain::Chain;
use proptest::prelude::*;

use crate::runs::{Payment, offer};
use crate::support::{authored, coin, party, pay, signed, transaction};

/// An answer of party 1 to party 0's offer, with a further input and change.
pub struct Answered {
    pub run: Vec<OutPoint>,
    pub tx: Transaction,
}

pub fn answer() -> [u8; 49] {
    std::array::from_fn(|index| (index * 73 + 2) as u8)
}

fn answer_len() -> MessageLen {
    MessageLen::new(49).unwrap()
}

fn offered() -> Vec<OutPoint> {
    Payment::of("regtest", &offer(), 250_000).read().unwrap().unwrap().outpoints().collect()
}

fn responder_binding(chain: &Chain, input0: OutPoint) -> Binding<'_> {
    Binding { chain, input0, author: party(1).key, recipient: party(0).key }
}

impl Answered {
    pub fn in_sequences() -> Self {
        Self::with_sequences(offered(), &answer())
    }

    fn with_sequences(run: Vec<OutPoint>, message: &[u8]) -> Self {
        let sequences = sequences::write(message, run.len()).unwrap();
        let mut inputs: Vec<_> = run.iter().copied().zip(sequences).collect();
        inputs.push((coin(9), UNUSED_SEQUENCE));
        let tx = signed(transaction(&inputs, vec![pay(&party(1), 240_000)]), &party(1));
        Self { run, tx }
    }

    pub fn in_amounts() -> Self {
        let (run, chain) = (offered(), Chain::regtest());
        let mut inputs: Vec<_> = run.iter().map(|outpoint| (*outpoint, UNUSED_SEQUENCE)).collect();
        inputs.push((coin(9), UNUSED_SEQUENCE));
        let mut outputs = amounts::write(&responder_binding(&chain, run[0]), &answer()).unwrap();
        outputs.push(pay(&party(1), 150_000));
        let tx = signed(transaction(&inputs, outputs), &party(1));
        Self { run, tx }
    }

    fn changed(mut self, change: impl FnOnce(&mut Transaction)) -> Self {
        change(&mut self.tx);
        self.tx = signed(self.tx, &party(1));
        self
    }

    fn sequences(&self) -> Result<Vec<u8>, sequences::Refused> {
        sequences::read(&authored(&self.tx), &self.run, answer_len())
    }

    fn amounts(&self) -> Result<run::Run, amounts::Refused> {
        amounts::read(&Chain::regtest(), &authored(&self.tx), &self.run, party(0).key, answer_len())
    }
}

#[test]
fn an_initiator_reads_the_answer_in_sequence_numbers() {
    let answered = Answered::in_sequences();
    assert_eq!(answered.sequences().unwrap(), answer());
    assert!(answered.tx.input[..13].iter().all(|input| input.sequence.0 >= 1 << 31));
    assert!(answered.tx.input[13..].iter().all(|input| input.sequence == UNUSED_SEQUENCE));
}

#[test]
fn sequence_numbers_are_those_the_document_describes() {
    let written = sequences::write(&[0xff, 0x00, 0x00, 0x01, 0x80], 3).unwrap();
    let first = 1 << 31 | 0xff00_0001 >> 1;
    assert_eq!(written, [Sequence(first), Sequence(1 << 31 | 1 << 30 | 1 << 29), UNUSED_SEQUENCE]);
}

#[test]
fn an_initiator_reads_the_answer_in_amounts() {
    let answered = Answered::in_amounts();
    let run = answered.amounts().unwrap();
    assert_eq!(run.message(), answer());
    assert_eq!(run.price(), Amount::from_sat(71_346));
    assert_eq!(run.price(), amounts::price(&Chain::regtest(), answer_len()));
    assert_eq!(run.anchor(), OutPoint::new(answered.tx.compute_txid(), 0));
}

#[test]
fn a_message_too_long_for_the_run_is_not_written() {
    assert_eq!(sequences::write(&answer(), 13).unwrap().len(), 13);
    let needed = 13;
    let refused = sequences::WriteError::TooFewInputs { len: answer_len(), needed, found: 12 };
    assert_eq!(sequences::write(&answer(), 12), Err(refused));
    assert!(matches!(sequences::write(&[], 12), Err(sequences::WriteError::Length(_))));
}

#[test]
fn an_answer_that_does_not_begin_with_the_anchor_is_refused() {
    for answered in [Answered::in_sequences(), Answered::in_amounts()] {
        let answered = answered.changed(|tx| tx.input.rotate_right(1));
        let wrong = NotCollecting::WrongInput { input: 0, expected: answered.run[0], found: coin(9) };
        assert_eq!(answered.sequences(), Err(wrong.into()));
        assert_eq!(answered.amounts(), Err(wrong.into()));
    }
}

#[test]
fn an_answer_that_collects_in_another_order_is_refused() {
    let answered = Answered::in_sequences().changed(|tx| tx.input.swap(20, 21));
    let wrong = NotCollecting::WrongInput { input: 20, expected: answered.run[20], found: answered.run[21] };
    assert_eq!(answered.sequences(), Err(wrong.into()));
}

#[test]
fn an_answer_that_leaves_one_of_the_runs_coins_is_refused() {
    let answered = Answered::in_sequences().changed(|tx| tx.input.truncate(25));
    let missing = NotCollecting::InputsMissing { inputs: 25, run: 26 };
    assert_eq!(answered.sequences(), Err(missing.into()));
    let answered = Answered::in_sequences().changed(|tx| drop(tx.input.remove(25)));
    assert!(matches!(
        answered.sequences(),
        Err(sequences::Refused::Collecting(NotCollecting::WrongInput { input: 25, .. }))
    ));
}

#[test]
fn an_answer_of_another_version_is_refused() {
    for version in [i32::MIN, -1, 0, 1, 3, i32::MAX] {
        let refused = NotCollecting::Version(version);
        let answered = Answered::in_sequences().changed(|tx| tx.version = Version(version));
        assert_eq!(answered.sequences(), Err(refused.into()));
        let answered = Answered::in_amounts().changed(|tx| tx.version = Version(version));
        assert_eq!(answered.amounts(), Err(refused.into()));
    }
}

#[test]
fn an_answer_without_bit_31_is_refused_as_a_lock_time() {
    let answered = Answered::in_sequences().changed(|tx| tx.input[4].sequence = Sequence(144));
    let refused = answered.sequences().unwrap_err();
    assert_eq!(refused, sequences::Refused::NoData { input: 4, sequence: Sequence(144) });
    assert_eq!(refused.to_string(), "the sequence number 0x00000090 of input 4 carries no message bits");
}

#[test]
fn bits_beyond_an_answer_are_refused() {
    let answered = Answered::in_sequences().changed(|tx| tx.input[12].sequence.0 |= 1);
    assert_eq!(answered.sequences(), Err(sequences::Refused::Padding { input: 12 }));
}

#[test]
fn a_message_in_the_inputs_beyond_the_answer_is_refused() {
    for input in [13, 25, 26] {
        for sequence in [Sequence::MAX, Sequence(0xffff_fffe), Sequence::ZERO] {
            let answered = Answered::in_sequences().changed(|tx| tx.input[input].sequence = sequence);
            assert_eq!(answered.sequences(), Err(sequences::Refused::Unused { input, sequence }));
        }
    }
}

#[test]
fn an_answer_to_a_run_too_short_for_it_is_refused() {
    let answered = Answered::in_sequences();
    let read = sequences::read(&authored(&answered.tx), &answered.run[..12], answer_len());
    assert!(matches!(read, Err(sequences::Refused::RunTooShort { needed: 13, found: 12, .. })));
    let read = sequences::read(&authored(&answered.tx), &[], answer_len());
    assert_eq!(read, Err(NotCollecting::NoRun.into()));
}

#[test]
fn an_answer_in_amounts_is_none_in_sequence_numbers_and_the_other_way_round() {
    // 31 bits of 0xfffffffd are data; where they end, they are padding that is not zero.
    assert_eq!(Answered::in_amounts().sequences(), Err(sequences::Refused::Padding { input: 12 }));
    let refused = Answered::in_sequences().amounts();
    assert!(matches!(refused, Err(amounts::Refused::Sequence { input: 0, .. })));
}

#[test]
fn collected_coins_with_nothing_paid_back_are_no_answer_in_amounts() {
    let answered = Answered::in_amounts().changed(|tx| drop(tx.output.drain(..tx.output.len() - 1)));
    assert_eq!(answered.amounts(), Err(amounts::Refused::NoRun));
}

#[test]
fn an_answer_in_amounts_at_another_price_is_refused() {
    for other in [71_345, 71_347] {
        let answered = Answered::in_amounts().changed(|tx| {
            let last = tx.output.len() - 2;
            tx.output[last].value =
                tx.output[last].value + Amount::from_sat(other) - Amount::from_sat(71_346);
        });
        let (expected, found) = (Amount::from_sat(71_346), Amount::from_sat(other));
        assert_eq!(answered.amounts(), Err(amounts::Refused::Price { expected, found }));
    }
}

#[test]
fn an_answer_in_amounts_of_another_length_is_refused() {
    let answered = Answered::in_amounts();
    let len = MessageLen::new(50).unwrap();
    let read = amounts::read(&Chain::regtest(), &authored(&answered.tx), &answered.run, party(0).key, len);
    assert_eq!(read, Err(amounts::Refused::Length { expected: len, found: answer_len() }));
}

#[test]
fn an_answer_in_amounts_copied_from_another_negotiation_is_refused() {
    let answered = Answered::in_amounts();
    let run: Vec<_> = (1..=26).map(|vout| OutPoint::new(coin(3).txid, vout)).collect();
    let mut tx = answered.tx;
    for (input, outpoint) in tx.input.iter_mut().zip(&run) {
        input.previous_output = *outpoint;
    }
    let copied = Answered { run, tx: signed(tx, &party(1)) };
    assert_eq!(copied.amounts(), Err(Damage::Checksum.into()));
}

proptest! {
    #[test]
    fn what_is_answered_in_sequence_numbers_is_read(
        message in prop::collection::vec(any::<u8>(), 1..200), more in 0usize..4,
    ) {
        let len = MessageLen::new(message.len()).unwrap();
        let count = sequences::inputs_needed(len) + more;
        let run: Vec<_> = (0..count as u32).map(|vout| OutPoint::new(coin(3).txid, vout)).collect();
        let answered = Answered::with_sequences(run, &message);
        let read = sequences::read(&authored(&answered.tx), &answered.run, len);
        prop_assert_eq!(read, Ok(message));
    }

    #[test]
    fn sequence_numbers_of_strangers_are_read_or_refused_without_a_panic(
        numbers in prop::collection::vec(
            prop_oneof![any::<u32>(), 1u32 << 31..=u32::MAX, Just(0xffff_fffdu32)], 1..20,
        ),
        bytes in 1usize..100,
        spent in 1usize..25,
    ) {
        let run: Vec<_> = (0..spent as u32).map(|vout| OutPoint::new(coin(3).txid, vout)).collect();
        let outpoint = |vout| OutPoint::new(coin(3).txid, vout);
        let inputs: Vec<_> =
            numbers.iter().enumerate().map(|(vout, number)| (outpoint(vout as u32), Sequence(*number))).collect();
        let tx = signed(transaction(&inputs, vec![pay(&party(1), 1_000)]), &party(1));
        let len = MessageLen::new(bytes).unwrap();
        if let Ok(message) = sequences::read(&authored(&tx), &run, len) {
            let mut rewritten = sequences::write(&message, run.len()).unwrap();
            rewritten.resize(inputs.len(), UNUSED_SEQUENCE);
            prop_assert_eq!(rewritten, inputs.iter().map(|input| input.1).collect::<Vec<_>>());
        }
    }
}
