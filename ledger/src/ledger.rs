//! The trait and its contract.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, FeeRate, OutPoint, Transaction, TxOut, Txid};
use keyway_chain::{BlockRef, Chain, Depth, Height};

use crate::{BroadcastError, LedgerError, Watch};

/// What [`Ledger::next`] says about the block that the caller processed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is in the best chain and this block follows it.
    Connect(Connected),
    /// It is not in the best chain: take back what it brought, then ask again with its parent.
    Disconnect,
    /// It is the best chain's tip.
    AtTip,
}

/// A block of the best chain with the transactions in it that matter to the caller's [`Watch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Its place in the chain.
    pub at: BlockRef,
    /// Its header: its time, and its parent, which is always the block that was asked about.
    pub header: Header,
    /// The matching transactions in block order.
    pub hits: Vec<Hit>,
}

/// A transaction that matters to a [`Watch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its index in the block; in [`Ledger::pending`], its index in the list.
    pub position: u32,
    /// Its id, computed from its bytes by this process.
    pub txid: Txid,
    /// The transaction itself.
    pub tx: Arc<Transaction>,
    /// The coin that input 0 spends, where the backend can give it (contract 4.4). The reader of a
    /// signature in input 0 needs its amount and script.
    pub input_zero: Option<TxOut>,
}

/// An unspent output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Its amount and script.
    pub output: TxOut,
    /// Height of the block that created it; `None` while its transaction is unmined.
    pub height: Option<Height>,
    /// Whether a coinbase created it: such a coin can be spent when it is 100 blocks deep.
    pub coinbase: bool,
}

impl Coin {
    /// How many blocks confirm it when the best chain ends at `tip`.
    pub fn depth_under(&self, tip: Height) -> Depth {
        self.height.map_or(Depth::UNMINED, |height| height.depth_under(tip))
    }
}

/// A chain as a backend shows it.
///
/// # The contract
///
/// Every backend passes the tests in `keyway_ledger::contract`; each names the clause it checks.
///
/// **1. Following.**
/// 1. [`next`](Ledger::next) is a pure question: it remembers nothing of the caller and changes
///    nothing. The caller keeps its own list of processed blocks, so that it can stop, crash and
///    go on at any step.
/// 2. If `after` is in the best chain and is not its tip, the answer is [`Next::Connect`] with the
///    block at the next height; its parent is `after.hash`. Blocks come one by one, ascending,
///    without a gap and without a duplicate.
/// 3. A caller begins with the genesis block (height 0) or any block of the best chain as `after`
///    and never receives that block itself.
/// 4. [`Next::AtTip`] means that `after` is the tip at that moment.
///
/// **2. Reorganisations.**
/// 1. If the best chain has another block at `after.height`, or none, the answer is
///    [`Next::Disconnect`]. The caller takes back everything that block brought and asks again
///    with its parent. So blocks leave descending, each exactly once, before others come.
/// 2. A bare rollback (the chain becomes shorter and nothing replaces it) is reported in the same
///    way: by `Disconnect` until the tip is reached, then `AtTip`.
/// 3. A block the backend has never heard of is answered by `Disconnect` too, unless its height is
///    0: another genesis block is [`LedgerError::ForeignChain`]. So a caller's list always ends.
/// 4. A block that left and came back is an ordinary `Connect`, with the same hits.
/// 5. The best chain may change between any two calls; no answer mixes two chains.
///
/// **3. Which transactions are hits.** Exactly those of the block
/// 1. that have an output whose script is watched, or
/// 2. that spend a watched outpoint, or
/// 3. that spend an output with a watched script of an earlier transaction of the same block. (The
///    caller had no chance to watch that outpoint. Between blocks it has, and must: an output of a
///    hit that matters is added to the watch before the next block is asked for.)
///
/// **4. What a hit carries.**
/// 1. Hits come in block order; each transaction is at most one hit, however often it matches.
/// 2. The coinbase can be a hit.
/// 3. The transaction is complete, witness included.
/// 4. [`Hit::input_zero`] is the coin that input 0 spends. It is `None` for a coinbase and where the
///    backend cannot know it; then the caller must know the coin from a watch of its own.
///
/// **5. Confirmed** means: in a block of the best chain. The tip's transactions have depth 1, their
/// parents' 2, unmined ones 0 ([`Depth`]). Nothing is ever final; how deep is enough is the
/// caller's policy.
///
/// **6. Coins.** [`coin`](Ledger::coin) shows an output if it exists and neither the best chain nor
/// an unmined transaction that this backend holds spends it. An output of an unmined transaction
/// has no height.
///
/// **7. Broadcasting.**
/// 1. `Ok` means that the backend holds the transaction: unmined, or in the best chain. It is not a
///    promise that it will be mined or that it stays.
/// 2. Broadcasting again what is pending or mined is `Ok` and changes nothing. (A backend without
///    a transaction index recognises a mined transaction only while one of its outputs is unspent;
///    afterwards the refusal is [`RefusalKind::MissingInputs`](crate::RefusalKind).)
/// 3. A refusal ([`Refusal`](crate::Refusal)) carries the node's own reason, changes nothing, and
///    says whether trying later can help.
/// 4. [`check`](Ledger::check) says what `broadcast` would, changes nothing, and calls a
///    transaction it holds already a refusal (`txn-already-in-mempool`, `txn-already-known`).
/// 5. A transaction of a block that left the best chain becomes pending again if it is still
///    valid. Those that conflict with the best chain or with a replacement leave without a word:
///    the sender keeps its transactions and broadcasts again what it still wants.
///
/// 6. [`most_data`](Ledger::most_data) is the backend's policy for data outputs (OP_RETURN), counted in bytes of
///    their scripts: what a transaction has more of is refused. A backend that cannot say takes the old limit
///    of 83 bytes.
///
/// **8. Pending.** [`pending`](Ledger::pending) lists the unmined transactions this backend holds
/// that match the watch in the sense of clause 3, parents before children. The list is a courtesy:
/// it may lack what other nodes hold, and what it shows may vanish.
///
/// **9. Waiting.** [`wait`](Ledger::wait) returns the tip as soon as it differs from `seen`, and at
/// the latest when the time is up. It does not say what changed: ask `next`.
///
/// **10. Threads.** All methods take `&self` and may be called from several threads at once; each
/// answer is consistent in itself. `wait` does not hold up the others.
///
/// **11. Errors.**
/// 1. No answer is invented: a backend that cannot say returns an error. One that lacks a feature
///    returns [`LedgerError::Unsupported`], always the same for the same call.
/// 2. Each error names whose fault it is ([`LedgerError::fault`]). After an error the caller may
///    repeat the call; nothing happened half.
/// 3. A backend that is still catching up with its network ([`LedgerError::Behind`]) answers
///    questions about the part it has, and refuses to broadcast.
/// 4. Bytes from outside never make a backend panic.
///
/// **12. OP_EXPONENT.** [`enforces_exponent`](Ledger::enforces_exponent) says whether this backend keeps the rule of
/// docs/OP_EXPONENT.md: no block that breaks it is ever in the best chain that it shows, from where it began to keep it,
/// and `broadcast` takes spendings that keep it. A backend that does not know the rule answers `false`.
///
/// **13. What a block holds.** [`txids`](Ledger::txids) lists the ids of a block's transactions in the block's order, the
/// coinbase's first: those that the header commits to. A block that the backend no longer has is
/// [`LedgerError::Pruned`].
pub trait Ledger: Send + Sync {
    /// The chain it shows.
    fn chain(&self) -> &Chain;

    /// The best chain's last block.
    ///
    /// # Errors
    /// See clause 11.
    fn tip(&self) -> Result<BlockRef, LedgerError>;

    /// What comes after the block the caller processed last (clauses 1 to 4).
    ///
    /// # Errors
    /// [`LedgerError::ForeignChain`] if `after` is another genesis block; else see clause 11.
    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError>;

    /// The best chain's block at a height, `None` above the tip.
    ///
    /// # Errors
    /// See clause 11.
    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError>;

    /// The header of any block the backend knows, also off the best chain.
    ///
    /// # Errors
    /// See clause 11.
    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError>;

    /// The ids of the transactions of any block the backend knows (clause 13).
    ///
    /// # Errors
    /// [`LedgerError::Pruned`], [`LedgerError::Unsupported`]; else see clause 11.
    fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        let _ = hash;
        Err(LedgerError::Unsupported { backend: "this ledger", what: "say what a block holds" })
    }

    /// An unspent output (clause 6); `None` if it does not exist or is spent.
    ///
    /// # Errors
    /// See clause 11.
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError>;

    /// Hands a transaction to the backend (clause 7).
    ///
    /// # Errors
    /// [`BroadcastError::Refused`] with the node's own reason; else see clause 11.
    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError>;

    /// Whether `broadcast` would take this transaction as a new one (clause 7.4).
    ///
    /// # Errors
    /// As [`broadcast`](Ledger::broadcast).
    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError>;

    /// Unmined transactions that match the watch (clause 8).
    ///
    /// # Errors
    /// See clause 11.
    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError>;

    /// The unmined transaction of that id, if this backend holds it.
    ///
    /// # Errors
    /// See clause 11.
    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError>;

    /// Feerate that gets a transaction mined soon, never under what the backend relays.
    ///
    /// # Errors
    /// See clause 11.
    fn feerate(&self) -> Result<FeeRate, LedgerError>;

    /// Whether outputs locked by OP_EXPONENT are locked here (clause 12).
    ///
    /// # Errors
    /// See clause 11.
    fn enforces_exponent(&self) -> Result<bool, LedgerError> {
        Ok(false)
    }

    /// Most bytes of data outputs' scripts that it relays in a transaction (clause 7.6).
    ///
    /// # Errors
    /// See clause 11.
    fn most_data(&self) -> Result<usize, LedgerError>;

    /// Returns the tip when it differs from `seen` or when the time is up (clause 9).
    ///
    /// # Errors
    /// See clause 11.
    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError>;
}
