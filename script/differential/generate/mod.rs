//! Inputs as they might come: most are built to verify, with all that scripts can do, and many are then damaged.

mod keys;
mod mutate;
mod program;
mod sign;
mod spend;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};

/// One input to verify.
pub struct Case {
    pub transaction: Transaction,
    pub prevouts: Vec<TxOut>,
    pub input: usize,
    /// What kind of output it spends.
    pub kind: &'static str,
}

pub fn case(rng: &mut StdRng) -> Case {
    let (transaction, prevouts) = skeleton(rng);
    let input = rng.gen_range(0..transaction.input.len());
    let mut case = Case { transaction, prevouts, input, kind: "" };
    spend::fill(rng, &mut case);
    if rng.gen_bool(0.25) {
        mutate::damage(rng, &mut case);
    }
    case
}

/// A transaction with all but the input's own script and witness.
fn skeleton(rng: &mut StdRng) -> (Transaction, Vec<TxOut>) {
    let inputs = *pick(rng, &[1, 1, 1, 2, 3]);
    let outputs = *pick(rng, &[1, 1, 2, 3, 0]);
    let transaction = Transaction {
        version: Version(*pick(rng, &[1, 2, 2, 2, 3, 0, -1, i32::MIN])),
        lock_time: LockTime::from_consensus(lock_time(rng)),
        input: (0..inputs).map(|_| txin(rng)).collect(),
        output: (0..outputs).map(|_| txout(rng)).collect(),
    };
    let prevouts = (0..inputs).map(|_| txout(rng)).collect();
    (transaction, prevouts)
}

fn txin(rng: &mut StdRng) -> TxIn {
    TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array(rng.r#gen()), rng.gen_range(0..3)),
        script_sig: ScriptBuf::new(),
        sequence: Sequence(sequence(rng)),
        witness: Witness::new(),
    }
}

fn txout(rng: &mut StdRng) -> TxOut {
    let script = (0..rng.gen_range(0..40)).map(|_| rng.r#gen()).collect();
    TxOut {
        value: Amount::from_sat(rng.gen_range(0..21_000_000 * 100_000_000)),
        script_pubkey: ScriptBuf::from_bytes(script),
    }
}

fn lock_time(rng: &mut StdRng) -> u32 {
    let random = rng.r#gen();
    *pick(rng, &[0, 0, 1, 100, 127, 128, 499_999_999, 500_000_000, 1_700_000_000, u32::MAX, random])
}

fn sequence(rng: &mut StdRng) -> u32 {
    let random = rng.r#gen();
    let times =
        [0, 1, 127, 0xffff, 1 << 22, (1 << 22) | 5, 1 << 31, u32::MAX - 1, u32::MAX, u32::MAX, random];
    *pick(rng, &times)
}

fn pick<'a, T>(rng: &mut StdRng, choices: &'a [T]) -> &'a T {
    &choices[rng.gen_range(0..choices.len())]
}

fn bytes(rng: &mut StdRng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.r#gen()).collect()
}
