//! The best chain of a simulated ledger: its blocks and the coins they leave.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::constants::genesis_block;
use bitcoin::hashes::Hash;
use bitcoin::script::Builder;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, BlockHash, CompactTarget, Network, OutPoint, Script, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, merkle_tree,
};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{Coin, Hit, Watch};

const BLOCK_SECONDS: u32 = 600;

/// A mined transaction and the coins it spent.
#[derive(Clone, Debug)]
struct Mined {
    txid: Txid,
    tx: Arc<Transaction>,
    spent: Vec<Coin>,
}

/// A block of the best chain.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) at: BlockRef,
    pub(super) header: Header,
    txs: Vec<Mined>,
}

impl Block {
    /// The transactions that matter (contract 3 and 4).
    pub(super) fn hits(&self, watch: &Watch) -> Vec<Hit> {
        let mut matcher = Matcher::new(watch);
        (0..)
            .zip(&self.txs)
            .filter(|(_, mined)| matcher.is_hit(mined.txid, &mined.tx))
            .map(|(position, mined)| Hit {
                position,
                txid: mined.txid,
                tx: Arc::clone(&mined.tx),
                input_zero: mined.spent.first().map(|coin| coin.output.clone()),
            })
            .collect()
    }
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    /// By height, from the genesis block on.
    blocks: Vec<Arc<Block>>,
    /// Ordered, so that every run walks them in the same order.
    coins: BTreeMap<OutPoint, Coin>,
    headers: HashMap<BlockHash, Header>,
    subsidy: Amount,
    /// How many blocks were ever mined: no two are the same.
    mined: u32,
}

impl Branch {
    pub(super) fn new(chain: &Chain, subsidy: Amount) -> Self {
        let header = genesis_block(Network::Regtest).header;
        let at = BlockRef::new(Height::GENESIS, chain.genesis());
        let genesis = Arc::new(Block { at, header, txs: Vec::new() });
        let headers = HashMap::from([(at.hash, header)]);
        Self { blocks: vec![genesis], coins: BTreeMap::new(), headers, subsidy, mined: 0 }
    }

    pub(super) fn tip(&self) -> BlockRef {
        // There is always the genesis block.
        self.blocks.last().map_or(BlockRef::new(Height::GENESIS, BlockHash::all_zeros()), |block| block.at)
    }

    /// The tip's time: what locks by time are measured against.
    pub(super) fn time(&self) -> u32 {
        self.blocks.last().map_or(0, |block| block.header.time)
    }

    pub(super) fn block(&self, height: Height) -> Option<&Block> {
        self.blocks.get(usize::try_from(height.to_u32()).ok()?).map(Arc::as_ref)
    }

    pub(super) fn at(&self, height: Height) -> Option<BlockRef> {
        self.block(height).map(|block| block.at)
    }

    pub(super) fn header(&self, hash: &BlockHash) -> Option<Header> {
        self.headers.get(hash).copied()
    }

    /// The ids of the transactions of a block of the branch.
    pub(super) fn txids(&self, hash: &BlockHash) -> Option<Vec<Txid>> {
        let block = self.blocks.iter().find(|block| block.at.hash == *hash)?;
        Some(block.txs.iter().map(|mined| mined.txid).collect())
    }

    pub(super) fn coin(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.coins.get(outpoint)
    }

    pub(super) fn coins_of(&self, script: &Script) -> Vec<(OutPoint, Coin)> {
        let own = self.coins.iter().filter(|(_, coin)| coin.output.script_pubkey.as_script() == script);
        own.map(|(outpoint, coin)| (*outpoint, coin.clone())).collect()
    }

    /// The unspent outputs to scripts' hashes.
    pub(super) fn script_hashes(&self) -> Vec<OutPoint> {
        let coins = self.coins.iter().filter(|(_, coin)| coin.output.script_pubkey.is_p2wsh());
        coins.map(|(outpoint, _)| *outpoint).collect()
    }

    /// All but the coinbases.
    pub(super) fn transactions(&self) -> Vec<(Height, Arc<Transaction>)> {
        let with_height = |block: &Arc<Block>| {
            block.txs.iter().skip(1).map(|mined| (block.at.height, Arc::clone(&mined.tx))).collect::<Vec<_>>()
        };
        self.blocks.iter().flat_map(with_height).collect()
    }

    /// The transaction of that id. The newest blocks are looked at first: there it mostly is.
    pub(super) fn transaction(&self, txid: &Txid) -> Option<Arc<Transaction>> {
        let mut mined = self.blocks.iter().rev().flat_map(|block| &block.txs);
        mined.find(|mined| mined.txid == *txid).map(|mined| Arc::clone(&mined.tx))
    }

    /// What an output of the best chain holds or held.
    pub(super) fn output(&self, outpoint: &OutPoint) -> Option<TxOut> {
        let vout = usize::try_from(outpoint.vout).ok()?;
        self.transaction(&outpoint.txid)?.output.get(vout).cloned()
    }

    /// Adds a block of these transactions, which must be valid here in this order.
    pub(super) fn extend(&mut self, to: &Script, txs: &[Arc<Transaction>]) -> BlockRef {
        self.mined += 1;
        let height = self.tip().height.next();
        let coinbase = Arc::new(self.coinbase(to, height));
        let txs: Vec<Mined> =
            std::iter::once(&coinbase).chain(txs).map(|tx| self.connect(tx, height)).collect();
        let header = self.next_header(txs.iter().map(|mined| mined.txid));
        let at = BlockRef::new(height, header.block_hash());
        self.headers.insert(at.hash, header);
        self.blocks.push(Arc::new(Block { at, header, txs }));
        at
    }

    /// Takes blocks away, never the genesis block. Returns what they held, in the order in which it was mined.
    pub(super) fn shorten(&mut self, blocks: u32) -> Vec<Arc<Transaction>> {
        let mut returned = Vec::new();
        for _ in 0..blocks {
            if self.blocks.len() <= 1 {
                break;
            }
            let Some(block) = self.blocks.pop() else { break };
            block.txs.iter().rev().for_each(|mined| self.disconnect(mined));
            returned.splice(0..0, block.txs.iter().skip(1).map(|mined| Arc::clone(&mined.tx)));
        }
        returned
    }

    fn connect(&mut self, tx: &Arc<Transaction>, height: Height) -> Mined {
        let spent = tx.input.iter().filter_map(|input| self.coins.remove(&input.previous_output)).collect();
        let txid = tx.compute_txid();
        for (vout, output) in (0u32..).zip(&tx.output) {
            if !output.script_pubkey.is_op_return() {
                let coin = Coin { output: output.clone(), height: Some(height), coinbase: tx.is_coinbase() };
                self.coins.insert(OutPoint::new(txid, vout), coin);
            }
        }
        Mined { txid, tx: Arc::clone(tx), spent }
    }

    fn disconnect(&mut self, mined: &Mined) {
        for (vout, _) in (0u32..).zip(&mined.tx.output) {
            self.coins.remove(&OutPoint::new(mined.txid, vout));
        }
        let inputs = mined.tx.input.iter().map(|input| input.previous_output);
        self.coins.extend(inputs.zip(mined.spent.iter().cloned()));
    }

    fn coinbase(&self, to: &Script, height: Height) -> Transaction {
        let number = Builder::new().push_int(height.to_u32().into()).push_int(self.mined.into());
        let input = TxIn {
            previous_output: OutPoint::null(),
            script_sig: number.into_script(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let output = TxOut { value: self.subsidy, script_pubkey: to.to_owned() };
        Transaction {
            version: Version::ONE,
            lock_time: LockTime::ZERO,
            input: vec![input],
            output: vec![output],
        }
    }

    fn next_header(&self, txids: impl Iterator<Item = Txid>) -> Header {
        let root = merkle_tree::calculate_root(txids.map(Txid::to_raw_hash));
        Header {
            version: BlockVersion::TWO,
            prev_blockhash: self.tip().hash,
            merkle_root: root.map_or(TxMerkleNode::all_zeros(), TxMerkleNode::from_raw_hash),
            time: self.time().saturating_add(BLOCK_SECONDS),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: self.mined,
        }
    }
}

/// Decides which of a sequence of transactions are hits, remembering what earlier ones brought.
pub(super) struct Matcher<'w> {
    watch: &'w Watch,
    fresh: HashSet<OutPoint>,
}

impl<'w> Matcher<'w> {
    pub(super) fn new(watch: &'w Watch) -> Self {
        Self { watch, fresh: HashSet::new() }
    }

    pub(super) fn is_hit(&mut self, txid: Txid, tx: &Transaction) -> bool {
        let mut spent = tx.input.iter().map(|input| &input.previous_output);
        let spends = spent.any(|outpoint| self.watch.has_outpoint(outpoint) || self.fresh.contains(outpoint));
        let before = self.fresh.len();
        let paid =
            (0u32..).zip(&tx.output).filter(|(_, output)| self.watch.has_script(&output.script_pubkey));
        self.fresh.extend(paid.map(|(vout, _)| OutPoint::new(txid, vout)));
        spends || self.fresh.len() > before
    }
}
