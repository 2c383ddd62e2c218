//! Whether a transaction may join the unmined ones: what decides it in Bitcoin Core, in its words.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bitcoin::{Amount, FeeRate, OutPoint, Transaction, TxOut, Txid, Wtxid};
use keyway_ledger::embedded::verify_scripts;
use keyway_ledger::{Coin, Refusal};

use super::State;
use super::pool::Entry;

const MATURITY: u32 = 100;
const MAX_RELATIVES: usize = 25;
const MAX_WEIGHT: u64 = 400_000;

/// A refusal in Bitcoin Core's words.
#[derive(Debug)]
pub(super) struct Reject {
    pub(super) reason: &'static str,
}

impl Reject {
    pub(super) fn of(self, txid: Txid) -> Refusal {
        Refusal { txid, reason: self.reason.to_owned(), detail: None }
    }
}

fn unless(wrong: bool, reason: &'static str) -> Result<(), Reject> {
    if wrong { Err(Reject { reason }) } else { Ok(()) }
}

/// A transaction that may join, and those that leave for it.
pub(super) struct Admission {
    pub(super) entry: Entry,
    pub(super) replaces: Vec<Txid>,
}

impl State {
    pub(super) fn admit(&self, tx: &Transaction) -> Result<Admission, Reject> {
        check_form(tx)?;
        unless(!self.is_final(tx), "non-final")?;
        let txid = tx.compute_txid();
        unless(self.pool.get(&txid).is_some(), "txn-already-in-mempool")?;
        let coins = self.coins_of(tx, txid)?;
        unless(!self.sequences_allow(tx, &coins), "non-BIP68-final")?;
        let fee = self.fee(tx, &coins)?;
        unless(data_bytes(tx) > self.most_data, "datacarrier")?;
        unless(tx.output.iter().any(is_dust), "dust")?;
        let entry = Entry { txid, vsize: tx.vsize() as u64, tx: Arc::new(tx.clone()), fee };
        unless(fee < fee_at(self.floor, entry.vsize), "min relay fee not met")?;
        let replaces = self.replaced_by(&entry)?;
        self.check_relatives(&entry, &replaces)?;
        unless(!scripts_hold(tx, &coins), "mandatory-script-verify-flag-failed")?;
        Ok(Admission { entry, replaces })
    }

    fn is_final(&self, tx: &Transaction) -> bool {
        let next = self.branch.tip().height.next().to_u32();
        let now = if tx.lock_time.is_block_height() { next } else { self.branch.time() };
        let lock = tx.lock_time.to_consensus_u32();
        lock == 0 || lock < now || tx.input.iter().all(|input| input.sequence.0 == u32::MAX)
    }

    /// BIP 68 by blocks. Nothing here uses locks by time, so none of them ever opens.
    fn sequences_allow(&self, tx: &Transaction, coins: &[Coin]) -> bool {
        let next = self.branch.tip().height.next();
        let open = |(input, coin): (&bitcoin::TxIn, &Coin)| match input.sequence.to_relative_lock_time() {
            Some(bitcoin::relative::LockTime::Blocks(blocks)) => {
                coin.height.unwrap_or(next).plus(blocks.value().into()) <= next
            }
            Some(bitcoin::relative::LockTime::Time(_)) => false,
            None => true,
        };
        tx.version.0 < 2 || tx.input.iter().zip(coins).all(open)
    }

    fn coins_of(&self, tx: &Transaction, txid: Txid) -> Result<Vec<Coin>, Reject> {
        let coin =
            |outpoint: &OutPoint| self.branch.coin(outpoint).cloned().or_else(|| self.pool.output(outpoint));
        let found: Option<Vec<Coin>> = tx.input.iter().map(|input| coin(&input.previous_output)).collect();
        found.ok_or_else(|| {
            let mut outputs = (0u32..).zip(&tx.output).map(|(vout, _)| OutPoint::new(txid, vout));
            let known = outputs.any(|outpoint| self.branch.coin(&outpoint).is_some());
            Reject { reason: if known { "txn-already-known" } else { "bad-txns-inputs-missingorspent" } }
        })
    }

    fn fee(&self, tx: &Transaction, coins: &[Coin]) -> Result<Amount, Reject> {
        let next = self.branch.tip().height.next().to_u32();
        let immature = |coin: &Coin| {
            coin.coinbase && coin.height.is_some_and(|height| next < height.to_u32() + MATURITY)
        };
        unless(coins.iter().any(immature), "bad-txns-premature-spend-of-coinbase")?;
        let paid = sum(coins.iter().map(|coin| coin.output.value));
        let left = paid.zip(sum(tx.output.iter().map(|output| output.value)));
        left.and_then(|(paid, out)| paid.checked_sub(out)).ok_or(Reject { reason: "bad-txns-in-belowout" })
    }

    /// Full replace-by-fee.
    fn replaced_by(&self, entry: &Entry) -> Result<Vec<Txid>, Reject> {
        let spent = entry.tx.input.iter().filter_map(|input| self.pool.spender(&input.previous_output));
        let mut direct: Vec<Txid> = spent.collect();
        direct.sort_unstable();
        direct.dedup();
        if direct.is_empty() {
            return Ok(direct);
        }
        let all = self.pool.with_descendants(&direct);
        unless(!all.is_disjoint(&self.pool.ancestors(&entry.tx)), "bad-txns-spends-conflicting-tx")?;
        let mut replaced = direct.iter().filter_map(|txid| self.pool.get(txid));
        unless(replaced.any(|old| old.pays_at_least_as(entry)), "insufficient fee")?;
        let old: Amount = all.iter().filter_map(|txid| self.pool.get(txid)).map(|old| old.fee).sum();
        unless(entry.fee < old + fee_at(self.floor, entry.vsize), "insufficient fee")?;
        Ok(direct)
    }

    fn check_relatives(&self, entry: &Entry, replaces: &[Txid]) -> Result<(), Reject> {
        let leaving = self.pool.with_descendants(replaces);
        let ancestors = self.pool.ancestors(&entry.tx);
        let below = |txid: &Txid| self.pool.with_descendants(&[*txid]).difference(&leaving).count();
        let long =
            ancestors.len() >= MAX_RELATIVES || ancestors.iter().any(|txid| below(txid) >= MAX_RELATIVES);
        unless(long, "too-long-mempool-chain")
    }
}

fn check_form(tx: &Transaction) -> Result<(), Reject> {
    unless(tx.input.is_empty(), "bad-txns-vin-empty")?;
    unless(tx.output.is_empty(), "bad-txns-vout-empty")?;
    unless(tx.output.iter().any(|output| output.value > Amount::MAX_MONEY), "bad-txns-vout-toolarge")?;
    let mut spent = HashSet::new();
    unless(!tx.input.iter().all(|input| spent.insert(input.previous_output)), "bad-txns-inputs-duplicate")?;
    unless(tx.is_coinbase(), "coinbase")?;
    unless(tx.input.iter().any(|input| input.previous_output.is_null()), "bad-txns-prevout-null")?;
    unless(!(1..=3).contains(&tx.version.0), "version")?;
    unless(tx.weight().to_wu() > MAX_WEIGHT, "tx-size")?;
    unless(!tx.output.iter().all(is_standard), "scriptpubkey")
}

fn sum(mut amounts: impl Iterator<Item = Amount>) -> Option<Amount> {
    amounts.try_fold(Amount::ZERO, Amount::checked_add)
}

fn is_standard(output: &TxOut) -> bool {
    let script = &output.script_pubkey;
    script.is_witness_program() || script.is_p2pkh() || script.is_p2sh() || script.is_op_return()
}

fn data_bytes(tx: &Transaction) -> usize {
    let data = tx.output.iter().filter(|output| output.script_pubkey.is_op_return());
    data.map(|output| output.script_pubkey.len()).sum()
}

fn is_dust(output: &TxOut) -> bool {
    !output.script_pubkey.is_op_return() && output.value < output.script_pubkey.minimal_non_dust()
}

fn fee_at(rate: FeeRate, vsize: u64) -> Amount {
    rate.fee_vb(vsize).unwrap_or(Amount::MAX)
}

/// Bitcoin Core's verdict on the scripts, asked once for each transaction: its id covers what it spends.
fn scripts_hold(tx: &Transaction, coins: &[Coin]) -> bool {
    static KNOWN: LazyLock<Mutex<HashMap<Wtxid, bool>>> = LazyLock::new(Mutex::default);
    const MOST: usize = 100_000;
    let wtxid = tx.compute_wtxid();
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verdict) = known().get(&wtxid) {
        return *verdict;
    }
    let verdict = verify_scripts(tx, coins).is_ok();
    let mut known = known();
    if known.len() >= MOST {
        known.clear();
    }
    known.insert(wtxid, verdict);
    verdict
}
