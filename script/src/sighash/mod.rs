//! What signatures sign: one hash per generation of scripts.

mod digest;
mod legacy;
mod segwit;
mod taproot;

pub use legacy::{find_and_delete, legacy};
pub use segwit::segwit;
pub use taproot::{Leaf, taproot};

pub(crate) use digest::{Digest, Tag};

use bitcoin::{Transaction, TxOut};

/// Outputs that are signed: the lowest bits of the signature's last byte.
const OUTPUTS: u32 = 0x1f;
const NONE: u32 = 2;
const SINGLE: u32 = 3;
/// Only this input is signed.
const ANYONE_CAN_PAY: u32 = 0x80;

/// Single SHA-256 hashes over parts of the transaction, as BIP341 uses them; BIP143 hashes three of them once more.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    prevouts: [u8; 32],
    sequences: [u8; 32],
    outputs: [u8; 32],
    amounts: [u8; 32],
    scripts: [u8; 32],
}

impl Shared {
    pub(crate) fn of(transaction: &Transaction, spent: &[TxOut]) -> Self {
        let [mut prevouts, mut sequences, mut outputs, mut amounts, mut scripts] =
            [(); 5].map(|()| Digest::new());
        for input in &transaction.input {
            prevouts.outpoint(&input.previous_output);
            sequences.u32(input.sequence.0);
        }
        for output in &transaction.output {
            outputs.output(output);
        }
        for output in spent {
            amounts.u64(output.value.to_sat());
            scripts.sized(output.script_pubkey.as_bytes());
        }
        let [prevouts, sequences, outputs, amounts, scripts] =
            [prevouts, sequences, outputs, amounts, scripts].map(Digest::finish);
        Self { prevouts, sequences, outputs, amounts, scripts }
    }
}
