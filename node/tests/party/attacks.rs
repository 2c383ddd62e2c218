//! What an attacker with a program of its own can post, and what a party makes of it.

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxOut};
use keyway_carriers::value;
use keyway_chain::Chain;
use keyway_ledger::Ledger;
use keyway_node::*;
use keyway_protocol::state::State;

use crate::world::*;

/// A coin of mallory's that is worth spending, made by the attacker's own mining.
pub fn coin_of(world: &mut World, script: ScriptBuf) -> (OutPoint, TxOut) {
    let block = world.ledger.mine(1, &script).unwrap()[0];
    world.mine(100);
    let mut watch = keyway_ledger::Watch::new();
    watch.add_script(script);
    let before = world.ledger.block_at(block.height.prev().unwrap()).unwrap().unwrap();
    let keyway_ledger::Next::Connect(connected) = world.ledger.next(before, &watch).unwrap() else {
        panic!()
    };
    let hit = &connected.hits[0];
    (OutPoint::new(hit.txid, 0), hit.tx.output[0].clone())
}

pub fn pay(script: ScriptBuf, sat: u64) -> TxOut {
    TxOut { value: Amount::from_sat(sat), script_pubkey: script }
}

/// The outputs of the offer `sent` that pay the charger.
pub fn run_of(world: &World, sent: &OfferSent) -> Vec<TxOut> {
    let script = world.charger.key().script();
    let tx = mined_tx(&world.ledger, &sent.txid, &script);
    tx.output.into_iter().filter(|output| output.script_pubkey == script).collect()
}

#[test]
fn amounts_copied_into_a_strangers_payment_are_no_offer() {
    let mut world = World::new();
    let mallory = seed(MALLORY);
    let (outpoint, coin) = coin_of(&mut world, mallory.identity.party().script());
    let sent = world.offer();
    world.mine_and_sync(1);
    let copied = run_of(&world, &sent);
    let mut tx = spend(&[outpoint], copied);
    sign(&mut tx, &[coin], &mallory, EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(1);
    // Not even held: to the charger it is ordinary money.
    assert_eq!(world.charger.status().unwrap().balance.held, Amount::ZERO);
    assert_eq!(world.charger.negotiations().unwrap().len(), 1);
}

#[test]
fn an_offer_copied_under_another_identity_leads_to_another_key() {
    let mut world = World::new();
    let mallory_party = party(world.dir.path(), "mallory", MALLORY, &world.ledger);
    world.charger.add_peer(mallory_party.card().clone()).unwrap();
    let mallory = seed(MALLORY);
    let (outpoint, coin) = coin_of(&mut world, mallory.identity.party().script());
    let honest = world.offer();
    world.mine_and_sync(1);
    // The car's share in mallory's own payment, with the checksum that belongs there.
    let offer_tx = mined_tx(&world.ledger, &honest.txid, &world.charger.key().script());
    let chain = Chain::regtest();
    let car_coin = world.car_coin_amount(&offer_tx);
    let authored = keyway_protocol::authorship::Authored::verify(&offer_tx, car_coin).unwrap();
    let message =
        value::run::read(&chain, &authored, world.charger.key()).unwrap().unwrap().message().to_vec();
    let binding = value::Binding {
        chain: &chain,
        input0: outpoint,
        author: mallory.identity.party(),
        recipient: world.charger.key(),
    };
    let outputs = value::run::write(&binding, &message, PRICE).unwrap();
    let mut tx = spend(&[outpoint], outputs);
    sign(&mut tx, &[coin], &mallory, EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(1);
    world.mine_and_sync(3);
    let views = world.charger.negotiations().unwrap();
    assert_eq!(views.len(), 2);
    let fingerprints: Vec<_> = views.iter().map(|view| view.fingerprint.unwrap()).collect();
    assert_ne!(fingerprints[0], fingerprints[1]);
    let car = world.view(&world.car, honest.id);
    assert_eq!((car.state, car.fingerprint), (State::Active, views[0].fingerprint));
}

#[test]
fn an_anchor_spent_by_an_ordinary_payment_declines_the_offer() {
    let mut world = World::new();
    let sent = world.offer();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let run = run_of(&world, &sent);
    let mut tx = spend(&outpoints(sent.txid, run.len()), vec![pay(nobody(), 200_000)]);
    sign(&mut tx, &run, &seed(CHARGER), EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(1);
    for view in [world.view(&world.car, sent.id), world.view(&world.charger, sent.id)] {
        assert_eq!(view.state, State::Declined);
        assert!(view.declined.unwrap().contains("sequence"), "the reason is told");
        assert!(view.fingerprint.is_none());
    }
}

#[test]
fn the_chargers_answer_signed_with_anything_but_sighash_all_is_no_answer() {
    let kinds = [
        EcdsaSighashType::None,
        EcdsaSighashType::Single,
        EcdsaSighashType::AllPlusAnyoneCanPay,
        EcdsaSighashType::NonePlusAnyoneCanPay,
        EcdsaSighashType::SinglePlusAnyoneCanPay,
    ];
    for kind in kinds {
        let mut world = World::new();
        let sent = world.offer();
        world.mine_and_sync(1);
        // The genuine answer, signed again in a way that leaves parts of it open.
        let answer = world.charger.negotiations().unwrap()[0].answer.clone().unwrap();
        let mut tx = world.ledger.unmined(&answer.txid).unwrap().unwrap().as_ref().clone();
        let run = run_of(&world, &sent);
        tx.output[0].value -= Amount::from_sat(20_000); // pays to replace the genuine one
        sign(&mut tx, &run, &seed(CHARGER), kind);
        world.ledger.broadcast(&tx).unwrap();
        world.mine_and_sync(3);
        let view = world.view(&world.car, sent.id);
        assert_eq!(view.state, State::Declined, "{kind}");
    }
}

#[test]
fn one_changed_bit_of_the_answers_share_or_tag_declines_it() {
    for input in [0, 5, 12] {
        let mut world = World::new();
        let sent = world.offer();
        world.mine_and_sync(1);
        let answer = world.charger.negotiations().unwrap()[0].answer.clone().unwrap();
        let mut tx = world.ledger.unmined(&answer.txid).unwrap().unwrap().as_ref().clone();
        let run = run_of(&world, &sent);
        tx.input[input].sequence = Sequence(tx.input[input].sequence.0 ^ (1 << 20));
        tx.output[0].value -= Amount::from_sat(20_000);
        sign(&mut tx, &run, &seed(CHARGER), EcdsaSighashType::All);
        world.ledger.broadcast(&tx).unwrap();
        world.mine_and_sync(3);
        assert_eq!(world.state(&world.car, sent.id), State::Declined, "input {input}");
        // The charger's own program sees that this is not the answer it made.
        assert_eq!(world.state(&world.charger, sent.id), State::Declined, "input {input}");
        // Both stay so when the secrets are erased without which nobody could tell.
        world.mine_and_sync(120);
        world.restart_car();
        world.mine_and_sync(1);
        for party in [&world.car, &world.charger] {
            assert_eq!(world.state(party, sent.id), State::Declined, "input {input}");
        }
    }
}

#[test]
fn an_answer_that_does_not_spend_the_anchor_is_nothing() {
    let mut world = World::new();
    let charger = seed(CHARGER);
    let first = world.offer();
    world.mine_and_sync(1);
    let answer = world.charger.negotiations().unwrap()[0].answer.clone().unwrap();
    let genuine = world.ledger.unmined(&answer.txid).unwrap().unwrap();
    world.mine_and_sync(1);
    // The same sequence numbers, on coins of another payment to the charger.
    let second = world.offer();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let run = run_of(&world, &second);
    let mut tx = spend(&outpoints(second.txid, run.len()), vec![pay(nobody(), 200_000)]);
    for (input, genuine) in tx.input.iter_mut().zip(&genuine.input) {
        input.sequence = genuine.sequence;
    }
    sign(&mut tx, &run, &charger, EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(2);
    let view = world.view(&world.car, second.id);
    assert_eq!(view.state, State::Declined);
    assert!(view.declined.unwrap().contains("tag is wrong"));
    assert_eq!(world.state(&world.car, first.id), State::Active);
}

#[test]
fn ones_own_offer_sent_back_agrees_nothing_with_oneself() {
    let mut world = World::new();
    world.charger.add_peer(world.car.card().clone()).unwrap();
    let sent = world.offer();
    world.mine_and_sync(1);
    let offer_tx = mined_tx(&world.ledger, &sent.txid, &world.charger.key().script());
    let chain = Chain::regtest();
    let amount = world.car_coin_amount(&offer_tx);
    let authored = keyway_protocol::authorship::Authored::verify(&offer_tx, amount).unwrap();
    let message =
        value::run::read(&chain, &authored, world.charger.key()).unwrap().unwrap().message().to_vec();
    // The charger posts the car's own share to the car.
    let charger = seed(CHARGER);
    let (outpoint, coin) = coin_of(&mut world, charger.identity.party().script());
    let binding = value::Binding {
        chain: &chain,
        input0: outpoint,
        author: charger.identity.party(),
        recipient: world.car.key(),
    };
    let outputs = value::run::write(&binding, &message, PRICE).unwrap();
    let mut tx = spend(&[outpoint], outputs);
    sign(&mut tx, &[coin], &charger, EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(1);
    world.mine_and_sync(3);
    let views = world.car.negotiations().unwrap();
    let fingerprints: Vec<_> = views.iter().filter_map(|view| view.fingerprint).collect();
    assert_eq!(fingerprints.len(), 2, "the car answers with a fresh share, as to any offer");
    assert_ne!(fingerprints[0], fingerprints[1]);
}

#[test]
fn a_message_sent_twice_or_sent_back_to_its_sender_is_refused() {
    let mut world = World::new();
    world.agree();
    let message = world.car.seal("charger", b"start", b"").unwrap().sealed;
    assert!(world.car.open_sealed(&message, b"", false).is_err());
    world.charger.open_sealed(&message, b"", false).unwrap();
    let again = world.charger.open_sealed(&message, b"", false).unwrap_err();
    assert!(matches!(again, NodeError::Session(SessionError::Replayed)));
    assert!(world.charger.open_sealed(&message, b"", true).is_ok());
}

#[test]
fn an_old_card_a_foreign_card_and_ones_own_card_are_not_accepted() {
    let mut world = World::new();
    let old = world.charger.card().clone();
    let new = world.charger.renew_card().unwrap().clone();
    world.car.add_peer(new).unwrap();
    let refused = world.car.add_peer(old).unwrap_err();
    assert!(refused.to_string().contains("it is an old card"), "{refused}");
    let own = world.car.card().clone();
    assert!(world.car.add_peer(own).unwrap_err().to_string().contains("your own card"));
}

#[test]
fn two_offers_that_spend_the_same_coin_are_one_negotiation_and_the_mined_one_counts() {
    let mut world = World::new();
    let sent = world.offer();
    let first = world.ledger.unmined(&sent.txid).unwrap().unwrap();
    let car_seed = seed(CAR);
    // A version with a higher fee, as a replacement would be.
    let mut bumped = first.as_ref().clone();
    let change = bumped.output.len() - 1;
    bumped.output[change].value -= Amount::from_sat(5_000);
    let coins: Vec<TxOut> = bumped
        .input
        .iter()
        .map(|input| {
            world
                .ledger
                .coin(&input.previous_output)
                .unwrap()
                .map_or_else(|| world.coin_value(input), |c| c.output)
        })
        .collect();
    sign(&mut bumped, &coins, &car_seed, EcdsaSighashType::All);
    world.ledger.broadcast(&bumped).unwrap();
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!(car.offer.unwrap().txid, bumped.compute_txid());
    assert_eq!((car.state, car.fingerprint), (State::Active, charger.fingerprint));
}
