//! Building a block.

use std::collections::HashSet;

use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::script::PushBytesBuf;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, Script, ScriptBuf, Sequence, Target, Transaction,
    TxIn, TxMerkleNode, TxOut, Txid, Witness, absolute, transaction,
};
use keyway_chain::Height;

use super::pool::{Entry, Pool};

/// What is left for the header, the coinbase and its outputs.
const MAX_WEIGHT: u64 = 4_000_000 - 8_000;
const MAX_SIGOPS: u64 = 80_000 - 400;
/// Regtest's blocks between halvings.
const HALVING: u32 = 150;

/// Where and how a block is to be built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    pub(super) parent: BlockHash,
    pub(super) height: Height,
    pub(super) bits: CompactTarget,
    pub(super) time: u32,
    pub(super) to: &'a Script,
    /// Different for every block of a ledger: two blocks in the same place are never the same.
    pub(super) nonce: u64,
}

/// A complete block with its work done.
pub(super) fn build(site: Site<'_>, txs: Vec<Transaction>, fees: Amount) -> Block {
    let mut txdata = vec![coinbase(site, fees)];
    txdata.extend(txs);
    let header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: site.parent,
        merkle_root: TxMerkleNode::all_zeros(),
        time: site.time,
        bits: site.bits,
        nonce: 0,
    };
    let mut block = Block { header, txdata };
    commit_to_witnesses(&mut block);
    block.header.merkle_root = block.compute_merkle_root().unwrap_or(block.header.merkle_root);
    work(&mut block.header);
    block
}

/// What a block of that height may create.
pub(super) fn subsidy(height: Height) -> Amount {
    let halvings = height.to_u32() / HALVING;
    Amount::from_sat(Amount::from_int_btc(50).to_sat().checked_shr(halvings).unwrap_or(0))
}

fn coinbase(site: Site<'_>, fees: Amount) -> Transaction {
    let height = i64::from(site.height.to_u32());
    let nonce = PushBytesBuf::from(site.nonce.to_le_bytes());
    let input = TxIn {
        previous_output: OutPoint::null(),
        script_sig: ScriptBuf::builder().push_int(height).push_slice(nonce).into_script(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[[0; 32]]),
    };
    let output = TxOut { value: subsidy(site.height) + fees, script_pubkey: site.to.to_owned() };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    }
}

/// BIP 141: the coinbase's last output commits to all witnesses.
fn commit_to_witnesses(block: &mut Block) {
    let Some(root) = block.witness_root() else { return };
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    let mut script = vec![0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
    script.extend_from_slice(commitment.as_byte_array());
    if let Some(coinbase) = block.txdata.first_mut() {
        let script_pubkey = ScriptBuf::from_bytes(script);
        coinbase.output.push(TxOut { value: Amount::ZERO, script_pubkey });
    }
}

/// On regtest every second attempt is a success.
fn work(header: &mut Header) {
    let target = Target::from_compact(header.bits);
    while header.validate_pow(target).is_err() {
        header.nonce = header.nonce.wrapping_add(1);
    }
}

/// The unmined transactions for the next block: those that pay best, each with what it rests on, as
/// many as fit; parents before children.
pub(super) fn choose(pool: &Pool) -> Vec<&Entry> {
    let all: Vec<&Entry> = pool.iter().collect();
    if fits(&all) {
        return all;
    }
    let mut chosen: HashSet<Txid> = HashSet::new();
    let mut size = (0, 0);
    let mut left: Vec<Package<'_>> = all.iter().map(|entry| Package::of(pool, entry)).collect();
    while let Some(best) = left.iter().enumerate().max_by(|a, b| a.1.cmp_rate(b.1)).map(|(i, _)| i) {
        let package = left.swap_remove(best);
        let fresh: Vec<&Entry> = package.entries.into_iter().filter(|e| !chosen.contains(&e.txid)).collect();
        let grown = fresh.iter().fold(size, |(w, s), e| (w + e.weight, s + e.sigops));
        if grown.0 <= MAX_WEIGHT && grown.1 <= MAX_SIGOPS {
            size = grown;
            chosen.extend(fresh.iter().map(|entry| entry.txid));
            left.retain_mut(|package| package.shrink(&chosen));
        }
    }
    all.into_iter().filter(|entry| chosen.contains(&entry.txid)).collect()
}

fn fits(entries: &[&Entry]) -> bool {
    entries.iter().map(|e| e.weight).sum::<u64>() <= MAX_WEIGHT
        && entries.iter().map(|e| e.sigops).sum::<u64>() <= MAX_SIGOPS
}

/// A transaction with those it rests on that are not chosen yet.
struct Package<'a> {
    entries: Vec<&'a Entry>,
    fee: u64,
    vsize: u64,
}

impl<'a> Package<'a> {
    fn of(pool: &'a Pool, entry: &'a Entry) -> Self {
        let mut entries = pool.ancestors(&entry.tx);
        entries.push(entry);
        let mut package = Self { entries, fee: 0, vsize: 0 };
        package.measure();
        package
    }

    fn measure(&mut self) {
        self.fee = self.entries.iter().map(|entry| entry.fee.to_sat()).sum();
        self.vsize = self.entries.iter().map(|entry| entry.vsize).sum();
    }

    /// Leaves out what is chosen; `false` if nothing remains.
    fn shrink(&mut self, chosen: &HashSet<Txid>) -> bool {
        self.entries.retain(|entry| !chosen.contains(&entry.txid));
        self.measure();
        !self.entries.is_empty()
    }

    fn cmp_rate(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) =
            (u128::from(self.fee) * u128::from(other.vsize), u128::from(other.fee) * u128::from(self.vsize));
        a.cmp(&b)
    }
}
