//! Shares that must not be used (PROTOCOL.md 6.1).

use bitcoin::hex::FromHex;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer, Refusal};
use keyway_protocol::negotiation::{AwaitAnswer, Context, Draft, Received};
use keyway_protocol::suite::{BadShare, Suite};

use crate::common::{car, charger, coin, secret};

/// Every u-coordinate below 2^255 whose order divides the cofactor, in all its encodings; the highest bit, which
/// X25519 ignores, doubles them.
pub const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

pub fn context() -> Context {
    Context {
        initiator: car().party_ref(),
        responder: charger().party_ref(),
        input0: coin(1),
        carrier: Carrier::Value,
    }
}

fn own_secret() -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(4))
}

fn awaiting() -> (Offer, AwaitAnswer) {
    let draft = Draft::new(context(), Suite::X25519, AnswerForm::Sequences, &own_secret());
    (draft.offer().clone(), draft.mined(coin(2).txid))
}

/// The car reads an answer with this share; its tag is anything.
fn handle(share: &[u8]) -> Refusal {
    let answer = Answer::from_bytes(Carrier::Value, &[&[0x81], share, &[0; 16]].concat()).unwrap();
    awaiting().1.handle(&answer).unwrap_err()
}

/// The charger answers an offer with this share.
fn answer(share: &[u8]) -> Result<Answer, Refusal> {
    let offer = Offer::from_bytes(Carrier::Value, &[&[0x01], share].concat()).unwrap();
    Received::new(context(), offer, coin(2)).answer(&own_secret()).map(|(answer, _)| answer)
}

pub fn with_high_bit(share: &[u8]) -> Vec<u8> {
    let mut share = share.to_vec();
    share[31] |= 0x80;
    share
}

#[test]
fn a_share_of_small_order_is_refused_by_both_sides_in_all_its_encodings() {
    for point in SMALL_ORDER {
        let point = Vec::from_hex(point).unwrap();
        for share in [with_high_bit(&point), point] {
            assert_eq!(answer(&share).unwrap_err(), Refusal::Share(BadShare::SmallOrder));
            assert_eq!(handle(&share), Refusal::Share(BadShare::SmallOrder));
        }
    }
}

#[test]
fn ones_own_share_sent_back_is_refused_also_with_the_bit_that_x25519_ignores() {
    let (offer, _) = awaiting();
    assert_eq!(handle(offer.share()), Refusal::Share(BadShare::Reflected));
    assert_eq!(handle(&with_high_bit(offer.share())), Refusal::Share(BadShare::Reflected));

    let share = answer(offer.share()).unwrap().share().to_vec();
    assert_eq!(answer(&share).unwrap_err(), Refusal::Share(BadShare::Reflected));
    assert_eq!(answer(&with_high_bit(&share)).unwrap_err(), Refusal::Share(BadShare::Reflected));
}

#[test]
fn shares_of_any_other_form_are_used() {
    // A point of the twist, and one at or above the prime: RFC 7748 takes both.
    let mut above_prime = [0xff; 32];
    (above_prime[0], above_prime[31]) = (0xf0, 0x7f);
    for share in [[2; 32], above_prime, [0xff; 32]] {
        assert!(answer(&share).is_ok());
    }
}

/// The charger answers an offer with this X-Wing share.
fn encapsulate(share: &[u8]) -> Result<Answer, Refusal> {
    let offer = Offer::from_bytes(Carrier::Value, &[&[0x02], share].concat()).unwrap();
    Received::new(context(), offer, coin(2)).answer(&own_secret()).map(|(answer, _)| answer)
}

fn post_quantum() -> Draft {
    Draft::new(context(), Suite::X25519MlKem768, AnswerForm::Sequences, &own_secret())
}

#[test]
fn an_x_wing_share_whose_x25519_part_has_small_order_is_refused_by_both_sides() {
    let share = post_quantum().offer().share().to_vec();
    let ciphertext = encapsulate(&share).unwrap().share().to_vec();
    for point in SMALL_ORDER {
        let with_point = |share: &[u8]| [&share[..share.len() - 32], &Vec::from_hex(point).unwrap()].concat();
        assert_eq!(encapsulate(&with_point(&share)).unwrap_err(), Refusal::Share(BadShare::SmallOrder));
        let answer = [&[0x82], &with_point(&ciphertext)[..], &[0; 16]].concat();
        let awaiting = post_quantum().mined(coin(2).txid);
        let refused = awaiting.handle(&Answer::from_bytes(Carrier::Value, &answer).unwrap()).unwrap_err();
        assert_eq!(refused, Refusal::Share(BadShare::SmallOrder));
    }
}

#[test]
fn restoring_gives_the_same_x_wing_answer_and_another_offer_another() {
    let share = post_quantum().offer().share().to_vec();
    assert_eq!(encapsulate(&share).unwrap().to_bytes(), encapsulate(&share).unwrap().to_bytes());
    let mut other = share.clone();
    other[0] ^= 1;
    // ML-KEM's part alone changed: the X25519 part of the ciphertext, a fresh public key, changes too.
    let (first, second) = (encapsulate(&share).unwrap(), encapsulate(&other).unwrap());
    assert_ne!(first.share()[1088..], second.share()[1088..]);
}
