//! The fuzz target's seeds as tests, and where they come from.

use bitcoin::TxOut;
use keyway_carriers::script::data;

use crate::beside::beside;
use crate::corpora::{check_seeds, replay};
use crate::payments::{lock, outputs};
use crate::support::{party, pay};

#[test]
fn every_seed_of_beside_is_read_as_promised() {
    replay("beside", beside);
}

#[test]
fn the_seeds_are_made_from_valid_payments() {
    check_seeds("beside", &seeds());
}

fn seeds() -> [(&'static str, Vec<u8>); 6] {
    let message = |len| data::write(&vec![7; len]).unwrap();
    [
        ("sealed", of_kind(0, &[pay(&party(1), 250_000), message(97), pay(&party(2), 1)])),
        ("locked", of_kind(0, &outputs())),
        ("two-messages", of_kind(0, &[pay(&party(1), 1), message(97), message(97)])),
        ("two-locks", of_kind(0, &[pay(&party(1), 1), message(41), lock(1), lock(2)])),
        ("answer", of_kind(1, &[pay(&party(1), 249_000), message(48)])),
        ("answer-without-message", of_kind(1, &[pay(&party(1), 249_000)])),
    ]
}

fn of_kind(kind: u8, outputs: &[TxOut]) -> Vec<u8> {
    let mut bytes = vec![kind];
    for output in outputs {
        let known = [party(1), party(2)].iter().position(|party| party.key.script() == output.script_pubkey);
        bytes.push(known.map_or(2, |position| position as u8));
        bytes.extend(output.value.to_sat().to_be_bytes());
        if known.is_none() {
            bytes.extend((output.script_pubkey.len() as u16).to_be_bytes());
            bytes.extend(output.script_pubkey.as_bytes());
        }
    }
    bytes
}
