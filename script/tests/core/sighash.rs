//! `sighash.json`: what legacy signatures sign, in random transactions and for random kinds.

use bitcoin::Transaction;
use bitcoin::consensus::deserialize;
use bitcoin::hex::DisplayHex;
use keyway_script::sighash::legacy;

use crate::files::{self, bytes, text};

#[test]
fn every_legacy_signature_hash_is_bitcoin_cores() {
    let Some(file) = files::read("sighash.json") else { return };
    let cases = file.as_array().unwrap();
    assert!(cases.len() > 500, "only {} cases were read", cases.len());
    for case in cases.iter().filter(|case| case.as_array().unwrap().len() > 1) {
        let transaction: Transaction = deserialize(&bytes(&case[0])).unwrap();
        let kind = case[3].as_i64().unwrap() as u32;
        let mut hash = legacy(&transaction, case[2].as_u64().unwrap() as usize, &bytes(&case[1]), kind);
        hash.reverse();
        assert_eq!(hash.to_lower_hex_string(), text(&case[4]), "{case}");
    }
}
