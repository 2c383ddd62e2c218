//! Evidence: any lines, with the checksum that they need.
//!
//! Input: the lines of a file without the last one.

use bitcoin::hashes::{Hash, sha256};
use keyway_chain::Depth;
use keyway_evidence::{Evidence, Trust};

/// Reads what these bytes are: a file has one form, and whatever is in it, checking it ends in a statement or a refusal.
pub fn evidence(data: &[u8]) {
    if let Ok(read) = Evidence::from_bytes(data) {
        assert_eq!(read.to_bytes(), data);
    }
    let whole = summed(data);
    let Ok(read) = Evidence::from_bytes(&whole) else { return };
    assert_eq!(read.to_bytes(), whole);
    match read.verify(&Trust::Work, Depth::new(1)) {
        Ok(said) => assert!(!said.proven().is_empty() && !said.not_proven().is_empty()),
        Err(refused) => assert!(!refused.name().is_empty()),
    }
}

/// The file whose lines these are.
pub fn summed(lines: &[u8]) -> Vec<u8> {
    let sum = sha256::Hash::hash(lines);
    let digits: String = sum.to_byte_array().iter().map(|byte| format!("{byte:02x}")).collect();
    [lines, format!("{{\"sha256\":\"{digits}\"}}\n").as_bytes()].concat()
}
