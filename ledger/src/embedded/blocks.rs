//! Which blocks there are, how they hang together, and which of them are the best chain.

use std::collections::{HashMap, HashSet};

use bitcoin::BlockHash;
use bitcoin::block::Header;
use keyway_chain::{BlockRef, Height};

use super::log::Extent;

/// A block of the log; only the genesis block has no place in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) height: Height,
    pub(super) header: Header,
    pub(super) extent: Option<Extent>,
}

/// All blocks, and the best chain among them.
#[derive(Debug)]
pub(super) struct Blocks {
    known: HashMap<BlockHash, Known>,
    /// As they came, without the genesis block.
    order: Vec<BlockHash>,
    genesis: BlockHash,
    /// By height, above the genesis block.
    best: Vec<BlockHash>,
}

/// The way from one tip to another.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// Blocks that leave, highest first.
    pub(super) leave: Vec<BlockHash>,
    /// Blocks that come, lowest first.
    pub(super) come: Vec<BlockHash>,
}

impl Blocks {
    pub(super) fn new(genesis: Header) -> Self {
        let hash = genesis.block_hash();
        let known = Known { height: Height::GENESIS, header: genesis, extent: None };
        Self { known: HashMap::from([(hash, known)]), order: Vec::new(), genesis: hash, best: Vec::new() }
    }

    /// Adds a block beside the best chain. `None` if its parent is unknown.
    pub(super) fn add(&mut self, header: Header, extent: Option<Extent>) -> Option<Height> {
        let height = self.known.get(&header.prev_blockhash)?.height.next();
        let hash = header.block_hash();
        self.known.insert(hash, Known { height, header, extent });
        self.order.push(hash);
        Some(height)
    }

    /// Notes where a block came to lie.
    pub(super) fn set_extent(&mut self, hash: &BlockHash, extent: Option<Extent>) {
        if let Some(known) = self.known.get_mut(hash) {
            known.extent = extent;
        }
    }

    pub(super) fn get(&self, hash: &BlockHash) -> Option<&Known> {
        self.known.get(hash)
    }

    /// All but the genesis block, in the order in which they came.
    pub(super) fn in_order(&self) -> &[BlockHash] {
        &self.order
    }

    pub(super) fn tip(&self) -> BlockRef {
        let height = Height::new(u32::try_from(self.best.len()).unwrap_or(u32::MAX));
        BlockRef::new(height, self.best.last().copied().unwrap_or(self.genesis))
    }

    pub(super) fn at(&self, height: Height) -> Option<BlockRef> {
        let hash = match height.prev() {
            None => Some(&self.genesis),
            Some(below) => self.best.get(below.to_u32() as usize),
        };
        hash.map(|hash| BlockRef::new(height, *hash))
    }

    pub(super) fn is_best(&self, block: BlockRef) -> bool {
        self.at(block.height) == Some(block)
    }

    /// The way from the tip to another known block.
    pub(super) fn path_to(&self, tip: &BlockHash) -> Option<Path> {
        let mut path = Path::default();
        let mut hash = *tip;
        let fork = loop {
            let known = self.known.get(&hash)?;
            if self.is_best(BlockRef::new(known.height, hash)) {
                break known.height;
            }
            path.come.push(hash);
            hash = known.header.prev_blockhash;
        };
        path.come.reverse();
        path.leave.extend(self.best.iter().skip(fork.to_u32() as usize).rev());
        Some(path)
    }

    /// Takes the tip off the best chain; it stays known.
    pub(super) fn pop(&mut self) {
        self.best.pop();
    }

    /// Puts a known child of the tip on the best chain.
    pub(super) fn push(&mut self, hash: BlockHash) {
        self.best.push(hash);
    }

    /// Forgets every block that is not in the best chain.
    pub(super) fn forget_others(&mut self) {
        let best: HashSet<_> = self.best.iter().chain([&self.genesis]).copied().collect();
        self.known.retain(|hash, _| best.contains(hash));
        self.order.retain(|hash| best.contains(hash));
    }

    /// The median time of a known block and the ten before it: the chain's clock.
    pub(super) fn median_time(&self, hash: &BlockHash) -> u32 {
        let mut times = Vec::with_capacity(11);
        let mut next = self.known.get(hash);
        while let Some(known) = next
            && times.len() < 11
        {
            times.push(known.header.time);
            next = self.known.get(&known.header.prev_blockhash);
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}
