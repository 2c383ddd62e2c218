//! Session keys that follow the chain's blocks (PROTOCOL.md 10).

use std::collections::BTreeMap;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, Height};
use thiserror::Error;

use crate::kdf::{Extractor, Scratch, expand};
use crate::negotiation::{MasterKey, Role};
use crate::secret::Secret;

/// Blocks whose session keys can be used: the tip and 99 below it.
pub const WINDOW: u32 = 100;

/// The hashes of the reader's best chain, as far as a ratchet needs them.
pub trait BestChain {
    /// The hash of its block at `height`; `None` above the tip or where it is no longer known.
    fn hash_at(&self, height: Height) -> Option<BlockHash>;
    /// The height of its last block.
    fn tip(&self) -> Height;
}

/// The oldest chain key that is still kept, and the blocks it belongs to.
#[derive(Debug)]
pub struct Ratchet {
    first: Height,
    oldest: BlockRef,
    ck: Secret,
}

/// Why a block has no session key here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoSession {
    /// The block lies below the key's first block.
    #[error("block {height} lies below the key's first block {first}")]
    BeforeKey {
        /// The block.
        height: Height,
        /// The block of the answer.
        first: Height,
    },
    /// The block lies below the window: its key was erased.
    #[error("block {height} lies below the window, whose oldest block is {oldest}: its key was erased")]
    BelowWindow {
        /// The block.
        height: Height,
        /// The oldest block whose key is kept.
        oldest: Height,
    },
    /// The block is above the tip: this node is behind.
    #[error(
        "block {height} is not known here, the chain is at {tip}: this node is behind, try again after its next block"
    )]
    Unknown {
        /// The block.
        height: Height,
        /// The reader's tip.
        tip: Height,
    },
    /// Another block of that height is in the best chain.
    #[error(
        "block {0} is not in the best chain here: the sender follows another branch, try again after the next block"
    )]
    OtherBranch(BlockRef),
    /// A reorganisation went deeper than the window.
    #[error(
        "the chain was reorganised below block {0}, the oldest whose key is kept: the key is lost, negotiate again"
    )]
    Lost(Height),
}

/// The key of one block and direction.
#[derive(Debug)]
pub struct SessionKey(pub(crate) Secret);

impl SessionKey {
    /// From its bytes, as a party disclosed them (PROTOCOL.md 13.5).
    pub fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// Its bytes, for vectors.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }
}

impl Ratchet {
    /// Begins at the answer's block: ck(h0) = mk.
    pub fn start(first: BlockRef, mk: MasterKey) -> Self {
        Self { first: first.height, oldest: first, ck: mk.into_secret() }
    }

    /// From what a store kept.
    pub fn from_parts(first: Height, oldest: BlockRef, ck: Secret) -> Self {
        Self { first, oldest, ck }
    }

    /// The answer's height.
    pub fn first(&self) -> Height {
        self.first
    }

    /// The oldest block whose key is kept.
    pub fn oldest(&self) -> BlockRef {
        self.oldest
    }

    /// ck of the oldest block, for the store and vectors.
    pub fn ck(&self) -> &Secret {
        &self.ck
    }

    /// Erases what lies below the window of `chain`'s tip. Whether anything was erased.
    ///
    /// For many keys, [`Steps::advance`] does the same in less time.
    ///
    /// # Errors
    /// [`NoSession::Lost`] if the oldest block is not in `chain`, [`NoSession::Unknown`] if `chain`
    /// does not give a hash in between.
    pub fn advance(&mut self, chain: &impl BestChain) -> Result<bool, NoSession> {
        Steps::over(chain).advance(self)
    }

    /// sk of `block` for messages that `sender` seals.
    ///
    /// # Errors
    /// [`NoSession`] says what the two sides see differently.
    pub fn session(
        &self,
        chain: &impl BestChain,
        block: BlockRef,
        sender: Role,
    ) -> Result<SessionKey, NoSession> {
        let BlockRef { height, hash } = block;
        if height < self.first {
            return Err(NoSession::BeforeKey { height, first: self.first });
        }
        let oldest = self.oldest.height.max(chain.tip().minus(WINDOW - 1));
        if height < oldest {
            return Err(NoSession::BelowWindow { height, oldest });
        }
        if height > chain.tip() {
            return Err(NoSession::Unknown { height, tip: chain.tip() });
        }
        let (ck, best) = Steps::over(chain).key_at(self, height)?;
        if best.hash != hash {
            return Err(NoSession::OtherBranch(block));
        }
        let direction = match sender {
            Role::Initiator => 1,
            Role::Responder => 2,
        };
        Ok(SessionKey(expand(&ck, "session", &[&[direction], &height.to_u32().to_be_bytes()])))
    }
}

/// The steps that a chain's blocks are to every key: each block's hash is prepared once, however many keys take it.
pub struct Steps<'c, C> {
    blocks: Blocks<'c, C>,
    /// The way that was taken last: most keys of a party go the same.
    last: Option<Way>,
    scratch: Scratch,
}

/// The blocks of a best chain, as far as they were prepared.
struct Blocks<'c, C> {
    chain: &'c C,
    tip: Height,
    prepared: BTreeMap<Height, Extractor>,
}

/// The steps from one block to another above it.
struct Way {
    from: BlockRef,
    end: BlockRef,
    steps: Vec<Extractor>,
}

impl<'c, C: BestChain> Steps<'c, C> {
    /// Over the blocks of `chain`, which must stay as it is meanwhile.
    pub fn over(chain: &'c C) -> Self {
        let blocks = Blocks { chain, tip: chain.tip(), prepared: BTreeMap::new() };
        Self { blocks, last: None, scratch: Scratch::new() }
    }

    /// [`Ratchet::advance`].
    ///
    /// # Errors
    /// As there; the key is as it was.
    pub fn advance(&mut self, ratchet: &mut Ratchet) -> Result<bool, NoSession> {
        let target = ratchet.first.max(self.blocks.tip.minus(WINDOW - 1));
        if target <= ratchet.oldest.height {
            return Ok(false);
        }
        self.go(&mut ratchet.ck, &mut ratchet.oldest, target)?;
        Ok(true)
    }

    /// ck of the best chain's block at `height`, and that block.
    fn key_at(&mut self, ratchet: &Ratchet, height: Height) -> Result<(Secret, BlockRef), NoSession> {
        let (mut ck, mut block) = (ratchet.ck.duplicate(), ratchet.oldest);
        self.go(&mut ck, &mut block, height)?;
        Ok((ck, block))
    }

    /// Takes a key from its block to the one at `to`, or leaves it where it is: never half-way.
    #[inline]
    fn go(&mut self, ck: &mut Secret, block: &mut BlockRef, to: Height) -> Result<(), NoSession> {
        self.last.take_if(|last| last.end.height != to || last.from != *block);
        let way = match &mut self.last {
            Some(way) => way,
            none => none.insert(self.blocks.way(*block, to)?),
        };
        ck.rewrite(|ck| way.steps.iter().for_each(|step| step.extract_in_place(ck, &mut self.scratch)));
        *block = way.end;
        Ok(())
    }
}

impl<C: BestChain> Blocks<'_, C> {
    fn way(&mut self, from: BlockRef, to: Height) -> Result<Way, NoSession> {
        if self.hash_at(from.height)? != from.hash {
            return Err(NoSession::Lost(from.height));
        }
        let mut way = Way { from, end: from, steps: Vec::new() };
        while way.end.height < to {
            let height = way.end.height.next();
            let hash = self.hash_at(height)?;
            way.end = BlockRef::new(height, hash);
            let prepared =
                self.prepared.entry(height).or_insert_with(|| Extractor::new(hash.as_byte_array()));
            way.steps.push(prepared.clone());
        }
        Ok(way)
    }

    fn hash_at(&self, height: Height) -> Result<BlockHash, NoSession> {
        self.chain.hash_at(height).ok_or(NoSession::Unknown { height, tip: self.tip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of blocks whose hashes are their heights and a branch number.
    struct Branch(Vec<BlockHash>);

    impl Branch {
        fn new(tip: u32) -> Self {
            Self((0..=tip).map(|height| hash(height, 0)).collect())
        }

        fn reorganise(&mut self, from: u32, branch: u8) {
            for height in from..u32::try_from(self.0.len()).unwrap() {
                self.0[height as usize] = hash(height, branch);
            }
        }

        fn block(&self, height: u32) -> BlockRef {
            BlockRef::new(Height::new(height), self.0[height as usize])
        }
    }

    impl BestChain for Branch {
        fn hash_at(&self, height: Height) -> Option<BlockHash> {
            self.0.get(height.to_u32() as usize).copied()
        }

        fn tip(&self) -> Height {
            Height::new(u32::try_from(self.0.len()).unwrap() - 1)
        }
    }

    fn hash(height: u32, branch: u8) -> BlockHash {
        let mut bytes = [branch; 32];
        bytes[..4].copy_from_slice(&height.to_be_bytes());
        BlockHash::from_byte_array(bytes)
    }

    fn started(blocks: &Branch, first: u32) -> Ratchet {
        Ratchet::start(blocks.block(first), MasterKey::for_tests(Secret::fill_with(|mk| mk.fill(9))))
    }

    #[test]
    fn both_sides_have_the_same_key_for_every_block_of_the_window_however_far_each_advanced() {
        let blocks = Branch::new(150);
        let fresh = started(&blocks, 10);
        let mut advanced = started(&blocks, 10);
        assert_eq!(advanced.advance(&blocks), Ok(true));
        for height in 51..=150 {
            let key = |ratchet: &Ratchet| {
                *ratchet.session(&blocks, blocks.block(height), Role::Initiator).unwrap().0.expose()
            };
            assert_eq!(key(&fresh), key(&advanced), "{height}");
        }
    }

    #[test]
    fn keys_differ_by_block_and_by_direction_and_are_never_ck() {
        let blocks = Branch::new(12);
        let ratchet = started(&blocks, 10);
        let mut keys = vec![*ratchet.ck().expose()];
        for height in 10..=12 {
            for sender in [Role::Initiator, Role::Responder] {
                keys.push(*ratchet.session(&blocks, blocks.block(height), sender).unwrap().0.expose());
            }
        }
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn what_lies_below_the_window_cannot_be_opened_any_more() {
        let blocks = Branch::new(150);
        let mut ratchet = started(&blocks, 10);
        ratchet.advance(&blocks).unwrap();
        let refused = ratchet.session(&blocks, blocks.block(50), Role::Initiator).unwrap_err();
        assert_eq!(refused, NoSession::BelowWindow { height: Height::new(50), oldest: Height::new(51) });
        assert_eq!(ratchet.oldest(), blocks.block(51));
    }

    #[test]
    fn a_reorganisation_inside_the_window_changes_later_keys_and_names_the_branch() {
        let mut blocks = Branch::new(20);
        let ratchet = started(&blocks, 10);
        let stale = blocks.block(15);
        let key = |blocks: &Branch, block| ratchet.session(blocks, block, Role::Responder);
        let before = *key(&blocks, stale).unwrap().0.expose();
        blocks.reorganise(15, 1);
        assert_eq!(key(&blocks, stale).unwrap_err(), NoSession::OtherBranch(stale));
        assert_ne!(*key(&blocks, blocks.block(15)).unwrap().0.expose(), before);
        assert!(key(&blocks, blocks.block(14)).is_ok());
    }

    #[test]
    fn a_reorganisation_below_the_oldest_kept_block_loses_the_key() {
        let mut blocks = Branch::new(150);
        let mut ratchet = started(&blocks, 10);
        ratchet.advance(&blocks).unwrap();
        blocks.reorganise(51, 1);
        let refused = ratchet.session(&blocks, blocks.block(150), Role::Initiator).unwrap_err();
        assert_eq!(refused, NoSession::Lost(Height::new(51)));
    }

    #[test]
    fn a_message_from_a_block_ahead_says_who_is_behind() {
        let blocks = Branch::new(20);
        let ratchet = started(&blocks, 10);
        let ahead = BlockRef::new(Height::new(21), hash(21, 0));
        let refused = ratchet.session(&blocks, ahead, Role::Initiator).unwrap_err();
        assert_eq!(refused, NoSession::Unknown { height: Height::new(21), tip: Height::new(20) });
        let early = ratchet.session(&blocks, blocks.block(9), Role::Initiator).unwrap_err();
        assert!(matches!(early, NoSession::BeforeKey { .. }));
    }
}
