//! Reorganisations, rollbacks, restarts, and ledgers that fail at the wrong moment.

use keyway_node::*;
use keyway_protocol::state::State;

use crate::world::*;

#[test]
fn a_bare_rollback_takes_the_key_back_and_the_same_blocks_again_bring_it_again() {
    let mut world = World::new();
    let id = world.agree();
    let before = world.view(&world.car, id).fingerprint;
    let answered = world.view(&world.car, id).answer.unwrap().block.unwrap().at.height;
    world.ledger.rewind(answered.prev().unwrap()).unwrap();
    world.sync();
    let state = world.state(&world.car, id);
    assert!(matches!(state, State::Offered | State::Answered), "{state}");
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, car.fingerprint), (State::Active, before));
    assert_eq!(charger.fingerprint, before);
}

#[test]
fn a_rollback_of_offer_and_answer_ends_in_one_key_on_both_sides() {
    let mut world = World::new();
    let id = world.agree();
    let offered = world.view(&world.car, id).offer.unwrap().block.unwrap().at.height;
    world.ledger.rewind(offered.prev().unwrap()).unwrap();
    world.sync();
    assert_eq!(world.state(&world.car, id), State::Offered);
    for _ in 0..6 {
        world.mine_and_sync(1);
    }
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert_eq!(car.fingerprint, charger.fingerprint);
}

#[test]
fn what_a_node_knows_after_a_reorganisation_is_what_a_fresh_reading_gives() {
    let mut world = World::new();
    let id = world.agree();
    let answered = world.view(&world.car, id).answer.unwrap().block.unwrap().at.height;
    world.ledger.rewind(answered.prev().unwrap()).unwrap();
    world.mine(4);
    world.sync();
    let live = format!("{:?}", world.car.negotiations().unwrap());
    world.restart_car();
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_eq!(live, format!("{:?}", world.car.negotiations().unwrap()));
}

#[test]
fn after_a_hundred_blocks_the_secret_is_erased_and_the_key_still_works() {
    let mut world = World::new();
    let id = world.agree();
    let old = world.car.seal("charger", b"old", b"").unwrap().sealed;
    let fingerprint = world.view(&world.car, id).fingerprint;
    world.mine_and_sync(120);
    world.restart_car();
    assert!(world.car.master_key(id).unwrap().is_none(), "mk can no longer be derived");
    assert_eq!(world.view(&world.car, id).fingerprint, fingerprint);
    let message = world.car.seal("charger", b"still here", b"").unwrap().sealed;
    assert_eq!(&world.charger.open_sealed(&message, b"", false).unwrap().plaintext[..], b"still here");
    let refused = world.charger.open_sealed(&old, b"", false).unwrap_err();
    assert!(refused.to_string().contains("below the window"), "{refused}");
    world.mine_and_sync(30);
    let message = world.charger.seal("car", b"and here", b"").unwrap().sealed;
    assert_eq!(&world.car.open_sealed(&message, b"", false).unwrap().plaintext[..], b"and here");
}

#[test]
fn a_rollback_deeper_than_the_window_loses_the_key_and_says_so() {
    let mut world = World::new();
    let id = world.agree();
    let answered = world.view(&world.car, id).answer.unwrap().block.unwrap().at.height;
    world.mine_and_sync(120);
    world.ledger.rewind(answered.prev().unwrap()).unwrap();
    world.mine(2);
    world.sync();
    world.mine_and_sync(3);
    assert_eq!(world.state(&world.car, id), State::Lost);
    let refused = world.car.seal(&id.to_string(), b"x", b"").unwrap_err();
    assert!(refused.to_string().contains("negotiate again"), "{refused}");
}

#[test]
fn an_offer_nobody_answers_expires_and_its_coins_can_be_spent_by_the_charger() {
    let mut world = World::new();
    let id = world.offer().id;
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    world.mine(1_008);
    world.sync();
    assert_eq!(
        (world.state(&world.car, id), world.state(&world.charger, id)),
        (State::Expired, State::Expired)
    );
    assert_eq!(world.charger.status().unwrap().balance.spendable, PRICE);
}

#[test]
fn a_message_of_a_block_that_the_receiver_has_not_seen_yet_says_that_it_is_behind() {
    let mut world = World::new();
    world.agree();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let message = world.car.seal("charger", b"ahead", b"").unwrap().sealed;
    let refused = world.charger.open_sealed(&message, b"", false).unwrap_err();
    assert_eq!(refused.kind(), Kind::NotYet);
    assert!(refused.to_string().contains("this node is behind"), "{refused}");
    world.sync();
    assert!(world.charger.open_sealed(&message, b"", false).is_ok());
}

#[test]
fn an_offer_that_did_not_come_through_is_kept_over_a_restart_and_sent_by_the_next_sync() {
    let mut world = World::new();
    let refused = world.car.offer(&deaf(&world.ledger), &request(PRICE)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Ledger, "{refused}");
    world.restart_car();
    let id = world.car.negotiations().unwrap()[0].id;
    world.sync();
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(
        (world.state(&world.car, id), world.state(&world.charger, id)),
        (State::Active, State::Active)
    );
}

#[test]
fn an_answer_that_did_not_come_through_is_sent_by_the_next_sync_and_is_the_same_answer() {
    let mut world = World::new();
    let id = world.offer().id;
    world.mine(1);
    world.charger.sync(&deaf(&world.ledger), &mut |_| ()).unwrap_err();
    let stored = world.view(&world.charger, id).answer.unwrap().txid;
    world.sync();
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, car.answer.unwrap().txid), (State::Active, stored));
    assert_eq!(car.fingerprint, charger.fingerprint);
}
