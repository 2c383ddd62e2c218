//! The signature hash of segwit version 0 (BIP143).

use bitcoin::hashes::{Hash, sha256};

use super::{ANYONE_CAN_PAY, Digest, NONE, OUTPUTS, SINGLE};
use crate::Input;

/// What a signature with this last byte signs.
pub fn segwit(input: Input<'_>, script_code: &[u8], hash_type: u32) -> [u8; 32] {
    let transaction = input.spending().transaction();
    let shared = input.spending().shared();
    let outputs = hash_type & OUTPUTS;
    let (all_inputs, all_outputs) = (hash_type & ANYONE_CAN_PAY == 0, outputs != SINGLE && outputs != NONE);
    let mut digest = Digest::new();
    digest.u32(transaction.version.0 as u32);
    digest.bytes(&again_if(all_inputs, shared.prevouts));
    digest.bytes(&again_if(all_inputs && all_outputs, shared.sequences));
    digest.outpoint(&input.txin().previous_output);
    digest.sized(script_code);
    digest.u64(input.prevout().value.to_sat());
    digest.u32(input.txin().sequence.0);
    digest.bytes(&match outputs {
        SINGLE => own_output(input),
        _ => again_if(all_outputs, shared.outputs),
    });
    digest.u32(transaction.lock_time.to_consensus_u32());
    digest.u32(hash_type);
    digest.finish_twice()
}

/// The hash, hashed once more; zeros if it is left out.
fn again_if(included: bool, hash: [u8; 32]) -> [u8; 32] {
    if included { sha256::Hash::hash(&hash).to_byte_array() } else { [0; 32] }
}

/// The output at the input's place; zeros if there is none.
fn own_output(input: Input<'_>) -> [u8; 32] {
    let output = input.spending().transaction().output.get(input.index());
    output.map_or([0; 32], |output| {
        let mut digest = Digest::new();
        digest.output(output);
        digest.finish_twice()
    })
}
