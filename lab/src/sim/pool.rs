//! The unmined transactions of a simulated ledger, in the order in which they came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use keyway_ledger::Coin;

use super::Choice;

/// An unmined transaction.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) txid: Txid,
    pub(super) tx: Arc<Transaction>,
    pub(super) fee: Amount,
    pub(super) vsize: u64,
}

impl Entry {
    /// Whether it pays at least the feerate of `other`.
    pub(super) fn pays_at_least_as(&self, other: &Entry) -> bool {
        let cross = |fee: Amount, vsize: u64| u128::from(fee.to_sat()) * u128::from(vsize);
        cross(self.fee, other.vsize) >= cross(other.fee, self.vsize)
    }
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    entries: BTreeMap<u64, Entry>,
    places: HashMap<Txid, u64>,
    spenders: HashMap<OutPoint, Txid>,
    came: u64,
}

impl Pool {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(self.places.get(txid)?)
    }

    pub(super) fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.spenders.get(outpoint).copied()
    }

    /// An output of an unmined transaction, spent or not.
    pub(super) fn output(&self, outpoint: &OutPoint) -> Option<Coin> {
        let output = self.get(&outpoint.txid)?.tx.output.get(usize::try_from(outpoint.vout).ok()?)?;
        Some(Coin { output: output.clone(), height: None, coinbase: false })
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.came += 1;
        self.places.insert(entry.txid, self.came);
        self.spenders.extend(entry.tx.input.iter().map(|input| (input.previous_output, entry.txid)));
        self.entries.insert(self.came, entry);
    }

    pub(super) fn remove_with_descendants(&mut self, txid: Txid) {
        self.with_descendants(&[txid]).iter().for_each(|txid| self.remove(txid));
    }

    fn remove(&mut self, txid: &Txid) {
        let Some(entry) = self.places.remove(txid).and_then(|place| self.entries.remove(&place)) else {
            return;
        };
        for input in &entry.tx.input {
            self.spenders.remove(&input.previous_output);
        }
    }

    /// What a block took leaves, and so do those that spend the same coins.
    pub(super) fn take_out(&mut self, mined: &[Arc<Transaction>]) {
        mined.iter().for_each(|tx| self.remove(&tx.compute_txid()));
        for input in mined.iter().flat_map(|tx| &tx.input) {
            if let Some(conflicting) = self.spender(&input.previous_output) {
                self.remove_with_descendants(conflicting);
            }
        }
    }

    /// Those that `choice` takes, parents first, without those whose parents it leaves.
    pub(super) fn chosen(&self, choice: Choice<'_>) -> Vec<Arc<Transaction>> {
        let mut left = HashSet::new();
        let mut taken = Vec::new();
        for entry in self.iter() {
            let orphaned = entry.tx.input.iter().any(|input| left.contains(&input.previous_output.txid));
            if orphaned || !choice(&entry.tx) {
                left.insert(entry.txid);
            } else {
                taken.push(Arc::clone(&entry.tx));
            }
        }
        taken
    }

    /// The unmined ones that a transaction rests on.
    pub(super) fn ancestors(&self, tx: &Transaction) -> HashSet<Txid> {
        let parents = |tx: &Transaction| {
            let txids = tx.input.iter().map(|input| input.previous_output.txid);
            txids.filter(|txid| self.places.contains_key(txid)).collect::<Vec<_>>()
        };
        let mut found = HashSet::new();
        let mut open = parents(tx);
        while let Some(txid) = open.pop() {
            if found.insert(txid)
                && let Some(entry) = self.get(&txid)
            {
                open.extend(parents(&entry.tx));
            }
        }
        found
    }

    /// These and all that rest on them.
    pub(super) fn with_descendants(&self, txids: &[Txid]) -> HashSet<Txid> {
        let mut found = HashSet::new();
        let mut open = txids.to_vec();
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
}
