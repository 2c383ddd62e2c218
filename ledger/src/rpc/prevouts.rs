//! What a mined transaction's input 0 spent, from a node that keeps no index.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use bitcoin::consensus::encode::deserialize;
use bitcoin::{Block, BlockHash, OutPoint, Transaction, TxOut, Txid};
use keyway_chain::{BlockRef, Family, Height};
use serde_json::json;

use super::client::{Call, SMALL};
use super::{Rpc, code, header, reply};
use crate::{Hit, LedgerError};

/// Blocks below a hit that are searched for the transaction it spends from, where nothing better is known.
pub const LOOK_BACK: u32 = 2_016;
/// Outputs of a transaction that are asked for, to learn where it is: a wallet's change comes early.
const SIBLINGS: u32 = 48;
/// Coins that are remembered, so that asking again is cheap.
const REMEMBERED: usize = 10_000;

/// Coins that were found before: a transaction's outputs never change.
#[derive(Default)]
pub(super) struct Prevouts {
    found: Mutex<HashMap<OutPoint, Option<TxOut>>>,
}

impl Prevouts {
    /// Fills in [`Hit::input_zero`] for a block's hits, as far as the node lets us know.
    pub(super) fn fill(&self, rpc: &Rpc, at: BlockRef, hits: &mut [Hit]) -> Result<(), LedgerError> {
        let mut wanted = HashSet::new();
        for index in 0..hits.len() {
            let Some(outpoint) = hits.get(index).and_then(spends) else { continue };
            let known = created_in(hits, &outpoint).or_else(|| self.recall(&outpoint));
            let Some(hit) = hits.get_mut(index) else { continue };
            match known {
                Some(coin) => hit.input_zero = Some(coin),
                None if self.was_sought(&outpoint) => {}
                None => match ask(rpc, at, hit.txid, &outpoint)? {
                    Some(coin) => {
                        self.remember(outpoint, Some(coin.clone()));
                        hit.input_zero = Some(coin);
                    }
                    // Only such an input can speak for somebody: for others nobody needs to search.
                    None if is_p2wpkh(&hit.tx) => drop(wanted.insert(outpoint)),
                    None => {}
                },
            }
        }
        if !wanted.is_empty() {
            self.search(rpc, at, wanted)?;
            for hit in hits.iter_mut().filter(|hit| hit.input_zero.is_none()) {
                hit.input_zero = spends(hit).and_then(|outpoint| self.recall(&outpoint));
            }
        }
        Ok(())
    }

    /// Goes back block by block, once for all that is missing.
    fn search(&self, rpc: &Rpc, at: BlockRef, mut wanted: HashSet<OutPoint>) -> Result<(), LedgerError> {
        let mut hash = at.hash;
        for _ in 0..LOOK_BACK {
            if wanted.is_empty() || hash == rpc.chain.genesis() {
                break;
            }
            let Some(block) = block(rpc, &hash)? else { break };
            hash = block.header.prev_blockhash;
            self.collect(&block, &mut wanted);
        }
        // What was not found is not sought again: the answer to the same question stays the same.
        wanted.into_iter().for_each(|outpoint| self.remember(outpoint, None));
        Ok(())
    }

    fn collect(&self, block: &Block, wanted: &mut HashSet<OutPoint>) {
        let txids: HashSet<Txid> = wanted.iter().map(|outpoint| outpoint.txid).collect();
        for tx in &block.txdata {
            let txid = tx.compute_txid();
            if txids.contains(&txid) {
                let here: Vec<OutPoint> =
                    wanted.iter().filter(|outpoint| outpoint.txid == txid).copied().collect();
                for outpoint in here {
                    wanted.remove(&outpoint);
                    self.remember(outpoint, output(tx, &outpoint));
                }
            }
        }
    }

    fn recall(&self, outpoint: &OutPoint) -> Option<TxOut> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(outpoint).cloned().flatten()
    }

    fn was_sought(&self, outpoint: &OutPoint) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).contains_key(outpoint)
    }

    fn remember(&self, outpoint: OutPoint, coin: Option<TxOut>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= REMEMBERED {
            found.clear();
        }
        found.insert(outpoint, coin);
    }
}

/// What a hit's input 0 spends, unless it is a coinbase.
fn spends(hit: &Hit) -> Option<OutPoint> {
    hit.tx.input.first().map(|input| input.previous_output).filter(|outpoint| !outpoint.is_null())
}

fn output(tx: &Transaction, outpoint: &OutPoint) -> Option<TxOut> {
    tx.output.get(usize::try_from(outpoint.vout).ok()?).cloned()
}

fn created_in(hits: &[Hit], outpoint: &OutPoint) -> Option<TxOut> {
    hits.iter().find(|hit| hit.txid == outpoint.txid).and_then(|hit| output(&hit.tx, outpoint))
}

fn is_p2wpkh(tx: &Transaction) -> bool {
    let witness = tx.input.first().map(|input| &input.witness);
    witness.is_some_and(|witness| witness.len() == 2 && witness.last().is_some_and(|key| key.len() == 33))
}

/// What the node itself knows of it.
fn ask(rpc: &Rpc, at: BlockRef, txid: Txid, outpoint: &OutPoint) -> Result<Option<TxOut>, LedgerError> {
    let of_undo_data = match rpc.chain.family() {
        Family::Bitcoin => from_undo_data(rpc, at.hash, txid, outpoint)?,
        Family::Litecoin => None,
    };
    match of_undo_data {
        Some(coin) => Ok(Some(coin)),
        None => match from_index(rpc, outpoint)? {
            Some(coin) => Ok(Some(coin)),
            None => from_sibling(rpc, outpoint),
        },
    }
}

/// Bitcoin Core tells what inputs spent, unless it pruned that.
fn from_undo_data(
    rpc: &Rpc,
    block: BlockHash,
    txid: Txid,
    outpoint: &OutPoint,
) -> Result<Option<TxOut>, LedgerError> {
    let params = [json!(txid), json!(2), json!(block)];
    match rpc.client()?.call::<reply::TxWithPrevouts>("getrawtransaction", params) {
        Ok(tx) => Ok(tx.input_zero(outpoint)),
        Err(error) if error.code().is_some_and(|code| code != code::WARMING_UP) => Ok(None),
        Err(error) => Err(rpc.failed(error)),
    }
}

/// A node with an index finds any transaction.
fn from_index(rpc: &Rpc, outpoint: &OutPoint) -> Result<Option<TxOut>, LedgerError> {
    match rpc.client()?.call::<reply::Hex>("getrawtransaction", [json!(outpoint.txid)]) {
        Ok(hex) => {
            let tx = hex.transaction().filter(|tx| tx.compute_txid() == outpoint.txid);
            Ok(tx.and_then(|tx| output(&tx, outpoint)))
        }
        Err(error) if error.code() == Some(code::NOT_FOUND) => Ok(None),
        Err(error) => Err(rpc.failed(error)),
    }
}

/// Another output of the same transaction, if unspent, shows the block that it is in.
fn from_sibling(rpc: &Rpc, outpoint: &OutPoint) -> Result<Option<TxOut>, LedgerError> {
    let ask = |vout: u32| Call::new("gettxout", [json!(outpoint.txid), json!(vout), json!(false)]);
    let calls: Vec<Call<'_>> = (0..SIBLINGS).map(ask).collect();
    let answers: Vec<Result<Option<reply::TxOut>, _>> =
        rpc.client()?.batch(&calls, SMALL).map_err(|error| rpc.failed(error))?;
    let Some(sibling) = answers.into_iter().flatten().flatten().next() else { return Ok(None) };
    let tip = header::height(rpc, &sibling.bestblock)?;
    let Some(above) = sibling.confirmations.checked_sub(1) else { return Ok(None) };
    let height = Height::new(tip.to_u32().saturating_sub(above));
    let Some(hash) = rpc.hash_at(height)? else { return Ok(None) };
    let block = block(rpc, &hash)?;
    let txs = block.into_iter().flat_map(|block| block.txdata);
    let tx = txs.into_iter().find(|tx| tx.compute_txid() == outpoint.txid);
    Ok(tx.and_then(|tx| output(&tx, outpoint)))
}

/// A block that needs no other proof than the ids of the transactions taken from it; `None` if it is pruned.
fn block(rpc: &Rpc, hash: &BlockHash) -> Result<Option<Block>, LedgerError> {
    match rpc.block_bytes(hash) {
        Ok(bytes) => Ok(deserialize::<Block>(&bytes).ok().filter(|block| block.block_hash() == *hash)),
        Err(LedgerError::Pruned { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
