//! `tx_valid.json` and `tx_invalid.json`: whole transactions with what they spend.

use std::collections::HashMap;

use bitcoin::consensus::deserialize;
use bitcoin::{Amount, OutPoint, Transaction, TxOut};
use keyway_script::asm::assemble;
use keyway_script::{Flags, Spending};
use serde_json::Value;

use crate::files::{self, bytes, text};
use crate::script_tests::without;

#[test]
fn every_transaction_of_tx_valid_verifies_and_no_flag_could_be_added() {
    let Some(file) = files::read("tx_valid.json") else { return };
    let cases = cases(&file);
    assert!(cases.len() > 100, "only {} cases were read", cases.len());
    for (case, excluded) in &cases {
        let excluded: Flags = excluded.parse().unwrap();
        let flags = Flags::STANDARD - excluded;
        assert!(case.verifies(flags), "{}", case.line);
        for (flag, name) in Flags::STANDARD.iter() {
            assert!(case.verifies(without(flags, flag)), "not without {name}: {}", case.line);
        }
        for (flag, name) in excluded.iter().filter(|(flag, _)| trimmed(excluded - *flag) != excluded) {
            let more = Flags::STANDARD - trimmed(excluded - flag);
            assert!(!case.verifies(more), "{name} need not be excluded: {}", case.line);
        }
    }
}

#[test]
fn no_transaction_of_tx_invalid_verifies_and_no_flag_could_be_left_out() {
    let Some(file) = files::read("tx_invalid.json") else { return };
    let cases = cases(&file);
    assert!(cases.len() > 80, "only {} cases were read", cases.len());
    for (case, flags) in &cases {
        if flags == "BADTX" {
            assert!(!case.is_well_formed(), "{}", case.line);
            continue;
        }
        let flags: Flags = flags.parse().unwrap();
        assert!(case.is_well_formed() && !case.verifies(flags), "{}", case.line);
        for (flag, name) in Flags::STANDARD.iter() {
            assert!(!case.verifies(flags | flag), "with {name}: {}", case.line);
        }
        for (flag, name) in flags.iter() {
            assert!(case.verifies(without(flags, flag)), "{name} is not needed: {}", case.line);
        }
    }
}

/// As Bitcoin Core trims sets that are no combination: here of those that are *not* applied.
fn trimmed(excluded: Flags) -> Flags {
    without(excluded, Flags::NONE)
}

struct Case {
    line: String,
    transaction: Transaction,
    prevouts: HashMap<OutPoint, TxOut>,
}

fn cases(file: &Value) -> Vec<(Case, String)> {
    let cases = file.as_array().unwrap().iter().filter(|case| case[0].is_array());
    cases.map(|case| (Case::read(case), text(&case[2]).to_owned())).collect()
}

impl Case {
    /// `[[[txid, index, scriptPubKey, amount?]…], transaction, flags]`
    fn read(case: &Value) -> Self {
        let prevouts = case[0].as_array().unwrap().iter().map(prevout).collect();
        Self { line: case.to_string(), transaction: deserialize(&bytes(&case[1])).unwrap(), prevouts }
    }

    fn verifies(&self, flags: Flags) -> bool {
        let inputs = self.transaction.input.iter();
        let prevouts: Vec<TxOut> =
            inputs.map(|input| self.prevouts[&input.previous_output].clone()).collect();
        let spending = Spending::new(&self.transaction, &prevouts).unwrap();
        spending.inputs().all(|input| input.verify(flags).is_ok())
    }

    /// What Bitcoin Core checks of a transaction before its scripts, and what is no matter of this crate.
    fn is_well_formed(&self) -> bool {
        let transaction = &self.transaction;
        let amounts = || transaction.output.iter().map(|output| output.value.to_sat());
        let sum = amounts().try_fold(0u64, u64::checked_add);
        let spent: std::collections::HashSet<_> =
            transaction.input.iter().map(|i| i.previous_output).collect();
        let signature = transaction.input.first().map_or(0, |input| input.script_sig.len());
        !transaction.input.is_empty()
            && !transaction.output.is_empty()
            && amounts().all(|amount| amount <= Amount::MAX_MONEY.to_sat())
            && sum.is_some_and(|sum| sum <= Amount::MAX_MONEY.to_sat())
            && spent.len() == transaction.input.len()
            && if transaction.is_coinbase() {
                (2..=100).contains(&signature)
            } else {
                !spent.contains(&OutPoint::null())
            }
    }
}

/// An index may be written as -1.
fn prevout(entry: &Value) -> (OutPoint, TxOut) {
    let outpoint = OutPoint::new(text(&entry[0]).parse().unwrap(), entry[1].as_i64().unwrap() as u32);
    let value = Amount::from_sat(entry.get(3).map_or(0, |amount| amount.as_u64().unwrap()));
    (outpoint, TxOut { value, script_pubkey: assemble(text(&entry[2])).unwrap() })
}
