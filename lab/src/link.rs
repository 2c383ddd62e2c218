//! A party's way to the ledger: a node of its own, on a network that loses, delays and breaks off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, FeeRate, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Coin, Hit, Ledger, LedgerError, Next, RefusalKind, Watch};

use crate::fuse::{Fuse, Step};
use crate::sim::Sim;

/// What becomes of a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It reaches the network.
    #[default]
    Arrives,
    /// It reaches the network, and the reply is lost.
    ReplyLost,
    /// It is lost, and the party is told.
    RequestLost,
    /// The party's node holds it, and for a while nobody else hears of it.
    Delayed,
}

/// The state of the network for one action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// What becomes of each broadcast.
    pub fate: Fate,
    /// After so many questions the connection breaks.
    pub breaks_in: Option<u32>,
    /// After so many questions the chain moves, in the middle of what the party does.
    pub moves_in: Option<(u32, Move)>,
}

/// How the chain moves while a party asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// One block more, with everything unmined.
    Block,
    /// So many blocks leave, and one more than those come, with nothing in them.
    Replaced(u32),
    /// So many blocks leave.
    Rollback(u32),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Link {
    sim: Arc<Sim>,
    fuse: Arc<Fuse>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    weather: Weather,
    questions: u32,
    /// Held by the party's node, unknown to all others.
    delayed: Vec<Arc<Transaction>>,
    /// What the party handed over, whether or not it arrived.
    handed_over: Vec<HandedOver>,
    /// The tip that the party has followed the chain to.
    followed: Option<BlockRef>,
}

/// A transaction that a party handed over.
#[derive(Clone, Debug)]
pub struct HandedOver {
    /// It.
    pub tx: Arc<Transaction>,
    /// A coin of it that another transaction had spent, in a block that the party had followed.
    pub spent: Option<OutPoint>,
}

impl Link {
    /// A way to `sim` for the process with that fuse.
    pub fn new(sim: Arc<Sim>, fuse: Arc<Fuse>) -> Self {
        Self { sim, fuse, state: Mutex::default() }
    }

    /// Sets the weather for what comes next.
    pub fn set(&self, weather: Weather) {
        let mut state = self.state();
        (state.weather, state.questions) = (weather, 0);
    }

    /// Lets go what was delayed. What the network no longer takes is dropped without a word.
    pub fn release(&self) {
        let delayed = std::mem::take(&mut self.state().delayed);
        delayed.iter().for_each(|tx| drop(self.sim.broadcast(tx)));
    }

    /// Drops what was delayed: nobody ever hears of it.
    pub fn drop_delayed(&self) {
        self.state().delayed.clear();
    }

    /// What the party handed over since this was asked last.
    pub fn take_handed_over(&self) -> Vec<HandedOver> {
        std::mem::take(&mut self.state().handed_over)
    }

    /// The party may have lost what it followed last: what it was told is stored many blocks at a time.
    pub fn forget_followed(&self) {
        self.state().followed = None;
    }

    /// One question: the process may be dead, the connection may break, the chain may move.
    fn ask(&self) -> Result<(), LedgerError> {
        let mut state = self.state();
        let now = state.questions;
        state.questions += 1;
        if self.fuse.is_dead() || state.weather.breaks_in.is_some_and(|at| now >= at) {
            return Err(cut());
        }
        if let Some((at, moved)) = state.weather.moves_in
            && at == now
        {
            drop(state);
            moved.apply(&self.sim);
            return Ok(());
        }
        // A node forgets what can no longer be mined.
        if !state.delayed.is_empty() {
            let delayed = std::mem::take(&mut state.delayed);
            state.delayed = delayed.iter().filter(|tx| self.holds(&delayed, tx)).cloned().collect();
        }
        Ok(())
    }

    /// Whether a node that has the `delayed` holds this one of them.
    fn holds(&self, delayed: &[Arc<Transaction>], tx: &Transaction) -> bool {
        match self.sim.check(tx) {
            Ok(()) => true,
            Err(BroadcastError::Refused(refusal)) if refusal.kind() == RefusalKind::MissingInputs => {
                let rests_on = |parent: &&Arc<Transaction>| {
                    let txid = parent.compute_txid();
                    tx.input.iter().any(|input| input.previous_output.txid == txid)
                };
                delayed.iter().any(|parent| rests_on(&parent))
            }
            Err(_) => false,
        }
    }

    fn delay(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        let mut state = self.state();
        let txid = tx.compute_txid();
        if !self.holds(&state.delayed, tx) {
            drop(state);
            return self.sim.broadcast(tx);
        }
        if !state.delayed.iter().any(|known| known.compute_txid() == txid) {
            state.delayed.push(Arc::new(tx.clone()));
        }
        Ok(txid)
    }

    fn send(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        self.ask()?;
        // It may die before the request leaves, and after it has left.
        self.fuse.broadcasts();
        self.step()?;
        let mut state = self.state();
        let follows = state.followed == self.sim.tip().ok();
        let spent = follows.then(|| self.sim.spent_by_another(tx)).flatten();
        state.handed_over.push(HandedOver { tx: Arc::new(tx.clone()), spent });
        let fate = state.weather.fate;
        drop(state);
        let sent = match fate {
            Fate::Arrives => self.sim.broadcast(tx),
            Fate::ReplyLost => {
                let _ = self.sim.broadcast(tx);
                Err(cut().into())
            }
            Fate::RequestLost => Err(cut().into()),
            Fate::Delayed => self.delay(tx),
        };
        self.step()?;
        sent
    }

    fn step(&self) -> Result<(), LedgerError> {
        match self.fuse.step() {
            Step::Go => Ok(()),
            Step::Fail | Step::Dead => Err(cut()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Move {
    fn apply(self, sim: &Sim) {
        let nobody = crate::people::nobody();
        match self {
            Self::Block => {
                sim.mine(&nobody, &mut |_| true);
            }
            Self::Rollback(depth) => sim.roll_back(depth),
            Self::Replaced(depth) => {
                sim.roll_back(depth);
                for _ in 0..=depth {
                    sim.mine(&nobody, &mut |_| false);
                }
            }
        }
    }
}

fn cut() -> LedgerError {
    LedgerError::Unreachable { backend: "the simulated ledger".to_owned(), reason: "cut off".to_owned() }
}

impl Ledger for Link {
    fn chain(&self) -> &Chain {
        self.sim.chain()
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        self.ask()?;
        self.sim.tip()
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        self.ask()?;
        let next = self.sim.next(after, watch);
        self.state().followed = matches!(next, Ok(Next::AtTip)).then_some(after);
        next
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        self.ask()?;
        self.sim.block_at(height)
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        self.ask()?;
        self.sim.header(hash)
    }

    fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        self.ask()?;
        self.sim.txids(hash)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        self.ask()?;
        self.sim.coin(outpoint)
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        self.send(tx)
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        self.ask()?;
        self.sim.check(tx)
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        self.ask()?;
        let mut hits = self.sim.pending(watch)?;
        let spends =
            |tx: &Transaction| tx.input.iter().any(|input| watch.has_outpoint(&input.previous_output));
        let pays = |tx: &Transaction| tx.output.iter().any(|output| watch.has_script(&output.script_pubkey));
        for tx in self.state().delayed.iter().filter(|tx| spends(tx) || pays(tx)) {
            let input_zero = tx.input.first().and_then(|input| self.sim.output(&input.previous_output));
            let position = u32::try_from(hits.len()).unwrap_or(u32::MAX);
            hits.push(Hit { position, txid: tx.compute_txid(), tx: Arc::clone(tx), input_zero });
        }
        Ok(hits)
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        self.ask()?;
        let delayed = self.state().delayed.iter().find(|tx| tx.compute_txid() == *txid).cloned();
        Ok(delayed.or(self.sim.unmined(txid)?))
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        self.ask()?;
        self.sim.feerate()
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        self.ask()?;
        self.sim.most_data()
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        self.ask()?;
        self.sim.wait(seen, at_most)
    }
}
