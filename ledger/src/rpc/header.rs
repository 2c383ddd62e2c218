//! Headers by their hashes.

use std::sync::{Mutex, PoisonError};

use bitcoin::BlockHash;
use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use keyway_chain::{Height, work};
use serde_json::json;

use super::{Rpc, code, reply};
use crate::LedgerError;

/// The header of that hash, if the node knows it.
pub(super) fn ask(rpc: &Rpc, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
    let reply::Hex(bytes) = match rpc.client()?.call("getblockheader", [json!(hash), json!(false)]) {
        Ok(hex) => hex,
        Err(error) if error.code() == Some(code::NOT_FOUND) => return Ok(None),
        Err(error) => return Err(rpc.failed(error)),
    };
    let wrong = |what: &str| rpc.nonsense(format!("header {hash}: {what}"));
    let header: Header = deserialize(&bytes).map_err(|_| wrong("it is none"))?;
    if header.block_hash() != *hash {
        return Err(wrong("it is another one"));
    }
    // Nobody worked for the first block of chains for testing.
    if *hash != rpc.chain.genesis() {
        work::check(&header, &rpc.chain).map_err(|what| wrong(&what.to_string()))?;
    }
    Ok(Some(header))
}

/// The height of a block that the node named.
pub(super) fn height(rpc: &Rpc, hash: &BlockHash) -> Result<Height, LedgerError> {
    let place: reply::Place = rpc
        .client()?
        .call("getblockheader", [json!(hash), json!(true)])
        .map_err(|error| rpc.failed(error))?;
    Ok(Height::new(place.height))
}

/// The header that was connected last: whoever follows the chain asks for its child next.
#[derive(Default)]
pub(super) struct LastSeen(Mutex<Option<Header>>);

impl LastSeen {
    /// The header of that hash.
    pub(super) fn header(&self, rpc: &Rpc, hash: &BlockHash) -> Result<Header, LedgerError> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(header) = last.filter(|header| header.block_hash() == *hash) {
            return Ok(header);
        }
        ask(rpc, hash)?.ok_or_else(|| rpc.nonsense(format!("it has a child of {hash}, and not that block")))
    }

    pub(super) fn remember(&self, header: Header) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
    }
}
