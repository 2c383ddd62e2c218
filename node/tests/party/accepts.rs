//! What a party's policy leaves out stands not on its card, and is not answered.

use keyway_node::*;
use keyway_protocol::message::Carrier;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::world::*;

/// The charger answers X25519 over the value carrier from now on.
fn choosy() -> World {
    let mut world = World::new();
    let config = world.charger.dir().join("keyway.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let chosen = "[policy]\nsuites = [\"x25519\"]\ncarriers = [\"value\"]\n";
    std::fs::write(&config, text.replace("[policy]\n", chosen)).unwrap();
    world.restart_charger();
    world
}

#[test]
fn what_the_policy_leaves_out_is_not_answered_and_the_card_says_so_from_then_on() {
    let mut world = choosy();
    let id = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap().id;
    world.mine(1);
    let (_, charger) = world.sync();
    assert!(charger.events.contains(&Event::CardRenewed), "{:?}", charger.events);
    assert_eq!(world.state(&world.charger, id), State::Offered);
    assert_eq!(world.view(&world.charger, id).waiting, Some(Waiting::PolicyTerms));

    world.car.add_peer(world.charger.card().clone()).unwrap();
    let refused = world.car.offer(&world.ledger, &over(Carrier::Static));
    assert!(
        matches!(
            refused,
            Err(NodeError::Offer(OfferError::PeerRefuses { suite: Suite::X25519MlKem768, .. }))
        ),
        "{refused:?}"
    );
    let taken = world.offer().id;
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.charger, taken), State::Answered);
    let (_, charger) = world.sync();
    assert!(!charger.events.contains(&Event::CardRenewed), "once is enough");
}

#[test]
fn lists_that_name_nothing_or_something_unknown_are_refused() {
    let world = World::new();
    let dir = world.charger.dir().to_owned();
    let text = std::fs::read_to_string(dir.join("keyway.toml")).unwrap();
    drop(world.charger);
    for (list, expected) in [
        ("suites = []", "policy.suites: an empty list"),
        ("carriers = [\"pigeon\"]", "policy.carriers: "),
        ("suites = [\"rot13\"]", "policy.suites: "),
    ] {
        std::fs::write(dir.join("keyway.toml"), text.replace("[policy]\n", &format!("[policy]\n{list}\n")))
            .unwrap();
        let error = Party::open(&dir, &Unlock::Insecure).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
