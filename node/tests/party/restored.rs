//! Homes that were lost, and made again from their words, the chain and the cards, with and without a backup.

use bitcoin::Amount;
use bitcoin::sighash::EcdsaSighashType;
use keyway_chain::{BlockRef, Height};
use keyway_ledger::{Embedded, Ledger};
use keyway_node::*;
use keyway_protocol::card::Card;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::attacks::{pay, run_of};
use crate::fixtures::{MODP2048, SAFE2060, numbers};
use crate::groups::{accepting, custom, negotiate};
use crate::locked::{collect_without_answer, mine_to, offered, shown, timeout};
use crate::published::{offer_in, publish, trusting};
use crate::world::*;

/// What a restore begins with.
pub struct Lost<'a> {
    pub dir: &'a std::path::Path,
    pub ledger: &'a Embedded,
    pub name: &'a str,
    pub words: &'a str,
}

impl Lost<'_> {
    /// A new home from the words and, if there is one, a backup; nothing is followed yet.
    pub fn begin(&self, folder: &str, backup: Option<&Backup>) -> Party {
        self.try_begin(folder, backup).unwrap()
    }

    pub fn try_begin(&self, folder: &str, backup: Option<&Backup>) -> Result<Party, NodeError> {
        let ledger = self.ledger;
        let enforce_exponent = ledger.enforces_exponent().unwrap();
        let path = self.dir.join("ledger");
        let config = match backup {
            Some(backup) => Config::parse(backup.config(), &self.dir.join(folder).join(CONFIG_FILE)).unwrap(),
            None => Config::new(ledger.chain().clone(), LedgerConfig::Embedded { path, enforce_exponent }),
        };
        let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
        let new = NewParty {
            name: self.name.parse().unwrap(),
            config,
            mnemonic: self.words.parse().unwrap(),
            birthday: Block { at: backup.map_or(genesis, Backup::birthday), time: 0 },
            unlock: Unlock::Insecure,
        };
        Party::create_restored(&self.dir.join(folder), new, backup, ledger.tip().unwrap().height)
    }

    /// The same, followed to the tip.
    pub fn restore(&self, folder: &str, backup: Option<&Backup>, cards: &[Card]) -> Party {
        let mut home = self.begin(folder, backup);
        for card in cards {
            home.add_peer(card.clone()).unwrap();
        }
        home.restore(self.ledger, &mut |_| ()).unwrap();
        home
    }
}

impl World {
    fn lost_car(&self) -> Lost<'_> {
        Lost { dir: self.dir.path(), ledger: &self.ledger, name: "car", words: CAR }
    }

    fn lost_charger(&self) -> Lost<'_> {
        Lost { dir: self.dir.path(), ledger: &self.ledger, name: "charger", words: CHARGER }
    }

    /// Both homes made again from words and cards alone, which must be what the first ones are.
    fn restored_without_backup(&self, folder: &str) -> (Party, Party) {
        let car = self.lost_car().restore(&format!("car-{folder}"), None, &[self.charger.card().clone()]);
        let cards = [self.car.card().clone()];
        let charger = self.lost_charger().restore(&format!("charger-{folder}"), None, &cards);
        assert_same(&self.car, &car, Knows::TheChain);
        assert_same(&self.charger, &charger, Knows::TheChain);
        (car, charger)
    }

    /// The same from backups written now.
    fn restored_from_backup(&self, folder: &str) -> (Party, Party) {
        let backup = |party: &Party| party.backup().unwrap().to_string().parse::<Backup>().unwrap();
        let backups = (backup(&self.car), backup(&self.charger));
        let car = self.lost_car().restore(&format!("car-{folder}"), Some(&backups.0), &[]);
        let charger = self.lost_charger().restore(&format!("charger-{folder}"), Some(&backups.1), &[]);
        assert_same(&self.car, &car, Knows::All);
        assert_same(&self.charger, &charger, Knows::All);
        (car, charger)
    }

    /// Both ways.
    fn assert_restorable(&self, folder: &str) {
        self.restored_without_backup(folder);
        self.restored_from_backup(&format!("{folder}-backup"));
    }
}

/// What a restored home can know.
#[derive(Clone, Copy, PartialEq)]
pub enum Knows {
    TheChain,
    All,
}

/// What two homes of one party say of themselves.
pub fn assert_same(lost: &Party, restored: &Party, knows: Knows) {
    let told = |party: &Party| {
        let mut views = party.negotiations().unwrap();
        // That a responder's peer showed to have the key, no block says.
        let told_by_message = |view: &&mut NegotiationView| format!("{:?}", view.role) == "Responder";
        if knows == Knows::TheChain {
            views.iter_mut().filter(told_by_message).for_each(|view| view.confirmed = false);
        }
        let status = party.status().unwrap();
        (format!("{views:#?}"), format!("{status:?}"))
    };
    let (lost, restored) = (told(lost), told(restored));
    assert_eq!(lost.1, restored.1);
    assert!(lost.0 == restored.0, "lost:\n{}\nrestored:\n{}", lost.0, restored.0);
}

/// A message sealed by one opens for the other.
fn assert_opens(from: &mut Party, to: &mut Party, again: bool) {
    let whom = to.name().to_string();
    let message = from.seal(&whom, b"start at 11 kW", b"").unwrap();
    let opened = to.open_sealed(&message.sealed, b"", again).unwrap();
    assert_eq!(&opened.plaintext[..], b"start at 11 kW");
}

fn runs() -> Vec<(Carrier, Suite, AnswerForm)> {
    let beside = [Carrier::Static, Carrier::Dynamic].into_iter();
    let suites = [Suite::X25519, Suite::X25519MlKem768];
    let beside = beside.flat_map(|carrier| suites.map(|suite| (carrier, suite, AnswerForm::Sequences)));
    let value =
        [AnswerForm::Sequences, AnswerForm::Amounts].map(|form| (Carrier::Value, Suite::X25519, form));
    value
        .into_iter()
        .chain(beside)
        .chain([(Carrier::Static, Suite::Ffdhe2048, AnswerForm::Sequences)])
        .collect()
}

fn agree(world: &mut World, (carrier, suite, form): (Carrier, Suite, AnswerForm)) -> NegotiationId {
    let request = OfferRequest { carrier, suite, form, ..request(PRICE) };
    let id = world.car.offer(&world.ledger, &request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(
        (world.state(&world.car, id), world.state(&world.charger, id)),
        (State::Active, State::Active)
    );
    id
}

#[test]
fn both_sides_restore_the_keys_of_every_carrier_and_suite_and_go_on_with_them() {
    let mut world = World::new();
    for run in runs() {
        agree(&mut world, run);
    }
    let (mut car, mut charger) = world.restored_without_backup("words");
    world.restored_from_backup("backup");
    // Each opens what the other side's first home seals, and what the other restored one does.
    world.mine_and_sync(1);
    for party in [&mut car, &mut charger] {
        party.sync(&world.ledger, &mut |_| ()).unwrap();
    }
    assert_opens(&mut world.car, &mut charger, false);
    assert_opens(&mut world.charger, &mut car, false);
    assert_opens(&mut car, &mut charger, false);
    assert_opens(&mut charger, &mut world.car, false);
}

#[test]
fn a_home_is_restored_from_each_state_that_a_negotiation_over_amounts_passes() {
    let mut world = World::new();
    let id = world.offer().id;
    world.sync();
    world.assert_restorable("offered-unmined");
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_eq!(world.state(&world.car, id), State::Offered);
    let cards = [world.charger.card().clone()];
    assert_same(&world.car, &world.lost_car().restore("offered", None, &cards), Knows::TheChain);
    world.sync();
    world.sync();
    assert_eq!(world.state(&world.charger, id), State::Answered);
    world.assert_restorable("answered");
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, id), State::Provisional);
    world.assert_restorable("provisional");
    world.mine_and_sync(1);
    world.assert_restorable("active");
    // The next epoch, while the first still opens.
    world.agree();
    assert_eq!(world.state(&world.car, id), State::Superseded);
    world.assert_restorable("superseded");
    // The secrets are erased, and the chain keys have moved on.
    world.mine_and_sync(120);
    world.assert_restorable("settled");
}

#[test]
fn after_the_overlap_of_a_rotation_both_restored_sides_open_and_seal_as_before() {
    let mut world = World::new();
    let first = world.agree();
    let early = world.charger.seal("car", b"sealed under the first key", b"").unwrap();
    world.agree();
    let (mut car, mut charger) = world.restored_from_backup("overlap");
    assert_eq!(world.state(&car, first), State::Superseded);
    assert_eq!(world.state(&charger, first), State::Superseded);
    // Whether the lost car opened this nobody knows: it is opened if its owner says so.
    let refused = car.open_sealed(&early.sealed, b"", false).unwrap_err();
    assert!(matches!(refused, NodeError::Session(SessionError::MaybeReplayed(_))), "{refused}");
    assert_eq!(refused.kind(), Kind::Refused);
    let opened = car.open_sealed(&early.sealed, b"", true).unwrap();
    assert_eq!((&opened.plaintext[..], opened.negotiation), (&b"sealed under the first key"[..], first));
    // What is sealed from the next block on is opened once.
    world.mine_and_sync(1);
    for party in [&mut car, &mut charger] {
        party.sync(&world.ledger, &mut |_| ()).unwrap();
    }
    let fresh = world.charger.seal("car", b"fresh", b"").unwrap();
    car.open_sealed(&fresh.sealed, b"", false).unwrap();
    assert!(matches!(
        car.open_sealed(&fresh.sealed, b"", false).unwrap_err(),
        NodeError::Session(SessionError::Replayed)
    ));
    assert_opens(&mut charger, &mut car, false);
}

#[test]
fn an_offer_that_nobody_answered_is_expired_and_one_declined_is_declined_in_the_restored_homes() {
    let mut world = World::new();
    let expired = world.offer();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let declined = world.offer();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let run = run_of(&world, &declined);
    let mut tx = spend(&outpoints(declined.txid, run.len()), vec![pay(nobody(), 200_000)]);
    sign(&mut tx, &run, &seed(CHARGER), EcdsaSighashType::All);
    world.ledger.broadcast(&tx).unwrap();
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let cards = [world.charger.card().clone()];
    assert_same(&world.car, &world.lost_car().restore("declined", None, &cards), Knows::TheChain);
    world.mine(1_120);
    world.sync();
    assert_eq!(world.state(&world.car, expired.id), State::Expired);
    assert_eq!(world.state(&world.car, declined.id), State::Declined);
    world.assert_restorable("long-after");
}

#[test]
fn locked_payments_come_back_to_a_restored_car_and_are_collected_by_a_restored_charger() {
    let mut world = World::new();
    let cards = [world.charger.card().clone()];
    let open = offered(&mut world, &over(Carrier::Dynamic));
    // Nothing but words and the cards.
    let (mut car, mut charger) = (
        world.lost_car().restore("car-open", None, &[world.charger.card().clone()]),
        world.lost_charger().restore("charger-open", None, &[world.car.card().clone()]),
    );
    assert_same(&world.car, &car, Knows::TheChain);
    // The restored charger answers with the prekey that it has again.
    charger.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_eq!(world.state(&charger, open.id), State::Answered);
    world.mine(2);
    for party in [&mut car, &mut charger] {
        party.sync(&world.ledger, &mut |_| ()).unwrap();
        let view = party.negotiations().unwrap().pop().unwrap();
        assert_eq!(view.state, State::Active);
    }
    assert_opens(&mut car, &mut charger, true);

    // From here on these are the homes.
    (world.car, world.charger) = (car, charger);
    let returned = offered(&mut world, &over(Carrier::Dynamic));
    let height = timeout(&world.view(&world.car, returned.id));
    mine_to(&mut world, height);
    let mut car = world.lost_car().restore("car-due", None, &cards);
    let synced = car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(synced.events.iter().any(|event| matches!(event, Event::RefundSent { .. })), "{synced:?}");
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.car, returned.id), State::Refunded);
    assert_same(&world.car, &world.lost_car().restore("car-words", None, &cards), Knows::TheChain);
    world.restored_from_backup("refunded");
}

#[test]
fn a_payment_taken_without_an_answer_is_told_by_the_restored_homes_too() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    let theft = collect_without_answer(&world, &shown(&world, &sent));
    world.ledger.broadcast(&theft).unwrap();
    world.mine(1);
    world.sync();
    assert_eq!(world.state(&world.car, sent.id), State::PaidUnanswered);
    world.assert_restorable("paid-unanswered");
}

#[test]
fn an_answer_over_the_dynamic_carrier_is_restored_while_it_is_unmined() {
    let mut world = World::new();
    let sent = offered(&mut world, &over(Carrier::Dynamic));
    world.sync();
    world.sync();
    assert_eq!(world.state(&world.charger, sent.id), State::Answered);
    world.assert_restorable("dynamic-answered");
}

#[test]
fn an_offer_whose_peers_card_is_missing_is_found_when_the_card_is_added() {
    for carrier in [Carrier::Value, Carrier::Static, Carrier::Dynamic] {
        let mut world = World::new();
        let request = over(carrier);
        let id = agree(&mut world, (carrier, request.suite, request.form));
        let mut car = world.lost_car().restore("car-alone", None, &[]);
        let mut charger = world.lost_charger().restore("charger-alone", None, &[]);
        assert!(car.negotiations().unwrap().is_empty() && charger.negotiations().unwrap().is_empty());
        assert_eq!((car.unread().own, charger.unread().strangers), (1, 1), "{carrier}");
        // It is not forgotten while it waits.
        world.mine_and_sync(150);
        car.sync(&world.ledger, &mut |_| ()).unwrap();
        charger.sync(&world.ledger, &mut |_| ()).unwrap();
        car.add_peer(world.charger.card().clone()).unwrap();
        charger.add_peer(world.car.card().clone()).unwrap();
        for (lost, restored) in [(&world.car, &mut car), (&world.charger, &mut charger)] {
            restored.sync(&world.ledger, &mut |_| ()).unwrap();
            assert_same(lost, restored, Knows::TheChain);
            assert_eq!(restored.unread(), Unread::default());
        }
        assert_eq!(world.state(&car, id), State::Active);
        assert_opens(&mut car, &mut charger, true);
    }
}

#[test]
fn a_locked_offer_to_a_prekey_of_an_earlier_card_is_found_with_that_card() {
    let mut world = World::new();
    let earlier = world.charger.card().clone();
    let id = agree(&mut world, (Carrier::Dynamic, Suite::X25519MlKem768, AnswerForm::Sequences));
    let newer = world.charger.renew_card().unwrap().clone();
    world.car.add_peer(newer.clone()).unwrap();
    let mut car = world.lost_car().restore("car-newer", None, &[newer]);
    assert_eq!(car.unread().own, 1);
    car.add_peer(earlier.clone()).unwrap();
    car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_same(&world.car, &car, Knows::TheChain);
    assert_eq!(world.state(&car, id), State::Active);
    // A second time it is an older card, like any.
    assert!(matches!(car.add_peer(earlier).unwrap_err(), NodeError::Peer(PeerError::CardRefused(_))));
    // The backup knows the prekey by itself.
    world.restored_from_backup("with-prekey");
}

#[test]
fn indices_of_offers_that_were_never_mined_are_passed_over_and_never_taken_again() {
    let mut world = World::new();
    // Each takes a secret, and is refused by the ledger: so the index is gone, and no block tells.
    let refusing = Hindered(&world.ledger, |tx| {
        let refusal = keyway_ledger::Refusal {
            txid: tx.compute_txid(),
            reason: "datacarrier".to_owned(),
            detail: None,
        };
        Some(refusal.into())
    });
    for _ in 0..40 {
        world.car.offer(&refusing, &request(PRICE)).unwrap_err();
    }
    world.agree();
    let (mut car, _) = world.restored_without_backup("gap");
    // What the restored home offers next has a secret that the lost one cannot have used.
    let shares = |party: &mut Party, ledger: &Embedded| {
        let sent = party.offer(ledger, &request(PRICE)).unwrap();
        let tx = ledger.unmined(&sent.txid).unwrap().unwrap();
        tx.output.iter().map(|output| output.value).collect::<Vec<Amount>>()
    };
    let theirs = shares(&mut car, &world.ledger);
    world.mine_and_sync(1);
    let synced = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(synced.events.is_empty(), "{synced:?}");
    let own = shares(&mut world.car, &world.ledger);
    assert_ne!(theirs, own);
}

#[test]
fn two_homes_of_one_party_hear_of_each_other() {
    let mut world = World::new();
    world.agree();
    let (mut car, _) = world.restored_from_backup("twin");
    car.sync(&world.ledger, &mut |_| ()).unwrap();
    let sent = car.offer(&world.ledger, &request(PRICE)).unwrap();
    world.mine(1);
    let told = |synced: &Synced| synced.events.contains(&Event::OtherHome(sent.txid));
    let lost = world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(told(&lost), "{lost:?}");
    assert!(!told(&car.sync(&world.ledger, &mut |_| ()).unwrap()), "it made it itself");
    let other = world.car.offer(&world.ledger, &request(PRICE)).unwrap();
    world.mine(1);
    let synced = car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(synced.events.contains(&Event::OtherHome(other.txid)), "{synced:?}");
}

#[test]
fn until_the_search_is_over_nothing_is_offered_sealed_or_backed_up() {
    let mut world = World::new();
    world.agree();
    let backup = world.car.backup().unwrap();
    let mut car = world.lost_car().begin("car-early", Some(&backup));
    assert!(matches!(
        car.offer(&world.ledger, &request(PRICE)).unwrap_err(),
        NodeError::Restore(RestoreError::Unfinished(_))
    ));
    assert!(matches!(car.renew_card().unwrap_err(), NodeError::Restore(RestoreError::Unfinished(_))));
    let refused = car.backup().unwrap_err();
    assert_eq!(refused.kind(), Kind::NotYet, "{refused}");
    // Any later synchronisation ends it.
    car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert_same(&world.car, &car, Knows::All);
    car.backup().unwrap();
}

#[test]
fn a_backup_of_other_words_another_name_or_another_chain_is_refused() {
    let world = World::new();
    let backup = world.car.backup().unwrap();
    let other = Lost { words: MALLORY, ..world.lost_car() };
    let refused = other.try_begin("other-words", Some(&backup)).unwrap_err();
    assert!(refused.to_string().contains("is not of these words"), "{refused}");
    assert_eq!(refused.kind(), Kind::Refused);
    let other = Lost { name: "truck", ..world.lost_car() };
    let refused = other.try_begin("other-name", Some(&backup)).unwrap_err();
    assert!(refused.to_string().contains("leave out --name"), "{refused}");
    // Nothing hinders the next try.
    world.lost_car().begin("other-name", Some(&backup));
}

#[test]
fn words_of_nobody_restore_a_home_that_has_nothing() {
    let world = World::new();
    let stranger = Lost { words: MALLORY, name: "nobody", ..world.lost_car() };
    let home = stranger.restore("nobody", None, &[world.charger.card().clone(), world.car.card().clone()]);
    assert!(home.negotiations().unwrap().is_empty());
    assert_eq!((home.status().unwrap().balance, home.unread()), (Balance::default(), Unread::default()));
}

#[test]
fn a_restored_home_can_be_restored_again() {
    let mut world = World::new();
    world.agree();
    let (car, charger) = world.restored_without_backup("first");
    (world.car, world.charger) = (car, charger);
    world.sync();
    world.car.add_peer(world.charger.card().clone()).unwrap();
    world.charger.add_peer(world.car.card().clone()).unwrap();
    agree(&mut world, (Carrier::Dynamic, Suite::X25519MlKem768, AnswerForm::Sequences));
    world.assert_restorable("second");
}

#[test]
fn under_another_name_no_key_comes_out_and_the_home_says_why() {
    for carrier in [Carrier::Value, Carrier::Static] {
        let mut world = World::new();
        agree(&mut world, (carrier, Suite::X25519, AnswerForm::Sequences));
        let truck = Lost { name: "truck", ..world.lost_car() };
        let mut truck = truck.restore("truck", None, &[world.charger.card().clone()]);
        let post = Lost { name: "post", ..world.lost_charger() };
        let post = post.restore("post", None, &[world.car.card().clone()]);
        let car = world.lost_car().restore("car-named", None, &[world.charger.card().clone()]);
        assert_eq!([&truck, &post, &car].map(|it| it.had_another_name().unwrap()), [true, true, false]);
        let synced = truck.sync(&world.ledger, &mut |_| ()).unwrap();
        assert!(synced.events.contains(&Event::OtherName), "{synced:?}");
    }
}

#[test]
fn what_rides_in_envelopes_and_behind_the_papers_lock_is_restored_too() {
    let mut world = World::enforcing();
    agree(&mut world, (Carrier::Dynamic, Suite::Ffdhe2048, AnswerForm::Sequences));
    world.ledger.relay_data(83).unwrap();
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        agree(&mut world, (carrier, Suite::X25519MlKem768, AnswerForm::Sequences));
    }
    agree(&mut world, (Carrier::Dynamic, Suite::Ffdhe2048, AnswerForm::Sequences));
    world.assert_restorable("enveloped");
    // Also while commit and reveal wait to be mined.
    let sent = world.car.offer(&world.ledger, &over(Carrier::Static)).unwrap();
    world.sync();
    world.assert_restorable("enveloped-offered");
    world.mine_and_sync(1);
    world.sync();
    assert_eq!(world.state(&world.charger, sent.id), State::Answered);
    world.assert_restorable("enveloped-answered");
}

/// A node that took the commit and was gone before the rest.
fn gone_after_the_commit(tx: &bitcoin::Transaction) -> Option<keyway_ledger::BroadcastError> {
    keyway_carriers::script::envelopes(tx).next().map(|_| hung_up())
}

#[test]
fn an_envelope_that_was_committed_to_and_never_shown_comes_back_to_a_home_with_a_backup() {
    let mut world = World::new();
    world.ledger.relay_data(83).unwrap();
    let before = world.car.status().unwrap().balance.spendable;
    let hindered = Hindered(&world.ledger, gone_after_the_commit);
    world.car.offer(&hindered, &over(Carrier::Static)).unwrap_err();
    let backup = world.car.backup().unwrap();
    world.mine(1);
    let mut car = world.lost_car().restore("car-committed", Some(&backup), &[]);
    let synced = car.sync(&world.ledger, &mut |_| ()).unwrap();
    let returned = |event: &Event| matches!(event, Event::EnvelopeReturned { .. });
    assert!(synced.events.iter().any(returned), "{synced:?}");
    world.mine(1);
    car.sync(&world.ledger, &mut |_| ()).unwrap();
    assert!(car.negotiations().unwrap().is_empty(), "an offer that was never mined is none");
    let lost = before - car.status().unwrap().balance.spendable;
    assert!(lost < Amount::from_sat(1_000), "fees alone: {lost}");
}

#[test]
fn an_envelope_of_an_offer_is_found_again_without_a_backup_and_comes_back() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = World::new();
        world.agree();
        world.ledger.relay_data(83).unwrap();
        let hindered = Hindered(&world.ledger, gone_after_the_commit);
        world.car.offer(&hindered, &over(carrier)).unwrap_err();
        world.mine(1);
        let mut car = world.lost_car().restore("car-words", None, &[world.charger.card().clone()]);
        let synced = car.sync(&world.ledger, &mut |_| ()).unwrap();
        let returned = |event: &Event| matches!(event, Event::EnvelopeReturned { .. });
        assert!(synced.events.iter().any(returned), "{carrier}: {synced:?}");
    }
}

#[test]
fn an_answer_that_was_committed_to_is_shown_by_the_restored_home_in_the_same_envelope() {
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let mut world = World::new();
        world.ledger.relay_data(83).unwrap();
        let sent = world.car.offer(&world.ledger, &over(carrier)).unwrap();
        world.mine(1);
        world.car.sync(&world.ledger, &mut |_| ()).unwrap();
        let hindered = Hindered(&world.ledger, gone_after_the_commit);
        world.charger.sync(&hindered, &mut |_| ()).unwrap_err();
        let tip = world.ledger.tip().unwrap().height;
        world.mine(1);
        let mut charger = world.lost_charger().restore("charger-words", None, &[world.car.card().clone()]);
        charger.sync(&world.ledger, &mut |_| ()).unwrap();
        let answer = world.view(&charger, sent.id).answer.unwrap();
        let answer = world.ledger.unmined(&answer.txid).unwrap().unwrap();
        assert_eq!(answer.lock_time.to_consensus_u32(), tip.to_u32(), "that of the first commit");
        world.mine(2);
        world.car.sync(&world.ledger, &mut |_| ()).unwrap();
        charger.sync(&world.ledger, &mut |_| ()).unwrap();
        let (car, charger) = (world.view(&world.car, sent.id), world.view(&charger, sent.id));
        assert_eq!((car.state, car.fingerprint), (State::Active, charger.fingerprint), "{carrier}");
    }
}

#[test]
fn whom_the_party_deals_with_and_what_else_no_block_tells_is_in_the_next_backup_again() {
    let mut world = World::new();
    let id = world.agree();
    let message = world.car.seal("charger", b"start", b"").unwrap();
    world.charger.open_sealed(&message.sealed, b"", false).unwrap();
    let mallory = party(world.dir.path(), "mallory", MALLORY, &world.ledger);
    world.charger.add_peer(mallory.card().clone()).unwrap();
    world.charger.revoke_peer("mallory", true).unwrap();
    let car = world.car.card().permanent().clone();
    world.charger.introduce(&car, None).unwrap();
    let withdrawn = world.charger.withdraw(mallory.card().permanent()).unwrap();
    let lost = world.charger.backup().unwrap();
    let mut charger = world.lost_charger().restore("charger-standing", Some(&lost), &[]);
    assert_eq!(charger.standing(mallory.card()), Standing::Revoked);
    assert!(world.view(&charger, id).confirmed, "the peer had shown that it has the key");
    let same = |backup: &Backup| {
        let text = backup.to_string();
        let kinds = ["card", "birthday", "peer", "word", "offered-to", "confirmed", "config"];
        let kept = |line: &&str| kinds.iter().any(|kind| line.split(' ').next() == Some(kind));
        text.lines().filter(kept).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(same(&lost), same(&charger.backup().unwrap()));
    // What it says next of a party counts instead of what the lost home said.
    assert!(charger.withdraw(mallory.card().permanent()).unwrap().serial() > withdrawn.serial());
}

#[test]
fn keys_in_groups_that_offers_brought_or_named_come_back_with_a_backup() {
    let mut world = accepting();
    let id = negotiate(&mut world, &custom(numbers(MODP2048, 4)));
    assert_eq!(world.state(&world.car, id), State::Active);
    world.restored_from_backup("custom");
    let mut world = trusting();
    let sent = publish(&mut world, SAFE2060);
    world.mine_and_sync(5);
    let request = offer_in(&world, &sent).unwrap();
    let id = negotiate(&mut world, &request);
    assert_eq!(world.state(&world.car, id), State::Active);
    world.restored_from_backup("published");
}
