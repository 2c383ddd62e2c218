//! Headers that follow one another, and what they say of time and work (PROTOCOL.md 13.2).

use bitcoin::block::Header;
use bitcoin::pow::Work;
use bitcoin::{BlockHash, Target};
use keyway_chain::work::{self, BadWork};
use keyway_chain::{BlockRef, Chain, Depth, Height};
use thiserror::Error;

/// Headers below the offer's block: with its own, those whose median is its time.
pub const LEAD: u32 = 10;

/// The most headers of a file: more than the lead, the window for answers and the depth together.
pub const MOST_HEADERS: usize = 4_200;

/// A run of headers; the first one's height is claimed, the rest count from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    pub(crate) first: Height,
    pub(crate) headers: Vec<Header>,
}

/// Headers that are no part of their chain.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WrongHeaders {
    /// One does not name the one before as its parent.
    #[error("the header at height {0} does not follow the one before it")]
    Link(Height),
    /// One was not worked for.
    #[error("the header at height {0}: {1}")]
    Work(Height, BadWork),
    /// The first block of another chain.
    #[error("height 0 is not this chain's first block, or its first block is not at height 0")]
    Genesis,
}

impl Headers {
    /// Of the first one's height, lowest first.
    pub fn new(first: Height, headers: Vec<Header>) -> Self {
        Self { first, headers }
    }

    /// Whether they follow one another and were worked for, as their chain asks.
    ///
    /// # Errors
    /// [`WrongHeaders`].
    pub fn check(&self, chain: &Chain) -> Result<(), WrongHeaders> {
        let mut parent: Option<&Header> = None;
        for (height, header) in (self.first.to_u32()..).map(Height::new).zip(&self.headers) {
            let hash = header.block_hash();
            if (height == Height::GENESIS) != (hash == chain.genesis()) {
                return Err(WrongHeaders::Genesis);
            }
            // Nobody worked for the first block of chains for testing.
            if height != Height::GENESIS {
                work::check(header, chain).map_err(|why| WrongHeaders::Work(height, why))?;
            }
            if let Some(parent) = parent {
                if header.prev_blockhash != parent.block_hash() {
                    return Err(WrongHeaders::Link(height));
                }
                work::check_step(parent, header, height, chain)
                    .map_err(|why| WrongHeaders::Work(height, why))?;
            }
            parent = Some(header);
        }
        Ok(())
    }

    /// The first one's height.
    pub fn first(&self) -> Height {
        self.first
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// The last one's height.
    pub fn last(&self) -> Height {
        self.first.plus(u32::try_from(self.headers.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// The header at a height.
    pub fn at(&self, height: Height) -> Option<&Header> {
        let index = height.to_u32().checked_sub(self.first.to_u32())?;
        self.headers.get(usize::try_from(index).ok()?)
    }

    /// The block at a height.
    pub fn block(&self, height: Height) -> Option<BlockRef> {
        self.at(height).map(|header| BlockRef::new(height, header.block_hash()))
    }

    /// The height of the block of that hash, if it is one of these.
    pub fn height_of(&self, hash: &BlockHash) -> Option<Height> {
        let index = self.headers.iter().position(|header| header.block_hash() == *hash)?;
        Some(self.first.plus(u32::try_from(index).ok()?))
    }

    /// The median time of a block and the ten before it; none where these are not all here.
    pub fn median_time(&self, height: Height) -> Option<u32> {
        let from = height.minus(LEAD).to_u32();
        let times: Option<Vec<u32>> =
            (from..=height.to_u32()).map(|height| Some(self.at(Height::new(height))?.time)).collect();
        median(times?)
    }

    /// What the blocks from a height up to the last took to make, in hashes.
    pub fn work_from(&self, height: Height) -> Option<Work> {
        let from = usize::try_from(height.to_u32().checked_sub(self.first.to_u32())?).ok()?;
        let works =
            self.headers.get(from..)?.iter().map(|header| Target::from_compact(header.bits).to_work());
        works.reduce(|sum, work| sum + work)
    }

    /// How many blocks there are from a height up to the last.
    pub fn depth_of(&self, height: Height) -> Depth {
        height.depth_under(self.last())
    }
}

/// The middle one of some times.
pub(crate) fn median(mut times: Vec<u32>) -> Option<u32> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
