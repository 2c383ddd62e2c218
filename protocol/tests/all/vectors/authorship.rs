//! Transactions and whom they speak for (PROTOCOL.md 5).

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, EcdsaSighashType, ScriptBuf, Sequence, Transaction};
use keyway_protocol::authorship::{Authored, NotAuthored};

use crate::authorship::{
    AMOUNT, der, integers, payment, signed, with_high_s, with_sighash_byte, with_witness,
};
use crate::common::{car, mallory};
use crate::file;
use crate::json::{Json, hex, object};

#[test]
fn the_vectors_of_authorship_are_what_the_code_gives() {
    let mut cases = speaking();
    cases.extend(signed_otherwise());
    cases.extend(malformed());
    cases.extend(changed());
    file::check("authorship.json", &object! { "cases": cases });
}

fn case(id: &str, comment: &str, tx: &Transaction) -> Json {
    case_of(id, comment, tx, AMOUNT)
}

fn case_of(id: &str, comment: &str, tx: &Transaction, amount: Amount) -> Json {
    let authored = Authored::verify(tx, amount);
    object! {
        "id": id,
        "comment": comment,
        "tx": serialize_hex(tx),
        "amount": amount.to_sat(),
        "author": authored.as_ref().ok().map(|authored| hex(authored.author().to_bytes())),
        "txid": authored.as_ref().ok().map(|authored| hex(authored.txid())),
        "error": authored.as_ref().err().map(|error| Json::from(name_of(error))),
    }
}

fn name_of(error: &NotAuthored) -> &'static str {
    match error {
        NotAuthored::NoInput => "NoInput",
        NotAuthored::NotP2wpkh => "NotP2wpkh",
        NotAuthored::InvalidKey => "InvalidKey",
        NotAuthored::MalformedSignature => "MalformedSignature",
        NotAuthored::OpenSighash(_) => "OpenSighash",
        NotAuthored::WrongSignature => "WrongSignature",
    }
}

fn speaking() -> Vec<Json> {
    let mut others = signed();
    mallory().sign(&mut others, 1, AMOUNT, EcdsaSighashType::NonePlusAnyoneCanPay);
    let mut first = payment();
    mallory().sign(&mut first, 0, AMOUNT, EcdsaSighashType::All);
    car().sign(&mut first, 1, AMOUNT, EcdsaSighashType::All);
    vec![
        case("whole", "both inputs signed by the car", &signed()),
        case("others-inputs", "input 1 of another, signed in another way", &others),
        case("input-0-of-another", "speaks for whoever signed input 0, not input 1", &first),
    ]
}

fn signed_otherwise() -> Vec<Json> {
    let (car, mallory) = (car(), mallory());
    let with = |sighash| {
        let mut tx = payment();
        car.sign(&mut tx, 0, AMOUNT, sighash);
        tx
    };
    let mut foreign = payment();
    mallory.sign(&mut foreign, 0, AMOUNT, EcdsaSighashType::All);
    let signature = foreign.input[0].witness.nth(0).unwrap().to_vec();
    let borrowed = with_witness(&[&signature, &car.key().to_bytes()]);
    vec![
        case("none", "SIGHASH_NONE", &with(EcdsaSighashType::None)),
        case("single", "SIGHASH_SINGLE", &with(EcdsaSighashType::Single)),
        case("all-anyone", "SIGHASH_ALL, ANYONECANPAY", &with(EcdsaSighashType::AllPlusAnyoneCanPay)),
        case("none-anyone", "SIGHASH_NONE, ANYONECANPAY", &with(EcdsaSighashType::NonePlusAnyoneCanPay)),
        case(
            "single-anyone",
            "SIGHASH_SINGLE, ANYONECANPAY",
            &with(EcdsaSighashType::SinglePlusAnyoneCanPay),
        ),
        case("sighash-0", "a byte that consensus reads as ALL", &with_sighash_byte(0)),
        case("sighash-0x41", "a byte that consensus reads as ALL", &with_sighash_byte(0x41)),
        case("another-key", "signed by another, the victim's key beside it", &borrowed),
        case_of("another-amount", "the coin has another amount", &signed(), AMOUNT + Amount::from_sat(1)),
    ]
}

fn malformed() -> Vec<Json> {
    let car = car();
    let key = car.key().to_bytes();
    let signature = car.signature(&payment(), 0, AMOUNT, EcdsaSighashType::All);
    let [r, s] = integers(&signature);
    let padded = [der(&[&[0], &r[..]].concat(), &s), vec![1]].concat();
    let good = signature.serialize_der();
    let long_form = [&[0x30, 0x81, good[1]], &good[2..], &[1]].concat();
    let element = [&good[..], &[1]].concat();
    let uncompressed = car.key().to_public_key().serialize_uncompressed();
    let mut nested = signed();
    let program = car.key().script();
    nested.input[0].script_sig = ScriptBuf::from_bytes([&[22], program.as_bytes()].concat());
    let mut coinbase = signed();
    coinbase.input.truncate(1);
    coinbase.input[0].previous_output = bitcoin::OutPoint::null();
    vec![
        case("high-s", "s above half the order", &with_high_s()),
        case("der-zero", "a zero byte too many before r", &with_witness(&[&padded, &key])),
        case("der-long-form", "a length in long form", &with_witness(&[&long_form, &key])),
        case("no-signature", "an empty first element", &with_witness(&[b"", &key])),
        case("three-elements", "something after the key", &with_witness(&[&element, &key, b"offer"])),
        case("one-element", "no key", &with_witness(&[&element])),
        case("no-witness", "not signed at all", &payment()),
        case("uncompressed-key", "65 bytes", &with_witness(&[&element, &uncompressed])),
        case("nested", "a P2SH-P2WPKH coin", &nested),
        case("coinbase", "spends no coin", &coinbase),
    ]
}

fn changed() -> Vec<Json> {
    let with = |change: fn(&mut Transaction)| {
        let mut tx = signed();
        change(&mut tx);
        tx
    };
    vec![
        case("output-changed", "a satoshi more", &with(|tx| tx.output[1].value += Amount::from_sat(1))),
        case("output-added", "paid to nobody", &with(|tx| tx.output.push(tx.output[0].clone()))),
        case("sequence-changed", "of input 1", &with(|tx| tx.input[1].sequence = Sequence(0x8000_0001))),
        case("coin-changed", "of input 1", &with(|tx| tx.input[1].previous_output.vout += 1)),
        case("inputs-swapped", "both of the car", &with(|tx| tx.input.swap(0, 1))),
        case(
            "witness-of-input-1-changed",
            "says nothing, and is not covered",
            &with(|tx| tx.input[1].witness.clear()),
        ),
    ]
}
