//! The fuzz targets' seeds as tests, and where they come from.

use keyway_carriers::value::{UNUSED_SEQUENCE, sequences};
use keyway_chain::Chain;

use crate::answers::answer;
use crate::corpora::{check_seeds, replay};
use crate::runs::{Payment, offer};
use crate::value_answer::value_answer;
use crate::value_offer::value_offer;

#[test]
fn every_seed_of_value_offer_is_read_as_promised() {
    replay("value_offer", value_offer);
}

#[test]
fn every_seed_of_value_answer_is_read_as_promised() {
    replay("value_answer", value_answer);
}

#[test]
fn the_seeds_are_made_from_valid_messages() {
    check_seeds("value_offer", &offer_seeds());
    check_seeds("value_answer", &answer_seeds());
}

fn chain_number(name: &str) -> u8 {
    Chain::all().position(|chain| chain.name() == name).unwrap() as u8
}

/// The outputs of a payment on the chain `from`, as they are found on the chain `on`.
fn found(on: &str, from: &str, price: u64) -> Vec<u8> {
    let payment = Payment::of(from, &offer(), price);
    let recipient = payment.run[0].script_pubkey.clone();
    let mut bytes = vec![chain_number(on), 0];
    for output in payment.tx().output {
        bytes.push(u8::from(output.script_pubkey != recipient));
        bytes.extend(output.value.to_sat().to_be_bytes());
    }
    bytes
}

fn written(chain: &str, bits: u8, more: u32, message: &[u8], changes: &[(u16, u64)]) -> Vec<u8> {
    let mut bytes = vec![chain_number(chain), 1, bits - 1];
    bytes.extend(more.to_be_bytes());
    bytes.extend((message.len() as u16).to_be_bytes());
    bytes.extend(message);
    for (index, change) in changes {
        bytes.extend(index.to_be_bytes());
        bytes.extend(change.to_be_bytes());
    }
    bytes
}

fn offer_seeds() -> [(&'static str, Vec<u8>); 7] {
    [
        ("offer-found", found("bitcoin", "bitcoin", 250_000)),
        ("offer-found-at-least-price", found("litecoin", "litecoin", 230_779)),
        ("offer-copied-to-another-chain", found("signet", "bitcoin", 250_000)),
        ("offer-written", written("bitcoin", 13, 0, &offer(), &[])),
        ("offer-written-and-changed", written("bitcoin", 13, 0, &offer(), &[(3, 1)])),
        ("offer-written-at-another-price", written("bitcoin", 13, 0, &offer(), &[(25, 64)])),
        ("one-byte-written", written("regtest", 30, 5, &[0x5a], &[])),
    ]
}

fn in_sequences(version: u8, further: u32) -> Vec<u8> {
    let mut bytes = vec![0, 49, 26, version];
    let numbers = sequences::write(&answer(), 26).unwrap().into_iter().map(|sequence| sequence.0);
    for number in numbers.chain([further]) {
        bytes.push(0);
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

fn in_amounts(changes: &[u8]) -> Vec<u8> {
    [&[1, 49, 26], answer().as_slice(), changes].concat()
}

fn answer_seeds() -> [(&'static str, Vec<u8>); 5] {
    [
        ("answer-in-sequences", in_sequences(2, UNUSED_SEQUENCE.0)),
        ("answer-of-version-1", in_sequences(1, UNUSED_SEQUENCE.0)),
        ("answer-with-a-final-input", in_sequences(2, u32::MAX)),
        ("answer-in-amounts", in_amounts(&[])),
        ("answer-in-amounts-changed", in_amounts(&[0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1])),
    ]
}
