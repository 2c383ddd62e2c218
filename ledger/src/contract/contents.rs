//! Clause 13.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bitcoin::merkle_tree::calculate_root;

use super::{Free, Harness};
use crate::Ledger;

/// Clause 13.
pub fn c13_a_block_holds_what_its_header_commits_to(harness: &impl Harness) {
    let ledger = harness.ledger();
    for at in harness.mine(2, &Free(1).script()) {
        let header = ledger.header(&at.hash).unwrap().unwrap();
        let txids = ledger.txids(&at.hash).unwrap().unwrap();
        let root = calculate_root(txids.into_iter()).unwrap();
        assert_eq!(root.to_byte_array(), header.merkle_root.to_byte_array(), "block {at}");
    }
    assert_eq!(ledger.txids(&BlockHash::all_zeros()).unwrap(), None, "a block that is not known");
}
