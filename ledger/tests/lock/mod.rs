//! A small lock by OP_EXPONENT, who opens it and who breaks it.

use bitcoin::opcodes::all::{OP_EQUALVERIFY, OP_PUSHNUM_1, OP_SHA256};
use bitcoin::script::Builder;
use bitcoin::secp256k1::{Secp256k1, XOnlyPublicKey};
use bitcoin::taproot::{LeafVersion, TaprootBuilder, TaprootSpendInfo};
use bitcoin::{OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Witness};
use keyway_ledger::contract::{FEE, Free, Purse, pay};

/// BIP341's point that nobody has the secret of.
pub const NUMS: &str = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";
/// 2^t mod 101 = 14 for t = 10, and 101 is prime.
pub const OPENS: u8 = 10;
pub const POWER: [u8; 1] = [14];

/// `<2> <101> OP_EXPONENT OP_SHA256 <hash> OP_EQUALVERIFY 1`
pub fn lock() -> ScriptBuf {
    use bitcoin::hashes::{Hash, sha256};
    let hash = sha256::Hash::hash(&POWER).to_byte_array();
    let mut script = Builder::new().push_int(2).push_slice([101]).into_bytes();
    script.push(0xee);
    let rest = Builder::new().push_opcode(OP_SHA256).push_slice(hash).push_opcode(OP_EQUALVERIFY);
    script.extend(rest.push_opcode(OP_PUSHNUM_1).into_bytes());
    ScriptBuf::from_bytes(script)
}

pub fn leaf() -> TaprootSpendInfo {
    let internal: XOnlyPublicKey = NUMS.parse().unwrap();
    let builder = TaprootBuilder::new().add_leaf(0, lock()).unwrap();
    builder.finalize(&Secp256k1::new(), internal).unwrap()
}

/// Pays into the lock.
pub fn lock_up(from: Purse) -> Transaction {
    let mut tx = pay(&[from], &[(Free(1), from.value - FEE)]);
    tx.output[0].script_pubkey = ScriptBuf::new_p2tr_tweaked(leaf().output_key());
    tx
}

/// Spends the lock with this number: the right one, or a thief's.
pub fn spend(locked: &Transaction, exponent: &[u8]) -> Transaction {
    let control = leaf().control_block(&(lock(), LeafVersion::TapScript)).unwrap().serialize();
    let input = TxIn {
        previous_output: OutPoint::new(locked.compute_txid(), 0),
        witness: Witness::from_slice(&[exponent.to_vec(), lock().into_bytes(), control]),
        ..TxIn::default()
    };
    let value = locked.output[0].value - FEE;
    let output = TxOut { value, script_pubkey: Free(u8::from(exponent == [OPENS]).into()).script() };
    Transaction { input: vec![input], output: vec![output], ..locked.clone() }
}
