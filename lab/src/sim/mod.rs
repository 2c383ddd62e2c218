//! A simulated ledger: a chain and a mempool in memory that do what a schedule tells them.
//!
//! It keeps the contract of [`Ledger`] as every backend does, but mines without work, reorganises to any depth
//! and forgets unmined transactions when told to. Scripts are judged by Bitcoin Core's own code.

mod admit;
mod branch;
mod pool;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::{Amount, BlockHash, FeeRate, OutPoint, Script, Transaction, TxOut, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{
    BroadcastError, Coin, Connected, Hit, Ledger, LedgerError, Next, Refusal, RefusalKind, Watch,
};

use admit::Reject;
use branch::Branch;
use pool::Pool;

/// Which unmined transactions a block takes.
pub type Choice<'a> = &'a mut dyn FnMut(&Transaction) -> bool;

/// Bitcoin Core's since version 30.
const MOST_DATA: usize = 100_000;

/// See the module's documentation.
#[derive(Debug)]
pub struct Sim {
    chain: Chain,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Clone, Debug)]
struct State {
    branch: Branch,
    pool: Pool,
    /// What the mempool asks at least.
    floor: FeeRate,
    /// What is said to get a transaction mined soon.
    advice: FeeRate,
    /// Most bytes of data outputs' scripts that the mempool takes in a transaction.
    most_data: usize,
}

impl Sim {
    /// A chain that has its genesis block alone, and no subsidy schedule: each coinbase brings `subsidy`.
    pub fn new(chain: Chain, subsidy: Amount) -> Self {
        let floor = chain.min_relay();
        let branch = Branch::new(&chain, subsidy);
        let state = State { branch, pool: Pool::default(), floor, advice: floor, most_data: MOST_DATA };
        Self { chain, state: Mutex::new(state), moved: Condvar::new() }
    }

    /// Another ledger that is, for now, the same.
    pub fn fork(&self) -> Self {
        Self { chain: self.chain.clone(), state: Mutex::new(self.state().clone()), moved: Condvar::new() }
    }

    /// Mines a block with those unmined transactions that `choice` takes and whose parents are mined with them.
    pub fn mine(&self, to: &Script, choice: Choice<'_>) -> BlockRef {
        self.change(|state| {
            let txs = state.pool.chosen(choice);
            let at = state.branch.extend(to, &txs);
            state.pool.take_out(&txs);
            at
        })
    }

    /// Takes the last blocks away. What they held is unmined again, as far as it is still valid.
    pub fn roll_back(&self, blocks: u32) {
        self.change(|state| {
            let returned = state.branch.shorten(blocks);
            state.refill(returned);
        });
    }

    /// Takes the last blocks away, and mines `forced`, whatever unmined transactions it conflicts with.
    pub fn reorganise(&self, remove: u32, to: &Script, forced: &[Transaction]) -> BlockRef {
        self.change(|state| {
            let returned = state.branch.shorten(remove);
            let forced = state.admissible(forced);
            let at = state.branch.extend(to, &forced);
            state.refill(returned);
            at
        })
    }

    /// Forgets an unmined transaction and all that rest on it.
    pub fn evict(&self, txid: &Txid) {
        self.change(|state| state.pool.remove_with_descendants(*txid));
    }

    /// Sets what the mempool asks at least, and what is said to get a transaction mined soon.
    pub fn set_fees(&self, floor: FeeRate, advice: FeeRate) {
        self.change(|state| (state.floor, state.advice) = (floor.max(self.chain.min_relay()), advice));
    }

    /// Takes data outputs of at most so many bytes of script: 83 makes it behave like an older node.
    pub fn relay_data(&self, most: usize) {
        self.change(|state| state.most_data = most);
    }

    /// The unmined transactions, parents first.
    pub fn unmined_all(&self) -> Vec<Arc<Transaction>> {
        self.state().pool.iter().map(|entry| Arc::clone(&entry.tx)).collect()
    }

    /// The best chain's coins with that script.
    pub fn coins_of(&self, script: &Script) -> Vec<(OutPoint, Coin)> {
        self.state().branch.coins_of(script)
    }

    /// The best chain's unspent outputs to scripts' hashes.
    pub fn script_hashes(&self) -> Vec<OutPoint> {
        self.state().branch.script_hashes()
    }

    /// The best chain's transactions, in order, with their heights; coinbases left out.
    pub fn mined_all(&self) -> Vec<(Height, Arc<Transaction>)> {
        self.state().branch.transactions()
    }

    /// The transaction of that id, in the best chain or the mempool.
    pub fn transaction(&self, txid: &Txid) -> Option<Arc<Transaction>> {
        let state = self.state();
        state.branch.transaction(txid).or_else(|| state.pool.get(txid).map(|entry| Arc::clone(&entry.tx)))
    }

    /// What an outpoint holds or held, in the best chain or the mempool.
    pub fn output(&self, outpoint: &OutPoint) -> Option<TxOut> {
        let state = self.state();
        state.branch.output(outpoint).or_else(|| state.pool.output(outpoint).map(|coin| coin.output))
    }

    /// A coin of `tx` that another transaction of the best chain spent.
    pub fn spent_by_another(&self, tx: &Transaction) -> Option<OutPoint> {
        let state = self.state();
        let spent = |outpoint: &OutPoint| {
            state.branch.coin(outpoint).is_none() && state.branch.output(outpoint).is_some()
        };
        let coin = tx.input.iter().map(|input| input.previous_output).find(spent)?;
        state.branch.transaction(&tx.compute_txid()).is_none().then_some(coin)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends the schedule; what it left is still readable for the report.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = state.branch.tip();
        let done = change(&mut state);
        if state.branch.tip() != before {
            self.moved.notify_all();
        }
        done
    }
}

impl State {
    /// Those of `forced`, in order, that the branch as it is can take.
    fn admissible(&self, forced: &[Transaction]) -> Vec<Arc<Transaction>> {
        let mut alone = State { pool: Pool::default(), floor: FeeRate::ZERO, ..self.clone() };
        let mut taken = Vec::new();
        for tx in forced {
            if let Ok(admission) = alone.admit(tx) {
                taken.push(Arc::clone(&admission.entry.tx));
                alone.pool.add(admission.entry);
            }
        }
        taken
    }

    /// As in Bitcoin Core, what left the chain comes first, then what was unmined.
    fn refill(&mut self, returned: Vec<Arc<Transaction>>) {
        let old = std::mem::take(&mut self.pool);
        let floor = std::mem::replace(&mut self.floor, FeeRate::ZERO);
        for tx in returned.into_iter().chain(old.iter().map(|entry| Arc::clone(&entry.tx))) {
            let conflicts = tx.input.iter().any(|input| self.pool.spender(&input.previous_output).is_some());
            if let (false, Ok(admission)) = (conflicts, self.admit(&tx)) {
                self.pool.add(admission.entry);
            }
        }
        self.floor = floor;
    }
}

impl Ledger for Sim {
    fn chain(&self) -> &Chain {
        &self.chain
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        Ok(self.state().branch.tip())
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        let state = self.state();
        if after.height == Height::GENESIS && after.hash != self.chain.genesis() {
            return Err(LedgerError::ForeignChain { expected: self.chain.genesis(), found: after.hash });
        }
        if state.branch.at(after.height) != Some(after) {
            return Ok(Next::Disconnect);
        }
        Ok(state.branch.block(after.height.next()).map_or(Next::AtTip, |block| {
            let hits = block.hits(watch);
            Next::Connect(Connected { at: block.at, header: block.header, hits })
        }))
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        Ok(self.state().branch.at(height))
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        Ok(self.state().branch.header(hash))
    }

    fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        Ok(self.state().branch.txids(hash))
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        let state = self.state();
        if state.pool.spender(outpoint).is_some() {
            return Ok(None);
        }
        Ok(state.branch.coin(outpoint).cloned().or_else(|| state.pool.output(outpoint)))
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        let txid = tx.compute_txid();
        self.change(|state| match state.admit(tx) {
            Ok(admission) => {
                admission.replaces.into_iter().for_each(|old| state.pool.remove_with_descendants(old));
                state.pool.add(admission.entry);
                Ok(txid)
            }
            Err(Reject { reason, .. }) if RefusalKind::of(reason) == RefusalKind::Known => Ok(txid),
            Err(reject) => Err(reject.of(txid).into()),
        })
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        let checked = self.state().admit(tx).map(drop);
        checked.map_err(|reject| Refusal::into(reject.of(tx.compute_txid())))
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        let state = self.state();
        let mut matcher = branch::Matcher::new(watch);
        let hits = state.pool.iter().filter(|entry| matcher.is_hit(entry.txid, &entry.tx));
        let input_zero = |tx: &Transaction| {
            let outpoint = &tx.input.first()?.previous_output;
            state.branch.coin(outpoint).cloned().or_else(|| state.pool.output(outpoint))
        };
        Ok((0..)
            .zip(hits)
            .map(|(position, entry)| Hit {
                position,
                txid: entry.txid,
                tx: Arc::clone(&entry.tx),
                input_zero: input_zero(&entry.tx).map(|coin| coin.output),
            })
            .collect())
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        Ok(self.state().pool.get(txid).map(|entry| Arc::clone(&entry.tx)))
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        let state = self.state();
        Ok(state.advice.max(state.floor))
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        Ok(self.state().most_data)
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        let deadline = Instant::now() + at_most;
        let mut state = self.state();
        loop {
            let (tip, left) = (state.branch.tip(), deadline.saturating_duration_since(Instant::now()));
            if tip != seen || left.is_zero() {
                return Ok(tip);
            }
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
