//! One question a block: with each block the hash of the one behind it is asked for, and with that one whether it is still
//! there.

use std::sync::{Mutex, PoisonError};

use bitcoin::BlockHash;
use keyway_chain::BlockRef;
use serde::Deserialize;
use serde_json::json;

use super::client::{Call, CallError, LARGE};
use super::{Rpc, code, reply};
use crate::LedgerError;

/// What followed a block when that block was asked for.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Option<(BlockRef, BlockHash)>>);

impl Ahead {
    /// The hash that followed `after`. It may be another's by now.
    pub(super) fn of(&self, after: BlockRef) -> Option<BlockHash> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|(at, _)| *at == after).map(|(_, hash)| hash)
    }

    fn remember(&self, next: Option<(BlockRef, BlockHash)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

/// A hash, or a block in hex.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Hash(BlockHash),
    Block(reply::Hex),
}

/// The bytes, unchecked, of the block at a place; `None` if the node has another one there, or none.
///
/// # Errors
/// As [`Rpc::block_bytes`].
pub(super) fn block_at(rpc: &Rpc, at: BlockRef) -> Result<Option<Vec<u8>>, LedgerError> {
    let height = at.height;
    let calls = [
        Call::new("getblock", [json!(at.hash), json!(0)]),
        Call::new("getblockhash", [json!(height.to_u32())]),
        Call::new("getblockhash", [json!(height.next().to_u32())]),
    ];
    let answers = rpc.client()?.batch(&calls, LARGE).map_err(|error| rpc.failed(error))?;
    let Ok([block, here, next]) = <[Result<Answer, CallError>; 3]>::try_from(answers) else {
        return Err(rpc.nonsense("it answers fewer questions than were asked"));
    };
    let here = hash(rpc, here)?;
    rpc.ahead.remember(hash(rpc, next)?.map(|next| (at, next)));
    if here != Some(at.hash) {
        return Ok(None);
    }
    match block {
        Ok(Answer::Block(reply::Hex(bytes))) => Ok(Some(bytes)),
        Ok(Answer::Hash(_)) => Err(rpc.nonsense(format!("block {}: it is none", at.hash))),
        Err(error) => Err(rpc.no_block(&at.hash, error)),
    }
}

/// `None` above the node's tip.
fn hash(rpc: &Rpc, answer: Result<Answer, CallError>) -> Result<Option<BlockHash>, LedgerError> {
    match answer {
        Ok(Answer::Hash(hash)) => Ok(Some(hash)),
        Ok(Answer::Block(_)) => Err(rpc.nonsense("a block's hash that is none")),
        Err(error) if error.code() == Some(code::OUT_OF_RANGE) => Ok(None),
        Err(error) => Err(rpc.failed(error)),
    }
}
