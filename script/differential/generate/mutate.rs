//! Damage: what an attacker or an accident changes.

use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::{Amount, ScriptBuf, Sequence, Witness};

use super::{Case, bytes};

pub fn damage(rng: &mut StdRng, case: &mut Case) {
    match rng.gen_range(0..8) {
        0..=2 => damage_witness(rng, case),
        3 | 4 => damage_script_sig(rng, case),
        5 => damage_output(rng, case),
        6 => damage_prevout(rng, case),
        _ => damage_transaction(rng, case),
    }
}

fn damage_witness(rng: &mut StdRng, case: &mut Case) {
    let witness = &mut case.transaction.input[case.input].witness;
    let mut items = witness.to_vec();
    let place = rng.gen_range(0..items.len() + 1);
    match rng.gen_range(0..4) {
        0 => items.insert(place, bytes(rng, 1)),
        1 if place < items.len() => drop(items.remove(place)),
        2 if place + 1 < items.len() => items.swap(place, place + 1),
        _ if place < items.len() => damage_bytes(rng, &mut items[place]),
        _ => {}
    }
    *witness = Witness::from_slice(&items);
}

fn damage_script_sig(rng: &mut StdRng, case: &mut Case) {
    let script = &mut case.transaction.input[case.input].script_sig;
    let mut bytes = script.to_bytes();
    damage_bytes(rng, &mut bytes);
    *script = ScriptBuf::from_bytes(bytes);
}

fn damage_output(rng: &mut StdRng, case: &mut Case) {
    let script = &mut case.prevouts[case.input].script_pubkey;
    let mut bytes = script.to_bytes();
    damage_bytes(rng, &mut bytes);
    *script = ScriptBuf::from_bytes(bytes);
}

/// Any input's: some signatures commit to all of them.
fn damage_prevout(rng: &mut StdRng, case: &mut Case) {
    let place = rng.gen_range(0..case.prevouts.len());
    let prevout = &mut case.prevouts[place];
    if rng.gen_bool(0.5) || place == case.input {
        prevout.value = Amount::from_sat(prevout.value.to_sat() ^ 1);
    } else {
        prevout.script_pubkey = ScriptBuf::from_bytes(bytes(rng, 3));
    }
}

fn damage_transaction(rng: &mut StdRng, case: &mut Case) {
    let transaction = &mut case.transaction;
    match rng.gen_range(0..4) {
        0 => transaction.version.0 ^= 1,
        1 => drop(transaction.output.pop()),
        2 => {
            let place = rng.gen_range(0..transaction.input.len());
            transaction.input[place].sequence = Sequence(rng.r#gen());
        }
        _ => {
            let place = rng.gen_range(0..transaction.input.len());
            transaction.input[place].previous_output.vout ^= 1;
        }
    }
}

fn damage_bytes(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let place = rng.gen_range(0..bytes.len() + 1);
    match rng.gen_range(0..3) {
        0 => bytes.insert(place, rng.r#gen()),
        1 if place < bytes.len() => drop(bytes.remove(place)),
        _ if place < bytes.len() => bytes[place] ^= 1 << rng.gen_range(0..8),
        _ => {}
    }
}
