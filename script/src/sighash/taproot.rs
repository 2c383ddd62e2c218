//! The signature hash of taproot (BIP341), and its extension for tapscript (BIP342).

use super::{Digest, Tag};
use crate::Input;

const DEFAULT: u8 = 0;
const ALL: u8 = 1;
const SINGLE: u8 = 3;
const ANYONE_CAN_PAY: u8 = 0x80;

/// The script path, as far as a signature commits to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The hash of the leaf that is executed.
    pub hash: [u8; 32],
    /// The place of the last executed OP_CODESEPARATOR among the instructions, or `u32::MAX`.
    pub separator: u32,
}

/// What a signature of this kind signs: in the key path without a leaf, in the script path with it. `annex` is the
/// hash of the annex, if there is one. `None` if there is no such kind, or the input has no output of its own to sign.
pub fn taproot(
    input: Input<'_>,
    hash_type: u8,
    annex: Option<[u8; 32]>,
    leaf: Option<Leaf>,
) -> Option<[u8; 32]> {
    if !matches!(hash_type, 0..=3 | 0x81..=0x83) {
        return None;
    }
    let outputs = if hash_type == DEFAULT { ALL } else { hash_type & 3 };
    let mut digest = Digest::tagged(Tag::Sighash);
    digest.u8(0); // epoch
    digest.u8(hash_type);
    write_transaction(&mut digest, input, hash_type & ANYONE_CAN_PAY == 0, outputs == ALL);
    digest.u8(u8::from(leaf.is_some()) * 2 + u8::from(annex.is_some()));
    write_input(&mut digest, input, hash_type & ANYONE_CAN_PAY == 0);
    annex.iter().for_each(|hash| digest.bytes(hash));
    if outputs == SINGLE {
        digest.bytes(&own_output(input)?);
    }
    leaf.iter().for_each(|leaf| write_leaf(&mut digest, leaf));
    Some(digest.finish())
}

fn write_transaction(digest: &mut Digest, input: Input<'_>, all_inputs: bool, all_outputs: bool) {
    let transaction = input.spending().transaction();
    let shared = input.spending().shared();
    digest.u32(transaction.version.0 as u32);
    digest.u32(transaction.lock_time.to_consensus_u32());
    if all_inputs {
        digest.bytes(&shared.prevouts);
        digest.bytes(&shared.amounts);
        digest.bytes(&shared.scripts);
        digest.bytes(&shared.sequences);
    }
    if all_outputs {
        digest.bytes(&shared.outputs);
    }
}

fn write_input(digest: &mut Digest, input: Input<'_>, all_inputs: bool) {
    if all_inputs {
        digest.u32(input.index() as u32);
    } else {
        digest.outpoint(&input.txin().previous_output);
        digest.output(input.prevout());
        digest.u32(input.txin().sequence.0);
    }
}

fn own_output(input: Input<'_>) -> Option<[u8; 32]> {
    let mut digest = Digest::new();
    digest.output(input.spending().transaction().output.get(input.index())?);
    Some(digest.finish())
}

fn write_leaf(digest: &mut Digest, leaf: &Leaf) {
    digest.bytes(&leaf.hash);
    digest.u8(0); // version of the key
    digest.u32(leaf.separator);
}
