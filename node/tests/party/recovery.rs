//! What the laboratory's schedules found: each test tells how a home went wrong once.

use std::sync::Mutex;

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, Transaction};
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_node::*;
use keyway_protocol::message::Carrier;
use keyway_protocol::state::State;

use crate::attacks::{coin_of, pay};
use crate::world::*;

/// A home that is younger than the chain, and a payment to it in the block above its birthday.
struct Young {
    world: World,
    home: Party,
    payment: Transaction,
    birthday: Height,
    money: Amount,
}

impl Young {
    fn new() -> Self {
        let mut world = World::new();
        let payer = seed(CHARGER);
        let (outpoint, coin) = coin_of(&mut world, payer.identity.party().script());
        // Mature in a branch that parts from the chain further down, too.
        world.mine(10);
        let mut home = party(world.dir.path(), "young", MALLORY, &world.ledger);
        let birthday = home.tip().height;
        let mut payment = spend(&[outpoint], vec![pay(home.key().script(), PRICE.to_sat())]);
        sign(&mut payment, &[coin], &payer, EcdsaSighashType::All);
        world.ledger.broadcast(&payment).unwrap();
        world.mine_and_sync(1);
        home.sync(&world.ledger, &mut |_| ()).unwrap();
        // It splits the coin at once, for a small fee.
        let money = home.status().unwrap().balance.spendable;
        assert!(money > PRICE - Amount::from_sat(1_000));
        Self { world, home, payment, birthday, money }
    }

    fn still_has_its_money(mut self) {
        self.home.sync(&self.world.ledger, &mut |_| ()).unwrap();
        assert_eq!(self.home.tip(), self.world.ledger.tip().unwrap());
        assert_eq!(self.home.status().unwrap().balance.spendable, self.money);
    }
}

// A home began to follow the chain anew one block below the birthday that had left it, although the new branch
// parted further down: what that branch held between was never seen.
#[test]
fn a_payment_that_another_branch_holds_below_the_homes_birthday_is_seen() {
    let young = Young::new();
    let ledger = &young.world.ledger;
    let parting = ledger.block_at(young.birthday.minus(5)).unwrap().unwrap();
    ledger.mine_on(&parting.hash, 10, &nobody(), std::slice::from_ref(&young.payment)).unwrap();
    young.still_has_its_money();
}

#[test]
fn a_payment_that_is_mined_again_below_the_birthday_after_a_rollback_is_seen() {
    let mut young = Young::new();
    // This ledger forgets the blocks that it takes back, so that nobody can ask it for their parents.
    young.world.ledger.rewind(young.birthday.minus(5)).unwrap();
    young.world.mine(3);
    young.still_has_its_money();
}

// A transaction whose parent was double-spent can never be mined; the coins that it spends beside the lost one
// stayed locked, and its change was counted as money.
#[test]
fn a_coin_that_was_to_be_spent_beside_a_double_spent_one_is_free_again() {
    let mut world = World::new();
    let mallory = seed(MALLORY);
    let (outpoint, coin) = coin_of(&mut world, mallory.identity.party().script());
    let before = world.ledger.tip().unwrap();
    let rest = coin.value - Amount::from_sat(10_000);
    let mut payment = spend(&[outpoint], vec![pay(world.car.key().script(), rest.to_sat())]);
    sign(&mut payment, std::slice::from_ref(&coin), &mallory, EcdsaSighashType::All);
    world.ledger.broadcast(&payment).unwrap();
    world.mine_and_sync(1);
    let own = world.car.status().unwrap().balance.spendable - rest;
    // The car's own coins do not suffice: the offer spends mallory's too.
    let sent = world.car.offer(&world.ledger, &request(own + Amount::from_sat(1_000_000))).unwrap();
    let mut back = spend(&[outpoint], vec![pay(nobody(), rest.to_sat())]);
    sign(&mut back, &[coin], &mallory, EcdsaSighashType::All);
    world.ledger.mine_on(&before.hash, 3, &nobody(), &[back]).unwrap();
    let (synced, _) = world.sync();
    assert!(
        synced.events.iter().any(|event| matches!(event, Event::Refused { txid, .. } if *txid == sent.txid))
    );
    assert_eq!(world.car.status().unwrap().balance.spendable, own);
    assert_eq!(world.car.status().unwrap().balance.coins, IDENTITY_COINS);
    // The next offer begins with another coin: with the same one it would be the same negotiation.
    let next = world.car.offer(&world.ledger, &request(PRICE)).unwrap();
    assert_ne!(next.id, sent.id);
    assert_eq!(world.car.negotiations().unwrap().len(), 2);
}

// A copy of a home had made the offer: its answer, mined in the same block after a reorganisation, spends a coin that this
// home did not watch when it asked for that block.
#[test]
fn an_answer_in_the_block_of_an_offer_that_a_copy_of_the_home_made_is_seen() {
    let mut world = World::new();
    let mut twin = copied(&world, &world.car, "twin");
    // The twin's version of the offer spends the same coin, and never leaves it.
    twin.offer(&deaf(&world.ledger), &request(PRICE * 2)).unwrap_err();
    let before = world.ledger.tip().unwrap();
    let sent = world.offer();
    let offer = world.ledger.unmined(&sent.txid).unwrap().unwrap();
    world.mine(1);
    let (_, synced) = world.sync();
    let answer = synced.events.iter().find_map(|event| match event {
        Event::AnswerSent { txid, .. } => Some(*txid),
        _ => None,
    });
    let answer = world.ledger.unmined(&answer.unwrap()).unwrap().unwrap();
    let both = [offer.as_ref().clone(), answer.as_ref().clone()];
    // The answer is locked until the block after that in which the offer was mined first.
    let empty = world.ledger.mine_on(&before.hash, 2, &nobody(), &[]).unwrap();
    world.ledger.mine_on(&empty.last().unwrap().hash, 2, &nobody(), &both).unwrap();
    twin.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_eq!(world.state(&twin, sent.id), State::Active);
}

/// A home as it was, in a folder of its own.
fn copied(world: &World, party: &Party, name: &str) -> Party {
    let home = world.dir.path().join(name);
    std::fs::create_dir(&home).unwrap();
    for file in [STORE_FILE, CONFIG_FILE] {
        std::fs::copy(party.dir().join(file), home.join(file)).unwrap();
    }
    Party::open(&home, &Unlock::Insecure).unwrap()
}

// The charger knows one car, not its homes: 100 blocks later it has erased the key that the other home would go on with.
#[test]
fn a_home_leaves_its_key_when_a_copy_of_it_agrees_on_a_newer_one() {
    let mut world = World::new();
    let older = world.agree();
    let mut copy = copied(&world, &world.car, "copy");
    copy.sync(&world.ledger, &mut |_| ()).unwrap();
    let newer = copy.offer(&world.ledger, &request(PRICE)).unwrap().id;
    world.mine_and_sync(1);
    let depth = world.car.config().policy.key_depth.to_u32();
    world.mine_and_sync(depth - 1);
    assert_eq!(world.state(&world.car, older), State::Active, "the newer key is not deep enough");
    world.mine_and_sync(1);
    copy.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_eq!([world.state(&copy, newer), world.state(&world.charger, newer)], [State::Active; 2]);
    for party in [&world.car, &copy, &world.charger] {
        assert_eq!(world.state(party, older), State::Superseded);
    }
    let refused = world.car.seal("charger", b"started", b"").unwrap_err();
    assert!(matches!(refused, NodeError::Session(SessionError::KeyElsewhere(_))), "{refused}");
    let message = copy.seal("charger", b"started", b"").unwrap();
    assert_eq!(world.charger.open_sealed(&message.sealed, b"", false).unwrap().plaintext[..], b"started"[..]);
    // It negotiates again, and has the newest.
    world.agree();
    let message = world.car.seal("charger", b"started", b"").unwrap();
    world.charger.open_sealed(&message.sealed, b"", false).unwrap();
}

#[test]
fn a_home_leaves_its_key_when_a_copy_of_it_answers_with_a_newer_one() {
    let mut world = World::new();
    let older = world.agree();
    let mut copy = copied(&world, &world.charger, "copy");
    let newer = world.car.offer(&world.ledger, &request(PRICE)).unwrap().id;
    world.mine(1);
    copy.sync(&world.ledger, &mut |_| ()).unwrap();
    let depth = world.car.config().policy.key_depth.to_u32();
    // The home itself was not running while its copy answered.
    for _ in 0..depth {
        world.mine(1);
        copy.sync(&world.ledger, &mut |_| ()).unwrap();
    }
    world.sync();
    assert_eq!([world.state(&copy, newer), world.state(&world.car, newer)], [State::Active; 2]);
    assert!(!world.state(&world.charger, newer).opens());
    assert_eq!(world.state(&world.charger, older), State::Superseded);
    world.charger.seal("car", b"started", b"").unwrap_err();
}

/// What a home would have sent, caught on the way.
static CAUGHT: Mutex<Vec<Transaction>> = Mutex::new(Vec::new());

fn catch(tx: &Transaction) -> Option<keyway_ledger::BroadcastError> {
    CAUGHT.lock().unwrap().push(tx.clone());
    Some(hung_up())
}

#[test]
fn an_offer_that_a_reorganisation_replaces_by_another_of_the_same_coin_is_answered_as_what_it_is() {
    let mut world = World::new();
    // The same home, as it was before, offers in another way.
    let mut copy = copied(&world, &world.car, "copy");
    let below = world.ledger.tip().unwrap();
    let first = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap();
    world.mine_and_sync(1);
    assert_eq!(world.view(&world.charger, first.id).carrier, Carrier::Static);
    copy.offer(&Hindered(&world.ledger, catch), &over(Carrier::Dynamic)).unwrap_err();
    let second = CAUGHT.lock().unwrap().pop().unwrap();
    world.ledger.mine_on(&below.hash, 2, &nobody(), &[second]).unwrap();
    world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    let view = world.view(&world.charger, first.id);
    assert_eq!((view.carrier, view.state), (Carrier::Dynamic, State::Answered));
    world.mine(2);
    for party in [&mut world.charger, &mut copy] {
        party.sync(&world.ledger, &mut |_| ()).unwrap();
        let view = party.negotiations().unwrap().into_iter().find(|view| view.id == first.id).unwrap();
        assert_eq!(view.state, State::Active);
    }
}

fn conflict(tx: &Transaction) -> Option<keyway_ledger::BroadcastError> {
    let reason = "txn-mempool-conflict".to_owned();
    Some(keyway_ledger::Refusal { txid: tx.compute_txid(), reason, detail: None }.into())
}

// An answer that another version had shut out was forgotten, and the offer that spends what it would have paid was sent again
// for ever: nothing told any more that the chain excludes it.
#[test]
fn an_offer_that_rests_on_an_answer_goes_with_it_when_a_copy_of_the_home_answered() {
    let mut world = World::new();
    let script = world.charger.key().script();
    coin_of(&mut world, script);
    // It splits the coin.
    world.sync();
    world.mine_and_sync(1);
    let mut twin = copied(&world, &world.charger, "twin");
    world.offer();
    world.mine(1);
    // The answer, and an offer that takes all that it brings, never leave this home.
    world.charger.sync(&deaf(&world.ledger), &mut |_| ()).unwrap_err();
    let all = world.charger.status().unwrap().balance.spendable - Amount::from_sat(100_000);
    let back = OfferRequest { peer: "car".to_owned(), ..request(all) };
    let unsent = world.charger.offer(&deaf(&world.ledger), &back).unwrap_err();
    assert!(matches!(unsent, NodeError::Broadcast { .. }), "{unsent}");
    world.charger.sync(&Hindered(&world.ledger, conflict), &mut |_| ()).unwrap();
    assert_eq!(world.charger.status().unwrap().unmined, 1);
    world.mine(1);
    twin.sync(&world.ledger, &mut |_| ()).unwrap();
    world.mine(1);
    for _ in 0..2 {
        let synced = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
        assert!(!synced.events.iter().any(|event| matches!(event, Event::Refused { .. })), "{synced:?}");
        assert_eq!(world.charger.status().unwrap().unmined, 0);
        world.restart_charger();
    }
}
