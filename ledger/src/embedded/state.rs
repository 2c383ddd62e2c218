//! The ledger in memory, and the steps from one state to the next.

use std::path::{Path, PathBuf};

use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::constants::genesis_block;
use bitcoin::{Block, BlockHash, Network, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height};

use super::admit::Ground;
use super::blocks::Blocks;
use super::coins::Coins;
use super::kernel::{Engine, Verdict};
use super::log::{Extent, Log};
use super::policy::MAX_DATA_CARRIER;
use super::pool::Pool;
use super::record::{Record, Step};
use super::rule::Spent;
use super::{BlockError, MAX_BLOCKS, OpenError, Submitted, disk};
use crate::LedgerError;

/// Everything the ledger knows. All of it follows from the log; nothing here survives the process.
#[derive(Debug)]
pub(super) struct State {
    pub(super) chain: Chain,
    pub(super) blocks: Blocks,
    pub(super) coins: Coins,
    pub(super) pool: Pool,
    /// Whether blocks and transactions are held to the rule of OP_EXPONENT.
    pub(super) enforcing: bool,
    /// The limit of data outputs in what it relays.
    pub(super) most_data: usize,
    log: Log,
    folder: PathBuf,
    /// Started when the first block is to be judged: most commands never need it.
    engine: Option<Engine>,
    /// A step stopped halfway: what is in memory may not be what the log says.
    broken: bool,
}

impl State {
    /// Reads the ledger in a folder, or starts one there.
    pub(super) fn load(folder: &Path, chain: &Chain) -> Result<Self, OpenError> {
        let path = folder.join(disk::LOG);
        if !path.try_exists().map_err(|e| disk::error("read", &path, e))? {
            Log::create(&path, chain.genesis(), bitcoin::secp256k1::rand::random())?;
        }
        Self::read(folder, chain)
    }

    /// Reads the ledger in a folder.
    fn read(folder: &Path, chain: &Chain) -> Result<Self, OpenError> {
        let genesis = chain.genesis();
        let path = folder.join(disk::LOG);
        let mut replay = Replay::new();
        let log = Log::open(&path, genesis, |record, extent| {
            let corrupt = |what: &str| LedgerError::Corrupt { path: path.clone(), what: what.to_owned() };
            replay.step(record, extent).map_err(corrupt)
        })?;
        let mut state = Self {
            chain: chain.clone(),
            blocks: replay.blocks,
            coins: Coins::default(),
            pool: Pool::default(),
            enforcing: replay.enforcing,
            most_data: MAX_DATA_CARRIER,
            log,
            folder: folder.to_owned(),
            engine: None,
            broken: false,
        };
        state.collect_coins()?;
        state.fill_pool(replay.unmined);
        Ok(state)
    }

    fn collect_coins(&mut self) -> Result<(), LedgerError> {
        for height in 1..=self.blocks.tip().height.to_u32() {
            let height = Height::new(height);
            if let Some(at) = self.blocks.at(height) {
                let block = self.block(&at.hash)?;
                self.connect(&block, height)?;
            }
        }
        Ok(())
    }

    fn connect(&mut self, block: &Block, height: Height) -> Result<(), LedgerError> {
        let missing =
            |outpoint| self.log.corrupt(format!("block {height} spends {outpoint}, which is not there"));
        self.coins.connect(block, height).map_err(missing)
    }

    fn fill_pool(&mut self, txs: Vec<Transaction>) {
        for tx in txs {
            if let Some(entry) = self.ground().readmit(tx) {
                self.pool.add(entry);
            }
        }
    }

    pub(super) fn ground(&self) -> Ground<'_> {
        let Self { chain, blocks, coins, pool, enforcing, most_data, .. } = self;
        Ground { chain, blocks, coins, pool, enforcing: *enforcing, most_data: *most_data }
    }

    /// A known block's bytes.
    pub(super) fn block_bytes(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.blocks.get(hash) {
            None => Ok(None),
            Some(known) => match known.extent {
                Some(extent) => self.log.block(extent).map(Some),
                None => Ok(Some(serialize(&genesis_block(Network::Regtest)))),
            },
        }
    }

    /// The ids of a known block's transactions, in its order.
    pub(super) fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        if self.blocks.get(hash).is_none() {
            return Ok(None);
        }
        let block = self.block(hash)?;
        Ok(Some(block.txdata.iter().map(Transaction::compute_txid).collect()))
    }

    fn block(&self, hash: &BlockHash) -> Result<Block, LedgerError> {
        let bytes = self.block_bytes(hash)?.unwrap_or_default();
        let block: Option<Block> = deserialize(&bytes).ok();
        block
            .filter(|block| block.block_hash() == *hash)
            .ok_or_else(|| self.log.corrupt(format!("block {hash} cannot be read")))
    }

    /// Number of the next record, so to speak: grows with every block, never falls.
    pub(super) fn nonce(&self) -> u64 {
        self.log.end()
    }

    /// Adds an unmined transaction.
    pub(super) fn broadcast(&mut self, tx: Transaction) -> Result<Txid, crate::BroadcastError> {
        let txid = tx.compute_txid();
        let admission = self.ground().admit(tx).map_err(|reject| reject.of(txid))?;
        let tx = Transaction::clone(&admission.entry.tx);
        let record = self.record(Step::Pool, admission.replaces.clone(), vec![tx]);
        self.log.append(&record)?;
        self.log.sync()?;
        admission.replaces.iter().for_each(|txid| drop(self.pool.remove(txid)));
        self.pool.add(admission.entry);
        Ok(txid)
    }

    /// Judges a block and takes it. The caller flushes with [`sync`](Self::sync) before it tells
    /// anybody. After a [`BlockError::Ledger`] the state is [broken](Self::set_broken).
    pub(super) fn take(&mut self, bytes: Vec<u8>) -> Result<Submitted, BlockError> {
        let block: Block = deserialize(&bytes).map_err(|e| BlockError::malformed(e.to_string()))?;
        let hash = block.block_hash();
        if let Some(known) = self.blocks.get(&hash) {
            return Ok(Submitted::Known(BlockRef::new(known.height, hash)));
        }
        let parent = block.header.prev_blockhash;
        if self.blocks.get(&parent).is_none() {
            return Err(BlockError::UnknownParent { block: hash, parent });
        }
        if self.blocks.in_order().len() >= MAX_BLOCKS {
            return Err(BlockError::Full { limit: MAX_BLOCKS });
        }
        if self.enforcing {
            self.check_rule(&block, parent)?;
        }
        let tip = self.judge(hash, &bytes)?;
        self.settle(block, bytes, tip).map_err(BlockError::Ledger)
    }

    /// Whether the block keeps the rule that the engine does not know. Every block that came since the rule is in force
    /// was held to it, in whatever branch, so the engine never moves to one of them that breaks it.
    fn check_rule(&self, block: &Block, parent: BlockHash) -> Result<(), BlockError> {
        let coin = |outpoint: &OutPoint| self.coins.get(outpoint).map(|coin| coin.output.clone());
        let mut spent = Spent::of(block, coin);
        let mut ancestor = parent;
        while !spent.is_complete()
            && let Some(known) = self.blocks.get(&ancestor)
        {
            spent.look_into(&self.block(&ancestor)?);
            ancestor = known.header.prev_blockhash;
        }
        let hash = block.block_hash();
        spent.check(block).map_err(|broken| BlockError::Refused {
            block: hash,
            at_fault: hash,
            reason: format!("op-exponent, {broken}"),
        })
    }

    /// Holds all that comes from now on to the rule of OP_EXPONENT.
    pub(super) fn enforce(&mut self) -> Result<(), LedgerError> {
        if self.enforcing {
            return Ok(());
        }
        let record = self.record(Step::Enforce, Vec::new(), Vec::new());
        self.log.append(&record)?;
        self.log.sync()?;
        self.enforcing = true;
        Ok(())
    }

    /// The tip after an accepted block.
    fn judge(&mut self, hash: BlockHash, bytes: &[u8]) -> Result<BlockHash, BlockError> {
        let before = self.blocks.tip().hash;
        let mut verdict = self.engine()?.judge(hash, bytes);
        if matches!(verdict, Ok(Verdict::Known) | Err(_)) {
            // It failed, or saw a block that never reached the log: once more, from the log.
            self.engine = None;
            verdict = self.engine()?.judge(hash, bytes);
        }
        let after = self.engine()?.tip();
        match verdict {
            Ok(Verdict::Taken) => return Ok(after),
            Ok(Verdict::Refused { block, reason }) if after == before => {
                return Err(BlockError::Refused { block: hash, at_fault: block, reason });
            }
            _ => {}
        }
        self.engine = None;
        let confused = || LedgerError::Engine { what: format!("it gave no clear answer on block {hash}") };
        Err(BlockError::Ledger(verdict.err().unwrap_or_else(confused)))
    }

    /// Brings the ledger in line with what the engine decided, and writes it down.
    fn settle(&mut self, block: Block, bytes: Vec<u8>, tip: BlockHash) -> Result<Submitted, LedgerError> {
        let hash = block.block_hash();
        let unknown = || LedgerError::Engine { what: format!("its tip {tip} is not a block of the log") };
        let height = self.blocks.add(block.header, None).ok_or_else(unknown)?;
        let at = BlockRef::new(height, hash);
        let (removed, added) = self.move_to(&tip, Some(&block))?;
        let record = self.record(Step::Block(bytes), removed, added);
        let extent = self.log.append(&record)?;
        self.blocks.set_extent(&hash, extent);
        Ok(if self.blocks.is_best(at) { Submitted::Best(at) } else { Submitted::Beside(at) })
    }

    /// Makes a known block the tip. Returns what that does to the mempool. `fresh` is a block that
    /// is not in the log yet.
    fn move_to(
        &mut self,
        tip: &BlockHash,
        fresh: Option<&Block>,
    ) -> Result<(Vec<Txid>, Vec<Transaction>), LedgerError> {
        let unknown = || LedgerError::Engine { what: format!("the tip {tip} is not a block of the log") };
        let path = self.blocks.path_to(tip).ok_or_else(unknown)?;
        let mut returned = Vec::new();
        for hash in &path.leave {
            let block = self.block(hash)?;
            self.coins.disconnect(&block);
            self.blocks.pop();
            returned.splice(0..0, block.txdata.into_iter().skip(1));
        }
        let mut removed = Vec::new();
        for hash in &path.come {
            let stored;
            let block = match fresh.filter(|block| block.block_hash() == *hash) {
                Some(block) => block,
                None => {
                    stored = self.block(hash)?;
                    &stored
                }
            };
            self.blocks.push(*hash);
            self.connect(block, self.blocks.tip().height)?;
            if path.leave.is_empty() {
                let taken = self.pool.taken_by(block);
                taken.iter().for_each(|txid| drop(self.pool.remove(txid)));
                removed.extend(taken);
            }
        }
        if path.leave.is_empty() {
            return Ok((removed, Vec::new()));
        }
        Ok(self.refill_pool(returned))
    }

    /// After a reorganisation: what left the chain comes first, as in Bitcoin Core, then what was
    /// unmined, as far as each is still valid.
    fn refill_pool(&mut self, returned: Vec<Transaction>) -> (Vec<Txid>, Vec<Transaction>) {
        let old = std::mem::take(&mut self.pool);
        let removed = old.iter().map(|entry| entry.txid).collect();
        let kept = old.iter().map(|entry| Transaction::clone(&entry.tx));
        self.fill_pool(returned.into_iter().chain(kept).collect());
        (removed, self.pool.iter().map(|entry| Transaction::clone(&entry.tx)).collect())
    }

    /// Cuts the chain back to a block of it and forgets all others.
    pub(super) fn rewind(&mut self, to: BlockRef) -> Result<(), LedgerError> {
        let (removed, added) = self.move_to(&to.hash, None)?;
        let record = self.record(Step::Rewind, removed, added);
        self.log.append(&record)?;
        self.log.sync()?;
        self.blocks.forget_others();
        // It cannot forget.
        self.engine = None;
        Ok(())
    }

    /// Returns when everything taken is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), LedgerError> {
        self.log.sync()
    }

    /// Says that a step stopped halfway.
    pub(super) fn set_broken(&mut self) {
        self.broken = true;
    }

    /// Reads everything from the log again if a step stopped halfway.
    pub(super) fn mend(&mut self) -> Result<(), LedgerError> {
        if !self.broken {
            return Ok(());
        }
        self.engine = None;
        self.log.cut_unsynced()?;
        let read = Self::read(&self.folder, &self.chain).map_err(|e| match e {
            OpenError::Ledger(e) => e,
            other => LedgerError::Engine { what: other.to_string() },
        })?;
        *self = Self { most_data: self.most_data, ..read };
        Ok(())
    }

    fn record(&self, step: Step, removed: Vec<Txid>, added: Vec<Transaction>) -> Record {
        Record { step, tip: self.blocks.tip().hash, removed, added }
    }

    fn engine(&mut self) -> Result<&Engine, LedgerError> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => self.start_engine()?,
        };
        Ok(self.engine.insert(engine))
    }

    /// Starts an engine that has seen what the log says.
    fn start_engine(&self) -> Result<Engine, LedgerError> {
        let engine = Engine::start(&self.folder.join(disk::ENGINE))?;
        for hash in self.blocks.in_order() {
            engine.judge(*hash, &self.block_bytes(hash)?.unwrap_or_default())?;
        }
        let (found, expected) = (engine.tip(), self.blocks.tip().hash);
        if found != expected {
            return Err(LedgerError::Engine { what: format!("its tip is {found}, the log's is {expected}") });
        }
        Ok(engine)
    }
}

/// Builds from the log's records what does not need the coins.
struct Replay {
    blocks: Blocks,
    unmined: Vec<Transaction>,
    enforcing: bool,
}

impl Replay {
    fn new() -> Self {
        let blocks = Blocks::new(genesis_block(Network::Regtest).header);
        Self { blocks, unmined: Vec::new(), enforcing: false }
    }

    fn step(&mut self, record: Record, extent: Option<Extent>) -> Result<(), &'static str> {
        if let Step::Block(bytes) = &record.step {
            let header = bytes.get(..80).and_then(|header| deserialize::<Header>(header).ok());
            let header = header.ok_or("a block has no header")?;
            self.blocks.add(header, extent).ok_or("a block comes before its parent")?;
        }
        let path = self.blocks.path_to(&record.tip).ok_or("a tip is not a block of the log")?;
        path.leave.iter().for_each(|_| self.blocks.pop());
        path.come.iter().for_each(|hash| self.blocks.push(*hash));
        if record.step == Step::Rewind {
            self.blocks.forget_others();
        }
        self.enforcing |= record.step == Step::Enforce;
        let removed: std::collections::HashSet<_> = record.removed.into_iter().collect();
        if !removed.is_empty() {
            self.unmined.retain(|tx| !removed.contains(&tx.compute_txid()));
        }
        self.unmined.extend(record.added);
        Ok(())
    }
}
