//! SHA-256 over parts of transactions, as they are serialized.

use std::sync::LazyLock;

use bitcoin::hashes::sha256::HashEngine;
use bitcoin::hashes::{Hash, HashEngine as _, sha256, sha256d};
use bitcoin::{OutPoint, TxOut};

/// A hash that is being fed.
#[derive(Clone)]
pub struct Digest(HashEngine);

impl Digest {
    /// With nothing in it.
    pub fn new() -> Self {
        Self(sha256::Hash::engine())
    }

    /// BIP340's tagged hash.
    pub fn tagged(tag: Tag) -> Self {
        match tag {
            Tag::Sighash => Self(SIGHASH.clone()),
            Tag::Leaf => Self(LEAF.clone()),
            Tag::Branch => Self(BRANCH.clone()),
            Tag::Tweak => Self(TWEAK.clone()),
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.input(bytes);
    }

    pub fn u8(&mut self, number: u8) {
        self.bytes(&[number]);
    }

    pub fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    pub fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// A length as Bitcoin's "compact size".
    pub fn size(&mut self, size: usize) {
        let bytes = (size as u64).to_le_bytes();
        let (marker, width) = match size {
            0..=0xfc => (None, 1),
            0xfd..=0xffff => (Some(0xfd), 2),
            0x1_0000..=0xffff_ffff => (Some(0xfe), 4),
            _ => (Some(0xff), 8),
        };
        marker.into_iter().for_each(|marker| self.u8(marker));
        bytes.iter().take(width).for_each(|byte| self.u8(*byte));
    }

    /// Bytes with their length before them.
    pub fn sized(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.bytes(bytes);
    }

    pub fn outpoint(&mut self, outpoint: &OutPoint) {
        self.bytes(outpoint.txid.as_ref());
        self.u32(outpoint.vout);
    }

    pub fn output(&mut self, output: &TxOut) {
        self.u64(output.value.to_sat());
        self.sized(output.script_pubkey.as_bytes());
    }

    pub fn finish(self) -> [u8; 32] {
        sha256::Hash::from_engine(self.0).to_byte_array()
    }

    /// Hashed once more.
    pub fn finish_twice(self) -> [u8; 32] {
        sha256d::Hash::from_engine(self.0).to_byte_array()
    }
}

/// Tags of BIP341 and BIP342.
#[derive(Clone, Copy, Debug)]
pub enum Tag {
    Sighash,
    Leaf,
    Branch,
    Tweak,
}

static SIGHASH: LazyLock<HashEngine> = LazyLock::new(|| tagged("TapSighash"));
static LEAF: LazyLock<HashEngine> = LazyLock::new(|| tagged("TapLeaf"));
static BRANCH: LazyLock<HashEngine> = LazyLock::new(|| tagged("TapBranch"));
static TWEAK: LazyLock<HashEngine> = LazyLock::new(|| tagged("TapTweak"));

fn tagged(tag: &str) -> HashEngine {
    let hash = sha256::Hash::hash(tag.as_bytes());
    let mut engine = sha256::Hash::engine();
    engine.input(hash.as_ref());
    engine.input(hash.as_ref());
    engine
}
