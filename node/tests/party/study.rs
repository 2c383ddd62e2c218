//! The paper's value channel to the letter, between two homes on a real ledger, and what an eavesdropper makes of it.

use keyway_carriers::paper::logarithm;
use keyway_chain::Chain;
use keyway_node::*;
use keyway_protocol::negotiation::Role;

use crate::world::*;

fn knowingly() -> KnownToBeBroken {
    KnownToBeBroken::on(&Chain::regtest(), true).unwrap()
}

/// Both have money of their own.
fn rich() -> World {
    let mut world = World::new();
    let script = world.charger.key().script();
    world.ledger.mine(2, &script).unwrap();
    world.mine_and_sync(100);
    world
}

#[test]
fn algorithm_2_4_and_5_eight_digits_lead_both_homes_to_one_key_and_the_chain_alone_gives_it_away() {
    let mut world = rich();
    let offer = world.car.study_offer(&world.ledger, "charger", 8, knowingly()).unwrap();
    world.mine_and_sync(1);
    let answer = world.charger.study_answer(&world.ledger, &offer.txid.to_string(), knowingly()).unwrap();
    assert_eq!(answer.offer, offer.offer);
    world.mine_and_sync(1);
    let study = |party: &Party| {
        let studies = party.studies().unwrap();
        assert_eq!(studies.len(), 1);
        studies[0]
    };
    let (car, charger) = (study(&world.car), study(&world.charger));
    assert_eq!((car.role, charger.role), (Role::Initiator, Role::Responder));
    assert!(car.key.is_some() && car.key == charger.key);
    let block = world.car.tip().hash;
    let session = car.key.unwrap().session_key(&block);
    assert_eq!(session, charger.key.unwrap().session_key(&block));
    // Whoever has the chain and knows where the two are paid.
    let parties = [world.charger.key(), world.car.key()];
    let from = world.car.birthday().unwrap();
    let seen = studies_between(&world.ledger, from, parties, &mut |_| ()).unwrap();
    assert_eq!(seen, [car.seen]);
    let (_, _, share) = seen[0].answer.unwrap();
    let a = logarithm(seen[0].offer.generator, seen[0].offer.share, seen[0].offer.prime).unwrap();
    assert_eq!(Some(seen[0].offer.master_key(a, share)), car.key);
    let b = logarithm(seen[0].offer.generator, share, seen[0].offer.prime).unwrap();
    assert_eq!(Some(seen[0].offer.master_key(b, seen[0].offer.share)), car.key);
}

#[test]
fn no_amount_of_a_study_is_dust_and_it_is_ordinary_money_to_everything_else() {
    let mut world = rich();
    let dust = Chain::regtest().dust_p2wpkh();
    for _ in 0..3 {
        let sent = world.car.study_offer(&world.ledger, "charger", 5, knowingly()).unwrap();
        for number in [sent.offer.share, sent.offer.generator, sent.offer.prime] {
            assert!((dust.to_sat()..100_000).contains(&number));
        }
        let before = world.charger.status().unwrap().balance.spendable;
        world.mine_and_sync(1);
        let paid = sent.offer.share + sent.offer.generator + sent.offer.prime;
        assert_eq!((world.charger.status().unwrap().balance.spendable - before).to_sat(), paid);
    }
    assert!(world.charger.negotiations().unwrap().is_empty());
    assert_eq!(world.charger.status().unwrap().balance.held.to_sat(), 0);
}

#[test]
fn nobody_studies_by_accident_nor_where_coins_have_a_price() {
    for name in ["bitcoin", "litecoin"] {
        let refused = KnownToBeBroken::on(&Chain::named(name).unwrap(), true).unwrap_err();
        assert!(matches!(refused, NodeError::Study(StudyError::OnMain(_))), "{refused}");
    }
    let refused = KnownToBeBroken::on(&Chain::regtest(), false).unwrap_err();
    assert!(matches!(refused, NodeError::Study(StudyError::Unsaid)), "{refused}");
    for name in ["regtest", "signet", "testnet4", "litecoin-regtest", "litecoin-testnet"] {
        assert!(KnownToBeBroken::on(&Chain::named(name).unwrap(), true).is_ok());
    }
}

#[test]
fn a_study_outlives_a_restart_and_is_answered_once() {
    let mut world = rich();
    let offer = world.car.study_offer(&world.ledger, "charger", 6, knowingly()).unwrap();
    world.restart_car();
    world.mine_and_sync(1);
    let answer =
        |world: &mut World| world.charger.study_answer(&world.ledger, &offer.txid.to_string(), knowingly());
    answer(&mut world).unwrap();
    assert!(matches!(answer(&mut world), Err(NodeError::Study(StudyError::Answered(_)))));
    world.restart_charger();
    world.mine_and_sync(1);
    assert!(matches!(answer(&mut world), Err(NodeError::Study(StudyError::Unknown(_)))));
    let key = world.car.studies().unwrap()[0].key;
    assert!(key.is_some() && key == world.charger.studies().unwrap()[0].key);
}
