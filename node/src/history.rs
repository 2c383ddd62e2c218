//! What the best chain says that matters to this home: the blocks followed, the transactions found in
//! them, and the home's own that are not mined yet. Everything else is computed from it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid, Wtxid};
use keyway_chain::{BlockRef, Height};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::Position;

use crate::planted::{self, Bug};
use crate::store::{Purpose, Sent};

/// A followed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its place.
    pub at: BlockRef,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
}

/// A transaction of the best chain.
#[derive(Clone, Debug)]
pub struct Mined {
    /// The transaction.
    pub tx: Arc<Transaction>,
    /// Its id.
    pub txid: Txid,
    /// Its id with its witnesses.
    pub wtxid: Wtxid,
    /// Its place.
    pub at: Position,
    /// The coin that its input 0 spends, where the ledger gave it.
    pub input0: Option<TxOut>,
}

impl Mined {
    pub(crate) fn new(tx: Arc<Transaction>, at: Position, input0: Option<TxOut>) -> Self {
        Self { txid: tx.compute_txid(), wtxid: tx.compute_wtxid(), tx, at, input0 }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct History {
    blocks: BTreeMap<Height, Block>,
    mined: HashMap<Txid, Mined>,
    order: BTreeMap<Position, Txid>,
    spenders: HashMap<OutPoint, Position>,
    sent: BTreeMap<u64, Sent>,
    sent_as: HashMap<Txid, u64>,
    /// Of what was sent, what is not mined.
    waiting: BTreeSet<u64>,
    /// Of what was sent, what cannot be mined as things are; never stored.
    hopeless: HashSet<Txid>,
    /// Unmined transactions that the ledger showed last; never stored.
    pending: Vec<Arc<Transaction>>,
}

impl History {
    pub(crate) fn new(blocks: Vec<Block>, mined: Vec<Mined>) -> Self {
        let mut history = Self::default();
        blocks.into_iter().for_each(|block| history.connect(block));
        mined.into_iter().for_each(|mined| history.add(mined));
        history
    }

    /// Takes over what the ledger said and no store keeps.
    pub(crate) fn keep_unstored(self, old: Self) -> Self {
        Self { pending: old.pending, hopeless: old.hopeless, ..self }
    }

    pub(crate) fn connect(&mut self, block: Block) {
        self.blocks.insert(block.at.height, block);
    }

    /// A node that lies may show a transaction twice, or a coin that two of them spend: the first in the chain counts, as
    /// in the store.
    pub(crate) fn add(&mut self, mut mined: Mined) {
        if let Some(shown) = self.mined.get(&mined.txid) {
            if shown.at <= mined.at {
                return;
            }
            self.take_out(shown.at);
        }
        for input in &mined.tx.input {
            let spender = self.spenders.entry(input.previous_output).or_insert(mined.at);
            *spender = mined.at.min(*spender);
        }
        if let Some(seq) = self.sent_as.get(&mined.txid) {
            self.waiting.remove(seq);
            self.sent.get_mut(seq).into_iter().for_each(|sent| share(&mut sent.tx, &mut mined.tx));
        }
        self.order.insert(mined.at, mined.txid);
        self.mined.insert(mined.txid, mined);
    }

    /// Takes back the last block and what it brought.
    pub(crate) fn disconnect(&mut self, height: Height) {
        self.blocks.remove(&height);
        let gone: Vec<Position> =
            self.order.range(Position { height, index: 0 }..).map(|(&at, _)| at).collect();
        gone.into_iter().for_each(|at| self.take_out(at));
    }

    fn take_out(&mut self, at: Position) {
        let Some(mined) = self.order.remove(&at).and_then(|txid| self.mined.remove(&txid)) else { return };
        for input in &mined.tx.input {
            if self.spenders.get(&input.previous_output) == Some(&at) {
                self.spenders.remove(&input.previous_output);
            }
        }
        self.waiting.extend(self.sent_as.get(&mined.txid));
    }

    pub(crate) fn add_sent(&mut self, mut sent: Sent) {
        match self.mined.get_mut(&sent.txid) {
            Some(mined) => share(&mut sent.tx, &mut mined.tx),
            None => drop(self.waiting.insert(sent.seq)),
        }
        self.sent_as.insert(sent.txid, sent.seq);
        self.sent.insert(sent.seq, sent);
    }

    pub(crate) fn remove_sent(&mut self, txid: &Txid) {
        if let Some(seq) = self.sent_as.remove(txid) {
            self.sent.remove(&seq);
            self.waiting.remove(&seq);
        }
    }

    /// Whether another that this home sent, and that is not mined, spends what this one makes.
    pub(crate) fn is_rested_on(&self, txid: &Txid) -> bool {
        let rests = |sent: &Sent| sent.tx.input.iter().any(|input| input.previous_output.txid == *txid);
        self.waiting().any(rests)
    }

    /// Whether it was [withdrawn](Purpose::Withdrawn).
    pub(crate) fn is_withdrawn(&self, txid: &Txid) -> bool {
        self.sent_as(txid).is_some_and(|sent| sent.purpose == Purpose::Withdrawn)
    }

    /// It is [withdrawn](Purpose::Withdrawn).
    pub(crate) fn withdraw_sent(&mut self, txid: &Txid) {
        if let Some(sent) = self.sent_as.get(txid).and_then(|seq| self.sent.get_mut(seq)) {
            sent.purpose = Purpose::Withdrawn;
        }
    }

    /// Notes whether this transaction can be mined as things are: not, if the ledger misses a coin that it spends, or
    /// keeps another that spends it.
    pub(crate) fn set_hopeless(&mut self, txid: Txid, hopeless: bool) {
        if hopeless {
            self.hopeless.insert(txid)
        } else {
            self.hopeless.remove(&txid)
        };
    }

    pub(crate) fn set_pending(&mut self, pending: Vec<Arc<Transaction>>) {
        self.pending = pending;
    }

    /// Unmined transactions that the ledger showed last.
    pub(crate) fn shown_unmined(&self) -> &[Arc<Transaction>] {
        &self.pending
    }

    /// The first followed block: the birthday, unless a reorganisation went below it.
    pub fn first(&self) -> Option<Block> {
        self.blocks.first_key_value().map(|(_, block)| *block)
    }

    /// The last followed block.
    pub fn last(&self) -> Option<Block> {
        self.blocks.last_key_value().map(|(_, block)| *block)
    }

    /// The followed block at a height.
    pub fn block(&self, height: Height) -> Option<Block> {
        self.blocks.get(&height).copied()
    }

    /// The mined transaction of that id.
    pub fn mined(&self, txid: &Txid) -> Option<&Mined> {
        self.mined.get(txid)
    }

    /// The mined transactions, in the chain's order.
    pub fn in_order(&self) -> impl Iterator<Item = &Mined> {
        self.order.values().filter_map(|txid| self.mined.get(txid))
    }

    /// The mined transaction that spends a coin.
    pub fn spender(&self, outpoint: &OutPoint) -> Option<&Mined> {
        self.mined.get(self.order.get(self.spenders.get(outpoint)?)?)
    }

    /// An unmined transaction that spends a coin: the newest of one's own, or one that the ledger shows.
    pub fn unmined_spender(&self, outpoint: &OutPoint) -> Option<&Arc<Transaction>> {
        self.unmined_spenders(outpoint).next()
    }

    /// All of these, in that order.
    pub fn unmined_spenders(&self, outpoint: &OutPoint) -> impl Iterator<Item = &Arc<Transaction>> {
        let spends = |tx: &Transaction| tx.input.iter().any(|input| input.previous_output == *outpoint);
        self.unmined_sent().rev().map(|sent| &sent.tx).chain(&self.pending).filter(move |tx| spends(tx))
    }

    /// What a mined output holds that nothing spends, mined or not.
    pub fn unspent(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        let spent = self.spender(outpoint).is_some() || self.unmined_spender(outpoint).is_some();
        let mined = self.mined(&outpoint.txid).filter(|_| !spent)?;
        mined.tx.output.get(usize::try_from(outpoint.vout).ok()?)
    }

    /// What this home sent, in that order.
    pub fn sent(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.sent.values()
    }

    /// What this home sent under that id.
    pub fn sent_as(&self, txid: &Txid) -> Option<&Sent> {
        self.sent.get(self.sent_as.get(txid)?)
    }

    /// What this home sent that is not mined, in that order.
    fn waiting(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.waiting.iter().filter_map(|seq| self.sent.get(seq))
    }

    /// The ids of unmined transactions that the ledger showed last.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Txid> {
        self.pending.iter().map(|tx| tx.compute_txid())
    }

    /// What this home sent and did not withdraw that is not mined and that the best chain does not exclude: by a
    /// transaction that spends the same coin, or one that its own parent's coin.
    pub fn unmined_sent(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        let excluded = self.excluded();
        let wanted = |sent: &&Sent| sent.purpose != Purpose::Withdrawn;
        self.waiting().filter(wanted).filter(move |sent| !excluded.contains(&sent.txid))
    }

    /// Of these, what may be mined as things are. The rest, and what rests on it, is sent again in case things change;
    /// until then its other coins are free, and its change is none.
    pub fn hopeful_sent(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        let hopeless =
            self.closure(|sent| self.hopeless.contains(&sent.txid) && !planted::is(Bug::HopelessLocks));
        self.unmined_sent().filter(move |sent| !hopeless.contains(&sent.txid))
    }

    fn excluded(&self) -> HashSet<Txid> {
        let spent = |input: &bitcoin::TxIn| self.spenders.contains_key(&input.previous_output);
        self.closure(|sent| sent.tx.input.iter().any(spent))
    }

    /// Those unmined ones of which it is `true`, and all that rest on them.
    fn closure(&self, is: impl Fn(&Sent) -> bool) -> HashSet<Txid> {
        let mut found = HashSet::new();
        // In the order of sending, parents come first.
        for sent in self.waiting() {
            let rests = sent.tx.input.iter().any(|input| found.contains(&input.previous_output.txid));
            if rests || is(sent) {
                found.insert(sent.txid);
            }
        }
        found
    }
}

/// What was sent and what was mined is one transaction in memory, unless another version of its witnesses was mined.
fn share(sent: &mut Arc<Transaction>, mined: &mut Arc<Transaction>) {
    if sent == mined {
        *mined = Arc::clone(sent);
    }
}

impl BestChain for History {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        self.block(height).map(|block| block.at.hash)
    }

    fn tip(&self) -> Height {
        self.last().map_or(Height::GENESIS, |block| block.at.height)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::hashes::Hash;
    use bitcoin::transaction::Version;
    use bitcoin::{Sequence, TxIn};

    use super::*;

    fn coin() -> OutPoint {
        OutPoint::new(Txid::all_zeros(), 7)
    }

    fn spending(sequence: u32, height: u32) -> Mined {
        let input = TxIn { previous_output: coin(), sequence: Sequence(sequence), ..TxIn::default() };
        let (version, lock_time) = (Version::TWO, LockTime::ZERO);
        let tx = Transaction { version, lock_time, input: vec![input], output: Vec::new() };
        Mined::new(Arc::new(tx), Position { height: Height::new(height), index: 1 }, None)
    }

    #[test]
    fn a_transaction_that_a_node_shows_in_two_blocks_is_where_it_was_first() {
        for heights in [[10, 11], [11, 10]] {
            let mut history = History::new(Vec::new(), heights.map(|height| spending(0, height)).to_vec());
            let txid = spending(0, 10).txid;
            for after in [11, 10] {
                assert_eq!(history.mined(&txid).map(|mined| mined.at.height), Some(Height::new(10)));
                assert_eq!(history.in_order().count(), 1);
                assert_eq!(
                    history.spender(&coin()).map(|mined| mined.txid),
                    Some(txid),
                    "before {after} goes"
                );
                history.disconnect(Height::new(after));
            }
            assert!(history.mined(&txid).is_none() && history.spender(&coin()).is_none());
        }
    }

    #[test]
    fn a_coin_that_a_node_shows_spent_twice_is_spent_by_the_first() {
        for heights in [[10, 11], [11, 10]] {
            let spenders = heights.map(|height| spending(height, height));
            let mut history = History::new(Vec::new(), spenders.to_vec());
            let spent_at = |history: &History| history.spender(&coin()).map(|mined| mined.at.height);
            assert_eq!(spent_at(&history), Some(Height::new(10)));
            history.disconnect(Height::new(11));
            assert_eq!(spent_at(&history), Some(Height::new(10)));
            history.disconnect(Height::new(10));
            assert_eq!(spent_at(&history), None);
        }
    }
}
