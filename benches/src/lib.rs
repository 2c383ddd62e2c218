//! What the benchmarks share: two parties, a block of a real chain, and the names of the pairs that are compared.

pub mod fleet;

use std::path::PathBuf;

use bip39::Mnemonic;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::card::Permanent;
use keyway_protocol::identity::{NegotiationSecret, Seed};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::Context;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::secret::Secret;

/// Names the measured function of a group that the group's others are compared with.
pub const BASELINE: &str = "baseline";

/// Everything about one side of a negotiation.
pub struct Side {
    pub seed: Seed,
    pub permanent: Permanent,
    pub secret: NegotiationSecret,
}

impl Side {
    pub fn new(name: &str, entropy: u8) -> Self {
        let chain = Chain::regtest();
        let mnemonic = Mnemonic::from_entropy(&[entropy; 16]).expect("16 bytes are entropy");
        let seed = Seed::derive(&mnemonic, &chain).expect("a mnemonic gives a seed");
        let name = name.parse().expect("a name");
        let permanent = Permanent::of(name, &chain, &seed.identity, &seed.sealing);
        let secret = NegotiationSecret::from_secret(filled(entropy));
        Self { seed, permanent, secret }
    }
}

pub fn context(initiator: &Side, responder: &Side, carrier: Carrier) -> Context {
    Context {
        initiator: initiator.permanent.party_ref(),
        responder: responder.permanent.party_ref(),
        input0: outpoint(1),
        carrier,
    }
}

pub fn outpoint(n: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([n; 32]), 0)
}

pub fn filled(byte: u8) -> Secret {
    Secret::fill_with(|secret| secret.fill(byte))
}

/// A chain of blocks whose hashes are their heights.
pub struct Blocks {
    pub tip: u32,
}

impl Blocks {
    pub fn at(height: u32) -> BlockRef {
        let mut hash = [0x5a; 32];
        hash[..4].copy_from_slice(&height.to_be_bytes());
        BlockRef::new(Height::new(height), BlockHash::from_byte_array(hash))
    }
}

impl BestChain for Blocks {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        (height.to_u32() <= self.tip).then(|| Self::at(height.to_u32()).hash)
    }

    fn tip(&self) -> Height {
        Height::new(self.tip)
    }
}

/// A serialized block of the main chain, if there is one to measure with: the file that KEYWAY_BLOCK names.
///
/// Bitcoin's block 413567 was measured for the README (999,887 bytes, 1,557 transactions, 3,581 outputs).
pub fn real_block() -> Option<Vec<u8>> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/block413567.raw"));
    let path = std::env::var_os("KEYWAY_BLOCK").map_or(beside, PathBuf::from);
    match std::fs::read(&path) {
        Ok(block) => Some(block),
        Err(error) => {
            eprintln!("skipped: no block to walk over ({}: {error}); KEYWAY_BLOCK names one", path.display());
            None
        }
    }
}
