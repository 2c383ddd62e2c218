//! Texts of backups: any, and bodies under the right checksum and a signature that belongs to them or does not.
//!
//! Input: kind (u8), then the text. Of kind 0 (modulo 3) it is the whole file, of kind 1 a body that the car signed, of
//! kind 2 one that the charger signed.

use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::DisplayHex;
use keyway_node::Backup;
use keyway_protocol::backup::sign;

use crate::common::{Party, car, charger};

/// Reads what these bytes describe and holds the reader to its promises.
pub fn backup_text(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    match kind % 3 {
        // No fuzzer signs for anybody: what reads is what somebody here has signed, unchanged.
        0 => drop(read(&text)),
        1 => only_of(car(), &text),
        _ => only_of(charger(), &text),
    }
}

/// A backup's text with this body.
pub fn signed(body: &str, by: &Party) -> String {
    let sum = sha256::Hash::hash(body.as_bytes()).to_byte_array();
    let signature = sign(body.as_bytes(), &by.seed.identity);
    format!("{body}sum {}\nsignature {}\n", sum[..4].as_hex(), signature.as_hex())
}

/// Whoever signs says what is his alone.
fn only_of(by: &Party, body: &str) {
    if let Some(backup) = read(&signed(body, by)) {
        // BIP340 signs for both keys of an x coordinate.
        assert_eq!(backup.card().permanent().key.to_bytes()[1..], by.key().to_bytes()[1..]);
    }
}

/// What is read is written again as it was, and what is not is told.
fn read(text: &str) -> Option<Backup> {
    match text.parse::<Backup>() {
        Ok(backup) => {
            let written = backup.to_string();
            assert_eq!(written.trim_end(), text.replace("\r\n", "\n").trim_end_matches('\n'));
            assert_eq!(written.parse::<Backup>().as_ref(), Ok(&backup));
            Some(backup)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}
