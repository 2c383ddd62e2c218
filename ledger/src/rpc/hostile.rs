//! Entrances for the fuzz targets: what a node says, without a node.

use bitcoin::OutPoint;
use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::Hash;
use keyway_chain::Chain;
use serde::de::DeserializeOwned;

use super::client::{Call, read_batch, read_reply};
use super::{block, reply};
use crate::{Scanned, Watch};

/// Reads an answer as that to each question there is, alone and among several.
pub fn answer(bytes: &[u8]) {
    read::<Option<reply::TxOut>>(bytes, |coin| drop(coin.map(|coin| coin.output())));
    read::<reply::TxWithPrevouts>(bytes, |tx| drop(tx.input_zero(&OutPoint::null())));
    read::<reply::Tx>(bytes, |tx| drop(tx.hex.transaction()));
    read::<reply::Hex>(bytes, |hex| drop(deserialize::<Header>(&hex.0)));
    read::<reply::Coins>(bytes, |coins| assert!(coins.per_kvb().to_sat_per_kwu() <= coins.0.to_sat()));
    read::<reply::ChainInfo>(bytes, drop);
    read::<reply::NetworkInfo>(bytes, drop);
    read::<reply::Place>(bytes, drop);
    read::<reply::PoolInfo>(bytes, drop);
    read::<reply::Estimate>(bytes, drop);
    read::<Vec<reply::Accept>>(bytes, drop);
}

fn read<T: DeserializeOwned>(bytes: &[u8], take: impl Fn(T)) {
    match read_reply::<T>(bytes) {
        Ok(value) => take(value),
        Err(error) => drop(error.code()),
    }
    let calls = [Call::new("one", []), Call::new("another", [])];
    let replies = read_batch::<T>(bytes, &calls).unwrap_or_default();
    replies.into_iter().flatten().for_each(take);
}

/// Reads a block as if it had been asked for by the hash of these bytes' own header.
///
/// # Errors
/// What is wrong with it.
pub fn block(bytes: &[u8], watch: &Watch, chain: &Chain) -> Result<Scanned, String> {
    let header = bytes.get(..80).and_then(|header| deserialize::<Header>(header).ok());
    let hash = header.map_or(bitcoin::BlockHash::all_zeros(), |header| header.block_hash());
    block::read(bytes, &hash, watch, chain)
}
