//! `script_tests.json`: a script, what spends it, under which flags, and the error by name.

use bitcoin::absolute::LockTime;
use bitcoin::key::UntweakedPublicKey;
use bitcoin::secp256k1::{Keypair, Secp256k1, SecretKey};
use bitcoin::taproot::{LeafVersion, TaprootBuilder, TaprootSpendInfo};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use keyway_script::asm::assemble;
use keyway_script::{Flags, Spending};
use serde_json::Value;

use crate::files::{self, bytes, text};

/// Flags that are tried beside each case's own.
const VARIATIONS: u32 = 64;

#[test]
fn every_case_of_script_tests_ends_as_in_bitcoin_core() {
    let Some(file) = files::read("script_tests.json") else { return };
    let cases: Vec<Case> = file.as_array().unwrap().iter().filter_map(Case::read).collect();
    assert!(cases.len() > 1_200, "only {} cases were read", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(Case::difference).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

struct Case {
    line: String,
    script_sig: ScriptBuf,
    script_pubkey: ScriptBuf,
    witness: Vec<Vec<u8>>,
    amount: Amount,
    flags: Flags,
    expected: String,
}

impl Case {
    /// `[[witness…, amount]?, scriptSig, scriptPubKey, flags, error, comment…]`; a lone entry is a comment.
    fn read(case: &Value) -> Option<Self> {
        let entries = case.as_array().unwrap();
        let (witness, amount, taproot, entries) = match entries.first()?.as_array() {
            Some(given) => {
                let (amount, items) = given.split_last().unwrap();
                let (witness, taproot) = read_witness(items);
                (witness, Amount::from_btc(amount.as_f64().unwrap()).unwrap(), taproot, &entries[1..])
            }
            None => (Vec::new(), Amount::ZERO, None, &entries[..]),
        };
        let [script_sig, script_pubkey, flags, expected, ..] = entries else { return None };
        let script_pubkey = match text(script_pubkey) {
            "0x51 0x20 #TAPROOTOUTPUT#" => ScriptBuf::new_p2tr_tweaked(taproot.unwrap().output_key()),
            text => assemble(text).unwrap(),
        };
        let (line, script_sig) = (case.to_string(), assemble(text(script_sig)).unwrap());
        let (flags, expected) = (text(flags).parse().unwrap(), text(expected).to_owned());
        Some(Self { line, script_sig, script_pubkey, witness, amount, flags, expected })
    }

    fn outcome(&self, flags: Flags) -> &'static str {
        let credit = transaction(
            OutPoint::null(),
            assemble("0 0").unwrap(),
            Vec::new(),
            TxOut { value: self.amount, script_pubkey: self.script_pubkey.clone() },
        );
        let outpoint = OutPoint::new(credit.compute_txid(), 0);
        let output = TxOut { value: self.amount, script_pubkey: ScriptBuf::new() };
        let spend = transaction(outpoint, self.script_sig.clone(), self.witness.clone(), output);
        let spending = Spending::new(&spend, &credit.output).unwrap();
        spending.input(0).unwrap().verify(flags).map_or_else(|error| error.name(), |()| "OK")
    }

    /// What is wrong, if anything. Fewer flags must not make a valid case invalid, nor more an invalid one valid.
    fn difference(&self) -> Option<String> {
        let found = self.outcome(self.flags);
        if found != self.expected {
            return Some(format!("{found} instead of {}: {}", self.expected, self.line));
        }
        (0..VARIATIONS).map(|nth| Flags::from_bits(nth.wrapping_mul(0x9e37_79b9) >> 7)).find_map(|other| {
            let valid = found == "OK";
            let flags = if valid { without(self.flags.with_implied(), other) } else { self.flags | other };
            let same = (self.outcome(flags) == "OK") == valid;
            (!same).then(|| format!("not so under {flags}: {}", self.line))
        })
    }
}

/// The flags without these, and without those that need them.
pub fn without(flags: Flags, removed: Flags) -> Flags {
    let mut left = flags - removed;
    if !left.has(Flags::P2SH) {
        left = left - Flags::WITNESS;
    }
    if !left.has(Flags::WITNESS) {
        left = left - Flags::CLEANSTACK;
    }
    left
}

/// Some items are to be made: a script from its text, and the control block for it under the key of one.
fn read_witness(items: &[Value]) -> (Vec<Vec<u8>>, Option<TaprootSpendInfo>) {
    let (mut witness, mut taproot): (Vec<Vec<u8>>, _) = (Vec::new(), None);
    for item in items {
        if let Some(script) = text(item).strip_prefix("#SCRIPT#") {
            witness.push(assemble(script).unwrap().into_bytes());
        } else if text(item) == "#CONTROLBLOCK#" {
            let script = ScriptBuf::from_bytes(witness.last().unwrap().clone());
            let info = commit_to(script.clone());
            witness.push(info.control_block(&(script, LeafVersion::TapScript)).unwrap().serialize());
            taproot = Some(info);
        } else {
            witness.push(bytes(item));
        }
    }
    (witness, taproot)
}

fn commit_to(script: ScriptBuf) -> TaprootSpendInfo {
    let secp = Secp256k1::new();
    let mut one = [0; 32];
    one[31] = 1;
    let pair = Keypair::from_secret_key(&secp, &SecretKey::from_slice(&one).unwrap());
    let (internal, _) = UntweakedPublicKey::from_keypair(&pair);
    TaprootBuilder::new().add_leaf(0, script).unwrap().finalize(&secp, internal).unwrap()
}

fn transaction(from: OutPoint, script_sig: ScriptBuf, witness: Vec<Vec<u8>>, to: TxOut) -> Transaction {
    let witness = Witness::from_slice(&witness);
    let input = TxIn { previous_output: from, script_sig, sequence: Sequence::MAX, witness };
    Transaction { version: Version::ONE, lock_time: LockTime::ZERO, input: vec![input], output: vec![to] }
}
