//! The prekeys of this home (PROTOCOL.md 3.3): one generation on the card, and those before it for as long as an offer
//! that was made to them may need them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use keyway_chain::{Chain, Height};
use keyway_protocol::card::Prekey;
use keyway_protocol::prekey::{PrekeyChain, PrekeyId, PrekeySecret};
use keyway_protocol::ratchet::WINDOW;
use keyway_protocol::secret::Secret;
use keyway_protocol::state::ANSWER_WINDOW;
use keyway_protocol::suite::Suite;

use crate::error::NodeError;
use crate::store::Store;

/// How long offers may use a generation.
const LIFE_SECONDS: u32 = 90 * 24 * 3_600;
const CHAIN_HEAD: &str = "prekey chain";
const NEXT_INDEX: &str = "prekey index";
const GENERATIONS: &str = "prekeys";
/// p(0), while the home is being restored.
const BEGINNING: &str = "restore prekeys";
/// Generations that are tried while the home is being restored.
const TRIED: u32 = 1_000;
/// More cards than anybody makes by hand between two backups.
const BY_HAND: u32 = 100;

/// Those that are kept, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Prekeys(Vec<Generation>);

#[derive(Debug)]
struct Generation {
    index: u32,
    last_height: Height,
    secret: PrekeySecret,
    /// Each is computed when it is first asked for: those of the large groups take a while.
    ids: BTreeMap<Suite, OnceCell<PrekeyId>>,
}

impl Prekeys {
    /// Reads what the store keeps.
    pub(crate) fn load(store: &Store) -> Result<Self, NodeError> {
        if let Some(beginning) = store.secret(BEGINNING)? {
            return Ok(Self::of_chain(beginning, &listed(store)?));
        }
        let mut generations = Vec::new();
        for (index, last_height) in listed(store)? {
            if let Some(secret) = store.secret(&secret_name(index))? {
                generations.push(Generation::new(index, last_height, PrekeySecret::from_secret(secret)));
            }
        }
        Ok(Self(generations))
    }

    /// All generations that a home may have had which is being restored. Of those that no backup lists nobody knows the
    /// last height any more.
    fn of_chain(beginning: Secret, listed: &[(u32, Height)]) -> Self {
        let mut chain = PrekeyChain::from_parts(0, beginning);
        let most = listed.last().map_or(0, |(index, _)| *index).saturating_add(TRIED);
        let mut generations = Vec::new();
        while chain.index() < most {
            let (index, (secret, next)) = (chain.index(), chain.take());
            let last_height = listed.iter().find(|(other, _)| *other == index).map(|(_, height)| *height);
            generations.push(Generation::new(index, last_height.unwrap_or(Height::new(u32::MAX)), secret));
            chain = next;
        }
        Self(generations)
    }

    /// The generation of a prekey.
    pub(crate) fn generation(&self, suite: Suite, id: PrekeyId) -> Option<u32> {
        self.0.iter().find(|generation| generation.id(suite) == Some(id)).map(|generation| generation.index)
    }

    /// Index and last height of those that are kept.
    pub(crate) fn list(&self) -> impl Iterator<Item = (u32, Height)> + '_ {
        self.0.iter().map(|generation| (generation.index, generation.last_height))
    }

    /// The secret of a prekey that an offer of that suite mined at `height` may use; unmined ones will be mined in the
    /// next block.
    pub(crate) fn find(&self, suite: Suite, id: PrekeyId, height: Height) -> Option<&PrekeySecret> {
        let usable =
            |generation: &&Generation| height <= generation.last_height && generation.id(suite) == Some(id);
        self.0.iter().find(usable).map(|generation| &generation.secret)
    }

    /// Whether so much of the newest generation's life is over that the card should be renewed.
    pub(crate) fn are_old(&self, chain: &Chain, tip: Height) -> bool {
        let third = life(chain) / 3;
        self.0.last().is_some_and(|newest| tip.plus(third) > newest.last_height)
    }
}

impl Generation {
    fn new(index: u32, last_height: Height, secret: PrekeySecret) -> Self {
        let ids = Suite::USUAL.into_iter().map(|suite| (suite, OnceCell::new())).collect();
        Self { index, last_height, secret, ids }
    }

    fn id(&self, suite: Suite) -> Option<PrekeyId> {
        let of = || PrekeyId::of(suite.number(), &self.secret.public(suite));
        self.ids.get(&suite).map(|id| *id.get_or_init(of))
    }
}

/// Begins the chain of a new home, inside a step of the store.
pub(crate) fn begin(store: &Store, head: &PrekeyChain) -> Result<(), NodeError> {
    store.set_secret(CHAIN_HEAD, head.head())?;
    store.set_meta(NEXT_INDEX, &head.index().to_be_bytes())
}

/// Takes the next generation, for a card of `now` with prekeys of these suites, and erases those that no offer can need any more; inside a step of
/// the store.
pub(crate) fn renew(
    store: &Store,
    chain: &Chain,
    now: Height,
    suites: impl Iterator<Item = Suite>,
) -> Result<Vec<Prekey>, NodeError> {
    let missing = || NodeError::Wallet("the store has no secret for prekeys".to_owned());
    let (index, head) = next_index(store)?.zip(store.secret(CHAIN_HEAD)?).ok_or_else(missing)?;
    let (secret, next) = PrekeyChain::from_parts(index, head).take();
    let last_height = now.plus(life(chain));
    store.set_secret(&secret_name(index), secret.as_secret())?;
    begin(store, &next)?;
    let mut kept = Prekeys::load(store)?.0;
    for old in kept.extract_if(.., |old| now > old.last_height.plus(ANSWER_WINDOW + WINDOW)) {
        store.erase_secret(&secret_name(old.index))?;
    }
    kept.push(Generation::new(index, last_height, secret));
    list(store, kept.iter().map(|kept| (kept.index, kept.last_height)))?;
    let newest = kept.last().ok_or_else(missing)?;
    let public =
        |suite: Suite| Prekey { suite: suite.number(), last_height, key: newest.secret.public(suite) };
    Ok(suites.map(public).collect())
}

/// The index that the next generation takes.
pub(crate) fn next_index(store: &Store) -> Result<Option<u32>, NodeError> {
    Ok(store.meta(NEXT_INDEX)?.and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?))))
}

/// Begins the chain of a home that is being restored, inside a step of the store; `listed` are the generations that a
/// backup names.
pub(crate) fn begin_again(
    store: &Store,
    head: &PrekeyChain,
    listed: impl Iterator<Item = (u32, Height)>,
) -> Result<(), NodeError> {
    store.set_secret(BEGINNING, head.head())?;
    list(store, listed)
}

/// What is known of the generations when a home was restored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The next one when the backup was written, and the height then; without a backup none, and the birthday.
    pub(crate) next: u32,
    pub(crate) at: Height,
    /// The newest that an offer was made to.
    pub(crate) used: Option<u32>,
}

/// Ends the search, inside a step of the store. What no backup lists may stand on cards made until now: it is kept as
/// long as a card of now. The next generation lies above all that the lost home can have had.
pub(crate) fn settle(store: &Store, chain: &Chain, now: Height, known: Known) -> Result<(), NodeError> {
    let Some(beginning) = store.secret(BEGINNING)? else { return Ok(()) };
    let since = now.to_u32().saturating_sub(known.at.to_u32());
    let renewed = since / (life(chain) / 3) + BY_HAND;
    let end = known.next.saturating_add(renewed).max(known.used.map_or(0, |used| used.saturating_add(1)));
    let named = listed(store)?;
    let is_needed = |last: Height| now <= last.plus(ANSWER_WINDOW + WINDOW);
    let (mut kept, mut unnamed) = (Vec::new(), Vec::new());
    let mut head = PrekeyChain::from_parts(0, beginning);
    while head.index() < end {
        let (index, (secret, next)) = (head.index(), head.take());
        match named.iter().find(|(other, _)| *other == index) {
            Some((_, last)) if is_needed(*last) => kept.push((index, *last)),
            None if index >= known.next => unnamed.push((index, now.plus(life(chain)))),
            _ => {
                head = next;
                continue;
            }
        }
        store.set_secret(&secret_name(index), secret.as_secret())?;
        head = next;
    }
    // The last one listed is the one on the card.
    list(store, unnamed.into_iter().chain(kept))?;
    begin(store, &head)?;
    store.erase_secret(BEGINNING)
}

fn listed(store: &Store) -> Result<Vec<(u32, Height)>, NodeError> {
    let bytes = store.meta(GENERATIONS)?.unwrap_or_default();
    let (entries, _) = bytes.as_chunks::<8>();
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_be_bytes);
    let entry = |entry: &[u8; 8]| {
        let (index, last_height) = entry.split_at(4);
        (number(index), Height::new(number(last_height)))
    };
    Ok(entries.iter().map(entry).collect())
}

fn list(store: &Store, generations: impl Iterator<Item = (u32, Height)>) -> Result<(), NodeError> {
    let entry = |(index, last): (u32, Height)| [index.to_be_bytes(), last.to_u32().to_be_bytes()].concat();
    store.set_meta(GENERATIONS, &generations.flat_map(entry).collect::<Vec<u8>>())
}

fn life(chain: &Chain) -> u32 {
    LIFE_SECONDS / chain.block_seconds()
}

fn secret_name(index: u32) -> String {
    format!("prekeys {index}")
}
