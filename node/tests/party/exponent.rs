//! The dynamic carrier where OP_EXPONENT is enforced: the paper's own lock (PROTOCOL.md 7.6).

use bitcoin::{Amount, Transaction, TxOut, Witness};
use keyway_ledger::embedded::Plan;
use keyway_ledger::{BroadcastError, Ledger};
use keyway_node::{Event, Kind, OfferRequest};
use keyway_protocol::card::Card;
use keyway_protocol::message::Carrier;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::locked::{Shown, collect_without_answer, mine_empty, mine_to, offered, shown, timeout};
use crate::world::*;

fn by_exponent(suite: Suite) -> OfferRequest {
    OfferRequest { suite, ..over(Carrier::Dynamic) }
}

#[test]
fn every_group_agrees_and_the_charger_is_paid_for_its_answer() {
    for suite in Suite::FFDHE {
        let mut world = World::enforcing();
        let sent = offered(&mut world, &by_exponent(suite));
        assert!(shown(&world, &sent).tx.output[2].script_pubkey.is_p2tr());
        world.sync();
        world.mine_and_sync(2);
        let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
        assert_eq!((car.state, charger.state), (State::Active, State::Active), "{suite}");
        assert_eq!((car.suite, car.fingerprint), (suite, charger.fingerprint));
        let fee = charger.answer.as_ref().unwrap().costs.fee.unwrap();
        let answer = mined_tx(&world.ledger, &charger.answer.unwrap().txid, &world.charger.key().script());
        assert_eq!(answer.output[0].value, PRICE - fee);
    }
}

/// Somebody who takes the locked amount, with what witness they have.
fn theft(shown: &Shown, witness: &[&[u8]]) -> Transaction {
    let value = shown.amount - Amount::from_sat(2_000);
    let mut tx = spend(&[shown.locked], vec![TxOut { value, script_pubkey: nobody() }]);
    tx.input[0].witness = Witness::from_slice(witness);
    tx
}

#[test]
fn a_thief_without_t_and_one_with_another_are_refused_and_the_charger_is_paid_still() {
    let mut world = World::enforcing();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    let shown = shown(&world, &sent);
    // What the charger would show, for the scripts in it.
    let honest = collect_without_answer(&world, &shown).input[0].witness.to_vec();
    let [signature, _, leaf, control] = &honest[..] else { panic!() };
    for t in [&[][..], &[6; 32]] {
        let stolen = theft(&shown, &[signature, t, leaf, control]);
        let Err(BroadcastError::Refused(refusal)) = world.ledger.broadcast(&stolen) else { panic!() };
        assert_eq!(refusal.reason, "mandatory-script-verify-flag-failed");
        let plan = Plan { transactions: Some(vec![stolen]), ..Plan::to(&nobody()) };
        assert!(world.ledger.mine_one(&plan).unwrap_err().to_string().contains("op-exponent"));
    }
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.charger, sent.id), State::Active);
}

#[test]
fn without_an_answer_the_payment_comes_back_after_the_timeout_and_not_before() {
    let mut world = World::enforcing();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    let timeout = timeout(&world.view(&world.car, sent.id));
    mine_to(&mut world, timeout.prev().unwrap());
    let early = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(early.events.is_empty(), "{early:?}");
    world.mine(1);
    world.restart_car();
    let due = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(due.events.iter().any(|event| matches!(event, Event::RefundSent { .. })), "{due:?}");
    world.mine_and_sync(1);
    let states = (world.state(&world.car, sent.id), world.state(&world.charger, sent.id));
    assert_eq!(states, (State::Refunded, State::Refunded));
}

#[test]
fn a_payment_collected_without_an_answer_is_told_and_leads_to_no_key() {
    let mut world = World::enforcing();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    let taken = collect_without_answer(&world, &shown(&world, &sent));
    world.ledger.broadcast(&taken).unwrap();
    world.mine_and_sync(1);
    let view = world.view(&world.car, sent.id);
    assert_eq!((view.state, view.fingerprint), (State::PaidUnanswered, None));
}

#[test]
fn a_charger_that_comes_too_late_keeps_t_to_itself() {
    let mut world = World::enforcing();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    let timeout = timeout(&world.view(&world.car, sent.id));
    mine_to(&mut world, timeout.minus(35));
    let late = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(reason_not_answered(&late.events).contains("too little time"), "{late:?}");
}

fn reason_not_answered(events: &[Event]) -> String {
    let why = |event: &Event| match event {
        Event::NotAnswered { why, .. } => Some(why.clone()),
        _ => None,
    };
    events.iter().find_map(why).unwrap()
}

#[test]
fn the_answers_fee_rises_as_the_timeout_comes_near_and_either_version_opens_the_lock() {
    let mut world = World::enforcing();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe3072));
    let timeout = timeout(&world.view(&world.car, sent.id));
    world.sync();
    let first = world.view(&world.charger, sent.id).answer.unwrap();
    let tip = world.ledger.tip().unwrap().height;
    mine_empty(&mut world, timeout.to_u32() - 12 - tip.to_u32());
    let synced = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(synced.events.iter().any(|event| matches!(event, Event::FeeRaised { .. })), "{synced:?}");
    let raised = world.view(&world.charger, sent.id).answer.unwrap();
    assert!(raised.costs.fee.unwrap() > first.costs.fee.unwrap() * 15, "{raised:?}");
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!((car.state, car.fingerprint), (State::Active, charger.fingerprint));
}

#[test]
fn a_reorganisation_that_takes_the_answer_back_leaves_it_to_be_mined_again() {
    let mut world = World::enforcing();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Provisional);
    let tip = world.ledger.tip().unwrap().height;
    world.ledger.rewind(tip.prev().unwrap()).unwrap();
    world.sync();
    assert_eq!(world.state(&world.car, sent.id), State::Answered);
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, sent.id), State::Active);
}

#[test]
fn a_copied_share_and_lock_are_no_offer_to_the_charger() {
    let mut world = World::enforcing();
    let mallory_party = party(world.dir.path(), "mallory", MALLORY, &world.ledger);
    world.charger.add_peer(mallory_party.card().clone()).unwrap();
    let sent = offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    let Shown { tx, .. } = shown(&world, &sent);
    let mallory = seed(MALLORY);
    world.ledger.mine(1, &mallory.identity.party().script()).unwrap();
    world.mine(100);
    let (outpoint, coin) = last_coinbase(&world, &mallory.identity.party().script());
    let mut copied = spend(&[outpoint], tx.output[..3].to_vec());
    sign(&mut copied, &[coin], &mallory, bitcoin::EcdsaSighashType::All);
    world.ledger.broadcast(&copied).unwrap();
    world.mine_and_sync(1);
    let peers: Vec<String> =
        world.charger.negotiations().unwrap().into_iter().map(|view| view.peer).collect();
    assert_eq!(peers, ["car"]);
}

#[test]
fn where_nobody_enforces_it_neither_side_uses_such_a_lock() {
    let mut world = World::new();
    let refused = world.car.offer(&world.ledger, &by_exponent(Suite::Ffdhe2048)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(refused.to_string().contains("nobody here enforces OP_EXPONENT"), "{refused}");
    assert!(world.car.negotiations().unwrap().is_empty());

    // The charger sees the same chain through a node that does not enforce it: it does not publish t.
    let mut world = World::enforcing();
    offered(&mut world, &by_exponent(Suite::Ffdhe2048));
    let synced = world.charger.sync(&deaf(&world.ledger), &mut |_| ()).unwrap();
    assert!(reason_not_answered(&synced.events).contains("nobody here enforces"), "{synced:?}");
    assert_eq!(world.charger.status().unwrap().unmined, 0);
}

#[test]
fn a_card_has_prekeys_for_such_locks_only_where_they_are_enforced() {
    let suites =
        |card: &Card| -> Vec<u8> { card.renewable().prekeys.iter().map(|prekey| prekey.suite).collect() };
    let (lax, mut strict) = (World::new(), World::enforcing());
    assert_eq!(suites(lax.charger.card()), [2, 1]);
    assert_eq!(suites(strict.charger.card()), [2, 1, 5, 4, 3]);
    assert!(strict.charger.card().to_string().len() < 4_000);
    // An offer to such a card names what is missing.
    let card = lax.charger.card().clone();
    strict.car.remove_peer("charger", false).unwrap();
    strict.car.add_peer(card).unwrap();
    let refused = strict.car.offer(&strict.ledger, &by_exponent(Suite::Ffdhe3072)).unwrap_err();
    assert!(refused.to_string().contains("no prekey for ffdhe3072"), "{refused}");
}
