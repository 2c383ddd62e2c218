//! The dynamic carrier: the payment is locked until the offer is answered, and comes back if it is not.

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Witness};
use keyway_carriers::script::data;
use keyway_carriers::script::lock::{self, Ends, Lock, Spend};
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_ledger::embedded::Plan;
use keyway_node::{Carriage, Event, Kind, NegotiationView, OfferRequest, OfferSent};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::letter::Direction;
use keyway_protocol::message::{Carrier, Offer, Terms};
use keyway_protocol::prekey::FirstSecret;
use keyway_protocol::secret::Secret;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::world::*;

/// The car's offer in a block, seen by nobody yet.
pub fn offered(world: &mut World, request: &OfferRequest) -> OfferSent {
    let sent = world.car.offer(&world.ledger, request).unwrap();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    sent
}

pub fn timeout(view: &NegotiationView) -> Height {
    match view.offer.as_ref().unwrap().carriage {
        Carriage::Locked { timeout, .. } => timeout.unwrap(),
        other => panic!("{other:?}"),
    }
}

pub fn mine_to(world: &mut World, height: Height) {
    let tip = world.ledger.tip().unwrap().height;
    world.mine(height.to_u32() - tip.to_u32());
}

#[test]
fn both_suites_agree_and_the_charger_is_paid_for_its_answer() {
    for suite in Suite::WITH_PREKEYS {
        let mut world = World::new();
        let sent = offered(&mut world, &OfferRequest { suite, ..over(Carrier::Dynamic) });
        world.sync();
        world.mine_and_sync(2);
        let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
        assert_eq!((car.state, charger.state), (State::Active, State::Active), "{suite}");
        assert_eq!((car.suite, car.fingerprint), (suite, charger.fingerprint));
        assert_eq!((car.price, charger.price), (PRICE, PRICE));
        let fee = charger.answer.as_ref().unwrap().costs.fee.unwrap();
        let answer = mined_tx(&world.ledger, &charger.answer.unwrap().txid, &world.charger.key().script());
        assert_eq!(answer.output[0].value, PRICE - fee);
        let message = world.car.seal("charger", b"start", b"").unwrap();
        assert_eq!(&world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"start");
    }
}

#[test]
fn without_an_answer_the_payment_comes_back_by_itself_after_the_timeout() {
    let mut world = World::new();
    let before = world.car.status().unwrap().balance.spendable;
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let timeout = timeout(&world.view(&world.car, sent.id));
    mine_to(&mut world, Height::new(timeout.to_u32() - 1));
    let early = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(!early.events.iter().any(|event| matches!(event, Event::RefundSent { .. })), "{early:?}");
    world.mine(1);
    let due = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(due.events.iter().any(|event| matches!(event, Event::RefundSent { .. })), "{due:?}");
    world.mine_and_sync(1);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!((car.state, charger.state), (State::Refunded, State::Refunded));
    let lost = before - world.car.status().unwrap().balance.spendable;
    // The fees, and the anchor, which stays with the charger.
    assert!(lost < sent.fee + Amount::from_sat(1_500), "{lost}");
    let balance = world.charger.status().unwrap().balance;
    assert_eq!((balance.held, balance.spendable), (Amount::ZERO, Amount::from_sat(1_000)));
}

#[test]
fn the_payment_comes_back_also_if_the_car_was_off_when_the_timeout_passed() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    world.mine(400);
    world.restart_car();
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Refunded);
    // A second start finds nothing to do.
    world.restart_car();
    let again = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(again.events.is_empty(), "{again:?}");
}

#[test]
fn a_charger_that_comes_too_late_keeps_the_secret_to_itself() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let timeout = timeout(&world.view(&world.car, sent.id));
    mine_to(&mut world, Height::new(timeout.to_u32() - 35));
    let late = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    let told = late.events.iter().find_map(|event| match event {
        Event::NotAnswered { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(told.unwrap().contains("too little time"), "{late:?}");
    assert_eq!(world.charger.status().unwrap().unmined, 0);
    assert_eq!(world.state(&world.charger, sent.id), State::Offered);
}

#[test]
fn one_block_earlier_it_still_answers() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let timeout = timeout(&world.view(&world.car, sent.id));
    mine_to(&mut world, Height::new(timeout.to_u32() - 36));
    world.sync();
    assert_eq!(world.state(&world.charger, sent.id), State::Answered);
}

#[test]
fn the_answers_fee_rises_as_the_timeout_comes_near_and_its_message_stays() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let timeout = timeout(&world.view(&world.car, sent.id));
    world.sync();
    let first = world.view(&world.charger, sent.id).answer.unwrap();
    // Blocks that hold no transactions: miners leave the answer out.
    let tip = world.ledger.tip().unwrap().height;
    mine_empty(&mut world, timeout.to_u32() - 12 - tip.to_u32());
    let synced = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(synced.events.iter().any(|event| matches!(event, Event::FeeRaised { .. })), "{synced:?}");
    let raised = world.view(&world.charger, sent.id).answer.unwrap();
    assert!(raised.costs.fee.unwrap() >= first.costs.fee.unwrap() * 16, "{raised:?}");
    assert_eq!(world.ledger.unmined(&first.txid).unwrap(), None, "it was replaced");
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!((car.state, car.fingerprint), (State::Active, charger.fingerprint));
}

pub fn mine_empty(world: &mut World, blocks: u32) {
    for _ in 0..blocks {
        let plan = Plan { transactions: Some(Vec::new()), ..Plan::to(&nobody()) };
        world.ledger.mine_one(&plan).unwrap();
    }
}

/// What the charger alone can compute: the secret of the car's offer, and its lock.
fn first_secret(from: &Direction, offer: &Offer) -> FirstSecret {
    let (prekeys, _) = seed(CHARGER).prekey_head.take();
    FirstSecret::receive(from, offer, &prekeys).unwrap()
}

/// The car's mined offer as the chain shows it.
pub struct Shown {
    pub tx: Transaction,
    pub offer: Offer,
    pub direction: Direction,
    pub locked: OutPoint,
    pub amount: Amount,
}

pub fn shown(world: &World, sent: &OfferSent) -> Shown {
    let tx = mined_tx(&world.ledger, &sent.txid, &world.charger.key().script());
    let message = tx.output.iter().find_map(|output| data::read(output).ok()).unwrap();
    let offer = Offer::from_bytes(Carrier::Dynamic, message).unwrap();
    let input0 = tx.input[0].previous_output;
    let (author, recipient) = (world.car.key(), world.charger.key());
    let direction = Direction { chain: world.ledger.chain().id(), author, recipient, input0 };
    let vout = tx.output.iter().position(|output| lock::may_be(&output.script_pubkey)).unwrap();
    let (locked, amount) = (OutPoint::new(sent.txid, vout as u32), tx.output[vout].value);
    Shown { tx, offer, direction, locked, amount }
}

fn lock_of(world: &World, initiator: PartyKey, first: &FirstSecret, offer: &Offer) -> Lock {
    let Terms::Dynamic { timeout, .. } = *offer.terms() else { panic!() };
    let ends = Ends { responder: world.charger.key(), initiator, timeout };
    Lock::new(&ends, first.condition(offer).unwrap()).unwrap()
}

/// The charger's own program, changed to take the payment and give nothing.
pub fn collect_without_answer(world: &World, shown: &Shown) -> Transaction {
    let first = first_secret(&shown.direction, &shown.offer);
    let lock = lock_of(world, world.car.key(), &first, &shown.offer);
    let charger = seed(CHARGER).identity;
    let mut tx = spend(
        &[shown.locked],
        vec![TxOut {
            value: shown.amount - Amount::from_sat(2_000),
            script_pubkey: charger.party().script(),
        }],
    );
    tx.input[0].witness = opened(&lock, &tx, shown.amount, &first.payment_secret()).unwrap();
    tx
}

/// The charger's witness in a transaction that spends the lock alone.
fn opened(lock: &Lock, tx: &Transaction, amount: Amount, t: &Secret) -> Option<Witness> {
    let spent = [lock.output(amount)];
    lock.collect(Spend { tx, input: 0, spent: &spent }, &seed(CHARGER).identity, t)
}

#[test]
fn a_payment_collected_without_an_answer_is_told_and_leads_to_no_key() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let theft = collect_without_answer(&world, &shown(&world, &sent));
    world.ledger.broadcast(&theft).unwrap();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let view = world.view(&world.car, sent.id);
    assert_eq!((view.state, view.fingerprint), (State::PaidUnanswered, None));
    let refused = world.car.seal(&sent.id.to_string(), b"x", b"").unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused, "{refused}");
    // Nothing is left to take back.
    world.mine(200);
    let synced = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(!synced.events.iter().any(|event| matches!(event, Event::RefundSent { .. })), "{synced:?}");
    assert_eq!(world.state(&world.car, sent.id), State::PaidUnanswered);
}

#[test]
fn an_anchor_spent_by_no_answer_leaves_the_payment_to_come_back() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let view = world.view(&world.car, sent.id);
    let anchor = TxOut { value: Amount::from_sat(1_000), script_pubkey: world.charger.key().script() };
    let mut tx = spend(
        &[OutPoint::new(sent.txid, 0)],
        vec![TxOut { value: Amount::from_sat(500), script_pubkey: nobody() }],
    );
    sign(&mut tx, &[anchor], &seed(CHARGER), EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Declined);
    mine_to(&mut world, timeout(&view));
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Refunded);
}

/// t as it would be if it hung on the first secret, the share and the prekey alone.
fn unbound(offer: &Offer) -> FirstSecret {
    let nowhere = Direction {
        chain: keyway_chain::Chain::regtest().id(),
        author: seed(CAR).identity.party(),
        recipient: seed(CHARGER).identity.party(),
        input0: OutPoint::null(),
    };
    first_secret(&nowhere, offer)
}

#[test]
fn an_unbound_secret_published_for_a_copied_offer_opens_the_original_and_a_bound_one_does_not() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let Shown { offer, direction, .. } = shown(&world, &sent);
    let (author, input0) = (seed(MALLORY).identity.party(), OutPoint::new(sent.txid, 9));
    let copied = Direction { author, input0, ..direction };
    let tx = spend(&[OutPoint::new(sent.txid, 2)], vec![]);
    let opens = |lock: &Lock, t: &Secret| opened(lock, &tx, PRICE, t).is_some();

    // The attacker copies share, ciphertext and lock into a small payment of its own. The charger answers that one, and
    // what it publishes opens the car's payment, whose offer it may never have read.
    let cars = lock_of(&world, world.car.key(), &unbound(&offer), &offer);
    assert!(opens(&cars, &unbound(&offer).payment_secret()));

    let cars = lock_of(&world, world.car.key(), &first_secret(&direction, &offer), &offer);
    assert!(opens(&cars, &first_secret(&direction, &offer).payment_secret()));
    assert!(!opens(&cars, &first_secret(&copied, &offer).payment_secret()));
}

#[test]
fn a_copied_offer_is_no_offer_to_the_charger() {
    let mut world = World::new();
    let mallory_party = party(world.dir.path(), "mallory", MALLORY, &world.ledger);
    world.charger.add_peer(mallory_party.card().clone()).unwrap();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let Shown { tx, .. } = shown(&world, &sent);
    let mallory = seed(MALLORY);
    world.ledger.mine(1, &mallory.identity.party().script()).unwrap();
    world.mine(100);
    let (outpoint, coin) = last_coinbase(&world, &mallory.identity.party().script());
    let mut copied = spend(&[outpoint], tx.output[..3].to_vec());
    sign(&mut copied, &[coin], &mallory, EcdsaSighashType::All);
    world.ledger.broadcast(&copied).unwrap();
    world.mine_and_sync(1);
    let peers: Vec<String> =
        world.charger.negotiations().unwrap().into_iter().map(|view| view.peer).collect();
    assert_eq!(peers, ["car"]);
}

#[test]
fn an_offer_to_a_prekey_of_an_older_card_is_still_answered() {
    let mut world = World::new();
    let old = world.charger.card().renewable().prekeys.clone();
    let new = world.charger.renew_card().unwrap().renewable().prekeys.clone();
    assert!(old.iter().zip(&new).all(|(old, new)| old.key != new.key));
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.charger, sent.id), State::Active);
    // The car reads its own offer by the prekey that it kept, whatever the peer's card says by now.
    world.car.add_peer(world.charger.card().clone()).unwrap();
    assert_eq!(world.state(&world.car, sent.id), State::Active);
}

#[test]
fn a_locked_key_outlives_its_negotiations_secret() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    world.sync();
    world.mine_and_sync(2);
    let before = world.view(&world.car, sent.id).fingerprint;
    world.mine_and_sync(150);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active));
    assert_eq!((car.fingerprint, charger.fingerprint), (before, before));
}

#[test]
fn a_timeout_out_of_bounds_and_too_low_a_price_are_refused() {
    let mut world = World::new();
    for blocks in [0, 71, 1_001] {
        let request = OfferRequest { timeout: Some(blocks), ..over(Carrier::Dynamic) };
        let refused = world.car.offer(&world.ledger, &request).unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused);
        assert!(refused.to_string().contains("at least 72 blocks"), "{refused}");
    }
    let request = OfferRequest { price: Amount::from_sat(2_000), ..over(Carrier::Dynamic) };
    let refused = world.car.offer(&world.ledger, &request).unwrap_err();
    assert!(refused.to_string().contains("too little for the dynamic carrier"), "{refused}");
}

#[test]
fn killed_before_the_answer_went_out_the_charger_sends_it_after_the_restart_if_there_is_time() {
    for (blocks, expected) in [(1, State::Answered), (120, State::Offered)] {
        let mut world = World::new();
        let sent = offered(&mut world, &over(Carrier::Dynamic));
        // Everything is stored, and the ledger never gets the answer.
        let deaf = deaf(&world.ledger);
        world.charger.sync(&deaf, &mut |_| ()).unwrap_err();
        world.restart_charger();
        mine_empty(&mut world, blocks);
        world.sync();
        assert_eq!(world.state(&world.charger, sent.id), expected, "after {blocks} blocks");
    }
}

#[test]
fn killed_before_the_refund_went_out_the_car_sends_it_after_the_restart() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    world.mine(150);
    let deaf = deaf(&world.ledger);
    world.car.sync(&deaf, &mut |_| ()).unwrap_err();
    world.restart_car();
    world.sync();
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, sent.id), State::Refunded);
}

#[test]
fn a_reorganisation_that_takes_the_answer_back_leaves_it_to_be_mined_again() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
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
