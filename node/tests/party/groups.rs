//! The suite `ffdh-custom`: the offer brings its group (the paper's Algorithms 2, 4 and 5).

use keyway_carriers::script::Way;
use keyway_node::*;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::{BadGroup, Numbers, Suite};

use crate::fixtures::{COMPOSITE, MODP2048, MODP3072, SAFE2060, SMOOTH, numbers};
use crate::world::*;

/// Rewrites a home's policy, and opens it again.
pub fn with_policy(world: &mut World, lines: &str) {
    for home in ["car", "charger"] {
        let config = world.dir.path().join(home).join("keyway.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("groups_from = []\n", "");
        std::fs::write(&config, text.replace("[policy]\n", &format!("[policy]\n{lines}\n"))).unwrap();
    }
    world.restart_car();
    world.restart_charger();
    // Their cards say so from now on.
    world.sync();
    world.car.add_peer(world.charger.card().clone()).unwrap();
    world.charger.add_peer(world.car.card().clone()).unwrap();
}

pub fn accepting() -> World {
    let mut world = World::new();
    with_policy(&mut world, "suites = [\"x25519\", \"ffdh-custom\"]");
    world
}

pub fn custom(numbers: Numbers) -> OfferRequest {
    let group = Some(Chosen { numbers, published: None });
    OfferRequest { suite: Suite::FfdhCustom, group, ..over(Carrier::Static) }
}

pub fn negotiate(world: &mut World, request: &OfferRequest) -> NegotiationId {
    let id = world.car.offer(&world.ledger, request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    id
}

fn assert_agreed(world: &World, id: NegotiationId) {
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert!(car.fingerprint.is_some());
    assert_eq!(car.fingerprint, charger.fingerprint);
}

#[test]
fn algorithm_4_two_parties_agree_in_a_group_that_the_offer_brings() {
    for modulus in [MODP2048, SAFE2060] {
        let mut world = accepting();
        let id = negotiate(&mut world, &custom(numbers(modulus, 4)));
        assert_agreed(&world, id);
        assert_eq!(world.view(&world.charger, id).suite, Suite::FfdhCustom);
        let message = world.car.seal("charger", b"start", b"").unwrap();
        assert_eq!(&world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"start");
    }
}

#[test]
fn a_restarted_party_reads_its_offer_in_its_own_group_again() {
    let mut world = accepting();
    let id = world.car.offer(&world.ledger, &custom(numbers(MODP2048, 2))).unwrap().id;
    world.restart_car();
    assert_eq!(world.state(&world.car, id), State::Offered);
    world.mine_and_sync(1);
    world.restart_car();
    world.restart_charger();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, id), State::Active);
    assert_eq!(world.view(&world.car, id).fingerprint, world.view(&world.charger, id).fingerprint);
}

#[test]
fn a_rotation_keeps_the_group_and_nothing_else() {
    let mut world = accepting();
    let first = negotiate(&mut world, &custom(numbers(MODP2048, 2)));
    let request = world.car.same_again("charger", None).unwrap();
    assert_eq!(request.group, custom(numbers(MODP2048, 2)).group);
    let second = negotiate(&mut world, &request);
    assert_eq!(world.state(&world.car, first), State::Superseded);
    assert_eq!(world.state(&world.charger, second), State::Active);
    assert_ne!(world.view(&world.car, first).fingerprint, world.view(&world.car, second).fingerprint);
}

#[test]
fn where_nothing_is_said_no_group_of_others_is_answered() {
    let mut world = World::new();
    let refused = world.car.offer(&world.ledger, &custom(numbers(MODP2048, 2)));
    assert!(
        matches!(refused, Err(NodeError::Offer(OfferError::PeerRefuses { suite: Suite::FfdhCustom, .. }))),
        "{refused:?}"
    );
}

#[test]
fn a_weak_group_is_refused_by_name_before_anything_is_paid() {
    let mut world = accepting();
    for (modulus, expected) in [(COMPOSITE, BadGroup::Composite), (SMOOTH, BadGroup::NotSafe)] {
        match world.car.offer(&world.ledger, &custom(numbers(modulus, 4))) {
            Err(NodeError::Group(GroupError::Bad(bad))) => assert_eq!(bad, expected),
            other => panic!("{other:?}"),
        }
    }
    let missing = OfferRequest { group: None, ..custom(numbers(MODP2048, 2)) };
    assert!(matches!(
        world.car.offer(&world.ledger, &missing),
        Err(NodeError::Group(GroupError::Missing { .. }))
    ));
    let needless = OfferRequest { suite: Suite::X25519, ..custom(numbers(MODP2048, 2)) };
    assert!(matches!(
        world.car.offer(&world.ledger, &needless),
        Err(NodeError::Group(GroupError::NotWanted { .. }))
    ));
    assert!(world.car.negotiations().unwrap().is_empty());
}

#[test]
fn other_carriers_have_no_place_for_a_group_and_say_what_it_would_take() {
    let mut world = accepting();
    for (carrier, word) in [(Carrier::Value, "sat in"), (Carrier::Dynamic, "prekey")] {
        let request = OfferRequest { carrier, ..custom(numbers(MODP3072, 2)) };
        let refused = world.car.offer(&world.ledger, &request).unwrap_err();
        assert!(matches!(refused, NodeError::Group(GroupError::NoPlace { .. })), "{refused:?}");
        assert!(refused.to_string().contains(word), "{refused}");
    }
}

#[test]
fn an_offer_with_its_group_rides_in_an_envelope_where_83_bytes_are_relayed() {
    let mut world = accepting();
    world.ledger.relay_data(83).unwrap();
    world.mine_and_sync(1);
    let sent = world.car.offer(&world.ledger, &custom(numbers(MODP2048, 2))).unwrap();
    assert_eq!(sent.carriage.way(), Some(Way::Envelope));
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_agreed(&world, sent.id);
}
