//! Offers that go nowhere, and are given up.

use bitcoin::{Amount, Transaction};
use keyway_ledger::embedded::Plan;
use keyway_ledger::{BroadcastError, Ledger, Refusal};
use keyway_node::{CancelError, Cancelled, Kind, NodeError, OfferSent, Waiting};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;

use crate::world::*;

fn money(world: &World) -> Amount {
    world.car.status().unwrap().balance.spendable
}

fn unmined(world: &World, sent: &OfferSent) -> Transaction {
    world.ledger.unmined(&sent.txid).unwrap().unwrap().as_ref().clone()
}

fn cancel(world: &mut World, id: NegotiationId) -> Cancelled {
    world.car.cancel(&world.ledger, id).unwrap()
}

/// A block of these alone.
fn mine_only(world: &World, transactions: Vec<Transaction>) {
    let plan = Plan { transactions: Some(transactions), ..Plan::to(&nobody()) };
    world.ledger.mine_one(&plan).unwrap();
}

/// A node that takes nothing in the place of what it holds.
fn against_replacement(tx: &Transaction) -> Option<BroadcastError> {
    let (txid, reason) = (tx.compute_txid(), "txn-mempool-conflict".to_owned());
    Some(Refusal { txid, reason, detail: None }.into())
}

#[test]
fn an_offer_that_is_given_up_expires_and_all_its_coins_are_back_but_the_fee() {
    for carrier in Carrier::ALL {
        let mut world = World::new();
        let had = money(&world);
        let sent = world.car.offer(&world.ledger, &over(carrier)).unwrap();
        let Cancelled::Sent { txid, fee } = cancel(&mut world, sent.id) else { panic!("{carrier}") };
        assert!(fee > sent.fee, "it replaces the offer");
        assert!(world.ledger.unmined(&sent.txid).unwrap().is_none());
        assert_eq!(money(&world), had - fee);
        assert_eq!(world.view(&world.car, sent.id).waiting, Some(Waiting::CoinReturns(txid)));
        assert_eq!(world.state(&world.car, sent.id), State::Offered);
        // Once more is the same.
        assert_eq!(cancel(&mut world, sent.id), Cancelled::Sent { txid, fee });
        world.restart_car();
        world.mine_and_sync(1);
        assert_eq!(world.state(&world.car, sent.id), State::Expired);
        assert_eq!(money(&world), had - fee);
        assert!(world.charger.negotiations().unwrap().is_empty());
        assert!(matches!(
            world.car.cancel(&world.ledger, sent.id),
            Err(NodeError::Cancel(CancelError::Over(_)))
        ));
        // The home goes on.
        world.agree();
    }
}

#[test]
fn an_offer_in_an_envelope_is_given_up_and_its_envelope_comes_back() {
    let mut world = World::new();
    world.ledger.relay_data(83).unwrap();
    let had = money(&world);
    let sent = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap();
    let Cancelled::Sent { fee, .. } = cancel(&mut world, sent.id) else { panic!() };
    for _ in 0..3 {
        world.mine_and_sync(1);
    }
    assert_eq!(world.state(&world.car, sent.id), State::Expired);
    let lost = had - money(&world);
    let commit = sent.commit.unwrap().fee.unwrap();
    // The commit's fee, the return's, and that of the envelope's way back, or the envelope where that is not worth it.
    assert!(lost > fee + commit && lost <= fee + commit + Amount::from_sat(1_000), "{lost}");
}

#[test]
fn where_nothing_is_taken_in_its_place_the_offer_may_be_mined_after_all() {
    let mut world = World::new();
    let sent = world.offer();
    let offer = unmined(&world, &sent);
    let stubborn = Hindered(&world.ledger, against_replacement);
    let outcome = world.car.cancel(&stubborn, sent.id).unwrap();
    assert!(matches!(&outcome, Cancelled::Waits { why, .. } if why == "txn-mempool-conflict"), "{outcome:?}");
    assert_eq!(world.view(&world.car, sent.id).waiting, Some(Waiting::KeptByLedger));
    assert_eq!(world.view(&world.car, sent.id).offer.unwrap().txid, sent.txid, "it is still shown");
    world.car.sync(&stubborn, &mut |_| ()).unwrap();
    mine_only(&world, vec![offer]);
    world.sync();
    assert!(matches!(
        world.car.cancel(&world.ledger, sent.id),
        Err(NodeError::Cancel(CancelError::Mined(_)))
    ));
    world.mine_and_sync(2);
    world.sync();
    assert_eq!(world.state(&world.car, sent.id), State::Active);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!(car.fingerprint, charger.fingerprint);
}

#[test]
fn what_the_ledger_kept_is_given_up_as_soon_as_it_drops_it() {
    let mut world = World::new();
    let had = money(&world);
    let sent = world.offer();
    let stubborn = Hindered(&world.ledger, against_replacement);
    let Cancelled::Waits { fee, .. } = world.car.cancel(&stubborn, sent.id).unwrap() else { panic!() };
    // The change of the return is not there to be spent; that of the offer is.
    assert_eq!(money(&world), had - PRICE - sent.fee);
    world.restart_car();
    world.sync();
    assert!(world.ledger.unmined(&sent.txid).unwrap().is_none());
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Expired);
    assert_eq!(money(&world), had - fee);
}

#[test]
fn a_reorganisation_may_still_bring_the_offer_back_and_it_leads_to_its_key() {
    let mut world = World::new();
    let sent = world.offer();
    let offer = unmined(&world, &sent);
    cancel(&mut world, sent.id);
    let before = world.ledger.tip().unwrap().height;
    world.mine_and_sync(30);
    assert_eq!(world.state(&world.car, sent.id), State::Expired);
    world.ledger.rewind(before).unwrap();
    mine_only(&world, vec![offer]);
    world.mine(31);
    world.sync();
    world.mine_and_sync(2);
    world.sync();
    assert_eq!(world.state(&world.car, sent.id), State::Active);
}

#[test]
fn a_lost_ledger_or_process_leaves_the_return_for_the_next_round() {
    let mut world = World::new();
    let sent = world.offer();
    let deaf = deaf(&world.ledger);
    assert!(matches!(world.car.cancel(&deaf, sent.id), Err(NodeError::Broadcast { .. })));
    world.restart_car();
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Expired);
}

#[test]
fn an_offer_on_which_another_rests_is_given_up_after_that_one() {
    let mut world = World::new();
    let price = Amount::from_btc(120.0).unwrap();
    // Each of the four coins holds 50: the second offer takes the first one's change.
    let first = world.car.offer(&world.ledger, &request(price)).unwrap();
    let rest = Amount::from_btc(70.0).unwrap();
    let second = world.car.offer(&world.ledger, &request(rest)).unwrap();
    let error = world.car.cancel(&world.ledger, first.id).unwrap_err();
    assert_eq!(error.kind(), Kind::NotYet, "{error}");
    assert!(
        matches!(error, NodeError::Cancel(CancelError::RestedOn { other, .. }) if other == second.id),
        "{error}"
    );
    assert!(matches!(cancel(&mut world, second.id), Cancelled::Sent { .. }));
    world.mine_and_sync(1);
    let states = [first.id, second.id].map(|id| world.state(&world.car, id));
    assert_eq!(states[1], State::Expired);
    assert!(matches!(states[0], State::Offered | State::Answered), "it was mined: {states:?}");
}

#[test]
fn a_raised_offer_is_given_up_at_a_higher_fee_still() {
    let mut world = World::new();
    let sent = world.offer();
    let raised = world.car.raise_fee(&world.ledger, &sent.txid).unwrap().unwrap();
    let Cancelled::Sent { .. } = cancel(&mut world, sent.id) else { panic!() };
    assert!(world.ledger.unmined(&raised.by).unwrap().is_none());
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Expired);
}

#[test]
fn only_an_unmined_offer_of_ones_own_is_given_up() {
    let mut world = World::new();
    let id = world.agree();
    assert!(matches!(world.car.cancel(&world.ledger, id), Err(NodeError::Cancel(CancelError::Mined(_)))));
    assert!(matches!(
        world.charger.cancel(&world.ledger, id),
        Err(NodeError::Cancel(CancelError::NotOwn(_)))
    ));
}

#[test]
fn offers_are_overdue_after_as_many_blocks_as_the_configuration_says() {
    let mut world = World::new();
    let sent = world.offer();
    let patience = world.car.config().give_up_after.unwrap();
    for blocks in [patience - 1, 1] {
        assert!(world.car.overdue_offers().is_empty());
        for _ in 0..blocks {
            mine_only(&world, Vec::new());
        }
        world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    }
    assert_eq!(world.car.overdue_offers(), [sent.id]);
    cancel(&mut world, sent.id);
    assert!(world.car.overdue_offers().is_empty());
}
