//! The fuzz target's seeds as tests, and where they come from.

use bitcoin::{ScriptBuf, TxOut};
use keyway_carriers::script::{data, envelope, published};

use crate::beside::beside;
use crate::corpora::{check_seeds, replay};
use crate::fixtures::{MODP2048, numbers};
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

fn seeds() -> [(&'static str, Vec<u8>); 12] {
    let [mark, group] = published::write(&numbers(MODP2048, 2)).unwrap();
    let message = |len| data::write(&vec![7; len]).unwrap();
    let shown = |author: u8, len| envelope::write(party(author).key, &vec![7; len]).unwrap();
    let funded = || of_kind(0, &[pay(&party(1), 248_000), pay(&party(1), 1_300)]);
    [
        ("sealed", of_kind(0, &[pay(&party(1), 250_000), message(97), pay(&party(2), 1)])),
        ("locked", of_kind(0, &outputs())),
        ("two-messages", of_kind(0, &[pay(&party(1), 1), message(97), message(97)])),
        ("two-locks", of_kind(0, &[pay(&party(1), 1), message(41), lock(1), lock(2)])),
        ("answer", of_kind(1, &[pay(&party(1), 249_000), message(48)])),
        ("answer-without-message", of_kind(1, &[pay(&party(1), 249_000)])),
        ("enveloped", showing(funded(), &[shown(0, 1_281)])),
        ("two-envelopes", showing(funded(), &[shown(0, 4), shown(0, 521)])),
        ("somebody-elses-envelope", showing(funded(), &[shown(1, 97)])),
        ("published-group", of_kind(0, &[mark.clone(), group.clone(), pay(&party(2), 1)])),
        ("published-group-behind-a-message", of_kind(0, &[pay(&party(1), 1), group, mark])),
        ("enveloped-answer", showing(of_kind(1, &[pay(&party(1), 249_000)]), &[shown(1, 1_136)])),
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

fn showing(mut bytes: Vec<u8>, scripts: &[ScriptBuf]) -> Vec<u8> {
    for script in scripts {
        bytes.push(4);
        bytes.extend([0; 8]);
        bytes.extend((script.len() as u16).to_be_bytes());
        bytes.extend(script.as_bytes());
    }
    bytes
}
