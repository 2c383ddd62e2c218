//! The node's unmined transactions, as many as can be looked at.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

use bitcoin::{OutPoint, Transaction, TxOut, Txid};
use serde_json::json;

use super::client::{Call, LARGE};
use super::{Rpc, reply};
use crate::watch::Matcher;
use crate::{Hit, LedgerError, Watch};

/// Most bytes of the list of a node's unmined transactions: about a million of them.
const LIST: u64 = 80 << 20;
/// Transactions asked for in one request.
const BATCH: usize = 50;
/// Transactions looked at in one go, so that a full pool does not hold up its reader.
const AT_ONCE: usize = 5_000;
/// Bytes of transactions that are kept; what lies beyond is not looked at.
const KEPT: usize = 64 << 20;

/// What was read of the node's pool before.
#[derive(Default)]
pub(super) struct Pool {
    known: HashMap<Txid, Arc<Transaction>>,
    bytes: usize,
}

impl Pool {
    /// Forgets what is no longer there, and says what is new, as much as may be read now.
    fn refresh(&mut self, listed: &[Txid]) -> Vec<Txid> {
        let there: HashSet<&Txid> = listed.iter().collect();
        self.known.retain(|txid, _| there.contains(txid));
        self.bytes = self.known.values().map(|tx| tx.total_size()).sum();
        let new = listed.iter().filter(|txid| !self.known.contains_key(*txid));
        if self.bytes >= KEPT { Vec::new() } else { new.take(AT_ONCE).copied().collect() }
    }

    fn add(&mut self, txid: Txid, tx: Transaction) {
        let size = tx.total_size();
        if self.bytes + size <= KEPT {
            self.bytes += size;
            self.known.insert(txid, Arc::new(tx));
        }
    }

    /// The known ones, parents before children, else in the order of the list.
    fn in_order(&self, listed: &[Txid]) -> Vec<(Txid, Arc<Transaction>)> {
        let known: Vec<Txid> = listed.iter().filter(|txid| self.known.contains_key(*txid)).copied().collect();
        let mut missing: HashMap<Txid, usize> = HashMap::new();
        let mut children: HashMap<Txid, Vec<Txid>> = HashMap::new();
        for txid in &known {
            let parents = self.parents(txid);
            missing.insert(*txid, parents.len());
            parents.into_iter().for_each(|parent| children.entry(parent).or_default().push(*txid));
        }
        let mut ready: VecDeque<Txid> =
            known.into_iter().filter(|txid| missing.get(txid) == Some(&0)).collect();
        let mut ordered = Vec::new();
        while let Some(txid) = ready.pop_front() {
            for child in children.remove(&txid).unwrap_or_default() {
                if let Some(left) = missing.get_mut(&child) {
                    *left -= 1;
                    if *left == 0 {
                        ready.push_back(child);
                    }
                }
            }
            ordered.extend(self.known.get(&txid).map(|tx| (txid, Arc::clone(tx))));
        }
        ordered
    }

    fn parents(&self, txid: &Txid) -> HashSet<Txid> {
        let inputs = self.known.get(txid).into_iter().flat_map(|tx| &tx.input);
        inputs.map(|input| input.previous_output.txid).filter(|txid| self.known.contains_key(txid)).collect()
    }

    fn output(&self, outpoint: &OutPoint) -> Option<TxOut> {
        let tx = self.known.get(&outpoint.txid)?;
        tx.output.get(usize::try_from(outpoint.vout).ok()?).cloned()
    }
}

/// Clause 8.
pub(super) fn pending(rpc: &Rpc, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
    if watch.is_empty() {
        return Ok(Vec::new());
    }
    let listed = list(rpc)?;
    let new = lock(rpc).refresh(&listed);
    for some in new.chunks(BATCH) {
        read(rpc, some)?;
    }
    let mut matcher = Matcher::new(watch);
    let matching = lock(rpc).in_order(&listed).into_iter().filter(|(_, tx)| matcher.is_hit(tx));
    let mut hits: Vec<Hit> = (0u32..)
        .zip(matching)
        .map(|(position, (txid, tx))| Hit { position, txid, tx, input_zero: None })
        .collect();
    for hit in &mut hits {
        hit.input_zero = spent(rpc, &hit.tx)?;
    }
    Ok(hits)
}

fn lock(rpc: &Rpc) -> MutexGuard<'_, Pool> {
    rpc.pool.lock().unwrap_or_else(PoisonError::into_inner)
}

fn list(rpc: &Rpc) -> Result<Vec<Txid>, LedgerError> {
    let call = Call::new("getrawmempool", []);
    rpc.client()?.ask(&call, LIST, std::time::Duration::ZERO).map_err(|error| rpc.failed(error))
}

/// Reads transactions into the pool. Those that left it meanwhile, and what is not what was asked for, are
/// passed over: the list is a courtesy.
fn read(rpc: &Rpc, txids: &[Txid]) -> Result<(), LedgerError> {
    let calls: Vec<Call<'_>> =
        txids.iter().map(|txid| Call::new("getrawtransaction", [json!(txid)])).collect();
    let answers: Vec<Result<reply::Hex, _>> =
        rpc.client()?.batch(&calls, LARGE).map_err(|error| rpc.failed(error))?;
    let mut pool = lock(rpc);
    for (txid, answer) in txids.iter().zip(answers) {
        let tx = answer.ok().and_then(|hex| hex.transaction());
        if let Some(tx) = tx.filter(|tx| tx.compute_txid() == *txid) {
            pool.add(*txid, tx);
        }
    }
    Ok(())
}

/// What input 0 spends: an unmined output, or a coin that the chain still has.
fn spent(rpc: &Rpc, tx: &Transaction) -> Result<Option<TxOut>, LedgerError> {
    let Some(outpoint) = tx.input.first().map(|input| input.previous_output) else { return Ok(None) };
    let unmined = lock(rpc).output(&outpoint);
    if unmined.is_some() {
        return Ok(unmined);
    }
    let params = [json!(outpoint.txid), json!(outpoint.vout), json!(false)];
    let coin: Option<reply::TxOut> =
        rpc.client()?.call("gettxout", params).map_err(|error| rpc.failed(error))?;
    Ok(coin.map(|coin| coin.output()))
}
