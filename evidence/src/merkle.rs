//! That a transaction is in a block: the hashes beside its way up to the header (PROTOCOL.md 13.2).

use bitcoin::Transaction;
use bitcoin::Txid;
use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::{Hash, sha256d};
use thiserror::Error;

/// More levels than any block's transactions need.
pub const MOST_LEVELS: usize = 20;

/// Bytes that two hashes have, and that no transaction may have here.
pub const NODE: usize = 64;

/// A transaction's index in its block, and the hash beside each node from it to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The index.
    pub index: u32,
    /// The hashes, the transaction's neighbour first.
    pub siblings: Vec<[u8; 32]>,
}

/// A branch that proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadBranch {
    /// Higher than any block's tree.
    #[error("it has {0} levels, more than any block's")]
    Levels(usize),
    /// A place that a tree of so many levels does not have.
    #[error("there is no place {0} in a tree of its height")]
    Index(u32),
    /// The copy that a tree makes of a level's last node, taken for a node of its own (CVE-2012-2459).
    #[error("a node stands beside its own copy, on the copy's side: the place is not the transaction's")]
    Copy,
    /// An inner node that could be a transaction itself, with the one that is to be proven inside it (CVE-2017-12842).
    #[error("two hashes of it read as a transaction: what lies below may be made up")]
    Transaction,
}

impl Branch {
    /// The branch of the transaction at `index`; none if there is no such.
    pub fn of(txids: &[Txid], index: usize) -> Option<Self> {
        txids.get(index)?;
        let mut level: Vec<[u8; 32]> = txids.iter().map(|txid| txid.to_byte_array()).collect();
        let (mut at, mut siblings) = (index, Vec::new());
        while level.len() > 1 {
            siblings.push(*level.get(at ^ 1).or_else(|| level.get(at))?);
            level = level.chunks(2).filter_map(parent).collect();
            at /= 2;
        }
        Some(Self { index: u32::try_from(index).ok()?, siblings })
    }

    /// The root that the branch leads to.
    ///
    /// # Errors
    /// [`BadBranch`].
    pub fn root(&self, txid: Txid) -> Result<[u8; 32], BadBranch> {
        if self.siblings.len() > MOST_LEVELS {
            return Err(BadBranch::Levels(self.siblings.len()));
        }
        if self.index >> self.siblings.len() != 0 {
            return Err(BadBranch::Index(self.index));
        }
        let climb = |(node, index): ([u8; 32], u32), sibling: &[u8; 32]| {
            let is_right = index & 1 == 1;
            if is_right && node == *sibling {
                return Err(BadBranch::Copy);
            }
            let pair = if is_right { [*sibling, node] } else { [node, *sibling] }.concat();
            if is_transaction(&pair) { Err(BadBranch::Transaction) } else { Ok((hash(&pair), index >> 1)) }
        };
        self.siblings.iter().try_fold((txid.to_byte_array(), self.index), climb).map(|(root, _)| root)
    }
}

fn parent(pair: &[[u8; 32]]) -> Option<[u8; 32]> {
    let (left, right) = (pair.first()?, pair.last()?);
    Some(hash(&[*left, *right].concat()))
}

fn hash(pair: &[u8]) -> [u8; 32] {
    sha256d::Hash::hash(pair).to_byte_array()
}

/// Whether bytes are what a txid is made of. Of two hashes they are that once in a billion times.
fn is_transaction(bytes: &[u8]) -> bool {
    let parsed = deserialize::<Transaction>(bytes);
    parsed.is_ok_and(|tx| tx.input.iter().all(|input| input.witness.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::merkle_tree::calculate_root;

    fn txids(count: u8) -> Vec<Txid> {
        (0..count).map(|byte| Txid::from_byte_array([byte; 32])).collect()
    }

    #[test]
    fn the_branch_of_every_transaction_of_every_small_block_leads_to_its_root() {
        for count in 1..=33 {
            let txids = txids(count);
            let root = calculate_root(txids.iter().copied()).unwrap().to_byte_array();
            for (index, txid) in txids.iter().enumerate() {
                let branch = Branch::of(&txids, index).unwrap();
                assert_eq!(branch.root(*txid), Ok(root), "{index} of {count}");
                let elsewhere = Branch { index: branch.index ^ 1, ..branch.clone() };
                assert_ne!(elsewhere.root(*txid), Ok(root), "{index} of {count}, moved");
            }
            assert_eq!(Branch::of(&txids, txids.len()), None);
        }
    }

    #[test]
    fn the_copy_of_a_last_transaction_has_no_place_of_its_own() {
        let txids = txids(3);
        let honest = Branch::of(&txids, 2).unwrap();
        let copy = Branch { index: 3, ..honest };
        assert_eq!(copy.root(txids[2]), Err(BadBranch::Copy));
    }

    #[test]
    fn a_transaction_hidden_in_two_hashes_is_refused() {
        let forged = Txid::from_byte_array([7; 32]);
        // A real transaction of 64 bytes, whose second half is the forged one's id.
        let mut real = [0; NODE];
        real[0] = 2;
        real[4] = 1;
        real[41] = 4;
        real[46..50].fill(0xff);
        real[50] = 1;
        real[51] = 9;
        real[32..41].copy_from_slice(&[7; 9]);
        let real: Transaction = deserialize(&real).unwrap();
        let bytes = bitcoin::consensus::encode::serialize(&real);
        let left: [u8; 32] = bytes[..32].try_into().unwrap();
        let inside = Txid::from_byte_array(bytes[32..].try_into().unwrap());
        let branch = Branch { index: 1, siblings: vec![left] };
        assert_eq!(branch.root(inside), Err(BadBranch::Transaction));
        assert!(branch.root(forged).is_ok(), "two hashes that are no transaction are a node");
    }

    #[test]
    fn a_place_beside_the_tree_and_a_tree_too_high_are_refused() {
        let txid = txids(1)[0];
        assert_eq!(Branch { index: 1, siblings: Vec::new() }.root(txid), Err(BadBranch::Index(1)));
        let high = Branch { index: 0, siblings: vec![[1; 32]; MOST_LEVELS + 1] };
        assert_eq!(high.root(txid), Err(BadBranch::Levels(MOST_LEVELS + 1)));
    }
}
