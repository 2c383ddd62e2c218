//! Bad messages beside payments that their author really signed: each is ordinary money, held by nobody, and no panic.

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, Transaction, TxOut};
use keyway_carriers::script::data;
use keyway_ledger::Ledger;
use keyway_ledger::embedded::Plan;
use keyway_node::OfferRequest;
use keyway_protocol::identity::{Binding, NegotiationSecret};
use keyway_protocol::letter::{self, Direction};
use keyway_protocol::message::Carrier;
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::Suite;

use crate::world::*;

type Change = fn(&mut Vec<u8>);

/// The car's genuine offer, not mined, and the coin that it spends.
fn genuine(world: &mut World, carrier: Carrier) -> (Transaction, TxOut) {
    let request = OfferRequest { suite: Suite::X25519, ..over(carrier) };
    let sent = world.car.offer(&world.ledger, &request).unwrap();
    let tx = world.ledger.unmined(&sent.txid).unwrap().unwrap().as_ref().clone();
    let input0 = tx.input[0].previous_output;
    let source = mined_tx(&world.ledger, &input0.txid, &world.car.key().script());
    (tx, source.output[input0.vout as usize].clone())
}

fn message_in(tx: &Transaction) -> (usize, Vec<u8>) {
    let found =
        tx.output.iter().enumerate().find_map(|(at, output)| Some((at, data::read(output).ok()?.to_vec())));
    found.unwrap()
}

/// Changes the letter's text, and seals it anew as only its author can.
fn resealed(world: &World, tx: &Transaction, sealed: &[u8], change: Change) -> Vec<u8> {
    let (car, charger) = (seed(CAR), seed(CHARGER));
    let (author, recipient) = (car.identity.party(), charger.identity.party());
    let input0 = tx.input[0].previous_output;
    let direction = Direction { chain: world.ledger.chain().id(), author, recipient, input0 };
    let mut text = letter::open(&direction, &charger.sealing, sealed).unwrap();
    change(&mut text);
    let secret = NegotiationSecret::from_secret(Secret::fill_with(|bytes| bytes.fill(9)));
    let id = keyway_protocol::negotiation::NegotiationId::from_bytes([9; 32]);
    let binding = Binding { id, anchor: None, recipient };
    letter::seal(&direction, &charger.sealing.public(), &text, &secret, &binding).unwrap()
}

/// Mines the car's payment with that message in the place of its own.
fn send(world: &mut World, (mut tx, coin): (Transaction, TxOut), message: &[u8]) -> Amount {
    let (at, _) = message_in(&tx);
    tx.output[at] = data::write(message).unwrap();
    sign(&mut tx, &[coin], &seed(CAR), EcdsaSighashType::All);
    let script = world.charger.key().script();
    let paid =
        tx.output.iter().filter(|output| output.script_pubkey == script).map(|output| output.value).sum();
    let plan = Plan { transactions: Some(vec![tx]), ..Plan::to(&nobody()) };
    world.ledger.mine_one(&plan).unwrap();
    paid
}

#[track_caller]
fn is_ordinary_money(world: &mut World, paid: Amount, why: &str) {
    let synced = world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(world.charger.negotiations().unwrap().is_empty(), "{why}: {synced:?}");
    let balance = world.charger.status().unwrap().balance;
    assert_eq!(balance.held, Amount::ZERO, "{why}");
    // It splits the coin at once, for a small fee.
    assert!(paid - balance.spendable < Amount::from_sat(1_000), "{why}: {}", balance.spendable);
}

#[test]
fn a_letter_whose_text_is_damaged_by_its_author_is_ordinary_money() {
    let changes: [(&str, Change); 9] = [
        ("truncated", |text| text.truncate(text.len() - 6)),
        ("without a byte", |text| text.truncate(text.len() - 1)),
        ("oversized", |text| text.extend([1; 900])),
        ("of one byte", |text| text.truncate(1)),
        ("an unknown type", |text| *text.last_mut().unwrap() = 63),
        ("an answer's type", |text| *text.last_mut().unwrap() |= 128),
        ("another suite's type", |text| *text.last_mut().unwrap() = 2),
        ("a group of its own", |text| text[7] = 1),
        ("another date", |text| {
            let at = text.len() - 2;
            text[at] ^= 1;
        }),
    ];
    for (why, change) in changes {
        let mut world = World::new();
        let genuine = genuine(&mut world, Carrier::Static);
        let (_, sealed) = message_in(&genuine.0);
        let message = resealed(&world, &genuine.0, &sealed, change);
        let paid = send(&mut world, genuine, &message);
        is_ordinary_money(&mut world, paid, why);
    }
}

#[test]
fn a_letter_that_was_changed_or_is_somebody_elses_is_ordinary_money() {
    let changes: [(&str, Change); 4] = [
        ("a changed bit", |sealed| sealed[40] ^= 1),
        ("truncated", |sealed| sealed.truncate(60)),
        ("shorter than its key", |sealed| sealed.truncate(20)),
        ("oversized", |sealed| sealed.extend([0; 4_000])),
    ];
    for (why, change) in changes {
        let mut world = World::new();
        let genuine = genuine(&mut world, Carrier::Static);
        let (_, mut message) = message_in(&genuine.0);
        change(&mut message);
        let paid = send(&mut world, genuine, &message);
        is_ordinary_money(&mut world, paid, why);
    }
}

#[test]
fn an_offer_to_a_prekey_that_is_damaged_by_its_author_is_ordinary_money() {
    let changes: [(&str, Change); 8] = [
        ("truncated", |message| message.truncate(20)),
        ("oversized", |message| message.extend([0; 700])),
        ("an unknown suite", |message| message[0] = 63),
        ("an unknown form", |message| message[0] |= 64),
        ("an answer's head", |message| message[0] |= 128),
        ("another suite", |message| message[0] = 2),
        ("an unknown prekey", |message| message[3] ^= 1),
        ("another share than the lock's", |message| message[20] ^= 1),
    ];
    for (why, change) in changes {
        let mut world = World::new();
        let genuine = genuine(&mut world, Carrier::Dynamic);
        let (_, mut message) = message_in(&genuine.0);
        change(&mut message);
        let paid = send(&mut world, genuine, &message);
        is_ordinary_money(&mut world, paid, why);
    }
}

#[test]
fn a_message_that_its_author_sends_a_second_time_is_one_offer_and_ordinary_money() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = World::new();
        let (first, _) = genuine(&mut world, carrier);
        let (_, message) = message_in(&first);
        world.mine_and_sync(1);
        // The same bytes beside another payment of the same author.
        let second = genuine(&mut world, carrier);
        let held = world.charger.status().unwrap().balance.held;
        send(&mut world, second, &message);
        world.charger.sync(&world.ledger, &mut |_| ()).unwrap();
        assert_eq!(world.charger.negotiations().unwrap().len(), 1, "{carrier}");
        assert!(world.charger.status().unwrap().balance.held <= held, "{carrier}");
    }
}
