//! A sound card before its reader: whether it becomes a peer (PROTOCOL.md 4.2).

use bitcoin::ScriptBuf;
use keyway_chain::{Chain, Height};
use keyway_protocol::card::{Card, CardRefused, Permanent, Renewable};
use keyway_protocol::message::Carrier;
use keyway_protocol::suite::Suite;

use crate::common::{car, charger, mallory, party, renewable};

const TIP: Height = Height::new(100);

/// What the car says to a card, having accepted `known` before.
fn check(card: &Card, known: &[&Card]) -> Result<(), CardRefused> {
    card.check(&car().permanent, TIP, known.iter().copied())
}

#[test]
fn a_stranger_with_a_sound_card_is_accepted_and_so_is_the_same_card_again() {
    let card = charger().card(renewable(0));
    assert_eq!(check(&card, &[]), Ok(()));
    assert_eq!(check(&card, &[&card]), Ok(()));
    assert_eq!(check(&card, &[&mallory().card(renewable(9))]), Ok(()));
}

#[test]
fn a_card_expires_after_the_block_that_it_names_and_not_before() {
    let expiring = |height| charger().card(Renewable { expiry: Height::new(height), ..renewable(0) });
    assert_eq!(check(&expiring(100), &[]), Ok(()));
    assert_eq!(check(&expiring(u32::MAX), &[]), Ok(()));
    let refused = CardRefused::Expired { expiry: Height::new(99), tip: TIP };
    assert_eq!(check(&expiring(99), &[]), Err(refused));
}

#[test]
fn a_card_for_another_chain_is_refused_with_both_chains() {
    let own = Chain::regtest().id();
    let signet = |challenge: &[u8]| Chain::custom_signet(ScriptBuf::from_bytes(challenge.to_vec()));
    let others = [
        Chain::named("bitcoin").unwrap(),
        Chain::named("testnet4").unwrap(),
        Chain::named("litecoin-regtest").unwrap(),
        signet(&[0x51]),
    ];
    for other in others {
        let card = party("charger", 2, &other).card(renewable(0));
        let refused = CardRefused::ForeignChain { expected: own, found: other.id() };
        assert_eq!(check(&card, &[]), Err(refused));
    }
    // Two signets differ by their challenge alone.
    let (here, there) = (party("car", 1, &signet(&[0x51])), party("charger", 2, &signet(&[0x52])));
    let refused = there.card(renewable(0)).check(&here.permanent, TIP, []);
    assert!(matches!(refused, Err(CardRefused::ForeignChain { .. })));
}

#[test]
fn ones_own_card_is_refused_under_whatever_name_it_comes() {
    assert_eq!(check(&car().card(renewable(0)), &[]), Err(CardRefused::Own));
    let renamed = party("charger", 1, &Chain::regtest());
    assert_eq!(check(&renamed.card(renewable(0)), &[]), Err(CardRefused::Own));
}

#[test]
fn an_old_card_swapped_in_is_refused() {
    let charger = charger();
    let [old, new] = [3, 4].map(|serial| charger.card(renewable(serial)));
    assert_eq!(check(&new, &[&old]), Ok(()), "a renewed card is accepted");
    assert_eq!(check(&old, &[&new]), Err(CardRefused::Older { known: 4, found: 3 }));
    // Nor does it help to bring it among others.
    assert_eq!(
        check(&old, &[&mallory().card(renewable(0)), &new, &old]),
        Err(CardRefused::Older { known: 4, found: 3 })
    );
}

#[test]
fn two_different_cards_of_one_serial_are_never_both_accepted() {
    let charger = charger();
    let known = charger.card(renewable(3));
    for other in [
        Renewable { expiry: Height::new(2_000), ..renewable(3) },
        Renewable { suites: vec![], ..renewable(3) },
        Renewable { carriers: vec![1, 2], ..renewable(3) },
    ] {
        let other = charger.card(other);
        assert_eq!(check(&other, &[&known]), Err(CardRefused::SameSerial(3)));
        assert_eq!(check(&known, &[&other]), Err(CardRefused::SameSerial(3)));
    }
}

#[test]
fn a_name_that_another_peer_has_is_refused_whatever_the_serial() {
    let known = charger().card(renewable(3));
    let impostor = party("charger", 3, &Chain::regtest());
    for serial in [0, 3, 4] {
        let refused = check(&impostor.card(renewable(serial)), &[&known]);
        assert_eq!(refused, Err(CardRefused::NameTaken("charger".parse().unwrap())));
    }
}

#[test]
fn a_known_identity_with_another_name_or_sealing_key_is_refused_though_it_signed() {
    let charger = charger();
    let known = charger.card(renewable(3));
    let changed = [
        Permanent { name: "pump".parse().unwrap(), ..charger.permanent.clone() },
        Permanent { sealing: mallory().permanent.sealing, ..charger.permanent.clone() },
    ];
    for permanent in changed {
        let card = Card::sign(permanent, renewable(4), &charger.seed.identity).unwrap();
        let refused = CardRefused::OtherPermanentPart("charger".parse().unwrap());
        assert_eq!(check(&card, &[&known]), Err(refused));
    }
}

#[test]
fn a_card_answers_only_what_it_lists_and_unknown_numbers_are_ignored() {
    let with = |suites: &[u8], carriers: &[u8]| {
        let card = charger().card(Renewable {
            suites: suites.to_vec(),
            carriers: carriers.to_vec(),
            ..renewable(0)
        });
        assert_eq!(check(&card, &[]), Ok(()));
        card.answers(Suite::X25519, Carrier::Value)
    };
    assert!(with(&[1], &[1]));
    assert!(with(&[200, 1, 9], &[3, 1]));
    assert!(!with(&[], &[1]));
    assert!(!with(&[1], &[2]));
    assert!(!with(&[2], &[1]));
}

#[test]
fn every_refusal_says_what_happened_in_words() {
    let charger = charger();
    let known = charger.card(renewable(4));
    let told = check(&charger.card(renewable(3)), &[&known]).unwrap_err().to_string();
    assert_eq!(told, "the card has serial 3, and serial 4 is already known: it is an old card");
    let foreign = party("charger", 2, &Chain::named("bitcoin").unwrap()).card(renewable(0));
    let told = check(&foreign, &[]).unwrap_err().to_string();
    assert_eq!(told, "the card is for chain bitcoin, this node is on regtest");
}
