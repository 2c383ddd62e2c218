//! The fuzz targets of cards, messages and sealed messages as tests, and where their seeds come from.

use bitcoin::hex::FromHex;
use keyway_protocol::card::Card;
use keyway_protocol::message::{AnswerForm, Carrier, Tag};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::sealing::{Sealed, Stream, StreamId, seal};
use keyway_protocol::suite::Suite;

use crate::card_text::{self, card_text};
use crate::cards_read::{SIGNATURE, body, permanent_len};
use crate::common::{car, renewable};
use crate::corpora::{check_seeds, replay};
use crate::letter::{letter, sealed as sealed_letter};
use crate::message_bytes::{self, message_bytes};
use crate::sealed_message::{key, sealed_message};
use crate::sealing::block;
use crate::shares::SMALL_ORDER;

#[test]
fn every_seed_of_card_text_is_read_as_promised() {
    replay("card_text", card_text);
}

#[test]
fn every_seed_of_sealed_message_is_read_as_promised() {
    replay("sealed_message", sealed_message);
}

#[test]
fn every_seed_of_message_bytes_is_read_as_promised() {
    replay("message_bytes", message_bytes);
    replay("message_bytes", message_bytes::sampled);
}

#[test]
fn every_seed_of_letter_is_read_as_promised() {
    replay("letter", letter);
}

#[test]
fn the_seeds_are_made_from_valid_cards_and_messages() {
    check_seeds("card_text", &card_seeds());
    check_seeds("sealed_message", &sealed_seeds());
    check_seeds("message_bytes", &message_seeds());
    check_seeds("letter", &letter_seeds());
}

fn of_kind(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

fn card_seeds() -> [(&'static str, Vec<u8>); 7] {
    let plain = car().card(renewable(3));
    let rich = car().card(crate::cards_read::rich());
    let text = plain.to_string();
    let mut negated = parts(&plain);
    negated[1 + permanent_len("car") - 65] ^= 1;
    [
        ("card-as-text", of_kind(0, text.as_bytes())),
        ("card-cut-short", of_kind(0, &text.as_bytes()[..200])),
        ("card-as-bytes", of_kind(1, &body(&plain))),
        ("card-of-later-version", of_kind(1, &[&[2], &body(&plain)[1..]].concat())),
        ("parts-signed", of_kind(2, &parts(&plain))),
        ("parts-with-prekeys-signed", of_kind(2, &parts(&rich))),
        ("parts-for-the-negated-key-signed", of_kind(2, &negated)),
    ]
}

/// The car's card without its signatures.
fn parts(card: &Card) -> Vec<u8> {
    let (bytes, len) = (body(card), permanent_len("car"));
    let renewable = &bytes[len + SIGNATURE..bytes.len() - SIGNATURE];
    assert_eq!(card_text::sign(&bytes[..len], renewable, car()), bytes);
    [&[u8::try_from(len).unwrap()], &bytes[..len], renewable].concat()
}

fn sealed(tag: Option<Tag>) -> Sealed {
    let (mut stream, id) =
        (Stream::new(StreamId::from_bytes([5; 16])), NegotiationId::from_bytes([0x1d; 32]));
    seal(&mut stream, id, block(201), tag, &key(), b"charge 11 kW", b"").unwrap()
}

/// Height 201, a tag or none, 7 bytes of associated data, 12 of plaintext, and the changes.
fn to_seal(tagged: u8, changes: &[u8]) -> Vec<u8> {
    let head = [&[0x1d; 32][..], &201u32.to_be_bytes(), &[9; 32], &[5; 16], &[tagged], &[0x7a; 16]].concat();
    [&[2], &head[..], &[7, 12], b"meter 7charge 11 kW", changes].concat()
}

fn sealed_seeds() -> [(&'static str, Vec<u8>); 7] {
    let tagged = sealed(Some(Tag::from_bytes([0x7a; 16])));
    let untagged = sealed(None).to_bytes();
    [
        ("message-as-text", of_kind(0, tagged.to_string().as_bytes())),
        ("message-with-tag", of_kind(1, &tagged.to_bytes())),
        ("message-without-tag", of_kind(1, &untagged)),
        ("message-cut-short", of_kind(1, &untagged[..90])),
        ("sealed-and-unchanged", to_seal(1, &[])),
        ("sealed-and-counter-changed", to_seal(0, &[0, 55, 1])),
        ("sealed-and-ciphertext-changed", to_seal(0, &[0, 150, 128])),
    ]
}

fn message_seeds() -> [(&'static str, Vec<u8>); 18] {
    let [sequences, amounts] =
        [AnswerForm::Sequences, AnswerForm::Amounts].map(|form| message_bytes::offer(Suite::X25519, form));
    let own = sequences.to_bytes();
    let (answer, _) = message_bytes::answer(sequences).unwrap();
    let hybrid = message_bytes::offer(Suite::X25519MlKem768, AnswerForm::Sequences);
    let (hybrid_answer, _) = message_bytes::answer(hybrid.clone()).unwrap();
    let [dated, locked] =
        [Carrier::Static, Carrier::Dynamic].map(|c| message_bytes::offer_over(Suite::X25519, c));
    let [dated_answer, locked_answer] =
        [&dated, &locked].map(|offer| message_bytes::answer(offer.clone()).unwrap().0.to_bytes());
    let [custom, published] = [Suite::FfdhCustom, Suite::FfdhPublished]
        .map(|suite| message_bytes::offer_over(suite, Carrier::Static));
    let [custom_answer, published_answer] =
        [&custom, &published].map(|offer| message_bytes::answer(offer.clone()).unwrap().0.to_bytes());
    let mut composite = custom.to_bytes();
    composite[12 + 256 + 1 + 100] ^= 1;
    let small_order = Vec::from_hex(SMALL_ORDER[3]).unwrap();
    let mut wrong_tag = answer.to_bytes();
    wrong_tag[48] ^= 1;
    [
        ("offer-in-sequences", of_kind(0, &own)),
        ("offer-in-amounts", of_kind(0, &amounts.to_bytes())),
        ("offer-of-small-order", of_kind(0, &of_kind(1, &small_order))),
        ("offer-reflected", of_kind(0, &of_kind(1, answer.share()))),
        ("answer", of_kind(1, &answer.to_bytes())),
        ("answer-with-wrong-tag", of_kind(1, &wrong_tag)),
        ("answer-that-is-the-offer", of_kind(1, &own)),
        ("offer-static", of_kind(2, &dated.to_bytes())),
        ("answer-static", of_kind(3, &dated_answer)),
        ("offer-dynamic", of_kind(4, &locked.to_bytes())),
        ("answer-dynamic", of_kind(5, &locked_answer)),
        ("offer-of-x-wing", of_kind(0, &hybrid.to_bytes())),
        ("answer-of-x-wing", of_kind(1, &hybrid_answer.to_bytes())),
        ("offer-with-its-group", of_kind(2, &custom.to_bytes())),
        ("offer-with-a-composite-group", of_kind(2, &composite)),
        ("offer-of-a-published-group", of_kind(2, &published.to_bytes())),
        ("answer-in-the-offers-group", of_kind(3, &custom_answer)),
        ("answer-in-a-published-group", of_kind(3, &published_answer)),
    ]
}

fn letter_seeds() -> [(&'static str, Vec<u8>); 6] {
    let to_change = |changes: &[u8]| [&[1, 0, 5][..], b"share", changes].concat();
    let letter = sealed_letter(b"share");
    [
        ("letter-copied", of_kind(0, &sealed_letter(b""))),
        ("letter-cut-short", of_kind(0, &letter[..40])),
        ("letter-of-its-key-alone", of_kind(0, &letter[..32])),
        ("letter-unchanged", to_change(&[])),
        ("letter-with-another-highest-bit", to_change(&[0, 31, 0x80])),
        ("letter-with-another-tag", to_change(&[0, 52, 1])),
    ]
}
