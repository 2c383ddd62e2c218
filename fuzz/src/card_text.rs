//! Lines of text, bodies of cards under a right checksum, and parts of cards under right signatures.
//!
//! Input: kind (u8). Of kind 0 (modulo 3) the rest is the text, of kind 1 the card's bytes. Of kind 2 follow a length
//! (u8) and that many bytes of version and permanent part; the rest is the renewable part. The car signs both.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bitcoin::secp256k1::{Keypair, Message};
use keyway_chain::Height;
use keyway_protocol::card::Card;
use keyway_protocol::hash;
use keyway_protocol::identity::PartyKey;
use sha2::{Digest, Sha256};

use crate::common::{Party, SECP, car, charger, renewable};

/// Reads what these bytes describe and holds the reader to its promises.
pub fn card_text(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 3 {
        0 => read_unsigned(&String::from_utf8_lossy(data)),
        1 => read_unsigned(&text(data)),
        _ => drop(read_signed(data)),
    }
}

/// The text of a card of these bytes, with the right checksum.
pub fn text(body: &[u8]) -> String {
    let sum = Sha256::digest(body);
    format!("keyway-card:{}", BASE64_URL_SAFE_NO_PAD.encode([body, &sum[..4]].concat()))
}

/// The bytes of a card, both parts signed by `by`.
pub fn sign(version_and_permanent: &[u8], renewable: &[u8], by: &Party) -> Vec<u8> {
    let digest = hash("card permanent", &[version_and_permanent]);
    let pair = Keypair::from_secret_key(&SECP, &by.secret_key());
    let [first, second] = [digest, hash("card renewable", &[&digest, renewable])].map(|digest| {
        SECP.sign_schnorr_with_aux_rand(&Message::from_digest(digest), &pair, &[0; 32]).serialize()
    });
    [version_and_permanent, &first, renewable, &second].concat()
}

/// No fuzzer signs for the car: of what it writes, only what the car says is a card.
fn read_unsigned(text: &str) {
    if let Some(card) = read(text) {
        assert_eq!(*card.permanent(), car().permanent);
    }
}

/// What is read is what the owner would have signed.
fn read_signed(data: &[u8]) -> Option<()> {
    let (&len, data) = data.split_first()?;
    let (permanent, renewable) = data.split_at_checked(usize::from(len))?;
    let card = read(&text(&sign(permanent, renewable, car())))?;
    let (permanent, renewable) = (card.permanent().clone(), card.renewable().clone());
    let [found, own] = [permanent.key, car().key()].map(PartyKey::to_bytes);
    assert_eq!(found[1..], own[1..]);
    // BIP340 signs for both keys of an x coordinate; whoever has the secret of one has that of the other.
    if found[0] == own[0] {
        assert_eq!(Card::sign(permanent, renewable, &car().seed.identity), Ok(card));
    }
    Some(())
}

/// A card has one text; whatever is read is written and judged without a panic.
fn read(text: &str) -> Option<Card> {
    let card = match text.parse::<Card>() {
        Ok(card) => card,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    assert_eq!(card.to_string(), text.trim());
    let known = [car(), charger()].map(|party| party.card(renewable(3)));
    if let Err(refused) = card.check(&charger().permanent, Height::new(500), &known) {
        assert!(!refused.to_string().is_empty());
    }
    Some(card)
}
