//! Groups that offers bring or name (PROTOCOL.md 6.1.1): what is used, and what is refused before a secret meets it.

use std::time::Instant;

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{Answer, BadMessage, Brought, Carrier, Offer, Refusal};
use keyway_protocol::negotiation::{Context, Draft, Received, Role};
use keyway_protocol::suite::{BadGroup, BadNumbers, BadShare, Numbers, Published, Suite};

use crate::common::{coin, secret};
use crate::fixtures::{COMPOSITE, MODP2048, MODP3072, MODP4096, SAFE2060, SMOOTH, bytes, numbers};
use crate::shares::context;

const TIMESTAMP: u32 = 840_000;

fn over_static() -> Context {
    Context { carrier: Carrier::Static, ..context() }
}

fn car() -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(1))
}

fn charger() -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(2))
}

fn anchor() -> OutPoint {
    OutPoint::new(coin(7).txid, 3)
}

fn draft(numbers: &Numbers) -> Draft {
    let group = numbers.check(Suite::FfdhCustom).unwrap();
    Draft::in_group(over_static(), group, None, TIMESTAMP, &car())
}

fn received(offer: Offer) -> Received {
    Received::new(over_static(), offer, anchor()).at(TIMESTAMP + 3)
}

/// An offer as any program could write it.
fn message_a(share: &[u8], p: &[u8], g: &[u8], kind: u8) -> Vec<u8> {
    let length = |field: &[u8]| (field.len() as u32).to_be_bytes();
    let lengths = [length(share), length(g), length(p)].concat();
    [&lengths, share, g, p, &TIMESTAMP.to_be_bytes(), &[kind]].concat()
}

/// What the charger says to an offer in these numbers, whose share is the square 4.
fn refusal(p: &[u8], g: &[u8]) -> Refusal {
    let mut share = vec![0; p.len()];
    *share.last_mut().unwrap() = 4;
    match Offer::from_bytes(Carrier::Static, &message_a(&share, p, g, 7)) {
        Ok(offer) => received(offer).answer(&charger()).unwrap_err(),
        Err(bad) => bad.into(),
    }
}

fn less(hex: &str, less: u8) -> Vec<u8> {
    let mut number = bytes(hex);
    *number.last_mut().unwrap() -= less;
    number
}

#[test]
fn algorithm_2_and_5_an_offer_brings_its_group_and_both_sides_reach_one_key() {
    for modulus in [MODP2048, SAFE2060, MODP3072] {
        let numbers = numbers(modulus, 4);
        let draft = draft(&numbers);
        let offer = draft.offer().clone();
        assert_eq!(offer.group(), &Brought::Numbers(numbers.clone()));
        assert_eq!(offer.to_bytes().len(), Offer::len_with(Suite::FfdhCustom, numbers.lengths()));
        assert_eq!(Offer::from_bytes(Carrier::Static, &offer.to_bytes()), Ok(offer.clone()));
        let (answer, theirs) = received(offer).answer(&charger()).unwrap();
        assert_eq!(answer.to_bytes().len(), Answer::len_in(numbers.lengths()));
        let answer = Answer::from_bytes(Carrier::Static, &answer.to_bytes()).unwrap();
        assert_eq!(answer.share().len(), bytes(modulus).len());
        let ours = draft.mined(anchor().txid).handle(&answer).unwrap();
        assert_eq!(ours.fingerprint(), theirs.fingerprint());
        assert_eq!(ours.tag(Role::Initiator), theirs.tag(Role::Initiator));
    }
}

#[test]
fn a_group_of_4096_bits_is_checked_in_bounded_time_and_once() {
    let numbers = numbers(MODP4096, 2);
    let started = Instant::now();
    numbers.check(Suite::FfdhCustom).unwrap();
    let first = started.elapsed();
    let started = Instant::now();
    numbers.check(Suite::FfdhPublished).unwrap();
    let second = started.elapsed();
    println!("first {first:?}, then {second:?}");
    assert!(first.as_secs() < 60 && second < first / 10, "first {first:?}, then {second:?}");
}

#[test]
fn every_weak_group_is_refused_by_name_before_a_secret_meets_it() {
    let p = bytes(MODP2048);
    let cases = [
        ("composite", bytes(COMPOSITE), vec![4], BadGroup::Composite),
        ("p - 1 smooth", bytes(SMOOTH), vec![4], BadGroup::NotSafe),
        ("even", less(MODP2048, 1), vec![4], BadGroup::Even),
        ("p is 1 modulo 4", less(MODP2048, 6), vec![4], BadGroup::NotSafe),
        ("g is 1", p.clone(), vec![1], BadGroup::GeneratorOfSmallOrder),
        ("g is p - 1", p.clone(), less(MODP2048, 1), BadGroup::GeneratorOfSmallOrder),
        ("g is p", p.clone(), p.clone(), BadGroup::GeneratorOutOfRange),
        ("g is above p", p.clone(), vec![0xff; 256], BadGroup::GeneratorOutOfRange),
        ("g is no square", p.clone(), less(MODP2048, 2), BadGroup::GeneratorOutsideSubgroup),
    ];
    for (id, p, g, expected) in cases {
        assert_eq!(refusal(&p, &g), Refusal::Group(expected), "{id}");
    }
}

#[test]
fn numbers_of_impossible_lengths_are_refused_when_they_are_read() {
    let weak = [&[0x7f], &bytes(MODP2048)[1..]].concat();
    let of_group = |bad| Refusal::Message(BadMessage::BadGroup(Suite::FfdhCustom, bad));
    let of_length = Refusal::Message(BadMessage::GroupLength(Suite::FfdhCustom));
    assert_eq!(refusal(&weak, &[2]), of_group(BadGroup::TooSmall(2_047)));
    assert_eq!(refusal(&[&[0], &bytes(MODP2048)[..]].concat(), &[2]), of_group(BadGroup::LeadingZeros));
    assert_eq!(refusal(&bytes(MODP2048), &[0, 2]), of_group(BadGroup::LeadingZeros));
    assert_eq!(refusal(&bytes(MODP2048), &[0]), of_group(BadGroup::LeadingZeros));
    assert_eq!(refusal(&bytes(MODP2048), &[]), of_length);
    assert_eq!(refusal(&bytes(MODP2048)[1..], &[2]), of_length);
    assert_eq!(refusal(&[1; 513], &[2]), of_length);
    assert_eq!(Numbers::new(&[1; 513], &[2]), Err(BadGroup::TooLarge(8 * 513)));
    assert_eq!(Numbers::new(&[], &[2]), Err(BadGroup::TooSmall(0)));
}

#[test]
fn a_hostile_megabyte_costs_the_reading_of_its_lengths() {
    let megabyte = vec![0xff; 1 << 20];
    for (share, g, p) in [(1, 1, 1 << 20), (1 << 20, 1, 256), (256, 1 << 20, 256)] {
        let message = message_a(&megabyte[..share], &megabyte[..p], &megabyte[..g], 7);
        let started = Instant::now();
        assert!(Offer::from_bytes(Carrier::Static, &message).is_err());
        assert!(started.elapsed().as_millis() < 100);
    }
    // Lengths that no memory holds.
    let mut message = message_a(&[4; 256], &bytes(MODP2048), &[2], 7);
    message[8..12].fill(0xff);
    assert_eq!(Offer::from_bytes(Carrier::Static, &message), Err(BadMessage::GroupLength(Suite::FfdhCustom)));
}

#[test]
fn a_share_out_of_range_or_outside_the_subgroup_of_the_brought_group_is_refused() {
    let modulus = bytes(MODP2048);
    let small = |value: u8| {
        let mut share = vec![0; 256];
        share[255] = value;
        share
    };
    let cases = [
        (small(0), BadShare::SmallOrder),
        (small(1), BadShare::SmallOrder),
        (less(MODP2048, 1), BadShare::SmallOrder),
        (modulus.clone(), BadShare::SmallOrder),
        (vec![0xff; 256], BadShare::SmallOrder),
        (less(MODP2048, 2), BadShare::OutsideSubgroup(Suite::FfdhCustom)),
    ];
    for (share, expected) in cases {
        let offer = Offer::from_bytes(Carrier::Static, &message_a(&share, &modulus, &[2], 7)).unwrap();
        assert_eq!(received(offer).answer(&charger()).unwrap_err(), Refusal::Share(expected));
    }
    let short = message_a(&small(4)[1..], &modulus, &[2], 7);
    assert_eq!(Offer::from_bytes(Carrier::Static, &short), Err(BadMessage::Announced(255)));
}

#[test]
fn the_key_depends_on_every_digit_of_the_group() {
    let (draft, other) = (draft(&numbers(MODP2048, 4)), draft(&numbers(MODP2048, 16)));
    // The same numbers in another generator's name: the transcripts differ.
    let (answer, _) = received(other.offer().clone()).answer(&charger()).unwrap();
    assert_eq!(draft.mined(anchor().txid).handle(&answer).unwrap_err(), Refusal::WrongTag);
}

#[test]
fn algorithm_3_and_5_published_numbers_lead_both_sides_to_one_key() {
    let numbers = numbers(MODP2048, 2);
    let txid = Txid::from_byte_array([9; 32]);
    let group = numbers.check(Suite::FfdhPublished).unwrap();
    let draft = Draft::in_group(over_static(), group, Some(txid), TIMESTAMP, &car());
    let offer = draft.offer().clone();
    assert_eq!(offer.group(), &Brought::Published(Published { txid, digest: numbers.digest() }));
    assert_eq!(offer.to_bytes().len(), Offer::len_with(Suite::FfdhPublished, numbers.lengths()));
    assert_eq!(Offer::from_bytes(Carrier::Static, &offer.to_bytes()), Ok(offer.clone()));
    let received = received(offer).with_published(numbers);
    let (answer, theirs) = received.answer(&charger()).unwrap();
    let ours = draft.mined(anchor().txid).handle(&answer).unwrap();
    assert_eq!(ours.fingerprint(), theirs.fingerprint());
}

#[test]
fn published_numbers_that_are_not_those_the_offer_names_are_refused() {
    let (named, other) = (numbers(MODP2048, 2), numbers(MODP2048, 4));
    let group = named.check(Suite::FfdhPublished).unwrap();
    let txid = Some(Txid::from_byte_array([9; 32]));
    let offer = Draft::in_group(over_static(), group, txid, TIMESTAMP, &car()).offer().clone();
    let none = received(offer.clone()).answer(&charger()).unwrap_err();
    assert_eq!(none, Refusal::Share(BadShare::NoGroup(Suite::FfdhPublished)));
    let swapped = received(offer).with_published(other).answer(&charger()).unwrap_err();
    assert_eq!(swapped, Refusal::Group(BadGroup::NotThose));
}

#[test]
fn no_other_carrier_has_a_place_for_a_group() {
    for suite in [Suite::FfdhCustom, Suite::FfdhPublished] {
        for carrier in [Carrier::Value, Carrier::Dynamic] {
            let bytes = [&[suite.number()], &[4; 264][..]].concat();
            assert_eq!(Offer::from_bytes(carrier, &bytes), Err(BadMessage::NotOver { suite, carrier }));
        }
        let answer = [&[128 + suite.number()], &[4; 272][..]].concat();
        let refused = Answer::from_bytes(Carrier::Value, &answer);
        assert_eq!(refused, Err(BadMessage::NotOver { suite, carrier: Carrier::Value }));
        // Made without a group, a share is empty, and nobody takes it.
        let draft = Draft::dated(over_static(), suite, TIMESTAMP, &car());
        assert!(Offer::from_bytes(Carrier::Static, &draft.offer().to_bytes()).is_err());
    }
}

#[test]
fn a_groups_text_reads_back_however_its_digits_are_set() {
    let numbers = numbers(MODP2048, 2);
    assert_eq!(numbers.to_string().parse(), Ok(numbers.clone()));
    let colons: Vec<String> = bytes(MODP2048).iter().map(|byte| format!("{byte:02X}")).collect();
    let text = format!("# mine\n\n g=0x2 # two\np = 00:{}\n", colons.join(":")).replace("0x", "");
    assert_eq!(text.parse(), Ok(numbers.clone()));
    let p = format!("p = {MODP2048}");
    let cases = [
        (format!("{p}\n"), BadNumbers::Once('g')),
        (format!("{p}\ng = 2\ng = 2"), BadNumbers::Once('g')),
        ("g = 2".to_owned(), BadNumbers::Once('p')),
        (format!("{p}\ng = 2\nq = 3"), BadNumbers::Line(3)),
        (format!("{p}\ng = xyz"), BadNumbers::Line(2)),
        (format!("{p}\ng 2"), BadNumbers::Line(2)),
        (format!("{p}\ng ="), BadNumbers::Group(BadGroup::GeneratorOutOfRange)),
        ("p = 17\ng = 2".to_owned(), BadNumbers::Group(BadGroup::TooSmall(5))),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Numbers>(), Err(expected), "{text}");
    }
}
