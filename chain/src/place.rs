//! Places in a chain.

use std::fmt;

use bitcoin::BlockHash;

/// Number of blocks below this one: the genesis block has height 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Height(u32);

impl Height {
    /// The genesis block.
    pub const GENESIS: Height = Height(0);

    /// A height as blocks count it.
    pub const fn new(height: u32) -> Self {
        Self(height)
    }

    /// As a plain number, for encodings and display.
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// The next block's height. Saturates at the largest encodable height.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The height below, unless this is the genesis block.
    pub const fn prev(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(h) => Some(Self(h)),
            None => None,
        }
    }

    /// The height `blocks` above this one.
    pub const fn plus(self, blocks: u32) -> Self {
        Self(self.0.saturating_add(blocks))
    }

    /// The height `blocks` below this one, or genesis.
    pub const fn minus(self, blocks: u32) -> Self {
        Self(self.0.saturating_sub(blocks))
    }

    /// How deep a block of this height lies under `tip`: 1 at the tip itself, 0 above it.
    pub const fn depth_under(self, tip: Height) -> Depth {
        if self.0 > tip.0 { Depth(0) } else { Depth((tip.0 - self.0).saturating_add(1)) }
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of blocks that confirm something: 0 unmined, 1 in the tip, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Depth(u32);

impl Depth {
    /// Not in the chain.
    pub const UNMINED: Depth = Depth(0);

    /// A count of confirmations.
    pub const fn new(confirmations: u32) -> Self {
        Self(confirmations)
    }

    /// As a plain number.
    pub const fn to_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One block of a chain, by height and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

impl BlockRef {
    /// The block of this height and hash.
    pub const fn new(height: Height, hash: BlockHash) -> Self {
        Self { height, hash }
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.height, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_the_tip_as_one_and_the_future_as_none() {
        let tip = Height::new(10);
        assert_eq!(Height::new(10).depth_under(tip), Depth::new(1));
        assert_eq!(Height::new(1).depth_under(tip), Depth::new(10));
        assert_eq!(Height::new(11).depth_under(tip), Depth::UNMINED);
        assert_eq!(Height::GENESIS.depth_under(Height::new(u32::MAX)), Depth::new(u32::MAX));
    }
}
