//! A party's word for another: read as it was signed, and by nobody else's hand (PROTOCOL.md 4.3).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyway_chain::{Chain, Height};
use keyway_protocol::introduction::{Introduction, IntroductionError};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::common::{car, charger, mallory, party};

pub const PREFIX: &str = "keyway-introduction:";

/// The bytes of an introduction, without prefix and checksum.
pub fn body(introduction: &Introduction) -> Vec<u8> {
    let text = introduction.to_string();
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// The text of these bytes, with the right checksum: what somebody writes who knows how.
pub fn text(body: &[u8]) -> String {
    let sum = Sha256::digest(body);
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode([body, &sum[..4]].concat()))
}

fn word(serial: u32, expiry: u32) -> Introduction {
    Introduction::sign(&car().permanent, serial, Height::new(expiry), &charger().seed.identity)
}

#[test]
fn an_introduction_is_read_as_it_was_signed() {
    let word = word(3, 700);
    assert_eq!(format!(" {word}\n").parse(), Ok(word.clone()));
    assert_eq!(word.introducer(), charger().key());
    assert_eq!(word.subject(), &car().permanent.digest());
    assert!(word.holds(Height::new(700)));
    assert!(!word.holds(Height::new(701)), "it is over");
}

#[test]
fn no_byte_of_an_introduction_can_be_changed_even_by_one_who_repairs_the_checksum() {
    let body = body(&word(3, 700));
    for at in 0..body.len() {
        for change in (0..8).map(|bit| 1 << bit) {
            let mut changed = body.clone();
            changed[at] ^= change;
            assert!(text(&changed).parse::<Introduction>().is_err(), "byte {at} ^ {change:#x}");
        }
    }
}

#[test]
fn an_introduction_signed_by_another_is_refused() {
    let mine = body(&Introduction::sign(&car().permanent, 3, Height::new(700), &mallory().seed.identity));
    let mut claimed = body(&word(3, 700));
    let at = claimed.len() - 64;
    claimed[at..].copy_from_slice(&mine[at..]);
    assert_eq!(text(&claimed).parse::<Introduction>(), Err(IntroductionError::Signature));
}

#[test]
fn a_card_signature_is_no_introduction_and_the_other_way_round() {
    let card = car().card(crate::common::renewable(0)).to_string();
    assert_eq!(card.parse::<Introduction>(), Err(IntroductionError::Prefix));
    assert!(word(1, 1).to_string().parse::<keyway_protocol::card::Card>().is_err());
}

#[test]
fn a_withdrawal_takes_back_what_was_said_before_and_never_holds() {
    let withdrawn = Introduction::withdraw(&car().permanent, 4, &charger().seed.identity);
    assert!(withdrawn.is_withdrawal());
    assert!(!withdrawn.holds(Height::GENESIS));
    assert!(withdrawn.replaces(&word(3, 700)));
    assert!(!word(3, 700).replaces(&withdrawn), "an old word brought back");
    assert!(word(5, 700).replaces(&withdrawn), "introduced anew");
}

#[test]
fn of_two_words_with_one_serial_the_one_that_ends_first_counts() {
    assert!(word(3, 500).replaces(&word(3, 700)));
    assert!(!word(3, 700).replaces(&word(3, 500)));
    assert!(!word(3, 700).replaces(&word(3, 700)));
}

#[test]
fn a_party_with_another_sealing_key_is_not_who_was_introduced() {
    let resealed =
        keyway_protocol::card::Permanent { sealing: mallory().permanent.sealing, ..car().permanent.clone() };
    assert_ne!(word(1, 700).subject(), &resealed.digest());
    let elsewhere = party("car", 1, &Chain::named("litecoin-regtest").unwrap());
    assert_ne!(word(1, 700).chain(), elsewhere.permanent.chain);
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,400}") {
        let _ = text.parse::<Introduction>();
        let _ = format!("{PREFIX}{text}").parse::<Introduction>();
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(read) = text(&bytes).parse::<Introduction>() {
            prop_assert_eq!(body(&read), bytes);
        }
    }
}
