//! The embedded ledger: a regtest chain in a folder, judged by Bitcoin Core's own validation.

mod admit;
mod blocks;
mod coins;
mod disk;
mod error;
mod kernel;
mod log;
mod miner;
mod policy;
mod pool;
mod record;
mod rule;
mod script_policy;
mod state;
mod template;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::{BlockHash, FeeRate, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height};

use self::disk::Held;
pub use self::error::{BlockError, OpenError};
pub use self::kernel::verify_scripts;
pub use self::miner::{Plan, Submitted};
use self::state::State;
use crate::watch::Matcher;
use crate::{BroadcastError, Coin, Connected, Hit, Ledger, LedgerError, Next, Watch, scan};

/// Most blocks a ledger holds, beside the best chain too. The engine's self-check makes each block
/// slower than the one before, and regtest's subsidy ends near height 4,950 anyway.
pub const MAX_BLOCKS: usize = 10_000;

/// A regtest chain of one's own, in a folder.
///
/// One process at a time has it; within the process it is shared by reference or `Arc`. What was
/// acknowledged (a method returned `Ok`) survives any crash; what was not, happened wholly or not at
/// all. Its memory holds all unspent coins and what the last blocks spent, so it is for chains of
/// thousands of blocks, not millions.
///
/// Transactions are refused as Bitcoin Core's nodes would refuse them, with their words, so that
/// what works here works on a real network; see `mine` for what it has instead of miners.
#[derive(Debug)]
pub struct Embedded {
    chain: Chain,
    state: Mutex<State>,
    moved: Condvar,
    // Last, so that the folder is free only when everything else is closed.
    held: Held,
}

impl Embedded {
    /// Opens the ledger in this folder; an empty or missing folder becomes a new one.
    ///
    /// # Errors
    /// [`OpenError`] says who holds it, or what is wrong with what lies there.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        let held = Held::take(folder.as_ref())?;
        let chain = Chain::regtest();
        let state = State::load(held.folder(), &chain)?;
        Ok(Self { chain, state: Mutex::new(state), moved: Condvar::new(), held })
    }

    /// Relays data outputs of at most so many bytes of script: 83 makes it behave like an older node.
    ///
    /// # Errors
    /// See clause 11 of [`Ledger`]'s contract.
    pub fn relay_data(&self, most: usize) -> Result<(), LedgerError> {
        self.state()?.most_data = most;
        Ok(())
    }

    /// Its folder, as an absolute path.
    pub fn folder(&self) -> &Path {
        self.held.folder()
    }

    /// Holds every block and transaction that comes from now on to the rule of OP_EXPONENT, also after the ledger was
    /// closed: it stands in the folder, and is not taken back. A block that breaks it is refused, wherever it comes
    /// from, and with it all that rest on it. Transactions that keep it are taken and mined, which no node does
    /// otherwise: to those that do not know the opcode it is an OP_SUCCESS, which anyone may spend.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn enforce_exponent(&self) -> Result<(), LedgerError> {
        self.change(State::enforce)
    }

    /// A block's bytes, also of one beside the best chain.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn block(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, LedgerError> {
        self.state()?.block_bytes(hash)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, LedgerError> {
        let mut state = self.state.lock().map_err(|_| panicked())?;
        state.mend()?;
        Ok(state)
    }

    fn change<T, E>(&self, step: impl FnOnce(&mut State) -> Result<T, E>) -> Result<T, E>
    where
        E: From<LedgerError> + Stops,
    {
        let mut state = self.state()?;
        let tip = state.blocks.tip();
        let result = step(&mut state);
        if result.as_ref().is_err_and(Stops::halfway) {
            state.set_broken();
        }
        if state.blocks.tip() != tip {
            self.moved.notify_all();
        }
        result
    }
}

fn panicked() -> LedgerError {
    LedgerError::Engine { what: "a thread that used it panicked".to_owned() }
}

/// Errors that may leave a step half done in memory.
trait Stops {
    fn halfway(&self) -> bool;
}

impl Stops for LedgerError {
    fn halfway(&self) -> bool {
        true
    }
}

impl Stops for BroadcastError {
    fn halfway(&self) -> bool {
        matches!(self, Self::Ledger(_))
    }
}

impl Stops for BlockError {
    fn halfway(&self) -> bool {
        matches!(self, Self::Ledger(_))
    }
}

impl Ledger for Embedded {
    fn chain(&self) -> &Chain {
        &self.chain
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        Ok(self.state()?.blocks.tip())
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        let state = self.state()?;
        let blocks = &state.blocks;
        if after.height == Height::GENESIS && after.hash != self.chain.genesis() {
            return Err(LedgerError::ForeignChain { expected: self.chain.genesis(), found: after.hash });
        }
        if !blocks.is_best(after) {
            return Ok(Next::Disconnect);
        }
        let Some(at) = blocks.at(after.height.next()) else { return Ok(Next::AtTip) };
        let bytes = state.block_bytes(&at.hash)?.unwrap_or_default();
        let scanned = scan(&bytes, watch).map_err(|e| LedgerError::Corrupt {
            path: self.held.folder().join(disk::LOG),
            what: e.to_string(),
        })?;
        let mut hits = scanned.hits;
        for hit in &mut hits {
            let spent = state.coins.spent_by(at.height, hit.position).and_then(<[Coin]>::first);
            hit.input_zero = spent.map(|coin| coin.output.clone());
        }
        Ok(Next::Connect(Connected { at, header: scanned.header, hits }))
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        Ok(self.state()?.blocks.at(height))
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        Ok(self.state()?.blocks.get(hash).map(|known| known.header))
    }

    fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        self.state()?.txids(hash)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        let state = self.state()?;
        if state.pool.spender(outpoint).is_some() {
            return Ok(None);
        }
        Ok(state.coins.get(outpoint).cloned().or_else(|| state.pool.output(outpoint)))
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        match self.change(|state| state.broadcast(tx.clone())) {
            Err(BroadcastError::Refused(refusal)) if refusal.kind() == crate::RefusalKind::Known => {
                Ok(refusal.txid)
            }
            other => other,
        }
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        let checked = self.state()?.ground().admit(tx.clone());
        checked.map(drop).map_err(|reject| reject.of(tx.compute_txid()).into())
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        let state = self.state()?;
        let mut matcher = Matcher::new(watch);
        let hits = state.pool.iter().filter(|entry| matcher.is_hit(&entry.tx));
        let input_zero = |tx: &Transaction| {
            let outpoint = &tx.input.first()?.previous_output;
            state.coins.get(outpoint).cloned().or_else(|| state.pool.output(outpoint))
        };
        let hit = |(position, entry): (u32, &pool::Entry)| Hit {
            position,
            txid: entry.txid,
            tx: Arc::clone(&entry.tx),
            input_zero: input_zero(&entry.tx).map(|coin| coin.output),
        };
        Ok((0..).zip(hits).map(hit).collect())
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        Ok(self.state()?.pool.get(txid).map(|entry| Arc::clone(&entry.tx)))
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        Ok(self.chain.min_relay())
    }

    fn enforces_exponent(&self) -> Result<bool, LedgerError> {
        Ok(self.state()?.enforcing)
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        Ok(self.state()?.most_data)
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        let deadline = Instant::now() + at_most;
        let mut state = self.state()?;
        loop {
            state.mend()?;
            let left = deadline.saturating_duration_since(Instant::now());
            let tip = state.blocks.tip();
            if tip != seen || left.is_zero() {
                return Ok(tip);
            }
            state = self.moved.wait_timeout(state, left).map_err(|_| panicked())?.0;
        }
    }
}
