//! A fleet: who has not met is introduced, by an operator whom both have met (PROTOCOL.md 4.3).

use std::path::{Path, PathBuf};

use keyway_chain::{Chain, Height};
use keyway_ledger::{Embedded, Ledger};
use keyway_node::*;
use keyway_protocol::introduction::Introduction;
use keyway_protocol::state::State;
use tempfile::TempDir;

use crate::world::*;

const OPERATOR: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// Car and charger know the operator by hand, and each other not at all.
struct Fleet {
    world: World,
    operator: Party,
    roster: PathBuf,
}

impl Fleet {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let ledger = Embedded::open(dir.path().join("ledger")).unwrap();
        let mut operator = party(dir.path(), "operator", OPERATOR, &ledger);
        let roster = dir.path().join("fleet.txt");
        std::fs::write(&roster, "# nobody yet\n").unwrap();
        let mut car = member(dir.path(), "car", CAR, &ledger);
        let mut charger = member(dir.path(), "charger", CHARGER, &ledger);
        for home in [&mut car, &mut charger] {
            home.add_peer(operator.card().clone()).unwrap();
        }
        for _ in 0..IDENTITY_COINS {
            ledger.mine(1, &car.key().script()).unwrap();
        }
        ledger.mine(100, &nobody()).unwrap();
        operator.sync(&ledger, &mut |_| ()).unwrap();
        let mut fleet = Self { world: World { dir, ledger, car, charger }, operator, roster };
        fleet.world.sync();
        fleet
    }

    /// Both introduced by the operator, as it publishes it.
    fn introduced() -> Self {
        let mut fleet = Self::new();
        let cards = [fleet.world.car.card().clone(), fleet.world.charger.card().clone()];
        let words = cards.each_ref().map(|card| fleet.operator.introduce(card.permanent(), None).unwrap());
        fleet.publish(&[&words[0], &words[1], &cards[0], &cards[1]]);
        fleet.world.sync();
        fleet
    }

    /// Writes the roster anew. What it said before is gone from it, and not from memory.
    fn publish(&self, lines: &[&dyn std::fmt::Display]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&self.roster, format!("# the fleet\n\n{text}")).unwrap();
    }

    fn standing(&self, party: &Party, name: &str) -> Standing {
        party.standing(party.peer(name).unwrap())
    }
}

fn member(dir: &Path, name: &str, words: &str, ledger: &dyn Ledger) -> Party {
    let introductions =
        Introductions { accept_by: vec!["operator".parse().unwrap()], roster: Some(dir.join("fleet.txt")) };
    let config = Config::new(
        Chain::regtest(),
        LedgerConfig::Embedded { path: dir.join("ledger"), enforce_exponent: false },
    );
    let new = NewParty {
        name: name.parse().unwrap(),
        config: Config { introductions, ..config },
        mnemonic: words.parse().unwrap(),
        birthday: birthday(ledger).unwrap(),
        unlock: Unlock::Insecure,
    };
    Party::create(&dir.join(name), new).unwrap()
}

#[test]
fn two_cars_of_a_fleet_agree_a_key_though_only_the_operator_has_met_both() {
    let mut fleet = Fleet::introduced();
    assert!(matches!(
        fleet.standing(&fleet.world.car, "charger"),
        Standing::Introduced { ref by, .. } if by.as_str() == "operator"
    ));
    fleet.world.agree();
    let sealed = fleet.world.car.seal("charger", b"hello", b"").unwrap();
    assert_eq!(&fleet.world.charger.open_sealed(&sealed.sealed, b"", false).unwrap().plaintext[..], b"hello");
}

#[test]
fn a_withdrawn_introduction_ends_offers_answers_and_messages_without_a_restart() {
    let mut fleet = Fleet::introduced();
    fleet.world.agree();
    let before = fleet.world.car.seal("charger", b"before", b"").unwrap();
    let pending = fleet.world.offer();
    let word = fleet.operator.withdraw(fleet.world.car.card().permanent()).unwrap();
    fleet.publish(&[&word]);
    fleet.world.mine_and_sync(1);

    assert_eq!(fleet.standing(&fleet.world.charger, "car"), Standing::Lapsed);
    assert_eq!(fleet.world.state(&fleet.world.charger, pending.id), State::Offered, "it is not answered");
    let opened = fleet.world.charger.open_sealed(&before.sealed, b"", false);
    assert!(matches!(opened, Err(NodeError::Peer(PeerError::NotDealtWith { .. }))), "{opened:?}");
    let sealed = fleet.world.charger.seal("car", b"after", b"");
    assert!(
        matches!(sealed, Err(ref error @ NodeError::Peer(PeerError::NotDealtWith { .. })) if error.kind() == Kind::Refused)
    );

    // An old roster brought back changes nothing; a new introduction does.
    let again = fleet.operator.introduce(fleet.world.car.card().permanent(), None).unwrap();
    fleet.publish(&[&again]);
    fleet.world.mine_and_sync(1);
    assert_eq!(fleet.world.state(&fleet.world.charger, pending.id), State::Answered);
}

#[test]
fn an_old_introduction_brought_back_does_not_undo_its_withdrawal() {
    let mut fleet = Fleet::new();
    let card = fleet.world.car.card().clone();
    let old = fleet.operator.introduce(card.permanent(), None).unwrap();
    let withdrawn = fleet.operator.withdraw(card.permanent()).unwrap();
    for lines in [[&old, &withdrawn], [&withdrawn, &old], [&old, &old]] {
        let text = format!("{}\n{}\n{card}\n", lines[0], lines[1]);
        fleet.world.charger.import(Roster::parse(&text)).unwrap();
        if lines[0] != lines[1] {
            assert!(fleet.world.charger.peer("car").is_err(), "nobody introduces it now");
        }
    }
    assert!(fleet.world.charger.peer("car").is_err(), "the withdrawal is remembered");
}

#[test]
fn an_introduction_is_over_at_its_height() {
    let mut fleet = Fleet::new();
    let card = fleet.world.car.card().clone();
    let tip = fleet.operator.tip().height;
    let word = fleet.operator.introduce(card.permanent(), Some(2)).unwrap();
    assert_eq!(word.expiry(), tip.plus(2));
    fleet.publish(&[&word, &card]);
    fleet.world.sync();
    fleet.world.mine_and_sync(2);
    assert!(fleet.standing(&fleet.world.charger, "car").deals());
    fleet.world.mine_and_sync(1);
    assert_eq!(fleet.standing(&fleet.world.charger, "car"), Standing::Lapsed);
}

#[test]
fn whom_a_stranger_or_a_revoked_operator_introduces_is_nobody() {
    let mut fleet = Fleet::new();
    let mallory = party(fleet.world.dir.path(), "mallory", MALLORY, &fleet.world.ledger);
    let by_himself =
        Introduction::sign(mallory.card().permanent(), 9, Height::new(9_000), &seed(MALLORY).identity);
    let text = format!("{by_himself}\n{}\nhello\nkeyway-card:AAAA\n", mallory.card());
    let read = fleet.world.car.import(Roster::parse(&text)).unwrap();
    assert_eq!((read.cards, read.words), (0, 0));
    let lines: Vec<usize> = read.refused.iter().map(|refused| refused.line).collect();
    assert_eq!(lines, [1, 2, 3, 4]);
    assert!(fleet.world.car.peer("mallory").is_err());

    let card = fleet.world.charger.card().clone();
    let word = fleet.operator.introduce(card.permanent(), None).unwrap();
    fleet.world.car.import(Roster::parse(&format!("{word}\n{card}"))).unwrap();
    assert!(fleet.standing(&fleet.world.car, "charger").deals());
    fleet.world.car.revoke_peer("operator", true).unwrap();
    assert_eq!(fleet.standing(&fleet.world.car, "charger"), Standing::Lapsed);
}

#[test]
fn the_introduced_cannot_introduce() {
    let mut fleet = Fleet::introduced();
    let mallory = party(fleet.world.dir.path(), "mallory", MALLORY, &fleet.world.ledger);
    let word = fleet.world.charger.introduce(mallory.card().permanent(), None).unwrap();
    let read = fleet.world.car.import(Roster::parse(&format!("{word}\n{}", mallory.card()))).unwrap();
    assert_eq!((read.cards, read.words, read.refused.len()), (0, 0, 2));
}

#[test]
fn a_revoked_peer_stays_revoked_through_restarts_rosters_and_cards() {
    let mut fleet = Fleet::introduced();
    fleet.world.car.revoke_peer("charger", true).unwrap();
    fleet.world.restart_car();
    let card = fleet.world.charger.renew_card().unwrap().clone();
    let word = fleet.operator.introduce(card.permanent(), None).unwrap();
    fleet.publish(&[&word, &card]);
    fleet.world.sync();
    assert_eq!(fleet.standing(&fleet.world.car, "charger"), Standing::Revoked);
    let newer = fleet.world.charger.renew_card().unwrap().clone();
    let added = fleet.world.car.add_peer(newer);
    assert!(matches!(added, Err(NodeError::Peer(PeerError::NotDealtWith { .. }))), "{added:?}");
    let removed = fleet.world.car.remove_peer("charger", true);
    assert!(matches!(removed, Err(NodeError::Peer(PeerError::RevokedKept(_)))), "{removed:?}");
    let offered = fleet.world.car.offer(&fleet.world.ledger, &request(PRICE));
    assert!(matches!(offered, Err(NodeError::Peer(PeerError::NotDealtWith { .. }))), "{offered:?}");
    fleet.world.car.revoke_peer("charger", false).unwrap();
    assert!(fleet.standing(&fleet.world.car, "charger").deals());
}

#[test]
fn a_card_taken_by_hand_needs_no_introduction_any_more() {
    let mut fleet = Fleet::introduced();
    let card = fleet.world.charger.card().clone();
    fleet.world.car.add_peer(card).unwrap();
    let word = fleet.operator.withdraw(fleet.world.charger.card().permanent()).unwrap();
    fleet.world.car.import(Roster::parse(&word.to_string())).unwrap();
    assert_eq!(fleet.standing(&fleet.world.car, "charger"), Standing::Accepted);
}

#[test]
fn a_roster_that_is_gone_is_told_and_nothing_is_forgotten() {
    let mut fleet = Fleet::introduced();
    std::fs::remove_file(&fleet.roster).unwrap();
    let (synced, _) = fleet.world.sync();
    assert!(matches!(&synced.events[..], [Event::RosterUnread { path, .. }] if *path == fleet.roster));
    assert!(fleet.standing(&fleet.world.car, "charger").deals());
}

#[test]
fn a_roster_is_read_once_and_again_when_it_has_changed() {
    let mut fleet = Fleet::introduced();
    fleet.publish(&[&"neither"]);
    let told =
        |synced: &Synced| synced.events.iter().filter(|event| matches!(event, Event::RosterRead(_))).count();
    assert_eq!(told(&fleet.world.sync().0), 1, "one line is not taken");
    assert_eq!(told(&fleet.world.sync().0), 0);
}

#[test]
fn an_operator_restored_from_its_words_can_still_withdraw() {
    let mut fleet = Fleet::introduced();
    fleet.world.mine_and_sync(1);
    let dir = fleet.world.dir.path().join("restored");
    std::fs::create_dir(&dir).unwrap();
    let mut restored = party(&dir, "operator", OPERATOR, &fleet.world.ledger);
    let word = restored.withdraw(fleet.world.car.card().permanent()).unwrap();
    fleet.world.charger.import(Roster::parse(&word.to_string())).unwrap();
    assert_eq!(fleet.standing(&fleet.world.charger, "car"), Standing::Lapsed);
}
