//! Whether a transaction may join the unmined ones: Bitcoin Core's checks in Bitcoin Core's order.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use keyway_chain::{Chain, Height};

use super::blocks::Blocks;
use super::coins::Coins;
use super::kernel::verify_scripts;
use super::policy::{self, Reject, fee_at, reject};
use super::pool::{Entry, Pool};
use super::rule;
use crate::Coin;

const MATURITY: u32 = 100;
/// Unmined transactions that may hang together above or below one, itself included, and their size.
const MAX_RELATIVES: usize = 25;
const MAX_RELATIVES_VSIZE: u64 = 101_000;
const MAX_REPLACED: usize = 100;
/// Ten full blocks. All of it fits one record of the log, as a reorganisation may demand.
const MAX_POOL_VSIZE: u64 = 10_000_000;
const FINAL: u32 = 0xffff_ffff;

/// What a transaction is judged against.
pub(super) struct Ground<'a> {
    pub(super) chain: &'a Chain,
    pub(super) blocks: &'a Blocks,
    pub(super) coins: &'a Coins,
    pub(super) pool: &'a Pool,
    /// Whether transactions are held to the rule of OP_EXPONENT; without it nothing with the opcode is taken.
    pub(super) enforcing: bool,
    /// The limit of data outputs.
    pub(super) most_data: usize,
}

/// A transaction that may join, and those that leave for it.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) entry: Entry,
    pub(super) replaces: Vec<Txid>,
}

impl Ground<'_> {
    /// Judges a new transaction.
    pub(super) fn admit(&self, tx: Transaction) -> Result<Admission, Reject> {
        check_transaction(&tx)?;
        if tx.is_coinbase() {
            return Err(reject("coinbase"));
        }
        policy::check_form(&tx, self.chain, self.most_data)?;
        self.check_lock_time(&tx)?;
        self.check_news(&tx)?;
        let coins = self.coins_of(&tx)?;
        self.check_sequence_locks(&tx, &coins)?;
        let fee = self.check_amounts(&tx, &coins)?;
        policy::check_inputs(&tx, &coins, self.enforcing)?;
        let entry = entry(tx, fee, &coins)?;
        self.check_fee(&entry)?;
        self.check_size_of_three(&entry)?;
        let replaces = self.check_replacement(&entry)?;
        self.check_relatives(&entry, &replaces)?;
        check_scripts(&entry.tx, &coins)?;
        check_rule(&entry.tx, &coins)?;
        let left: u64 = replaces.iter().filter_map(|txid| self.pool.get(txid)).map(|e| e.vsize).sum();
        if self.pool.vsize() - left + entry.vsize > MAX_POOL_VSIZE {
            return Err(reject("mempool full"));
        }
        let mut replaces: Vec<Txid> = replaces.into_iter().collect();
        replaces.sort_unstable();
        Ok(Admission { entry, replaces })
    }

    /// Judges again, on another chain, a transaction that was unmined or mined before: its scripts
    /// and form are known to be right, and it owes no new fee.
    pub(super) fn readmit(&self, tx: Transaction) -> Option<Entry> {
        let conflicts = tx.input.iter().any(|input| self.pool.spender(&input.previous_output).is_some());
        if conflicts || tx.is_coinbase() || self.pool.get(&tx.compute_txid()).is_some() {
            return None;
        }
        self.check_lock_time(&tx).ok()?;
        let coins = self.coins_of(&tx).ok()?;
        self.check_sequence_locks(&tx, &coins).ok()?;
        let fee = self.check_amounts(&tx, &coins).ok()?;
        let entry = entry(tx, fee, &coins).ok()?;
        (self.pool.vsize() + entry.vsize <= MAX_POOL_VSIZE).then_some(entry)
    }

    /// The height and the median time that locks are measured against: those of the next block.
    fn next(&self) -> (Height, u32) {
        let tip = self.blocks.tip();
        (tip.height.next(), self.blocks.median_time(&tip.hash))
    }

    fn check_lock_time(&self, tx: &Transaction) -> Result<(), Reject> {
        let (height, time) = self.next();
        let lock = tx.lock_time.to_consensus_u32();
        let now = if tx.lock_time.is_block_height() { height.to_u32() } else { time };
        if lock == 0 || lock < now || tx.input.iter().all(|input| input.sequence.0 == FINAL) {
            return Ok(());
        }
        Err(reject("non-final").because(format!("locked until {lock}, the next block counts as {now}")))
    }

    fn check_news(&self, tx: &Transaction) -> Result<(), Reject> {
        match self.pool.get(&tx.compute_txid()) {
            None => Ok(()),
            Some(known) if known.wtxid == tx.compute_wtxid() => Err(reject("txn-already-in-mempool")),
            Some(_) => Err(reject("txn-same-nonwitness-data-in-mempool")),
        }
    }

    /// The coins it spends, whether or not another unmined transaction spends them too.
    fn coins_of(&self, tx: &Transaction) -> Result<Vec<Coin>, Reject> {
        let coin =
            |outpoint: &OutPoint| self.coins.get(outpoint).cloned().or_else(|| self.pool.output(outpoint));
        let find = |input: &bitcoin::TxIn| coin(&input.previous_output).ok_or(input.previous_output);
        tx.input.iter().map(find).collect::<Result<_, _>>().map_err(|missing| {
            let txid = tx.compute_txid();
            let mut outputs = (0u32..).zip(&tx.output).map(|(vout, _)| OutPoint::new(txid, vout));
            if outputs.any(|outpoint| self.coins.get(&outpoint).is_some()) {
                return reject("txn-already-known");
            }
            reject("bad-txns-inputs-missingorspent").because(missing.to_string())
        })
    }

    /// BIP 68.
    fn check_sequence_locks(&self, tx: &Transaction, coins: &[Coin]) -> Result<(), Reject> {
        let (height, time) = self.next();
        if tx.version.0 < 2 {
            return Ok(());
        }
        for (i, (input, coin)) in tx.input.iter().zip(coins).enumerate() {
            let Some(lock) = input.sequence.to_relative_lock_time() else { continue };
            let created = coin.height.unwrap_or(height);
            let (open_at, now) = match lock {
                bitcoin::relative::LockTime::Blocks(blocks) => {
                    (created.plus(u32::from(blocks.value())).to_u32(), height.to_u32())
                }
                bitcoin::relative::LockTime::Time(span) => {
                    let before = created.prev().unwrap_or(Height::GENESIS);
                    let start =
                        self.blocks.at(before).map_or(0, |block| self.blocks.median_time(&block.hash));
                    (start.saturating_add(u32::from(span.value()) * 512), time)
                }
            };
            if open_at > now {
                return Err(reject("non-BIP68-final").because(format!(
                    "input {i} is locked until {open_at}, the next block counts as {now}"
                )));
            }
        }
        Ok(())
    }

    fn check_amounts(&self, tx: &Transaction, coins: &[Coin]) -> Result<Amount, Reject> {
        let (height, _) = self.next();
        let mut value_in = Amount::ZERO;
        for coin in coins {
            let age = height.to_u32() - coin.height.unwrap_or(height).to_u32();
            if coin.coinbase && age < MATURITY {
                return Err(reject("bad-txns-premature-spend-of-coinbase")
                    .because(format!("tried to spend coinbase at depth {age}")));
            }
            value_in =
                add(value_in, coin.output.value).ok_or_else(|| reject("bad-txns-inputvalues-outofrange"))?;
        }
        let value_out: Amount = tx.output.iter().map(|output| output.value).sum();
        value_in.checked_sub(value_out).ok_or_else(|| {
            let (value_in, value_out) = (value_in.to_sat(), value_out.to_sat());
            reject("bad-txns-in-belowout").because(format!("{value_in} sat in, {value_out} sat out"))
        })
    }

    fn check_fee(&self, entry: &Entry) -> Result<(), Reject> {
        let least = fee_at(self.chain.min_relay(), entry.vsize);
        if entry.fee < least {
            return Err(reject("min relay fee not met").because(format!(
                "{} < {}",
                entry.fee.to_sat(),
                least.to_sat()
            )));
        }
        Ok(())
    }

    /// Version 3 is relayed in pairs of a parent and a child only (BIP 431).
    fn check_size_of_three(&self, entry: &Entry) -> Result<(), Reject> {
        let three = |entry: &Entry| entry.tx.version.0 == 3;
        let violation = |why: &str| Err(reject("TRUC-violation").because(why));
        let ancestors = self.pool.ancestors(&entry.tx);
        if ancestors.iter().any(|parent| three(parent) != three(entry)) {
            return violation("version 3 and other versions do not mix while unmined");
        }
        if !three(entry) {
            return Ok(());
        }
        let siblings = ancestors.iter().map(|parent| self.pool.with_descendants([parent.txid]).len());
        match ancestors.len() {
            0 if entry.vsize > 10_000 => violation("it is larger than 10000 virtual bytes"),
            0 => Ok(()),
            1 if entry.vsize > 1_000 => {
                violation("its parent is unmined and it is larger than 1000 virtual bytes")
            }
            1 if siblings.max() > Some(1) => violation("its unmined parent has a child already"),
            1 => Ok(()),
            _ => violation("it has more than one unmined ancestor"),
        }
    }

    /// Full replace-by-fee with BIP 125's rules, but for the signal.
    fn check_replacement(&self, entry: &Entry) -> Result<HashSet<Txid>, Reject> {
        let spent = || entry.tx.input.iter().map(|input| input.previous_output);
        let direct: HashSet<Txid> = spent().filter_map(|outpoint| self.pool.spender(&outpoint)).collect();
        let all = self.pool.with_descendants(direct.iter().copied());
        if direct.is_empty() {
            return Ok(all);
        }
        if let Some(both) =
            self.pool.ancestors(&entry.tx).iter().find(|ancestor| all.contains(&ancestor.txid))
        {
            return Err(reject("bad-txns-spends-conflicting-tx").because(both.txid.to_string()));
        }
        if all.len() > MAX_REPLACED {
            return Err(
                reject("too many potential replacements").because(format!("{} > {MAX_REPLACED}", all.len()))
            );
        }
        let replaced = || direct.iter().filter_map(|txid| self.pool.get(txid));
        let known: HashSet<Txid> =
            replaced().flat_map(|old| &old.tx.input).map(|i| i.previous_output.txid).collect();
        if let Some(new) = spent().find(|o| self.pool.get(&o.txid).is_some() && !known.contains(&o.txid)) {
            return Err(reject("replacement-adds-unconfirmed").because(new.to_string()));
        }
        if let Some(dear) = replaced().find(|old| old.pays_at_least_as(entry)) {
            return Err(
                reject("insufficient fee").because(format!("it pays no higher feerate than {}", dear.txid))
            );
        }
        let old: Amount = all.iter().filter_map(|txid| self.pool.get(txid)).map(|old| old.fee).sum();
        let least = old + fee_at(self.chain.min_relay(), entry.vsize);
        if entry.fee < least {
            let (fee, least) = (entry.fee.to_sat(), least.to_sat());
            return Err(
                reject("insufficient fee").because(format!("it pays {fee} sat, the least is {least}"))
            );
        }
        Ok(all)
    }

    fn check_relatives(&self, entry: &Entry, leaving: &HashSet<Txid>) -> Result<(), Reject> {
        let too_long = |what: &str| {
            Err(reject("too-long-mempool-chain").because(format!("too many {what} [limit: {MAX_RELATIVES}]")))
        };
        let ancestors = self.pool.ancestors(&entry.tx);
        let vsize: u64 = ancestors.iter().map(|ancestor| ancestor.vsize).sum();
        if ancestors.len() >= MAX_RELATIVES || vsize + entry.vsize > MAX_RELATIVES_VSIZE {
            return too_long("unconfirmed ancestors");
        }
        for ancestor in ancestors {
            let below = self.pool.with_descendants([ancestor.txid]);
            let below: Vec<&Entry> =
                below.difference(leaving).filter_map(|txid| self.pool.get(txid)).collect();
            let vsize: u64 = below.iter().map(|entry| entry.vsize).sum();
            if below.len() >= MAX_RELATIVES || vsize + entry.vsize > MAX_RELATIVES_VSIZE {
                return too_long(&format!("descendants for tx {}", ancestor.txid));
            }
        }
        Ok(())
    }
}

fn add(a: Amount, b: Amount) -> Option<Amount> {
    a.checked_add(b).filter(|sum| *sum <= Amount::MAX_MONEY)
}

/// What consensus says of a transaction by itself.
fn check_transaction(tx: &Transaction) -> Result<(), Reject> {
    if tx.input.is_empty() {
        return Err(reject("bad-txns-vin-empty"));
    }
    if tx.output.is_empty() {
        return Err(reject("bad-txns-vout-empty"));
    }
    if tx.base_size() * 4 > 4_000_000 {
        return Err(reject("bad-txns-oversize"));
    }
    let mut total = Some(Amount::ZERO);
    for output in &tx.output {
        if i64::try_from(output.value.to_sat()).is_err() {
            return Err(reject("bad-txns-vout-negative"));
        }
        if output.value > Amount::MAX_MONEY {
            return Err(reject("bad-txns-vout-toolarge"));
        }
        total = total.and_then(|total| add(total, output.value));
    }
    if total.is_none() {
        return Err(reject("bad-txns-txouttotal-toolarge"));
    }
    let mut spent = HashSet::new();
    if !tx.input.iter().all(|input| spent.insert(input.previous_output)) {
        return Err(reject("bad-txns-inputs-duplicate"));
    }
    if !tx.is_coinbase() && tx.input.iter().any(|input| input.previous_output.is_null()) {
        return Err(reject("bad-txns-prevout-null"));
    }
    Ok(())
}

fn entry(tx: Transaction, fee: Amount, coins: &[Coin]) -> Result<Entry, Reject> {
    let (sigops, vsize) = policy::measure(&tx, coins)?;
    Ok(Entry {
        txid: tx.compute_txid(),
        wtxid: tx.compute_wtxid(),
        weight: tx.weight().to_wu(),
        tx: Arc::new(tx),
        fee,
        vsize,
        sigops,
    })
}

fn check_scripts(tx: &Transaction, coins: &[Coin]) -> Result<(), Reject> {
    verify_scripts(tx, coins).map_err(|failed| match failed {
        Some(i) => reject("mandatory-script-verify-flag-failed")
            .because(format!("input {i}: its script or signature does not satisfy the coin it spends")),
        None => reject("mandatory-script-verify-flag-failed").because("it cannot be read"),
    })
}

/// The rule that the engine does not know.
fn check_rule(tx: &Transaction, coins: &[Coin]) -> Result<(), Reject> {
    let spent: Vec<TxOut> = coins.iter().map(|coin| coin.output.clone()).collect();
    rule::check(tx, &spent)
        .map_err(|broken| reject("mandatory-script-verify-flag-failed").because(broken.to_string()))
}
