//! What a taproot output commits to (BIP341).

use bitcoin::secp256k1::{Parity, Scalar, XOnlyPublicKey};

use crate::ScriptError;
use crate::sighash::{Digest, Tag};
use crate::signature::SECP;

/// The leaf version of tapscript.
pub const TAPSCRIPT: u8 = 0xc0;

/// The control block of a spending through the script path.
#[derive(Clone, Copy, Debug)]
pub struct Control<'w> {
    head: u8,
    internal_key: &'w [u8],
    path: &'w [u8],
}

impl<'w> Control<'w> {
    /// One byte, the internal key, and at most 128 hashes.
    pub fn read(bytes: &'w [u8]) -> Result<Self, ScriptError> {
        let read = || {
            let (head, rest) = bytes.split_first()?;
            let (internal_key, path) = rest.split_at_checked(32)?;
            (path.len() % 32 == 0 && path.len() <= 32 * 128).then_some(Self {
                head: *head,
                internal_key,
                path,
            })
        };
        read().ok_or(ScriptError::TaprootWrongControlSize)
    }

    /// The version of the leaf.
    pub fn leaf_version(&self) -> u8 {
        self.head & 0xfe
    }

    /// Whether the output key commits to this leaf.
    pub fn commits(&self, output_key: &[u8], leaf: [u8; 32]) -> bool {
        let root = self.path.chunks_exact(32).fold(leaf, |node, other| branch_hash(&node, other));
        let mut digest = Digest::tagged(Tag::Tweak);
        digest.bytes(self.internal_key);
        digest.bytes(&root);
        self.is_tweaked(output_key, digest.finish()).unwrap_or(false)
    }

    fn is_tweaked(&self, output_key: &[u8], tweak: [u8; 32]) -> Option<bool> {
        let internal = XOnlyPublicKey::from_slice(self.internal_key).ok()?;
        let output = XOnlyPublicKey::from_slice(output_key).ok()?;
        let parity = if self.head & 1 == 0 { Parity::Even } else { Parity::Odd };
        Some(internal.tweak_add_check(&SECP, &output, parity, Scalar::from_be_bytes(tweak).ok()?))
    }
}

/// The hash of a leaf.
pub fn leaf_hash(version: u8, script: &[u8]) -> [u8; 32] {
    let mut digest = Digest::tagged(Tag::Leaf);
    digest.u8(version);
    digest.sized(script);
    digest.finish()
}

fn branch_hash(node: &[u8], other: &[u8]) -> [u8; 32] {
    let (first, second) = if node < other { (node, other) } else { (other, node) };
    let mut digest = Digest::tagged(Tag::Branch);
    digest.bytes(first);
    digest.bytes(second);
    digest.finish()
}
