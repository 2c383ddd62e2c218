//! The cards that a party knows, and how it stands to their owners.

use std::collections::{BTreeMap, HashMap};

use keyway_chain::Height;
use keyway_protocol::card::{Card, Name, Permanent};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::introduction::Introduction;

use crate::error::{NodeError, PeerError};
use crate::store::Store;

/// How a party stands to the owner of a card that it knows (PROTOCOL.md 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its card was accepted by hand.
    Accepted,
    /// A party whose introductions are accepted vouches for it, up to and including a height.
    Introduced {
        /// The introducer's name.
        by: Name,
        /// The last height at which the introduction holds.
        until: Height,
    },
    /// It was introduced once, and no introduction holds now.
    Lapsed,
    /// It was revoked by hand.
    Revoked,
}

impl Standing {
    /// Whether the party deals with it: offers, answers, seals and opens.
    pub fn deals(&self) -> bool {
        matches!(self, Self::Accepted | Self::Introduced { .. })
    }

    /// Its name in output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Introduced { .. } => "introduced",
            Self::Lapsed => "lapsed",
            Self::Revoked => "revoked",
        }
    }
}

/// What sets a peer apart from one whose card was accepted by hand and whom nothing was done to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its card came with an introduction, and counts only while one holds.
    pub(crate) introduced: bool,
    /// It was revoked.
    pub(crate) revoked: bool,
}

/// The cards by name, with the marks and words that decide about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    /// By name.
    cards: Vec<Card>,
    names: HashMap<PartyKey, Name>,
    marks: BTreeMap<PartyKey, Mark>,
    /// The words that count, by introducer and subject.
    words: BTreeMap<(PartyKey, [u8; 32]), Introduction>,
}

impl Peers {
    pub(crate) fn load(store: &Store) -> Result<Self, NodeError> {
        let mut peers = Self { marks: store.marks()?.into_iter().collect(), ..Self::default() };
        store.peers()?.into_iter().for_each(|card| peers.put_card(card));
        store.introductions()?.into_iter().for_each(|word| peers.put_word(word));
        Ok(peers)
    }

    pub(crate) fn cards(&self) -> &[Card] {
        &self.cards
    }

    pub(crate) fn by_key(&self, key: PartyKey) -> Option<&Card> {
        self.cards.get(self.place(self.names.get(&key)?).ok()?)
    }

    /// Where the card of that name is, or would be.
    fn place(&self, name: &Name) -> Result<usize, usize> {
        self.cards.binary_search_by(|card| card.permanent().name.cmp(name))
    }

    /// The peer of that name, or the only one whose name or key begins so.
    pub(crate) fn find(&self, prefix: &str) -> Result<&Card, NodeError> {
        let name = |card: &Card| card.permanent().name.to_string();
        if let Some(exact) = self.cards.iter().find(|card| name(card) == prefix) {
            return Ok(exact);
        }
        let begins = |card: &&Card| {
            name(card).starts_with(prefix) || card.permanent().key.to_string().starts_with(prefix)
        };
        let found: Vec<&Card> = self.cards.iter().filter(begins).collect();
        match found[..] {
            [card] => Ok(card),
            [] => {
                Err(PeerError::Unknown { name: prefix.to_owned(), known: list(self.cards.iter().map(name)) }
                    .into())
            }
            _ => Err(NodeError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: list(found.into_iter().map(name)),
            }),
        }
    }

    pub(crate) fn put_card(&mut self, card: Card) {
        let (key, name) = (card.permanent().key, card.permanent().name.clone());
        self.forget_card(key);
        let (Ok(at) | Err(at)) = self.place(&name);
        self.cards.insert(at, card);
        self.names.insert(key, name);
    }

    pub(crate) fn remove_card(&mut self, key: PartyKey) {
        self.forget_card(key);
        self.marks.remove(&key);
    }

    fn forget_card(&mut self, key: PartyKey) {
        if let Some(Ok(at)) = self.names.remove(&key).map(|name| self.place(&name)) {
            self.cards.remove(at);
        }
    }

    pub(crate) fn mark(&self, key: PartyKey) -> Mark {
        self.marks.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn set_mark(&mut self, key: PartyKey, mark: Mark) {
        self.marks.insert(key, mark);
    }

    pub(crate) fn word(&self, introducer: PartyKey, subject: &Permanent) -> Option<&Introduction> {
        self.words.get(&(introducer, subject.digest()))
    }

    /// The words that count.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Introduction> {
        self.words.values()
    }

    /// Whether a word says something that the known ones of its introducer do not.
    pub(crate) fn is_news(&self, word: &Introduction) -> bool {
        let known = self.words.get(&(word.introducer(), *word.subject()));
        known.is_none_or(|known| word.replaces(known))
    }

    /// Takes a word, unless a later one of the same introducer is known.
    pub(crate) fn put_word(&mut self, word: Introduction) {
        if self.is_news(&word) {
            self.words.insert((word.introducer(), *word.subject()), word);
        }
    }

    /// The cards of those whose introductions count, of the names given: accepted by hand, and not revoked.
    pub(crate) fn introducers<'a>(&'a self, names: &'a [Name]) -> impl Iterator<Item = &'a Card> {
        let named = names.iter().filter_map(|name| self.cards.get(self.place(name).ok()?));
        named.filter(|card| self.mark(card.permanent().key) == Mark::default())
    }

    /// How the party stands to a card's owner at `tip`, if the introductions of those named count.
    pub(crate) fn standing(&self, card: &Card, accept_by: &[Name], tip: Height) -> Standing {
        let Mark { introduced, revoked } = self.mark(card.permanent().key);
        match (revoked, introduced) {
            (true, _) => Standing::Revoked,
            (false, false) => Standing::Accepted,
            (false, true) => self.introduction(card.permanent(), accept_by, tip).unwrap_or(Standing::Lapsed),
        }
    }

    /// The introduction that holds longest.
    pub(crate) fn introduction(
        &self,
        subject: &Permanent,
        accept_by: &[Name],
        tip: Height,
    ) -> Option<Standing> {
        let holding = self.introducers(accept_by).filter_map(|introducer| {
            let word = self.word(introducer.permanent().key, subject)?;
            word.holds(tip).then(|| (word.expiry(), introducer.permanent().name.clone()))
        });
        holding.max().map(|(until, by)| Standing::Introduced { by, until })
    }
}

/// Names for a message.
pub(crate) fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
