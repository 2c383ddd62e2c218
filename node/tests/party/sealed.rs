//! The static carrier: one coin, and the messages sealed beside it.

use bitcoin::hex::DisplayHex;
use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, TxOut};
use keyway_carriers::script::data;
use keyway_ledger::Ledger;
use keyway_node::{Carriage, OfferRequest};
use keyway_protocol::message::Carrier;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::world::*;

fn negotiate(world: &mut World, request: &OfferRequest) -> keyway_protocol::negotiation::NegotiationId {
    let id = world.car.offer(&world.ledger, request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    id
}

#[test]
fn every_suite_agrees_beside_one_coin_of_exactly_the_price() {
    for suite in Suite::USUAL {
        let mut world = World::new();
        let id = negotiate(&mut world, &OfferRequest { suite, ..over(Carrier::Static) });
        let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
        assert_eq!((car.state, charger.state), (State::Active, State::Active), "{suite}");
        assert_eq!((car.suite, car.fingerprint), (suite, charger.fingerprint));
        assert_eq!((car.price, charger.price), (PRICE, PRICE));
        assert!(matches!(car.offer.unwrap().carriage, Carriage::Sealed { .. }));
        let fee = charger.answer.as_ref().unwrap().costs.fee.unwrap();
        let answer = mined_tx(&world.ledger, &charger.answer.unwrap().txid, &world.charger.key().script());
        let netted: Amount = answer.output.iter().map(|output| output.value).sum();
        assert_eq!(netted, PRICE - fee);
        let message = world.car.seal("charger", b"start", b"").unwrap();
        assert_eq!(&world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"start");
    }
}

#[test]
fn neither_share_stands_on_the_chain() {
    let mut world = World::new();
    let request = OfferRequest { suite: Suite::X25519, ..over(Carrier::Static) };
    let id = negotiate(&mut world, &request);
    let view = world.view(&world.car, id);
    let script = world.charger.key().script();
    let offer = mined_tx(&world.ledger, &view.offer.unwrap().txid, &script);
    let message = offer.output.iter().find_map(|output| data::read(output).ok()).unwrap();
    // A_len, g_len, p_len would stand at its beginning, timestamp and type at its end.
    assert_eq!(message.len(), 12 + 32 + 5 + 48);
    assert!(!message.to_lower_hex_string().contains("000000200000000000000000"));
}

#[test]
fn a_restarted_car_reads_its_own_sealed_offer_and_the_answer_to_it() {
    let mut world = World::new();
    let id = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap().id;
    world.restart_car();
    assert_eq!(world.state(&world.car, id), State::Offered);
    world.mine_and_sync(1);
    world.restart_car();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, id), State::Active);
}

#[test]
fn a_sealed_key_outlives_its_negotiations_secret() {
    let mut world = World::new();
    let id = negotiate(&mut world, &over(Carrier::Static));
    let before = world.view(&world.car, id).fingerprint;
    world.mine_and_sync(120);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert_eq!((car.fingerprint, charger.fingerprint), (before, before));
    let message = world.charger.seal("car", b"done", b"").unwrap();
    assert_eq!(&world.car.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"done");
}

#[test]
fn a_sealed_offer_copied_into_a_strangers_payment_is_ordinary_money() {
    let mut world = World::new();
    let sent = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap();
    let offer = world.ledger.unmined(&sent.txid).unwrap().unwrap();
    let mallory = seed(MALLORY);
    world.ledger.mine(1, &mallory.identity.party().script()).unwrap();
    world.mine(100);
    let (outpoint, coin) = last_coinbase(&world, &mallory.identity.party().script());
    let outputs: Vec<TxOut> = offer.output[..2].to_vec();
    let mut copied = spend(&[outpoint], outputs);
    copied.lock_time = offer.lock_time;
    sign(&mut copied, &[coin], &mallory, EcdsaSighashType::All);
    world.ledger.broadcast(&copied).unwrap();
    world.mine_and_sync(1);
    assert_eq!(world.charger.negotiations().unwrap().len(), 1);
    // The coin of the honest offer is collected by its answer, the copy's is the charger's to spend.
    assert_eq!(world.charger.status().unwrap().balance.held, Amount::ZERO);
}

#[test]
fn a_changed_bit_of_a_sealed_answer_declines_it() {
    let mut world = World::new();
    let id = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap().id;
    world.mine_and_sync(1);
    let answer = world.charger.negotiations().unwrap()[0].answer.clone().unwrap();
    let mut tx = world.ledger.unmined(&answer.txid).unwrap().unwrap().as_ref().clone();
    let position = tx.output.iter().position(|output| output.script_pubkey.is_op_return()).unwrap();
    let mut script = tx.output[position].script_pubkey.to_bytes();
    script[40] ^= 1;
    tx.output[position].script_pubkey = script.into();
    tx.output[1 - position].value -= Amount::from_sat(20_000);
    let anchor = TxOut { value: PRICE, script_pubkey: world.charger.key().script() };
    sign(&mut tx, &[anchor], &seed(CHARGER), EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(3);
    for view in [world.view(&world.car, id), world.view(&world.charger, id)] {
        assert_eq!(view.state, State::Declined);
        assert!(view.declined.is_some());
    }
}

#[test]
fn a_sealed_offer_of_a_stranger_is_held_and_answered_when_the_card_arrives() {
    let mut world = World::strangers();
    world.car.add_peer(world.charger.card().clone()).unwrap();
    let id = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap().id;
    world.mine_and_sync(1);
    assert_eq!(world.charger.status().unwrap().balance.held, PRICE);
    world.charger.add_peer(world.car.card().clone()).unwrap();
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.charger, id), State::Active);
}
