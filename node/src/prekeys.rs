//! The prekeys of this home (PROTOCOL.md 3.3): one generation on the card, and those before it for as long as an offer
//! that was made to them may need them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use keyway_chain::{Chain, Height};
use keyway_protocol::card::Prekey;
use keyway_protocol::prekey::{PrekeyChain, PrekeyId, PrekeySecret};
use keyway_protocol::ratchet::WINDOW;
use keyway_protocol::state::ANSWER_WINDOW;
use keyway_protocol::suite::Suite;

use crate::error::NodeError;
use crate::store::Store;

/// How long offers may use a generation.
const LIFE_SECONDS: u32 = 90 * 24 * 3_600;
const CHAIN_HEAD: &str = "prekey chain";
const NEXT_INDEX: &str = "prekey index";
const GENERATIONS: &str = "prekeys";

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
        let listed = store.meta(GENERATIONS)?.unwrap_or_default();
        let mut generations = Vec::new();
        for entry in listed.chunks_exact(8) {
            let (index, last_height) = entry.split_at(4);
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_be_bytes);
            let (index, last_height) = (number(index), Height::new(number(last_height)));
            if let Some(secret) = store.secret(&secret_name(index))? {
                generations.push(Generation::new(index, last_height, PrekeySecret::from_secret(secret)));
            }
        }
        Ok(Self(generations))
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
    let index = store.meta(NEXT_INDEX)?.and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
    let (index, head) = index.zip(store.secret(CHAIN_HEAD)?).ok_or_else(missing)?;
    let (secret, next) = PrekeyChain::from_parts(index, head).take();
    let last_height = now.plus(life(chain));
    store.set_secret(&secret_name(index), secret.as_secret())?;
    begin(store, &next)?;
    let mut kept = Prekeys::load(store)?.0;
    for old in kept.extract_if(.., |old| now > old.last_height.plus(ANSWER_WINDOW + WINDOW)) {
        store.erase_secret(&secret_name(old.index))?;
    }
    kept.push(Generation::new(index, last_height, secret));
    let entry =
        |kept: &Generation| [kept.index.to_be_bytes(), kept.last_height.to_u32().to_be_bytes()].concat();
    store.set_meta(GENERATIONS, &kept.iter().flat_map(entry).collect::<Vec<u8>>())?;
    let newest = kept.last().ok_or_else(missing)?;
    let public =
        |suite: Suite| Prekey { suite: suite.number(), last_height, key: newest.secret.public(suite) };
    Ok(suites.map(public).collect())
}

fn life(chain: &Chain) -> u32 {
    LIFE_SECONDS / chain.block_seconds()
}

fn secret_name(index: u32) -> String {
    format!("prekeys {index}")
}
