//! A block as a node hands it over, believed only as far as it proves itself.

use std::collections::HashSet;
use std::ops::ControlFlow;

use bitcoin::hashes::{Hash, HashEngine};
use bitcoin::{BlockHash, Txid};
use bitcoin_slices::{Visit, Visitor, bsl};
use keyway_chain::{Chain, Family, work};

use crate::{Scanned, Watch, scan};

/// Finds the hits in a block after checking that it is the block of that hash, that its transactions are
/// those its header commits to, and that its work was done.
pub(super) fn read(bytes: &[u8], hash: &BlockHash, watch: &Watch, chain: &Chain) -> Result<Scanned, String> {
    let scanned = scan(bytes, watch).map_err(|error| match chain.family() {
        Family::Bitcoin => error.to_string(),
        Family::Litecoin => format!("{error}; blocks with MWEB need litecoind's -rpcserialversion=1"),
    })?;
    if scanned.header.block_hash() != *hash {
        return Err("it is another one".to_owned());
    }
    // Nobody worked for the first block of chains for testing.
    if *hash != chain.genesis() {
        work::check(&scanned.header, chain).map_err(|what| what.to_string())?;
    }
    let txids = Txids::of(bytes);
    if !txids.are_different() {
        return Err("it holds a transaction twice".to_owned());
    }
    if txids.root() != Some(scanned.header.merkle_root.to_byte_array()) {
        return Err("its transactions are not those of its header".to_owned());
    }
    Ok(scanned)
}

/// The ids of a block's transactions, in its order.
pub(super) fn txids(bytes: &[u8], hash: &BlockHash, chain: &Chain) -> Result<Vec<Txid>, String> {
    read(bytes, hash, &Watch::new(), chain)?;
    Ok(Txids::of(bytes).0)
}

/// See [`txids`].
struct Txids(Vec<Txid>);

impl Txids {
    /// Of a block that was parsed before.
    fn of(block: &[u8]) -> Self {
        let mut txids = Self(Vec::new());
        // It was found to be a block: this cannot stop early, and if it did the root would differ.
        let _ = bsl::Block::visit(block, &mut txids);
        txids
    }

    /// Doubled transactions at the end leave the root as it is.
    fn are_different(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().all(|txid| seen.insert(*txid))
    }

    fn root(&self) -> Option<[u8; 32]> {
        bitcoin::merkle_tree::calculate_root(self.0.iter().copied()).map(|root| root.to_byte_array())
    }
}

impl Visitor for Txids {
    fn visit_transaction(&mut self, tx: &bsl::Transaction) -> ControlFlow<()> {
        let (version, middle, lock_time) = tx.txid_preimage();
        let mut engine = Txid::engine();
        [version, middle, lock_time].into_iter().for_each(|part| engine.input(part));
        self.0.push(Txid::from_engine(engine));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::consensus::encode::serialize;
    use bitcoin::{Block, Network};

    fn genesis() -> Block {
        bitcoin::constants::genesis_block(Network::Regtest)
    }

    fn read_as(block: &Block, hash: BlockHash) -> Result<Scanned, String> {
        read(&serialize(block), &hash, &Watch::new(), &Chain::regtest())
    }

    #[test]
    fn a_block_that_proves_itself_is_read() {
        assert_eq!(read_as(&genesis(), genesis().block_hash()).unwrap().header, genesis().header);
    }

    #[test]
    fn another_block_than_the_one_asked_for_is_refused() {
        let error = read_as(&genesis(), BlockHash::all_zeros()).unwrap_err();
        assert_eq!(error, "it is another one");
    }

    #[test]
    fn transactions_that_the_header_does_not_commit_to_are_refused() {
        let mut block = genesis();
        block.txdata[0].output[0].value += bitcoin::Amount::ONE_SAT;
        let error = read_as(&block, block.block_hash()).unwrap_err();
        assert_eq!(error, "its transactions are not those of its header");
        block.txdata.clear();
        read_as(&block, block.block_hash()).unwrap_err();
    }

    #[test]
    fn a_doubled_transaction_that_leaves_the_root_as_it_is_is_refused() {
        let mut block = genesis();
        block.txdata[0].version.0 = 2;
        block.txdata = [0, 1, 2, 2]
            .map(|value| {
                let mut tx = block.txdata[0].clone();
                tx.lock_time = bitcoin::absolute::LockTime::from_consensus(value);
                tx
            })
            .to_vec();
        let honest = Block { txdata: block.txdata[..3].to_vec(), ..block.clone() };
        block.header.merkle_root = honest.compute_merkle_root().unwrap();
        assert_eq!(block.compute_merkle_root(), honest.compute_merkle_root());
        while work::check(&block.header, &Chain::regtest()).is_err() {
            block.header.nonce += 1;
        }
        assert_eq!(read_as(&block, block.block_hash()).unwrap_err(), "it holds a transaction twice");
    }
}
