//! A ledger that checks nothing: its blocks hold whatever they are told to, as those of a node that lies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, CompactTarget, FeeRate, OutPoint, Transaction, TxMerkleNode, TxOut, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Coin, Connected, Hit, Ledger, LedgerError, Next, Refusal, Watch, scan};
use keyway_protocol::ratchet::BestChain;

/// What becomes of transactions that are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// They are taken.
    #[default]
    Takes,
    /// They are taken, and the reply is lost.
    TakesAndIsLost,
    /// The backend cannot be reached.
    IsLost,
    /// They are refused, for this reason.
    Refuses(&'static str),
}

/// See the module's documentation.
pub struct Hearsay {
    chain: Chain,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    /// The blocks below those that are told here, of which only the places are known.
    below: HashMap<Height, BlockHash>,
    first: Height,
    blocks: Vec<Block>,
    pool: Vec<Arc<Transaction>>,
    coins: HashMap<OutPoint, TxOut>,
    /// What was handed over and taken.
    handed_over: Vec<Arc<Transaction>>,
    answers: Answers,
    feerate: FeeRate,
    most_data: usize,
    /// Makes blocks of one height differ.
    salt: u32,
}

impl Hearsay {
    /// Goes on above these blocks, the last of which is its tip.
    pub fn above(chain: Chain, below: impl IntoIterator<Item = BlockRef>) -> Self {
        let below: HashMap<Height, BlockHash> = below.into_iter().map(|at| (at.height, at.hash)).collect();
        let first = below.keys().max().copied().unwrap_or(Height::GENESIS).next();
        let state = State {
            below,
            first,
            blocks: Vec::new(),
            pool: Vec::new(),
            coins: HashMap::new(),
            handed_over: Vec::new(),
            answers: Answers::Takes,
            feerate: chain.min_relay(),
            most_data: 100_000,
            salt: 0,
        };
        Self { chain, state: Mutex::new(state) }
    }

    /// Puts all unmined transactions into a block.
    pub fn mine(&self) {
        let mut state = self.state();
        let txdata = state.pool.drain(..).map(|tx| tx.as_ref().clone()).collect();
        state.extend(txdata);
    }

    /// So many blocks without transactions.
    pub fn mine_empty(&self, blocks: u32) {
        (0..blocks).for_each(|_| self.state().extend(Vec::new()));
    }

    /// Takes blocks away; what they held is unmined again, or, with `forget`, gone.
    pub fn roll_back(&self, blocks: usize, forget: bool) {
        let mut state = self.state();
        let kept = state.blocks.len().saturating_sub(blocks);
        let gone = state.blocks.split_off(kept);
        if !forget {
            let returned = gone.into_iter().flat_map(|block| block.txdata).map(Arc::new);
            let pool = std::mem::take(&mut state.pool);
            state.pool = returned.chain(pool).collect();
        }
    }

    /// Forgets every unmined transaction.
    pub fn evict(&self) {
        self.state().pool.clear();
    }

    /// Knows these coins, which no transaction made that is told here.
    pub fn know(&self, coins: impl IntoIterator<Item = (OutPoint, TxOut)>) {
        self.state().coins.extend(coins);
    }

    /// Says that there is this transaction.
    pub fn tell(&self, tx: Transaction) {
        self.state().add(Arc::new(tx));
    }

    /// Behaves otherwise from now on.
    pub fn set(&self, answers: Answers, feerate: FeeRate, most_data: usize) {
        let mut state = self.state();
        (state.answers, state.feerate, state.most_data) = (answers, feerate, most_data);
    }

    /// What a coin holds, if its transaction was ever told.
    pub fn output(&self, outpoint: &OutPoint) -> Option<TxOut> {
        self.state().coins.get(outpoint).cloned()
    }

    /// What was handed over and taken, but for the first so many.
    pub fn handed_over(&self, known: usize) -> Vec<Arc<Transaction>> {
        self.state().handed_over.iter().skip(known).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Hearsay {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), state: Mutex::new(self.state().clone()) }
    }
}

impl State {
    fn tip(&self) -> BlockRef {
        let below = self.first.prev().unwrap_or(Height::GENESIS);
        match self.blocks.last() {
            Some(block) => BlockRef::new(below.plus(self.blocks.len() as u32), block.block_hash()),
            None => BlockRef::new(below, self.below.get(&below).copied().unwrap_or(BlockHash::all_zeros())),
        }
    }

    fn extend(&mut self, txdata: Vec<Transaction>) {
        self.salt += 1;
        let tip = self.tip();
        let header = Header {
            version: Version::TWO,
            prev_blockhash: tip.hash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: 1_700_000_000 + 600 * tip.height.to_u32(),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: self.salt,
        };
        self.blocks.push(Block { header, txdata });
    }

    fn add(&mut self, tx: Arc<Transaction>) {
        self.coins.extend(made_by(&tx));
        self.pool.push(tx);
    }

    fn block(&self, height: Height) -> Option<&Block> {
        let index = height.to_u32().checked_sub(self.first.to_u32())?;
        self.blocks.get(index as usize)
    }

    fn hash(&self, height: Height) -> Option<BlockHash> {
        self.block(height).map(Block::block_hash).or_else(|| self.below.get(&height).copied())
    }

    /// The hits of a block, as the scan of its bytes finds them.
    fn hits(&self, block: &Block, watch: &Watch) -> Vec<Hit> {
        let scanned = scan(&serialize(block), watch).expect("a block");
        scanned.hits.into_iter().map(|hit| self.with_coin(hit)).collect()
    }

    fn with_coin(&self, hit: Hit) -> Hit {
        let input_zero = hit.tx.input.first().and_then(|input| self.coins.get(&input.previous_output));
        Hit { input_zero: input_zero.cloned(), ..hit }
    }
}

/// The coins that a transaction makes.
pub fn made_by(tx: &Transaction) -> impl Iterator<Item = (OutPoint, TxOut)> + '_ {
    let txid = tx.compute_txid();
    (0u32..).zip(&tx.output).map(move |(vout, output)| (OutPoint::new(txid, vout), output.clone()))
}

impl BestChain for Hearsay {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        self.state().hash(height)
    }

    fn tip(&self) -> Height {
        self.state().tip().height
    }
}

impl Ledger for Hearsay {
    fn chain(&self) -> &Chain {
        &self.chain
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        Ok(self.state().tip())
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        let state = self.state();
        if state.hash(after.height) != Some(after.hash) {
            return Ok(Next::Disconnect);
        }
        let height = after.height.next();
        Ok(state.block(height).map_or(Next::AtTip, |block| {
            let at = BlockRef::new(height, block.block_hash());
            Next::Connect(Connected { at, header: block.header, hits: state.hits(block, watch) })
        }))
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        Ok(self.state().hash(height).map(|hash| BlockRef::new(height, hash)))
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        let state = self.state();
        Ok(state.blocks.iter().map(|block| block.header).find(|header| header.block_hash() == *hash))
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        let output = self.output(outpoint);
        Ok(output.map(|output| Coin { output, height: None, coinbase: false }))
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        let mut state = self.state();
        let lost = || {
            let (backend, reason) = ("a node".to_owned(), "it hung up".to_owned());
            BroadcastError::from(LedgerError::Unreachable { backend, reason })
        };
        let txid = tx.compute_txid();
        match state.answers {
            Answers::Refuses(reason) => {
                return Err(Refusal { txid, reason: reason.to_owned(), detail: None }.into());
            }
            Answers::IsLost => return Err(lost()),
            Answers::Takes | Answers::TakesAndIsLost => {
                let tx = Arc::new(tx.clone());
                state.handed_over.push(Arc::clone(&tx));
                state.add(tx);
            }
        }
        if state.answers == Answers::Takes { Ok(txid) } else { Err(lost()) }
    }

    fn check(&self, _: &Transaction) -> Result<(), BroadcastError> {
        Ok(())
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        let state = self.state();
        let txdata: Vec<Transaction> = state.pool.iter().map(|tx| tx.as_ref().clone()).collect();
        let header = Header {
            version: Version::TWO,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 0,
            bits: CompactTarget::from_consensus(0),
            nonce: 0,
        };
        Ok(state.hits(&Block { header, txdata }, watch))
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        Ok(self.state().pool.iter().find(|tx| tx.compute_txid() == *txid).cloned())
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        Ok(self.state().feerate)
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        Ok(self.state().most_data)
    }

    fn wait(&self, _: BlockRef, _: Duration) -> Result<BlockRef, LedgerError> {
        Ledger::tip(self)
    }
}
