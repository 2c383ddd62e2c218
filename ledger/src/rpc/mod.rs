//! A chain as a full node shows it over JSON-RPC: Bitcoin Core 28 or newer, Litecoin Core 0.21.
//!
//! The node needs no wallet and no transaction index, and may be pruned as far as the caller has followed
//! it. It is believed as little as can be: a block counts if it follows its parent, its transactions are
//! those of its header, and its work was done; what remains on trust is which chain is the best, what is
//! unspent and unmined, and the fee it advises.
//!
//! [`Hit::input_zero`](crate::Hit) comes from the node's undo data where it tells them (Bitcoin Core),
//! from its index if it has one, and else from the transaction that created the coin, if that is in the
//! same block, has another unspent output, or lies in one of the last [`LOOK_BACK`] blocks.

mod ahead;
mod block;
mod client;
mod credentials;
#[cfg(feature = "exponent")]
mod enforced;
mod header;
#[cfg(feature = "fuzz")]
pub mod hostile;
mod network;
mod pool;
mod prevouts;
mod reply;
mod sending;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::{BlockHash, FeeRate, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height, work};
use serde_json::json;

use self::client::{Call, CallError, Client};
pub use self::credentials::{Cookie, Credentials};
pub use self::network::{chain_of, check_address};
use self::pool::Pool;
pub use self::prevouts::LOOK_BACK;
use self::prevouts::Prevouts;
use crate::{BroadcastError, Coin, Connected, Hit, Ledger, LedgerError, Next, Watch};

/// How long an answer may take, unless told otherwise: a node that checks a block answers after it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Part of a wait that goes to the node in one question. It tells of new heights at once, of a chain
/// that became shorter after this time.
const WAIT: Duration = Duration::from_secs(1);
/// How often the chain may move while one question is answered.
const TRIES: usize = 20;

/// The node's numbers for its reasons.
mod code {
    pub(super) const MISC: i64 = -1;
    pub(super) const NO_SUCH_METHOD: i64 = -32_601;
    pub(super) const NOT_FOUND: i64 = -5;
    pub(super) const OUT_OF_RANGE: i64 = -8;
    pub(super) const NOT_DECODED: i64 = -22;
    pub(super) const TRANSACTION: i64 = -25;
    pub(super) const REJECTED: i64 = -26;
    pub(super) const IN_CHAIN: i64 = -27;
    pub(super) const WARMING_UP: i64 = -28;
}

/// Where a node is and how it knows us.
#[derive(Debug)]
pub struct Endpoint {
    /// `http://host:port`.
    pub url: String,
    /// What it wants before it answers.
    pub credentials: Credentials,
    /// How long an answer may take.
    pub patience: Duration,
}

/// A node's chain.
pub struct Rpc {
    chain: Chain,
    client: Client,
    /// Whether the node behind the address was seen to be one of this chain since it was last away.
    verified: AtomicBool,
    parents: header::LastSeen,
    ahead: ahead::Ahead,
    pool: Mutex<Pool>,
    prevouts: Prevouts,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({} at {})", self.chain.name(), self.client.url())
    }
}

impl Rpc {
    /// A node that is asked when there is something to ask. The address is checked, nothing else is.
    ///
    /// # Errors
    /// [`LedgerError::Address`] if the address is none.
    pub fn new(chain: Chain, endpoint: Endpoint) -> Result<Self, LedgerError> {
        let url = network::check_url(&endpoint.url)?;
        Ok(Self {
            chain,
            client: Client::new(url, endpoint.credentials, endpoint.patience),
            verified: AtomicBool::new(false),
            parents: header::LastSeen::default(),
            ahead: ahead::Ahead::default(),
            pool: Mutex::default(),
            prevouts: Prevouts::default(),
        })
    }

    /// A node that answers and is of this chain.
    ///
    /// # Errors
    /// What is wrong with the address, the credentials or the node.
    pub fn connect(chain: Chain, endpoint: Endpoint) -> Result<Self, LedgerError> {
        let rpc = Self::new(chain, endpoint)?;
        rpc.client()?;
        Ok(rpc)
    }

    /// The client, once the node is known to be one of this chain. Whoever answers at the address may be
    /// another one after a pause.
    fn client(&self) -> Result<&Client, LedgerError> {
        if !self.verified.load(Ordering::Acquire) {
            network::check(self)?;
            self.verified.store(true, Ordering::Release);
        }
        Ok(&self.client)
    }

    /// Who is meant in errors.
    fn name(&self) -> String {
        format!("the node at {}", self.client.url())
    }

    /// A failed call as the caller of the ledger understands it.
    fn failed(&self, error: CallError) -> LedgerError {
        let backend = self.name();
        match error {
            CallError::Transport(reason) => {
                self.verified.store(false, Ordering::Release);
                LedgerError::Unreachable { backend, reason }
            }
            CallError::Credentials(reason) => LedgerError::Credentials { backend, reason },
            CallError::Node { code: code::WARMING_UP, message } => {
                self.verified.store(false, Ordering::Release);
                LedgerError::Starting { backend, doing: message }
            }
            error => LedgerError::Nonsense { backend, what: error.to_string() },
        }
    }

    fn nonsense(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Nonsense { backend: self.name(), what: what.into() }
    }

    /// The best chain's block at a height.
    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, LedgerError> {
        // The node counts in signed numbers.
        if i32::try_from(height.to_u32()).is_err() {
            return Ok(None);
        }
        match self.client()?.call("getblockhash", [json!(height.to_u32())]) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.code() == Some(code::OUT_OF_RANGE) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn best(&self) -> Result<BlockHash, LedgerError> {
        self.client()?.call("getbestblockhash", []).map_err(|error| self.failed(error))
    }

    fn info(&self) -> Result<reply::ChainInfo, LedgerError> {
        self.client()?.call("getblockchaininfo", []).map_err(|error| self.failed(error))
    }

    /// A block's bytes, unchecked.
    fn block_bytes(&self, hash: &BlockHash) -> Result<Vec<u8>, LedgerError> {
        match self.client()?.call("getblock", [json!(hash), json!(0)]) {
            Ok(reply::Hex(bytes)) => Ok(bytes),
            Err(error) => Err(self.no_block(hash, error)),
        }
    }

    /// Why a block did not come.
    fn no_block(&self, hash: &BlockHash, error: CallError) -> LedgerError {
        match error {
            CallError::Node { code: code::MISC, message } if message.contains("pruned") => {
                LedgerError::Pruned { backend: self.name(), block: *hash }
            }
            error => self.failed(error),
        }
    }

    /// The block that follows `after`, if it is this one.
    fn connect_block(
        &self,
        after: BlockRef,
        hash: BlockHash,
        watch: &Watch,
    ) -> Result<Option<Connected>, LedgerError> {
        let at = BlockRef::new(after.height.next(), hash);
        let Some(bytes) = ahead::block_at(self, at)? else { return Ok(None) };
        let wrong = |what: String| self.nonsense(format!("block {hash}: {what}"));
        let scanned = block::read(&bytes, &hash, watch, &self.chain).map_err(wrong)?;
        if scanned.header.prev_blockhash != after.hash {
            return Ok(None);
        }
        let parent = self.parents.header(self, &after.hash)?;
        work::check_step(&parent, &scanned.header, at.height, &self.chain)
            .map_err(|what| wrong(what.to_string()))?;
        self.parents.remember(scanned.header);
        let mut hits = scanned.hits;
        self.prevouts.fill(self, at, &mut hits)?;
        Ok(Some(Connected { at, header: scanned.header, hits }))
    }
}

impl Ledger for Rpc {
    fn chain(&self) -> &Chain {
        &self.chain
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        let info = self.info()?;
        Ok(BlockRef::new(Height::new(info.blocks), info.bestblockhash))
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        if after.height == Height::GENESIS && after.hash != self.chain.genesis() {
            return Err(LedgerError::ForeignChain { expected: self.chain.genesis(), found: after.hash });
        }
        if let Some(hash) = self.ahead.of(after)
            && let Some(connected) = self.connect_block(after, hash, watch)?
        {
            return Ok(Next::Connect(connected));
        }
        for _ in 0..TRIES {
            match self.hash_at(after.height.next())? {
                Some(hash) => {
                    if let Some(connected) = self.connect_block(after, hash, watch)? {
                        return Ok(Next::Connect(connected));
                    }
                }
                None if self.best()? == after.hash => return Ok(Next::AtTip),
                None => {}
            }
            if self.hash_at(after.height)? != Some(after.hash) {
                return Ok(Next::Disconnect);
            }
            // The chain moved between two questions.
        }
        let reason = format!("its chain moved {TRIES} times while one block was asked for");
        Err(LedgerError::Unreachable { backend: self.name(), reason })
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        Ok(self.hash_at(height)?.map(|hash| BlockRef::new(height, hash)))
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        header::ask(self, hash)
    }

    fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        if self.header(hash)?.is_none() {
            return Ok(None);
        }
        let bytes = self.block_bytes(hash)?;
        let wrong = |what: String| self.nonsense(format!("block {hash}: {what}"));
        block::txids(&bytes, hash, &self.chain).map(Some).map_err(wrong)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        let params = [json!(outpoint.txid), json!(outpoint.vout), json!(true)];
        let found: Option<reply::TxOut> =
            self.client()?.call("gettxout", params).map_err(|error| self.failed(error))?;
        let Some(found) = found else { return Ok(None) };
        let height = match found.confirmations {
            0 => None,
            depth => {
                let tip = header::height(self, &found.bestblock)?;
                let below = tip.to_u32().checked_sub(depth - 1);
                let below = below.ok_or_else(|| self.nonsense("a coin older than the chain"))?;
                Some(Height::new(below))
            }
        };
        Ok(Some(Coin { output: found.output(), height, coinbase: found.coinbase }))
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        sending::broadcast(self, tx)
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        sending::check(self, tx)
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        pool::pending(self, watch)
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        let params = [json!(txid), json!(true)];
        let found: reply::Tx = match self.client()?.call("getrawtransaction", params) {
            Ok(found) => found,
            Err(error) if error.code() == Some(code::NOT_FOUND) => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let tx = found.hex.transaction().filter(|tx| tx.compute_txid() == *txid);
        let tx = tx.ok_or_else(|| self.nonsense(format!("what it gave for transaction {txid} is not it")))?;
        // With an index, it finds mined ones too.
        Ok(found.blockhash.is_none().then(|| Arc::new(tx)))
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        sending::feerate(self)
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        sending::most_data(self)
    }

    /// Whether an enforcer answers at the address: it knows a question that nodes do not.
    fn enforces_exponent(&self) -> Result<bool, LedgerError> {
        match self.client()?.call::<serde::de::IgnoredAny>("getexponentinfo", []) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(code::NO_SUCH_METHOD) => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        let deadline = Instant::now() + at_most;
        loop {
            if self.best()? != seen.hash {
                let tip = self.tip()?;
                if tip != seen {
                    return Ok(tip);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(seen);
            }
            self.wait_above(seen.height, left.min(WAIT))?;
        }
    }
}

impl Rpc {
    /// Returns when the chain is higher than `height`, or after `at_most`.
    fn wait_above(&self, height: Height, at_most: Duration) -> Result<(), LedgerError> {
        let began = Instant::now();
        // Zero would mean: for ever.
        let milliseconds = at_most.as_millis().max(1) as u64;
        let params = [json!(height.next().to_u32()), json!(milliseconds)];
        let call = Call::new("waitforblockheight", params);
        let tip: reply::Place =
            self.client()?.ask(&call, client::SMALL, at_most).map_err(|error| self.failed(error))?;
        // A node that shuts down answers at once, again and again.
        let rest = at_most.saturating_sub(began.elapsed()).min(Duration::from_millis(100));
        if tip.height <= height.to_u32() && !rest.is_zero() {
            std::thread::sleep(rest);
        }
        Ok(())
    }
}

#[cfg(feature = "testnode")]
impl Rpc {
    /// Asks the node anything, whichever chain it is of.
    pub(crate) fn raw<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        params: &[serde_json::Value],
    ) -> Result<T, String> {
        self.client.call(method, params).map_err(|error| error.to_string())
    }
}
