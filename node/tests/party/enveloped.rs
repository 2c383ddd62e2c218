//! Messages in envelopes, over a ledger that relays 83 bytes of data as older nodes do.

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use keyway_carriers::script::{Way, envelope, envelopes};
use keyway_chain::Chain;
use keyway_ledger::embedded::Plan;
use keyway_ledger::{BroadcastError, Ledger, Refusal};
use keyway_node::{Event, NegotiationView, NodeError, OfferRequest, OfferSent, Synced};
use keyway_protocol::message::Carrier;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::world::*;

const OLD_LIMIT: usize = 83;

fn old_world() -> World {
    let world = World::new();
    world.ledger.relay_data(OLD_LIMIT).unwrap();
    world
}

fn hybrid(carrier: Carrier) -> OfferRequest {
    OfferRequest { suite: Suite::X25519MlKem768, ..over(carrier) }
}

/// The car's offer in a block, seen by nobody yet.
fn offered(world: &mut World, carrier: Carrier) -> OfferSent {
    let sent = world.car.offer(&world.ledger, &hybrid(carrier)).unwrap();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    sent
}

fn unmined(world: &World, txid: &Txid) -> Transaction {
    world.ledger.unmined(txid).unwrap().unwrap().as_ref().clone()
}

fn commit_of(world: &World, reveal: &Transaction) -> Transaction {
    let (index, _) = envelopes(reveal).next().unwrap();
    unmined(world, &reveal.input[index].previous_output.txid)
}

/// What the charger has after its answer, which is its whole money.
fn netted(world: &World, answer: &Txid) -> Amount {
    let script = world.charger.key().script();
    let answer = mined_tx(&world.ledger, answer, &script);
    answer.output.iter().filter(|output| output.script_pubkey == script).map(|output| output.value).sum()
}

fn shows_an_envelope(tx: &Transaction) -> bool {
    tx.input.iter().any(|input| envelope::shown(input).is_some())
}

/// A node that took the commit and was gone before the rest.
fn gone_after_the_commit(tx: &Transaction) -> Option<BroadcastError> {
    shows_an_envelope(tx).then(hung_up)
}

/// A node that relays no envelope.
fn against_envelopes(tx: &Transaction) -> Option<BroadcastError> {
    let refusal = || Refusal { txid: tx.compute_txid(), reason: "datacarrier".to_owned(), detail: None };
    shows_an_envelope(tx).then(|| refusal().into())
}

fn mine_alone(world: &World, transactions: Vec<Transaction>) {
    let plan = Plan { transactions: Some(transactions), ..Plan::to(&nobody()) };
    world.ledger.mine_one(&plan).unwrap();
}

fn returned(synced: &Synced) -> bool {
    synced.events.iter().any(|event| matches!(event, Event::EnvelopeReturned { .. }))
}

fn ways(view: &NegotiationView) -> (Option<Way>, Option<Way>) {
    let offer = view.offer.as_ref().and_then(|offer| offer.carriage.way());
    (offer, view.answer.as_ref().and_then(|answer| answer.message).map(|(_, way)| way))
}

#[test]
fn the_hybrid_suite_agrees_over_static_and_dynamic_where_83_bytes_are_relayed() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = old_world();
        let sent = offered(&mut world, carrier);
        world.sync();
        world.mine_and_sync(2);
        let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
        assert_eq!((car.state, charger.state), (State::Active, State::Active), "{carrier}");
        assert_eq!(car.fingerprint, charger.fingerprint);
        assert_eq!((car.price, charger.price), (PRICE, PRICE), "the second output is part of the price");
        assert_eq!(ways(&charger), (Some(Way::Envelope), Some(Way::Envelope)));
        let message = world.car.seal("charger", b"start", b"").unwrap();
        assert_eq!(&world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"start");
        // The charger began without a coin: what it has is the price without the two fees.
        let answer = charger.answer.unwrap();
        let fees = answer.costs.fee.unwrap() + answer.commit.unwrap().fee.unwrap();
        assert_eq!(netted(&world, &answer.txid), PRICE - fees);
    }
}

#[test]
fn the_papers_lock_agrees_where_83_bytes_are_relayed() {
    let mut world = World::enforcing();
    world.ledger.relay_data(OLD_LIMIT).unwrap();
    let request = OfferRequest { suite: Suite::Ffdhe2048, ..over(Carrier::Dynamic) };
    let id = world.car.offer(&world.ledger, &request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert_eq!(car.fingerprint, charger.fingerprint);
    assert_eq!(ways(&charger), (Some(Way::Envelope), Some(Way::Envelope)));
}

#[test]
fn every_suite_that_rides_sealed_fits_into_an_envelope() {
    for suite in Suite::USUAL {
        let mut world = old_world();
        let id = world.car.offer(&world.ledger, &OfferRequest { suite, ..over(Carrier::Static) }).unwrap().id;
        world.mine_and_sync(1);
        world.mine_and_sync(2);
        assert_eq!(world.state(&world.charger, id), State::Active, "{suite}");
    }
}

#[test]
fn what_was_said_to_cost_is_what_it_costs() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = old_world();
        let request = hybrid(carrier);
        let feerate = world.ledger.feerate().unwrap();
        let quote = keyway_node::Quote::new(&Chain::regtest(), feerate, &request.terms(), OLD_LIMIT).unwrap();
        let sent = offered(&mut world, carrier);
        world.sync();
        world.mine_and_sync(2);
        let answer = world.view(&world.charger, sent.id).answer.unwrap();
        let close = |said: keyway_node::Costs, is: u64| said.vbytes.abs_diff(is) <= 2;
        assert!(close(quote.offer, sent.vbytes), "{carrier}: {quote:?} {sent:?}");
        assert!(close(quote.offer_commit.unwrap(), sent.commit.unwrap().vbytes), "{quote:?} {sent:?}");
        assert!(close(quote.answer, answer.costs.vbytes), "{carrier}: {quote:?} {answer:?}");
        assert!(close(quote.answer_commit.unwrap(), answer.commit.unwrap().vbytes), "{quote:?} {answer:?}");
        let netted = netted(&world, &answer.txid);
        assert!(netted.to_sat().abs_diff(quote.netted.to_sat()) <= 2, "{netted} of {}", quote.netted);
    }
}

#[test]
fn commit_and_reveal_share_a_lock_time_and_the_reveal_begins_with_an_older_coin() {
    let mut world = old_world();
    let sent = world.car.offer(&world.ledger, &hybrid(Carrier::Static)).unwrap();
    let offer = unmined(&world, &sent.txid);
    let commit = commit_of(&world, &offer);
    assert_eq!(commit.lock_time, offer.lock_time);
    let input0 = offer.input[0].previous_output;
    assert!(commit.input.iter().all(|input| input.previous_output != input0));
    assert_ne!(input0.txid, commit.compute_txid());
    assert_eq!(commit.output[0].value, envelope::amount(&Chain::regtest()));
    world.mine_and_sync(1);
    let answer = world.view(&world.charger, sent.id).answer.unwrap();
    let answer = unmined(&world, &answer.txid);
    let commit = commit_of(&world, &answer);
    assert_eq!(commit.lock_time, answer.lock_time);
    // The anchor is the answer's, and the second output the commit's.
    assert_eq!(answer.input[0].previous_output, OutPoint::new(sent.txid, 0));
    assert_eq!(commit.input[0].previous_output, OutPoint::new(sent.txid, 1));
}

#[test]
fn small_messages_need_no_envelope_anywhere() {
    let mut world = old_world();
    let request = OfferRequest { suite: Suite::X25519, ..over(Carrier::Dynamic) };
    let id = world.car.offer(&world.ledger, &request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(ways(&world.view(&world.charger, id)), (Some(Way::Output), Some(Way::Output)));
}

#[test]
fn a_charger_beside_an_older_node_answers_in_an_envelope_that_its_own_coins_pay_for() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = World::new();
        world.ledger.mine(1, &world.charger.key().script()).unwrap();
        world.mine(100);
        world.sync();
        let sent = offered(&mut world, carrier);
        world.ledger.relay_data(OLD_LIMIT).unwrap();
        world.sync();
        world.mine_and_sync(2);
        let view = world.view(&world.car, sent.id);
        assert_eq!(view.state, State::Active, "{carrier}");
        assert_eq!(ways(&view), (Some(Way::Output), Some(Way::Envelope)));
    }
}

#[test]
fn a_charger_without_a_coin_beside_an_older_node_says_what_it_lacks_before_money_moves() {
    let mut world = World::new();
    let sent = offered(&mut world, Carrier::Static);
    world.ledger.relay_data(OLD_LIMIT).unwrap();
    let synced = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    let told = synced.events.iter().find_map(|event| match event {
        Event::NotAnswered { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(told.unwrap().contains("envelope"), "{synced:?}");
    assert_eq!(world.charger.status().unwrap().unmined, 0);
    assert_eq!(world.state(&world.charger, sent.id), State::Offered);
    // It answers as soon as it has one.
    world.ledger.mine(1, &world.charger.key().script()).unwrap();
    world.mine(100);
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, sent.id), State::Active);
}

#[test]
fn a_charger_beside_a_newer_node_answers_an_enveloped_offer_in_a_data_output_and_keeps_the_second_coin() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = old_world();
        let sent = offered(&mut world, carrier);
        world.ledger.relay_data(100_000).unwrap();
        world.sync();
        world.mine_and_sync(2);
        let view = world.view(&world.charger, sent.id);
        assert_eq!(view.state, State::Active, "{carrier}");
        assert_eq!(ways(&view), (Some(Way::Envelope), Some(Way::Output)));
        let answer = view.answer.unwrap();
        assert_eq!(netted(&world, &answer.txid), PRICE - answer.costs.fee.unwrap());
    }
}

#[test]
fn an_offer_follows_its_commit_wherever_the_car_was_killed_in_between() {
    let before_both: Fate = |_| Some(hung_up());
    for (fate, is_pending) in [(before_both, false), (gone_after_the_commit, true)] {
        let mut world = old_world();
        let failed = world.car.offer(&Hindered(&world.ledger, fate), &hybrid(Carrier::Static));
        assert!(matches!(failed, Err(NodeError::Broadcast { .. })), "{failed:?}");
        let id = world.car.negotiations().unwrap()[0].id;
        world.restart_car();
        if is_pending {
            world.mine(1);
        }
        world.sync();
        world.mine_and_sync(1);
        world.mine_and_sync(2);
        assert_eq!(world.state(&world.car, id), State::Active);
        assert_eq!(world.state(&world.charger, id), State::Active);
    }
}

#[test]
fn an_answer_follows_its_commit_wherever_the_charger_was_killed_in_between() {
    let before_both: Fate = |_| Some(hung_up());
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        for (fate, blocks) in [(before_both, 0), (gone_after_the_commit, 0), (gone_after_the_commit, 3)] {
            let mut world = old_world();
            let sent = offered(&mut world, carrier);
            world.charger.sync(&Hindered(&world.ledger, fate), &mut |_| ()).unwrap_err();
            world.restart_charger();
            // The commit is mined, or is not.
            world.mine(blocks);
            world.sync();
            world.mine_and_sync(2);
            assert_eq!(world.state(&world.car, sent.id), State::Active, "{carrier}, {blocks}");
        }
    }
}

#[test]
fn an_offer_that_the_node_refuses_behind_its_commit_is_forgotten_and_the_commit_comes_back() {
    let mut world = old_world();
    let refused = world.car.offer(&Hindered(&world.ledger, against_envelopes), &hybrid(Carrier::Static));
    assert!(refused.unwrap_err().to_string().contains("datacarrier"));
    assert!(world.car.negotiations().unwrap().is_empty());
    world.restart_car();
    assert!(!returned(&world.car.sync(&world.ledger, &mut |_| ()).unwrap()), "it is not mined yet");
    world.mine(1);
    assert!(returned(&world.car.sync(&world.ledger, &mut |_| ()).unwrap()));
    world.mine_and_sync(1);
    assert_eq!(world.car.status().unwrap().unmined, 0);
    // The next offer is as good as any.
    let sent = offered(&mut world, Carrier::Static);
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, sent.id), State::Active);
}

#[test]
fn a_stored_offer_that_a_node_refuses_for_good_gives_its_envelope_back_too() {
    let mut world = old_world();
    let hindered = Hindered(&world.ledger, gone_after_the_commit);
    world.car.offer(&hindered, &hybrid(Carrier::Dynamic)).unwrap_err();
    world.mine(1);
    let against =
        |world: &mut World| world.car.sync(&Hindered(&world.ledger, against_envelopes), &mut |_| ()).unwrap();
    assert!(!returned(&against(&mut world)), "what takes it back shows it, and is refused as well");
    assert!(world.car.negotiations().unwrap().is_empty());
    assert!(returned(&world.car.sync(&world.ledger, &mut |_| ()).unwrap()), "another node takes it");
}

#[test]
fn an_answer_that_comes_too_late_behind_its_commit_keeps_the_secret_and_takes_the_commit_back() {
    let mut world = old_world();
    let sent = offered(&mut world, Carrier::Dynamic);
    world.charger.sync(&Hindered(&world.ledger, gone_after_the_commit), &mut |_| ()).unwrap_err();
    world.mine(120);
    let late = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(returned(&late), "{late:?}");
    assert_eq!(world.state(&world.charger, sent.id), State::Offered);
    // The car has its money back, and the charger what came beside it.
    world.mine(40);
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Refunded);
    assert_eq!(world.charger.status().unwrap().unmined, 0);
}

#[test]
fn a_reorganisation_between_commit_and_answer_leaves_one_commit_and_one_answer() {
    let mut world = old_world();
    let sent = offered(&mut world, Carrier::Static);
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Provisional);
    let answer = world.view(&world.charger, sent.id).answer.unwrap().txid;
    let tip = world.ledger.tip().unwrap().height;
    world.ledger.rewind(tip.prev().unwrap()).unwrap();
    world.sync();
    world.mine_and_sync(2);
    let view = world.view(&world.charger, sent.id);
    assert_eq!((view.state, view.answer.unwrap().txid), (State::Active, answer));
}

#[test]
fn an_envelope_that_was_shown_is_forgotten_in_the_end_and_never_asked_back() {
    let mut world = old_world();
    let sent = offered(&mut world, Carrier::Dynamic);
    world.sync();
    world.mine_and_sync(2);
    for _ in 0..3 {
        world.mine(60);
        let (car, charger) = world.sync();
        assert!(!returned(&car) && !returned(&charger), "{car:?} {charger:?}");
        world.restart_car();
    }
    assert_eq!(world.state(&world.car, sent.id), State::Active);
}

#[test]
fn an_offer_whose_first_coin_another_device_spent_gives_its_envelope_back() {
    let mut world = old_world();
    let sent = world.car.offer(&world.ledger, &hybrid(Carrier::Static)).unwrap();
    let offer = unmined(&world, &sent.txid);
    let input0 = offer.input[0].previous_output;
    // The other device's payment is mined, the offer is not, and its commit is.
    let commit = commit_of(&world, &offer);
    let script = world.car.key().script();
    let before = mined_tx(&world.ledger, &input0.txid, &script).output[input0.vout as usize].clone();
    let mut other = spend(
        &[input0],
        vec![bitcoin::TxOut { value: before.value - Amount::from_sat(5_000), script_pubkey: script }],
    );
    sign(&mut other, &[before], &seed(CAR), bitcoin::sighash::EcdsaSighashType::All);
    mine_alone(&world, vec![commit, other]);
    let synced = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(returned(&synced), "{synced:?}");
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Expired);
    assert!(!returned(&world.car.sync(&world.ledger, &mut |_| ()).unwrap()), "once is enough");
}
