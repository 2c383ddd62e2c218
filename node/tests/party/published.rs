//! The suite `ffdh-published`: groups from the chain (the paper's Algorithms 1, 3 and 5).

use bitcoin::TxOut;
use bitcoin::sighash::EcdsaSighashType;
use keyway_carriers::script::published;
use keyway_ledger::Ledger;
use keyway_node::*;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::fixtures::{COMPOSITE, MODP2048, SAFE2060, numbers};
use crate::groups::with_policy;
use crate::world::*;

const TRUSTING: &str = "suites = [\"x25519\", \"ffdh-published\"]\ngroups_from = [\"car\", \"charger\"]";

pub fn trusting() -> World {
    let mut world = World::new();
    with_policy(&mut world, TRUSTING);
    world
}

/// The charger gets money of its own, and publishes a group.
pub fn publish(world: &mut World, modulus: &str) -> GroupSent {
    let script = world.charger.key().script();
    world.ledger.mine(2, &script).unwrap();
    world.mine_and_sync(100);
    let sent = world.charger.publish(&world.ledger, &numbers(modulus, 4)).unwrap();
    world.mine_and_sync(1);
    sent
}

pub fn offer_in(world: &World, sent: &GroupSent) -> Result<OfferRequest, NodeError> {
    let group = Some(world.car.published_group(&sent.txid.to_string())?);
    Ok(OfferRequest { suite: Suite::FfdhPublished, group, ..over(Carrier::Static) })
}

fn negotiate(world: &mut World, request: &OfferRequest) -> NegotiationId {
    let id = world.car.offer(&world.ledger, request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    id
}

#[test]
fn algorithm_1_3_and_5_a_group_that_was_published_leads_both_sides_to_one_key() {
    let mut world = trusting();
    let sent = publish(&mut world, SAFE2060);
    assert!(matches!(offer_in(&world, &sent), Err(NodeError::Group(GroupError::TooYoung { .. }))));
    world.mine_and_sync(5);
    let listed = world.car.published_groups();
    assert_eq!((listed.len(), listed[0].txid, listed[0].publisher), (1, sent.txid, world.charger.key()));
    let request = offer_in(&world, &sent).unwrap();
    let id = negotiate(&mut world, &request);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert!(car.fingerprint.is_some() && car.fingerprint == charger.fingerprint);
    world.restart_car();
    world.restart_charger();
    assert_eq!(world.view(&world.car, id).fingerprint, world.view(&world.charger, id).fingerprint);
    let message = world.car.seal("charger", b"start", b"").unwrap();
    assert_eq!(&world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"start");
    // The secret is erased, and the key works on.
    world.mine_and_sync(120);
    assert_eq!(world.state(&world.car, id), State::Active);
    assert_eq!(world.state(&world.charger, id), State::Active);
}

#[test]
fn a_reorganisation_that_takes_the_group_from_below_the_offer_takes_the_key_from_both_sides() {
    let mut world = trusting();
    let sent = publish(&mut world, MODP2048);
    let published_at = world.car.published_groups()[0].block.at.height;
    world.mine_and_sync(5);
    let request = offer_in(&world, &sent).unwrap();
    let id = negotiate(&mut world, &request);
    assert_eq!(world.state(&world.car, id), State::Active);
    // Another branch has none of it; then all is mined in one block.
    let below = world.ledger.block_at(published_at.prev().unwrap()).unwrap().unwrap();
    let longer = world.car.tip().height.to_u32() - below.height.to_u32() + 1;
    world.ledger.mine_on(&below.hash, longer, &nobody(), &[]).unwrap();
    world.mine_and_sync(1);
    world.mine_and_sync(3);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, charger.state), (State::Declined, State::Declined));
    assert!(car.declined.unwrap().contains("group"));
}

#[test]
fn a_group_of_somebody_whom_the_policy_does_not_name_is_not_answered_in() {
    let mut world = trusting();
    let config = world.dir.path().join("charger/keyway.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[\"car\", \"charger\"]", "[]")).unwrap();
    world.restart_charger();
    let sent = world.car.publish(&world.ledger, &numbers(MODP2048, 2)).unwrap();
    world.mine_and_sync(6);
    let request = offer_in(&world, &sent).unwrap();
    let id = negotiate(&mut world, &request);
    assert_eq!(world.view(&world.charger, id).waiting, Some(Waiting::Group));
    // Named later, it is found in the blocks that were followed before, and answered.
    std::fs::write(&config, text).unwrap();
    world.restart_charger();
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.charger, id), State::Active);
    assert_eq!(world.view(&world.car, id).fingerprint, world.view(&world.charger, id).fingerprint);
}

#[test]
fn a_strangers_mark_is_listed_for_whoever_asks_and_kept_by_nobody() {
    let mut world = trusting();
    let mallory = seed(MALLORY);
    let script = mallory.identity.party().script();
    world.ledger.mine(1, &script).unwrap();
    world.mine_and_sync(100);
    let (outpoint, coin) = last_coinbase(&world, &script);
    let [mark, data] = published::write(&numbers(MODP2048, 2)).unwrap();
    let change = TxOut { value: coin.value - bitcoin::Amount::from_sat(2_000), script_pubkey: script };
    let mut tx = spend(&[outpoint], vec![mark, data, change]);
    sign(&mut tx, &[coin], &mallory, EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(1);
    assert!(world.car.published_groups().is_empty());
    let mut marked = Vec::new();
    let from = world.car.birthday().unwrap();
    marked_groups(&world.ledger, from, &mut |_| (), &mut |found| marked.push(found)).unwrap();
    let [found] = &marked[..] else { panic!("{marked:?}") };
    assert_eq!(found.group.as_ref().unwrap().0, mallory.identity.party());
    assert_eq!(found.txid, tx.compute_txid());
}

#[test]
fn what_is_unsound_or_more_than_the_ledger_relays_is_not_published() {
    let mut world = trusting();
    let refused = world.car.publish(&world.ledger, &numbers(COMPOSITE, 4));
    assert!(matches!(refused, Err(NodeError::Group(GroupError::Bad(_)))), "{refused:?}");
    world.ledger.relay_data(83).unwrap();
    world.mine_and_sync(1);
    let refused = world.car.publish(&world.ledger, &numbers(MODP2048, 2)).unwrap_err();
    assert!(matches!(refused, NodeError::Group(GroupError::DataTooLong { most: 83, .. })), "{refused}");
    assert!(refused.to_string().contains("--suite ffdh-custom"));
    assert!(matches!(world.car.published_group("00"), Err(NodeError::Group(GroupError::Unknown(_)))));
}
