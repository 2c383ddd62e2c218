//! Texts that an operator keeps: introductions, groups and configurations.
//!
//! Input: kind (u8). Of kind 0 (modulo 5) the rest is an introduction's text, of kind 1 its bytes, of kind 2 what the car signs of them,
//! of kind 3 the text of a group, of kind 4 a configuration.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Keypair, Message};
use keyway_chain::Height;
use keyway_node::Config;
use keyway_protocol::hash;
use keyway_protocol::introduction::Introduction;
use keyway_protocol::suite::Numbers;

use crate::common::{SECP, car, charger};

/// Reads what these bytes describe and holds the readers to their promises.
pub fn operator_text(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    match kind % 5 {
        0 => only_of_the_car(introduction(&text)),
        1 => only_of_the_car(introduction(&introduction_of(data))),
        2 => {
            if let Some(read) = introduction(&introduction_of(&signed(data))) {
                // BIP340 signs for both keys of an x coordinate.
                assert_eq!(read.introducer().to_bytes()[1..], car().key().to_bytes()[1..]);
            }
        }
        3 => group(&text),
        _ => configuration(&text),
    }
}

/// The text of an introduction of these bytes, with the right checksum.
pub fn introduction_of(body: &[u8]) -> String {
    let sum = sha256::Hash::hash(body).to_byte_array();
    format!("keyway-introduction:{}", BASE64_URL_SAFE_NO_PAD.encode([body, &sum[..4]].concat()))
}

/// What the charger is introduced by.
pub fn of_the_charger() -> Introduction {
    Introduction::sign(&charger().permanent, 7, Height::new(5_000), &car().seed.identity)
}

fn signed(words: &[u8]) -> Vec<u8> {
    let pair = Keypair::from_secret_key(&SECP, &car().secret_key());
    let digest = Message::from_digest(hash("introduction", &[words]));
    [words, &SECP.sign_schnorr_with_aux_rand(&digest, &pair, &[0; 32]).serialize()].concat()
}

/// No fuzzer signs: of what it writes, only what the car says is an introduction.
fn only_of_the_car(read: Option<Introduction>) {
    assert!(read.is_none_or(|read| read == of_the_charger()));
}

/// An introduction has one text.
fn introduction(text: &str) -> Option<Introduction> {
    match text.parse::<Introduction>() {
        Ok(read) => {
            assert_eq!(read.to_string(), text.trim());
            assert_eq!(read.holds(read.expiry()), !read.is_withdrawal());
            Some(read)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// A group that is read is written and read as the same. Whether it is sound is asked elsewhere, and takes long.
fn group(text: &str) {
    match text.parse::<Numbers>() {
        Ok(numbers) => {
            let again = numbers.to_string().parse::<Numbers>();
            assert_eq!(again.map(|again| again.digest()), Ok(numbers.digest()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A configuration that is read is written, every setting, and read as the same.
fn configuration(text: &str) {
    let path = Path::new("/home/keyway.toml");
    match Config::parse(text, path) {
        Ok(config) => {
            let written = config.to_toml();
            let again = Config::parse(&written, path).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(again, config);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
