//! The responder's owner spends what came with an offer by another wallet: on a real node, where nothing hinders it.

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use keyway_ledger::testnode::Kind;
use keyway_protocol::identity::Seed;
use serde_json::{Value, json};

use crate::town::Town;

const HOMES: [&str; 2] = ["car", "charger"];

fn with_each(test: impl Fn(&Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(|town| test(&town));
}

/// Two homes, of which the charger answers late.
fn settle(town: &Town) {
    town.settle();
    town.edit("charger", "offer_depth = 1", "offer_depth = 6");
}

/// An offer that is mined, and not answered yet.
fn offered(town: &Town, terms: &str) -> Value {
    let offer = town.stage.json(&format!("--home car offer charger --pay 2500000sat {terms}"));
    town.mine(1);
    HOMES.iter().for_each(|home| drop(town.sync(home)));
    offer
}

/// The anchor goes to nobody in particular, by a wallet that was made from the charger's words.
fn spend_anchor(town: &Town, offer: &Value) {
    let chain = town.node.kind().chain();
    let words = std::fs::read_to_string(town.stage.join("charger.words")).unwrap();
    let seed = Seed::derive(&words.trim().parse::<bip39::Mnemonic>().unwrap(), &chain).unwrap();
    let payment = mined(town, offer["txid"].as_str().unwrap());
    let script = seed.identity.party().script();
    let vout = payment.output.iter().position(|output| output.script_pubkey == script).unwrap();
    let value = payment.output[vout].value;
    let mut tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(payment.compute_txid(), u32::try_from(vout).unwrap()),
            sequence: Sequence::MAX,
            ..TxIn::default()
        }],
        output: vec![TxOut { value: value - Amount::from_sat(500), script_pubkey: burnt() }],
    };
    let digest = SighashCache::new(&tx).p2wpkh_signature_hash(0, &script, value, EcdsaSighashType::All);
    let signature = seed.identity.sign_input(digest.unwrap());
    tx.input[0].witness = Witness::p2wpkh(&signature, &seed.identity.party().to_public_key());
    town.node.call::<Value>("sendrawtransaction", &[json!(serialize_hex(&tx))]);
}

fn burnt() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&bitcoin::hashes::Hash::from_byte_array([9; 20]))
}

/// A transaction of the last block.
fn mined(town: &Town, txid: &str) -> Transaction {
    let hash: Value = town.node.call("getbestblockhash", &[]);
    let block: Value = town.node.call("getblock", &[hash, json!(0)]);
    let block: bitcoin::Block = deserialize_hex(block.as_str().unwrap()).unwrap();
    block.txdata.into_iter().find(|tx| tx.compute_txid().to_string() == txid).unwrap()
}

/// Whatever the state, both see the same one, and know why.
fn is_declined(town: &Town, offer: &Value) {
    for home in HOMES {
        let seen = town.shown(home, offer["id"].as_str().unwrap());
        assert_eq!(seen["state"], "declined", "{home}: {seen}");
        assert!(seen["declined"].as_str().unwrap().starts_with("it carries no answer"), "{home}: {seen}");
        assert_eq!(seen["fingerprint"], Value::Null, "{home}: {seen}");
    }
    let told = town.stage.ok(&format!("--home car show {}", &offer["id"].as_str().unwrap()[..8]));
    assert!(told.contains("declined") && told.contains("it carries no answer"), "{told}");
}

#[test]
fn an_anchor_that_is_spent_by_something_else_declines_the_offer_for_both() {
    with_each(|town| {
        settle(town);
        for terms in ["--carrier value", "--carrier static"] {
            declines(town, terms);
        }
    });
}

fn declines(town: &Town, terms: &str) {
    let offer = offered(town, terms);
    spend_anchor(town, &offer);
    let before = town.shown("car", offer["id"].as_str().unwrap());
    assert_eq!(before["state"], "offered", "what is not mined may yet not be: {before}");
    town.mine(1);
    for home in HOMES {
        let moved = town.sync(home)["events"].to_string();
        assert!(moved.contains("\"from\":\"offered\"") && moved.contains("\"to\":\"declined\""), "{moved}");
    }
    is_declined(town, &offer);
    // The way back is a new negotiation, and nothing is left to wait for.
    let refusal = town.stage.feed("--home car seal charger", b"x").explained(1);
    assert!(refusal.contains("no active key"), "{refusal}");
    town.mine(6);
    let after = town.sync("charger")["events"].to_string();
    assert!(!after.contains("answer-sent"), "{after}");
}

#[test]
fn a_locked_payment_whose_anchor_is_spent_is_declined_until_it_comes_back() {
    with_each(|town| {
        // Litecoin checks the timeouts of locks in blocks from here on.
        town.mine(1_351);
        settle(town);
        let offer = offered(town, "--carrier dynamic --timeout 72");
        spend_anchor(town, &offer);
        town.mine(1);
        HOMES.iter().for_each(|home| drop(town.sync(home)));
        is_declined(town, &offer);
        town.mine(72);
        let refunded = town.sync("car")["events"].to_string();
        assert!(refunded.contains("refund-sent"), "{refunded}");
        town.mine(1);
        for home in HOMES {
            town.sync(home);
            assert_eq!(town.shown(home, offer["id"].as_str().unwrap())["state"], "refunded");
        }
    });
}
