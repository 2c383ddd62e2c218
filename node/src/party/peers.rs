//! Whom the party deals with: cards, introductions, revocations.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use keyway_chain::Height;
use keyway_protocol::card::{Card, CardRefused, Name, Permanent};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::introduction::Introduction;
use keyway_protocol::ratchet::BestChain;

use super::{CARD_LIFE_SECONDS, Event, Party};
use crate::error::{NodeError, PeerError};
use crate::peers::{Mark, Peers, Standing};
use crate::roster::{Imported, MOST_ROSTER_BYTES, Refused, Roster};
use crate::store::Store;

/// By what a changed file is known.
pub(super) type FileMark = (u64, Option<SystemTime>);

impl Party {
    /// The known cards, by name.
    pub fn peers(&self) -> &[Card] {
        self.peers.cards()
    }

    /// How this party stands to the owner of a card at its tip.
    pub fn standing(&self, card: &Card) -> Standing {
        self.peers.standing(card, &self.config.introductions.accept_by, self.history.tip())
    }

    /// Accepts a card by hand, or a newer card of a known peer. Payments of this author that were held are
    /// read at the next [`Party::sync`].
    ///
    /// # Errors
    /// [`PeerError::CardRefused`] (PROTOCOL.md 4.2); [`PeerError::NotDealtWith`] for a revoked peer.
    pub fn add_peer(&mut self, card: Card) -> Result<(), NodeError> {
        self.in_step(|party| {
            let key = card.permanent().key;
            if party.note_earlier_card(&card)? {
                return Ok(());
            }
            card.check(party.card.permanent(), party.history.tip(), party.peers.cards())
                .map_err(PeerError::CardRefused)?;
            if party.peers.mark(key).revoked {
                let peer = card.permanent().name.clone();
                return Err(PeerError::NotDealtWith { peer, standing: Standing::Revoked }.into());
            }
            party.store.step(|store| {
                store.put_peer(&card)?;
                store.put_mark(key, Mark::default())
            })?;
            party.peers.put_card(card);
            party.peers.set_mark(key, Mark::default());
            party.unassigned.try_again();
            Ok(())
        })
    }

    /// Forgets a peer's card. With negotiations in this home only if `force`: without the card they
    /// cannot be read.
    ///
    /// # Errors
    /// [`PeerError::Unknown`], [`PeerError::InUse`]; [`PeerError::RevokedKept`], for a roster could
    /// bring a revoked peer back.
    pub fn remove_peer(&mut self, name: &str, force: bool) -> Result<Card, NodeError> {
        let card = self.peer(name)?.clone();
        let key = card.permanent().key;
        if self.peers.mark(key).revoked {
            return Err(PeerError::RevokedKept(card.permanent().name.clone()).into());
        }
        if !force && self.records.values().any(|record| record.peer == key) {
            return Err(PeerError::InUse(card.permanent().name.to_string()).into());
        }
        self.in_step(|party| {
            party.store.step(|store| store.remove_peer(key))?;
            party.peers.remove_card(key);
            Ok(card)
        })
    }

    /// Revokes a peer, or takes that back: with one that is revoked nothing is negotiated, and no key of it
    /// seals or opens. What the chain says of earlier negotiations stays readable.
    ///
    /// # Errors
    /// [`PeerError::Unknown`].
    pub fn revoke_peer(&mut self, name: &str, revoked: bool) -> Result<Card, NodeError> {
        let card = self.peer(name)?.clone();
        let key = card.permanent().key;
        self.in_step(|party| {
            let mark = Mark { revoked, ..party.peers.mark(key) };
            party.store.step(|store| store.put_mark(key, mark))?;
            party.peers.set_mark(key, mark);
            Ok(card)
        })
    }

    /// This party's word for the owner of a card, for `blocks` from now on, or for a year where nothing is said.
    ///
    /// # Errors
    /// [`CardRefused`] for a card of another chain, or this party's own; or the store fails.
    pub fn introduce(&mut self, subject: &Permanent, blocks: Option<u32>) -> Result<Introduction, NodeError> {
        let year = CARD_LIFE_SECONDS / self.config.chain.block_seconds();
        let expiry = self.history.tip().plus(blocks.unwrap_or(year).max(1));
        self.give_word(subject, |serial, party| Introduction::sign(subject, serial, expiry, &party.identity))
    }

    /// Takes back what this party said for the owner of a card.
    ///
    /// # Errors
    /// As [`Party::introduce`].
    pub fn withdraw(&mut self, subject: &Permanent) -> Result<Introduction, NodeError> {
        self.give_word(subject, |serial, party| Introduction::withdraw(subject, serial, &party.identity))
    }

    fn give_word(
        &mut self,
        subject: &Permanent,
        sign: impl FnOnce(u32, &Party) -> Introduction,
    ) -> Result<Introduction, NodeError> {
        let (own, theirs) = (self.card.permanent().chain, subject.chain);
        if own != theirs {
            return Err(
                PeerError::CardRefused(CardRefused::ForeignChain { expected: own, found: theirs }).into()
            );
        }
        if subject.key == self.key() {
            return Err(PeerError::CardRefused(CardRefused::Own).into());
        }
        self.ensure_restored()?;
        self.in_step(|party| {
            // A home that was made anew from the mnemonic knows no serials, but the chain has gone on.
            let next = party.peers.word(party.key(), subject).map_or(0, |word| word.serial() + 1);
            let word = sign(next.max(party.history.tip().to_u32()), party);
            party.store.step(|store| store.put_introduction(&word))?;
            party.peers.put_word(word.clone());
            Ok(word)
        })
    }

    /// Takes the cards and introductions of a roster: introductions by those whom the configuration names,
    /// cards of parties for whom one holds, and newer cards of known peers.
    ///
    /// # Errors
    /// If the store fails. A line that is not taken is told, and hinders no other.
    pub fn import(&mut self, roster: Roster) -> Result<Imported, NodeError> {
        self.in_step(|party| party.take_roster(roster))
    }

    fn take_roster(&mut self, roster: Roster) -> Result<Imported, NodeError> {
        let Roster { words, cards, unreadable } = roster;
        let mut imported = Imported { refused: unreadable, ..Imported::default() };
        let mut peers = self.peers.clone();
        let gate = Gate {
            own: self.card.permanent(),
            accept_by: &self.config.introductions.accept_by,
            tip: self.history.tip(),
        };
        self.store.step(|store| {
            for (line, word) in words {
                match gate.check_word(&peers, &word) {
                    Ok(()) if peers.is_news(&word) => {
                        store.put_introduction(&word)?;
                        peers.put_word(word);
                        imported.words += 1;
                    }
                    Ok(()) => {}
                    Err(why) => imported.refused.push(Refused { line, why }),
                }
            }
            for (line, card) in cards {
                match gate.check_card(&peers, &card) {
                    Ok(true) => {
                        take_card(store, &mut peers, card)?;
                        imported.cards += 1;
                    }
                    Ok(false) => {}
                    Err(why) => imported.refused.push(Refused { line, why }),
                }
            }
            Ok(())
        })?;
        self.peers = peers;
        self.unassigned.try_again();
        imported.refused.sort_by_key(|refused| refused.line);
        Ok(imported)
    }

    /// Reads the configuration's roster, if it is not as it was when it was last read.
    pub(super) fn read_roster(&mut self, events: &mut Vec<Event>) -> Result<(), NodeError> {
        let Some(path) = self.config.introductions.roster.clone() else { return Ok(()) };
        match changed_text(&path, self.roster_read) {
            Ok(None) => {}
            Ok(Some((mark, text))) => {
                let read = self.take_roster(Roster::parse(&text))?;
                self.roster_read = Some(mark);
                if read != Imported::default() {
                    events.push(Event::RosterRead(read));
                }
            }
            Err(source) => events.push(Event::RosterUnread { path, why: source.to_string() }),
        }
        Ok(())
    }

    /// The peer of that name, or the only one whose name or key begins so.
    ///
    /// # Errors
    /// [`PeerError::Unknown`], [`NodeError::Ambiguous`].
    pub fn peer(&self, prefix: &str) -> Result<&Card, NodeError> {
        self.peers.find(prefix)
    }

    pub(super) fn peer_by_key(&self, key: PartyKey) -> Option<&Card> {
        self.peers.by_key(key)
    }

    /// Refuses a peer with whom this party does not deal.
    pub(super) fn check_dealing(&self, peer: &Card) -> Result<(), NodeError> {
        match self.standing(peer) {
            standing if standing.deals() => Ok(()),
            standing => Err(PeerError::NotDealtWith { peer: peer.permanent().name.clone(), standing }.into()),
        }
    }
}

/// What decides about a roster's lines.
struct Gate<'a> {
    own: &'a Permanent,
    accept_by: &'a [Name],
    tip: Height,
}

impl Gate<'_> {
    fn check_word(&self, peers: &Peers, word: &Introduction) -> Result<(), String> {
        let mut introducers = peers.introducers(self.accept_by);
        if word.chain() != self.own.chain {
            Err("an introduction on another chain".to_owned())
        } else if introducers.any(|card| card.permanent().key == word.introducer()) {
            Ok(())
        } else {
            Err(format!("introduced by {}, whom introductions.accept_by does not name", word.introducer()))
        }
    }

    /// Whether to take a card of a roster; not if it says nothing new.
    fn check_card(&self, peers: &Peers, card: &Card) -> Result<bool, String> {
        let permanent = card.permanent();
        let known = peers.by_key(permanent.key);
        match card.check(self.own, self.tip, peers.cards()) {
            // A fleet's roster lists this party too, and may lag behind what came another way.
            Err(CardRefused::Own | CardRefused::Older { .. }) => return Ok(false),
            Err(refused) => return Err(format!("{}: {refused}", permanent.name)),
            Ok(()) => {}
        }
        match known {
            Some(known) => Ok(known != card),
            None if peers.introduction(permanent, self.accept_by, self.tip).is_some() => Ok(true),
            None => Err(format!("no introduction of {} holds", permanent.name)),
        }
    }
}

fn take_card(store: &Store, peers: &mut Peers, card: Card) -> Result<(), NodeError> {
    let key = card.permanent().key;
    if peers.by_key(key).is_none() {
        let mark = Mark { introduced: true, ..Mark::default() };
        store.put_mark(key, mark)?;
        peers.set_mark(key, mark);
    }
    store.put_peer(&card)?;
    peers.put_card(card);
    Ok(())
}

/// The text of a file that is not as it was.
fn changed_text(path: &Path, known: Option<FileMark>) -> std::io::Result<Option<(FileMark, String)>> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    let mark = (about.len(), about.modified().ok());
    if known == Some(mark) {
        return Ok(None);
    }
    if about.len() > MOST_ROSTER_BYTES {
        return Err(std::io::Error::other(format!("it has more than {MOST_ROSTER_BYTES} bytes")));
    }
    let mut text = String::new();
    file.take(MOST_ROSTER_BYTES).read_to_string(&mut text)?;
    Ok(Some((mark, text)))
}
