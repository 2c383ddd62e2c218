//! Unmined transactions that spend by OP_EXPONENT. A node without the rule takes them for anybody's money in blocks, and
//! refuses to hold them; it judges everything else of them.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint, Transaction, TxIn, TxOut, Txid};
use keyway_script::{Flags, Spending};

use super::Said;
use crate::{Rpc, rule};

/// What a node says of them, after it found nothing else to say.
const NODES_OBJECTION: &str = "OP_SUCCESS";
/// What nodes relay, and the rule.
const RULES: Flags = Flags::STANDARD.with(Flags::EXPONENT);
const MOST_WEIGHT: u64 = 16_000_000;

/// The node's numbers for its refusals of transactions.
const REJECTED: i64 = -26;
const MISSING: i64 = -25;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tx: Transaction,
    pub(super) txid: Txid,
    pub(super) fee: Amount,
    pub(super) sigops: usize,
    /// What it spends from that was not mined when the chain last moved: transactions in the node's pool.
    pub(super) rests_on: Vec<Txid>,
}

/// All of them, in the order in which they came. They spend what is mined or in the node's
/// pool, so none rests on another.
#[derive(Debug, Default)]
pub struct Pool(Vec<Entry>);

impl Pool {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    pub(super) fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.txid == *txid)
    }

    pub(super) fn spends(&self, outpoint: &OutPoint) -> bool {
        self.0.iter().any(|entry| spends(&entry.tx, outpoint))
    }

    /// What [`Pool::take`] would say. `None` if the rule has nothing to say on it, and the node decides.
    pub(super) fn check(&self, node: &Rpc, tx: &Transaction) -> Result<Option<Entry>, Said> {
        if !rule::concerns(tx) {
            return Ok(None);
        }
        match node.objection(tx)? {
            None => return Ok(None),
            Some(objection) if objection.contains(NODES_OBJECTION) => {}
            Some(objection) => return Err(no(REJECTED, objection)),
        }
        let entry = judged(node, tx)?;
        self.check_replaced(&entry)?;
        Ok(Some(entry))
    }

    /// Takes a transaction that keeps the rule and that the node would take but for the opcode. One that spends what
    /// others spend replaces them if it pays for it.
    pub(super) fn take(&mut self, node: &Rpc, tx: &Transaction) -> Result<Option<Txid>, Said> {
        let txid = tx.compute_txid();
        if self.get(&txid).is_some() {
            return Ok(Some(txid));
        }
        let Some(entry) = self.check(node, tx)? else { return Ok(None) };
        self.0.retain(|old| !conflict(&old.tx, &entry.tx));
        let weight: u64 = self.0.iter().map(|entry| entry.tx.weight().to_wu()).sum();
        if weight + entry.tx.weight().to_wu() > MOST_WEIGHT {
            return Err(no(REJECTED, "mempool full"));
        }
        self.0.push(entry);
        Ok(Some(txid))
    }

    /// As BIP125 has it: more than what it replaces, and its own relay on top.
    fn check_replaced(&self, new: &Entry) -> Result<(), Said> {
        let replaced: Vec<&Entry> = self.0.iter().filter(|old| conflict(&old.tx, &new.tx)).collect();
        let paid: Amount = replaced.iter().map(|old| old.fee).sum();
        let relay = Amount::from_sat(new.tx.vsize() as u64);
        if !replaced.is_empty() && new.fee < paid + relay {
            return Err(no(REJECTED, format!("insufficient fee, {} < {}", new.fee, paid + relay)));
        }
        Ok(())
    }

    /// After the chain moved: what was mined or can no longer be goes, what a reorganisation returned comes.
    pub(super) fn settle(&mut self, node: &Rpc, returned: Vec<Transaction>) {
        let old = std::mem::take(&mut self.0).into_iter().map(|entry| entry.tx);
        for tx in returned.into_iter().chain(old) {
            // What is refused was mined, or spends what is no more: its sender sends it again if it must.
            let _ = self.take(node, &tx);
        }
    }
}

/// Its scripts by the rule, and what it pays.
fn judged(node: &Rpc, tx: &Transaction) -> Result<Entry, Said> {
    let (mut spent, mut rests_on) = (Vec::with_capacity(tx.input.len()), Vec::new());
    for TxIn { previous_output, .. } in &tx.input {
        let output = match node.mined_output(previous_output)? {
            Some(mined) => Some(mined),
            None => {
                rests_on.push(previous_output.txid);
                node.unmined_output(previous_output)?
            }
        };
        spent.push(output.ok_or_else(|| no(MISSING, "bad-txns-inputs-missingorspent"))?);
    }
    let spending = Spending::new(tx, &spent).map_err(|error| no(REJECTED, error.to_string()))?;
    for input in spending.inputs() {
        let broken = |error: keyway_script::ScriptError| {
            let (index, name) = (input.index(), error.name());
            no(REJECTED, format!("mandatory-script-verify-flag-failed ({name}), input {index}: {error}"))
        };
        input.verify(RULES).map_err(broken)?;
    }
    let sum = |outputs: &[TxOut]| outputs.iter().map(|output| output.value).sum::<Amount>();
    let fee = sum(&spent).checked_sub(sum(&tx.output));
    let fee = fee.ok_or_else(|| no(REJECTED, "bad-txns-in-belowout"))?;
    let output = |outpoint: &OutPoint| {
        let place = tx.input.iter().position(|input| input.previous_output == *outpoint)?;
        spent.get(place).cloned()
    };
    let sigops = tx.total_sigop_cost(output);
    Ok(Entry { tx: tx.clone(), txid: tx.compute_txid(), fee, sigops, rests_on })
}

/// Whether two transactions cannot both be mined.
pub(super) fn conflict(one: &Transaction, other: &Transaction) -> bool {
    let spent: HashSet<&OutPoint> = one.input.iter().map(|input| &input.previous_output).collect();
    other.input.iter().any(|input| spent.contains(&input.previous_output))
}

fn spends(tx: &Transaction, outpoint: &OutPoint) -> bool {
    tx.input.iter().any(|input| input.previous_output == *outpoint)
}

pub(super) fn no(code: i64, message: impl Into<String>) -> Said {
    Said::No { code, message: message.into() }
}
