//! `bip341_wallet_vectors.json`: what taproot outputs commit to, and what their signatures sign.

use bitcoin::consensus::deserialize;
use bitcoin::hex::DisplayHex;
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut, Witness};
use keyway_script::taproot::{Control, leaf_hash};
use keyway_script::{Flags, ScriptError, Spending, sighash};
use serde_json::Value;

use crate::files::{self, bytes, text};

#[test]
fn every_output_commits_to_its_leaves_and_to_no_other() {
    let Some(file) = files::read("bip341_wallet_vectors.json") else { return };
    let mut checked = 0;
    for case in file["scriptPubKey"].as_array().unwrap() {
        let leaves = leaves(&case["given"]["scriptTree"]);
        let hashes = case["intermediary"]["leafHashes"].as_array().into_iter().flatten();
        let blocks = case["expected"]["scriptPathControlBlocks"].as_array().into_iter().flatten();
        let key = bytes(&case["intermediary"]["tweakedPubkey"]);
        for ((hash, block), leaf) in hashes.zip(blocks).zip(&leaves) {
            let found = leaf_hash(leaf["leafVersion"].as_u64().unwrap() as u8, &bytes(&leaf["script"]));
            assert_eq!(found.to_lower_hex_string(), text(hash));
            let block = bytes(block);
            let control = Control::read(&block).unwrap();
            assert!(control.commits(&key, found));
            assert!(!control.commits(&key, leaf_hash(0xc0, b"another")));
            checked += 1;
        }
    }
    assert_eq!(checked, 12, "leaves");
}

#[test]
fn every_signature_hash_of_the_key_path_is_that_of_the_vectors() {
    let Some(file) = files::read("bip341_wallet_vectors.json") else { return };
    let case = &file["keyPathSpending"][0];
    let transaction: Transaction = deserialize(&bytes(&case["given"]["rawUnsignedTx"])).unwrap();
    let prevouts = prevouts(&case["given"]["utxosSpent"]);
    let spending = Spending::new(&transaction, &prevouts).unwrap();
    for spend in case["inputSpending"].as_array().unwrap() {
        let input = spending.input(spend["given"]["txinIndex"].as_u64().unwrap() as usize).unwrap();
        let kind = spend["given"]["hashType"].as_u64().unwrap() as u8;
        let hash = sighash::taproot(input, kind, None, None).unwrap();
        assert_eq!(hash.to_lower_hex_string(), text(&spend["intermediary"]["sigHash"]));
    }
}

#[test]
fn the_signed_transaction_verifies_and_a_changed_signature_does_not() {
    let Some(file) = files::read("bip341_wallet_vectors.json") else { return };
    let case = &file["keyPathSpending"][0];
    let mut transaction: Transaction = deserialize(&bytes(&case["auxiliary"]["fullySignedTx"])).unwrap();
    let prevouts = prevouts(&case["given"]["utxosSpent"]);
    let spending = Spending::new(&transaction, &prevouts).unwrap();
    assert!(spending.inputs().all(|input| input.verify(Flags::STANDARD).is_ok()));
    let mut signature = transaction.input[0].witness.nth(0).unwrap().to_vec();
    signature[7] ^= 1;
    transaction.input[0].witness = Witness::from_slice(&[signature]);
    let spending = Spending::new(&transaction, &prevouts).unwrap();
    assert_eq!(spending.input(0).unwrap().verify(Flags::STANDARD), Err(ScriptError::SchnorrSig));
}

/// The tree's leaves from left to right.
fn leaves(tree: &Value) -> Vec<Value> {
    match tree {
        Value::Array(branches) => branches.iter().flat_map(leaves).collect(),
        Value::Null => Vec::new(),
        leaf => vec![leaf.clone()],
    }
}

fn prevouts(spent: &Value) -> Vec<TxOut> {
    let output = |spent: &Value| TxOut {
        value: Amount::from_sat(spent["amountSats"].as_u64().unwrap()),
        script_pubkey: ScriptBuf::from_bytes(bytes(&spent["scriptPubKey"])),
    };
    spent.as_array().unwrap().iter().map(output).collect()
}
