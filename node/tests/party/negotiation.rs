//! Two honest parties and one chain: from the offer to sealed messages.

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, OutPoint, TxOut};
use keyway_ledger::Ledger;
use keyway_node::{FundsError, Kind, NodeError, OfferRequest, SessionError};
use keyway_protocol::message::AnswerForm;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::world::*;

#[test]
fn a_payment_ends_in_the_same_key_on_both_sides_and_the_price_is_exact() {
    let mut world = World::new();
    let sent = world.offer();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.charger, sent.id), State::Answered);
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Provisional);
    world.mine_and_sync(1);

    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert_eq!(car.fingerprint.unwrap(), charger.fingerprint.unwrap());
    assert!(car.confirmed, "the answer's tag shows the car that the charger has the key");
    assert!(!charger.confirmed, "nothing has shown the charger yet that the car has it");
    assert_eq!((car.price, charger.price), (PRICE, PRICE));
    let fee = charger.answer.as_ref().unwrap().costs.fee.unwrap();
    let answer = charger.answer.unwrap().txid;
    let collected = mined_tx(&world.ledger, &answer, &world.charger.key().script()).output[0].value;
    assert_eq!(collected, PRICE - fee);
}

#[test]
fn each_new_block_brings_a_new_session_key_without_a_message() {
    let mut world = World::new();
    world.agree();
    let first = world.car.seal("charger", b"start at 11 kW", b"").unwrap();
    let opened = world.charger.open_sealed(&first.sealed, b"", false).unwrap();
    assert_eq!(
        (&opened.plaintext[..], opened.peer.as_str(), opened.confirms),
        (&b"start at 11 kW"[..], "car", true)
    );
    world.mine_and_sync(1);
    let second = world.charger.seal("car", b"started", b"").unwrap();
    assert_ne!(first.block, second.block);
    assert_eq!(&world.car.open_sealed(&second.sealed, b"", false).unwrap().plaintext[..], b"started");
    let confirmed = world.view(&world.charger, first.negotiation).confirmed;
    assert!(confirmed, "the car's message carried its tag");
}

#[test]
fn an_answer_in_amounts_pays_back_its_least_price_and_agrees_too() {
    let mut world = World::new();
    let request = OfferRequest { form: AnswerForm::Amounts, ..request(PRICE) };
    let id = world.car.offer(&world.ledger, &request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, car.fingerprint), (State::Active, charger.fingerprint));
    assert_eq!(car.answer.unwrap().paid_back, Amount::from_sat(71_346));
}

#[test]
fn the_least_price_works_and_one_sat_less_is_refused_with_the_least() {
    let mut world = World::new();
    let error = world.car.offer(&world.ledger, &request(Amount::from_sat(50_753))).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("50754 sat, in 40 outputs"), "{error}");
    let id = world.car.offer(&world.ledger, &request(Amount::from_sat(50_754))).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, id), State::Active);
}

#[test]
fn the_hybrid_suite_rides_in_amounts_only_when_forced_and_the_refusal_says_what_it_takes() {
    let mut world = World::new();
    let request = OfferRequest { suite: Suite::X25519MlKem768, ..request(Amount::from_sat(2_000_000)) };
    let refused = world.car.offer(&world.ledger, &request).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(refused.to_string().contains("at least 1574562 sat in 1224 outputs"), "{refused}");
    let forced = OfferRequest { force: true, ..request };
    let id = world.car.offer(&world.ledger, &forced).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
    assert_eq!((car.state, car.suite), (State::Active, Suite::X25519MlKem768));
    assert_eq!(car.fingerprint.unwrap(), charger.fingerprint.unwrap());
}

#[test]
fn without_enough_money_the_error_says_how_much_is_missing_and_nothing_is_kept() {
    let mut world = World::new();
    let all = world.car.status().unwrap().balance.spendable;
    let error = world.car.offer(&world.ledger, &request(all)).unwrap_err();
    assert!(
        matches!(error, NodeError::Funds(FundsError::TooLittle { needed, available, .. }) if needed > available),
        "{error}"
    );
    assert!(error.to_string().contains("sat are missing"), "{error}");
    assert!(world.car.negotiations().unwrap().is_empty());
    let id = world.offer().id;
    assert_eq!(world.state(&world.car, id), State::Offered);
}

#[test]
fn the_charger_without_any_coin_still_answers_from_what_it_was_paid() {
    let mut world = World::new();
    assert_eq!(world.charger.status().unwrap().balance.spendable, Amount::ZERO);
    world.agree();
}

#[test]
fn a_later_negotiation_supersedes_and_the_old_key_still_opens_but_does_not_seal() {
    let mut world = World::new();
    let old = world.agree();
    let message = world.car.seal("charger", b"late", b"").unwrap();
    let new = world.agree();
    assert_eq!(world.state(&world.charger, old), State::Superseded);
    assert_eq!(world.car.seal("charger", b"x", b"").unwrap().negotiation, new);
    let refused = world.car.seal(&old.to_string(), b"x", b"").unwrap_err();
    assert!(
        matches!(refused, NodeError::Session(SessionError::KeyUnusable { state: State::Superseded, .. })),
        "{refused}"
    );
    assert_eq!(&world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"late");
}

#[test]
fn a_key_that_is_not_deep_enough_is_not_used_and_says_when() {
    let mut world = World::new();
    let id = world.offer().id;
    world.mine_and_sync(1);
    world.mine_and_sync(1);
    let refused = world.car.seal(&id.to_string(), b"early", b"").unwrap_err();
    assert_eq!(refused.kind(), Kind::NotYet);
    assert!(refused.to_string().contains("its answer has depth 1 of 2"), "{refused}");
}

#[test]
fn a_payment_from_a_stranger_is_held_and_read_when_the_card_arrives() {
    let mut world = World::strangers();
    world.car.add_peer(world.charger.card().clone()).unwrap();
    let id = world.offer().id;
    world.mine_and_sync(1);
    assert!(world.charger.negotiations().unwrap().is_empty());
    assert_eq!(world.charger.status().unwrap().balance.held, PRICE);
    world.charger.add_peer(world.car.card().clone()).unwrap();
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.charger, id), State::Active);
}

#[test]
fn an_offer_needs_a_confirmed_coin_and_the_wallet_splits_when_few_are_left() {
    let mut world = World::new();
    for _ in 0..4 {
        world.offer();
    }
    let refused = world.car.offer(&world.ledger, &request(PRICE)).unwrap_err();
    assert_eq!(refused.kind(), Kind::NotYet, "{refused}");
    world.mine_and_sync(1);
    world.offer();
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let done = world.car.negotiations().unwrap();
    assert_eq!(done.len(), 5);
    assert!(done.iter().all(|view| matches!(view.state, State::Active | State::Superseded)), "{done:?}");
}

#[test]
fn one_coin_becomes_four_so_that_the_next_offers_find_confirmed_ones() {
    let mut world = World::new();
    // Somebody with a single large coin: the charger, paid by a block.
    world.ledger.mine(1, &world.charger.key().script()).unwrap();
    world.mine(100);
    world.sync();
    assert_eq!(world.charger.status().unwrap().unmined, 1, "a split is under way");
    world.mine_and_sync(1);
    assert_eq!(world.charger.status().unwrap().balance.coins, keyway_node::IDENTITY_COINS);
}

#[test]
fn a_coin_that_was_spent_is_not_offered_because_another_of_its_transaction_was_not() {
    let mut world = World::new();
    let script = world.car.key().script();
    let (first, one) = last_coinbase(&world, &script);
    world.ledger.mine(1, &script).unwrap();
    world.mine(100);
    let (second, two) = last_coinbase(&world, &script);
    // The largest coin by far, and a small one beside it.
    let [large, small, fee] = [one.value + two.value - PRICE, PRICE / 2, PRICE / 2];
    let pays = |value| TxOut { value, script_pubkey: script.clone() };
    let mut both = spend(&[first, second], vec![pays(large), pays(small)]);
    sign(&mut both, &[one, two], &seed(CAR), EcdsaSighashType::All);
    // Another home of the car gives the large one away, all of it.
    let gift = TxOut { value: large - fee, script_pubkey: nobody() };
    let mut given = spend(&[OutPoint::new(both.compute_txid(), 0)], vec![gift]);
    sign(&mut given, &[pays(large)], &seed(CAR), EcdsaSighashType::All);
    for tx in [both, given] {
        world.ledger.broadcast(&tx).unwrap();
        world.mine_and_sync(1);
    }
    let id = world.agree();
    let offer = world.view(&world.car, id).offer.unwrap().txid;
    let offer = mined_tx(&world.ledger, &offer, &script);
    assert!(world.car_coin_amount(&offer) < large);
}
