//! Every change by one bit or one unit to a transaction that carries a message, signed again each time. What is
//! left unchanged is what the carrier leaves to others: the final amount of an offer is the price that the two
//! agreed on, and an answer's bits in sequence numbers are vouched for by the responder's tag.

use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut};
use keyway_carriers::value::{MessageLen, amounts, run, sequences};
use keyway_chain::Chain;

use crate::answers::{Answered, answer};
use crate::runs::{Payment, offer};
use crate::support::{authored, party, signed};

/// The output with one bit of its amount or script flipped, or one unit more or less.
fn changed(output: &TxOut) -> impl Iterator<Item = TxOut> {
    let sat = output.value.to_sat();
    let amounts = (0..64).map(move |bit| sat ^ 1 << bit);
    let amounts = amounts.chain([sat.wrapping_add(1), sat.wrapping_sub(1)]);
    let amounts = amounts.map(|sat| TxOut { value: Amount::from_sat(sat), ..output.clone() });
    let scripts = (0..output.script_pubkey.len() * 8).map(|bit| {
        let mut bytes = output.script_pubkey.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        TxOut { script_pubkey: bytes.into(), ..output.clone() }
    });
    amounts.chain(scripts)
}

fn with_output(tx: &Transaction, vout: usize, output: TxOut) -> Transaction {
    let mut tx = tx.clone();
    tx.output[vout] = output;
    tx
}

#[test]
fn every_change_to_an_offers_amounts_or_scripts_is_noticed() {
    let payment = Payment::of("regtest", &offer(), 250_000);
    let tx = payment.tx();
    let read = |tx: &Transaction| run::read(&Chain::regtest(), &authored(tx), party(1).key);
    for vout in 1..=26 {
        for output in changed(&tx.output[vout]) {
            let (value, script) = (output.value, output.script_pubkey.clone());
            let tx = signed(with_output(&tx, vout, output), &party(0));
            match read(&tx) {
                Ok(Some(run)) => {
                    assert!(vout == 26 && script == party(1).key.script(), "output {vout} of {value}");
                    assert_eq!(run.message(), offer());
                    assert_eq!(run.coins().last().unwrap().amount, value);
                }
                Ok(None) => assert_eq!(vout, 1, "nothing is said of output {vout} of {value}"),
                Err(_) => {}
            }
        }
    }
}

#[test]
fn every_change_to_an_offers_input_0_is_noticed() {
    let payment = Payment::of("regtest", &offer(), 250_000);
    let tx = payment.tx();
    for bit in 0..36 * 8 {
        let mut tx = tx.clone();
        let mut outpoint = bitcoin::consensus::serialize(&tx.input[0].previous_output);
        outpoint[bit / 8] ^= 1 << (bit % 8);
        tx.input[0].previous_output = bitcoin::consensus::deserialize(&outpoint).unwrap();
        let tx = signed(tx, &party(0));
        assert_eq!(
            run::read(&Chain::regtest(), &authored(&tx), party(1).key),
            Err(run::Damage::Checksum),
            "bit {bit}"
        );
    }
}

fn changed_inputs(tx: &Transaction) -> impl Iterator<Item = (usize, usize, Transaction)> {
    // All bits of the sequence number; of the outpoint some, because it is only ever compared as a whole.
    let bits = || (0..SEQUENCE.start).step_by(31).chain(SEQUENCE);
    let bits = (0..tx.input.len()).flat_map(move |input| bits().map(move |bit| (input, bit)));
    bits.map(|(input, bit)| {
        let mut tx = tx.clone();
        let OutPoint { txid, vout } = tx.input[input].previous_output;
        let mut bytes = bitcoin::consensus::serialize(&(txid, vout, tx.input[input].sequence));
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (txid, vout, sequence): (_, u32, Sequence) = bitcoin::consensus::deserialize(&bytes).unwrap();
        tx.input[input].previous_output = OutPoint::new(txid, vout);
        tx.input[input].sequence = sequence;
        (input, bit, tx)
    })
}

/// Bits of a serialized sequence number, least significant byte first.
const SEQUENCE: std::ops::Range<usize> = 36 * 8..40 * 8;

#[test]
fn every_change_to_an_answer_in_sequence_numbers_is_noticed_or_is_another_answer() {
    let answered = Answered::in_sequences();
    let len = MessageLen::new(49).unwrap();
    let mut others = 0;
    for (input, bit, tx) in changed_inputs(&answered.tx) {
        let tx = signed(tx, &party(1));
        match sequences::read(&authored(&tx), &answered.run, len) {
            Ok(message) => {
                assert!(input == answered.run.len() || (input < 13 && SEQUENCE.contains(&bit)));
                assert_eq!(message == answer(), input == answered.run.len());
                others += usize::from(message != answer());
            }
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    }
    assert_eq!(others, 49 * 8, "each bit of the message, and no other");
}

#[test]
fn every_change_to_an_answer_in_amounts_is_noticed() {
    let answered = Answered::in_amounts();
    let (chain, len) = (Chain::regtest(), MessageLen::new(49).unwrap());
    let read = |tx: &Transaction| {
        let tx = signed(tx.clone(), &party(1));
        amounts::read(&chain, &authored(&tx), &answered.run, party(0).key, len)
    };
    let run = read(&answered.tx).unwrap();
    for vout in 0..run.layout().outputs() {
        for output in changed(&answered.tx.output[vout]) {
            assert!(read(&with_output(&answered.tx, vout, output)).is_err(), "output {vout}");
        }
    }
    for (input, bit, tx) in changed_inputs(&answered.tx) {
        let foreign = input == answered.run.len() && !SEQUENCE.contains(&bit);
        assert_eq!(read(&tx).is_ok(), foreign, "input {input}, bit {bit}");
    }
}
