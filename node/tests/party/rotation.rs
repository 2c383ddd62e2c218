//! Keys that have served their time give way to new ones, and nobody pays more often than was said.

use bitcoin::Amount;
use keyway_chain::Chain;
use keyway_ledger::{Embedded, Ledger};
use keyway_node::*;
use keyway_protocol::state::State;
use tempfile::TempDir;

use crate::world::*;

/// The car rotates as it is told.
fn world(rotation: Rotation) -> World {
    let dir = TempDir::new().unwrap();
    let ledger = Embedded::open(dir.path().join("ledger")).unwrap();
    let kind = LedgerConfig::Embedded { path: dir.path().join("ledger"), enforce_exponent: false };
    let config = Config { rotation, ..Config::new(Chain::regtest(), kind) };
    let new = NewParty {
        name: "car".parse().unwrap(),
        config,
        mnemonic: CAR.parse().unwrap(),
        birthday: birthday(&ledger).unwrap(),
        unlock: Unlock::Insecure,
    };
    let mut car = Party::create(&dir.path().join("car"), new).unwrap();
    let mut charger = party(dir.path(), "charger", CHARGER, &ledger);
    car.add_peer(charger.card().clone()).unwrap();
    charger.add_peer(car.card().clone()).unwrap();
    for _ in 0..IDENTITY_COINS {
        ledger.mine(1, &car.key().script()).unwrap();
    }
    ledger.mine(100, &nobody()).unwrap();
    let mut world = World { dir, ledger, car, charger };
    world.sync();
    world
}

fn by_blocks(blocks: u32) -> Rotation {
    Rotation { after_blocks: Some(blocks), ..Rotation::default() }
}

fn states(party: &Party) -> Vec<State> {
    party.negotiations().unwrap().iter().map(|view| view.state).collect()
}

#[test]
fn a_key_is_replaced_when_its_blocks_are_over_and_the_old_one_opens_what_was_under_way() {
    let mut world = world(by_blocks(10));
    world.agree();
    assert_eq!(states(&world.car), [State::Active]);
    world.mine_and_sync(8);
    assert_eq!(states(&world.car), [State::Active], "not a block too early");
    world.mine_and_sync(1);
    assert_eq!(states(&world.car), [State::Active, State::Offered]);
    let on_its_way = world.charger.seal("car", b"sealed under the old key", b"").unwrap();
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(states(&world.car), [State::Superseded, State::Active]);
    assert_eq!(states(&world.charger), [State::Superseded, State::Active]);
    let opened = world.car.open_sealed(&on_its_way.sealed, b"", false).unwrap();
    assert_eq!(&opened.plaintext[..], b"sealed under the old key");
    let views = world.car.negotiations().unwrap();
    assert_ne!(views[0].fingerprint, views[1].fingerprint);
    assert_eq!(
        views[1].rotation.unwrap().height,
        Some(views[1].answer.as_ref().unwrap().block.unwrap().at.height.plus(10))
    );
}

#[test]
fn an_unanswered_rotation_is_paid_for_once_in_its_time() {
    let mut world = world(by_blocks(10));
    world.agree();
    // The charger falls silent; the offer stays open, and no second one is made beside it.
    for _ in 0..30 {
        world.mine(1);
        world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    }
    assert_eq!(states(&world.car), [State::Active, State::Offered]);
}

#[test]
fn the_responder_leaves_rotation_to_the_initiator() {
    let mut world = world(Rotation::default());
    world.agree();
    let config = world.charger.dir().join("keyway.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("after_blocks = 0", "after_blocks = 1")).unwrap();
    world.restart_charger();
    assert_eq!(world.charger.config().rotation, by_blocks(1));
    world.mine_and_sync(5);
    assert_eq!(states(&world.charger), [State::Active]);
}

#[test]
fn a_key_is_replaced_after_so_many_bytes() {
    const KIB: usize = 1_024;
    let mut world = world(Rotation { after_mib: Some(1), ..Rotation::default() });
    world.agree();
    world.car.seal("charger", &[7; 600 * KIB], b"").unwrap();
    let left = |world: &World| world.car.negotiations().unwrap()[0].rotation.unwrap().bytes;
    assert_eq!(left(&world), Some(424 * KIB as u64));
    let answer = world.charger.seal("car", &[7; 324 * KIB], b"").unwrap();
    world.car.open_sealed(&answer.sealed, b"", false).unwrap();
    assert_eq!(left(&world), Some(100 * KIB as u64));
    world.sync();
    assert_eq!(states(&world.car), [State::Active]);
    world.restart_car();
    world.car.seal("charger", &[7; 100 * KIB], b"").unwrap();
    world.sync();
    assert_eq!(states(&world.car), [State::Active, State::Offered]);
}

#[test]
fn the_time_of_the_blocks_says_when_a_key_is_old() {
    let mut world = world(Rotation { after_hours: Some(2), ..Rotation::default() });
    world.agree();
    let view = &world.car.negotiations().unwrap()[0];
    let born = view.answer.as_ref().unwrap().block.unwrap().time;
    assert_eq!(view.rotation.unwrap().time, Some(born + 7_200));
}

#[test]
fn a_rotation_that_cannot_be_paid_is_told_and_the_key_stays() {
    let mut world = world(Rotation { price: Some(Amount::from_int_btc(20_000_000)), ..by_blocks(3) });
    world.agree();
    world.mine(3);
    let (synced, _) = world.sync();
    assert!(
        synced.events.iter().any(|event| matches!(event, Event::NotRotated { .. })),
        "{:?}",
        synced.events
    );
    assert_eq!(states(&world.car), [State::Active]);
}

#[test]
fn a_hundred_blocks_after_its_successor_an_old_key_is_erased_on_both_sides() {
    let mut world = world(Rotation::default());
    let old = world.agree();
    let request = world.car.same_again("charger", None).unwrap();
    assert_eq!(request.price, PRICE);
    world.car.offer(&world.ledger, &request).unwrap();
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(states(&world.car), [State::Superseded, State::Active]);
    world.mine_and_sync(98);
    let late = world.charger.seal(&old.to_string(), b"", b"");
    assert!(matches!(late, Err(NodeError::Session(SessionError::KeyUnusable { .. }))), "{late:?}");
    assert!(world.car.master_key(old).is_ok(), "it still opens");
    world.mine_and_sync(1);
    for party in [&world.car, &world.charger] {
        let erased = party.master_key(old);
        assert!(matches!(erased, Err(NodeError::Session(SessionError::KeyErased(_)))), "{erased:?}");
        assert_eq!(states(party), [State::Superseded, State::Active]);
    }
    world.restart_car();
    assert!(matches!(world.car.master_key(old), Err(NodeError::Session(SessionError::KeyErased(_)))));
    world.car.seal("charger", b"under the new one", b"").unwrap();
}

#[test]
fn what_a_negotiation_waits_for_is_said() {
    let mut world = world(Rotation::default());
    let id = world.offer().id;
    assert_eq!(world.view(&world.car, id).waiting, Some(Waiting::OfferUnmined));
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let last = world.car.tip().height.plus(1_008);
    assert_eq!(world.view(&world.car, id).waiting, Some(Waiting::PeerAnswers(last)));
    world.sync();
    world.sync();
    assert_eq!(world.view(&world.car, id).waiting, Some(Waiting::AnswerUnmined));
    world.mine_and_sync(1);
    assert!(matches!(world.view(&world.car, id).waiting, Some(Waiting::KeyDepth { .. })));
    world.mine_and_sync(1);
    assert_eq!(world.view(&world.car, id).waiting, None);
    assert!(world.ledger.tip().is_ok());
}
