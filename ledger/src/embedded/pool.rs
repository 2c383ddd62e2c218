//! The unmined transactions and how they hang together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, Txid, Wtxid};

use crate::Coin;

/// An unmined transaction and what choosing it for a block needs.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tx: Arc<Transaction>,
    pub(super) txid: Txid,
    pub(super) wtxid: Wtxid,
    pub(super) fee: Amount,
    /// Virtual size as the fee rules count it.
    pub(super) vsize: u64,
    pub(super) weight: u64,
    pub(super) sigops: u64,
}

impl Entry {
    /// Whether it pays more per virtual byte than `other`, or as much.
    pub(super) fn pays_at_least_as(&self, other: &Entry) -> bool {
        u128::from(self.fee.to_sat()) * u128::from(other.vsize)
            >= u128::from(other.fee.to_sat()) * u128::from(self.vsize)
    }
}

/// The unmined transactions. Parents always come before children.
#[derive(Debug, Default)]
pub(super) struct Pool {
    entries: BTreeMap<u64, Entry>,
    places: HashMap<Txid, u64>,
    spenders: HashMap<OutPoint, Txid>,
    next: u64,
    vsize: u64,
}

impl Pool {
    pub(super) fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(self.places.get(txid)?)
    }

    /// Parents before children.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.spenders.get(outpoint).copied()
    }

    /// Virtual bytes of all.
    pub(super) fn vsize(&self) -> u64 {
        self.vsize
    }

    /// The output of an unmined transaction, spent or not.
    pub(super) fn output(&self, outpoint: &OutPoint) -> Option<Coin> {
        let entry = self.get(&outpoint.txid)?;
        let output = entry.tx.output.get(outpoint.vout as usize)?.clone();
        Some(Coin { output, height: None, coinbase: false })
    }

    pub(super) fn add(&mut self, entry: Entry) {
        for input in &entry.tx.input {
            self.spenders.insert(input.previous_output, entry.txid);
        }
        self.vsize += entry.vsize;
        self.places.insert(entry.txid, self.next);
        self.entries.insert(self.next, entry);
        self.next += 1;
    }

    pub(super) fn remove(&mut self, txid: &Txid) -> Option<Entry> {
        let entry = self.entries.remove(&self.places.remove(txid)?)?;
        for input in &entry.tx.input {
            self.spenders.remove(&input.previous_output);
        }
        self.vsize -= entry.vsize;
        Some(entry)
    }

    /// The unmined transactions whose outputs it spends, directly.
    pub(super) fn parents<'a>(&'a self, tx: &'a Transaction) -> impl Iterator<Item = &'a Entry> {
        tx.input.iter().filter_map(|input| self.get(&input.previous_output.txid))
    }

    /// The unmined transactions it rests on, not itself, parents before children.
    pub(super) fn ancestors(&self, tx: &Transaction) -> Vec<&Entry> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&Entry> = self.parents(tx).collect();
        while let Some(entry) = open.pop() {
            if let Some(place) = self.places.get(&entry.txid)
                && found.insert(*place)
            {
                open.extend(self.parents(&entry.tx));
            }
        }
        found.iter().filter_map(|place| self.entries.get(place)).collect()
    }

    /// These transactions and all that rest on them.
    pub(super) fn with_descendants(&self, txids: impl IntoIterator<Item = Txid>) -> HashSet<Txid> {
        let mut found = HashSet::new();
        let mut open: Vec<Txid> = txids.into_iter().collect();
        while let Some(txid) = open.pop() {
            if found.insert(txid)
                && let Some(entry) = self.get(&txid)
            {
                let outputs = (0u32..).zip(&entry.tx.output).map(|(vout, _)| OutPoint::new(txid, vout));
                open.extend(outputs.filter_map(|outpoint| self.spender(&outpoint)));
            }
        }
        found
    }

    /// What a block takes out: its own transactions, and those that spend what it spends, with all
    /// that rest on them.
    pub(super) fn taken_by(&self, block: &bitcoin::Block) -> Vec<Txid> {
        let mined: HashSet<Txid> = block.txdata.iter().map(Transaction::compute_txid).collect();
        let spent = block.txdata.iter().flat_map(|tx| &tx.input).map(|input| input.previous_output);
        let conflicting = spent.filter_map(|o| self.spender(&o)).filter(|txid| !mined.contains(txid));
        let mut taken = self.with_descendants(conflicting);
        taken.extend(mined.iter().filter(|txid| self.get(txid).is_some()));
        let place = |txid: &Txid| self.places.get(txid).copied();
        let mut taken: Vec<Txid> = taken.into_iter().collect();
        taken.sort_by_key(place);
        taken
    }
}
