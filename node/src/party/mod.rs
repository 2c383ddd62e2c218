//! One party: its secrets, its peers, its coins and its negotiations, in a home.

mod answer;
mod backup;
mod cancel;
mod envelope;
mod event;
mod evidence;
mod fees;
mod follow;
mod liveness;
mod lockup;
mod offer;
mod peers;
mod prepare;
mod published;
mod quote;
mod restore;
mod rotation;
mod session;
mod settle;
mod study;
mod submit;
mod sync;
mod trace;
mod view;
mod waiting;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use bitcoin::{Amount, FeeRate, OutPoint};
use keyway_chain::{BlockRef, Height};
use keyway_ledger::{Ledger, LedgerError};
use keyway_protocol::card::{Card, Name, Permanent, Prekey, Renewable};
use keyway_protocol::identity::{
    IdentitySecret, NegotiationSecret, PartyKey, SealingSecret, SecretChain, Seed,
};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::sealing::{Stream, StreamId};
use keyway_protocol::suite::take_for_sound;

pub use cancel::Cancelled;
pub use event::{Event, Synced};
pub use evidence::{EvidenceError, EvidenceRequest};
pub use fees::{Raised, Way};
pub use liveness::{CoinView, Life, Revocation};
pub use offer::{OfferRequest, OfferSent};
pub use prepare::PreparedOffer;
pub use published::{GroupSent, Marked, PublishedGroup, marked_groups};
pub use quote::{Quote, Terms};
pub use restore::Unread;
pub use rotation::NextRotation;
pub use session::{Opened, SealedMessage};
pub use study::{KnownToBeBroken, Study, StudySeen, StudySent, studies_between};
pub use trace::{OwnView, Scan, TraceView};
pub use view::{AnswerView, Costs, NegotiationView, OfferView, Status, UsedGroup};
pub use waiting::Waiting;

use crate::config::{Accepts, Config};
use crate::error::{NodeError, PeerError, RestoreError, StoreError};
use crate::history::{Block, History};
use crate::home::Home;
use crate::outside::Outside;
use crate::peers::Peers;
use crate::planted::{self, Bug};
use crate::prekeys::{self, Prekeys};
use crate::prepared::Preparations;
use crate::reading::{Known, Reader, Reading};
use crate::store::{Record, Store, Unlock};
use crate::unassigned::Unassigned;
use crate::wallet::{self, Kept, Wallet};

/// One party, running.
#[derive(Debug)]
pub struct Party {
    home: Home,
    config: Config,
    store: Store,
    identity: IdentitySecret,
    sealing: SealingSecret,
    prekeys: Prekeys,
    card: Card,
    peers: Peers,
    history: History,
    records: BTreeMap<NegotiationId, Record>,
    preparations: Preparations,
    known: Known,
    unassigned: Unassigned,
    /// Where the home was restored, if it was.
    restored: Option<BlockRef>,
    stream: Stream,
    /// The roster as it was read last.
    roster_read: Option<peers::FileMark>,
    /// What the last round saw, if nothing remained to be done.
    rest: Option<sync::Rest>,
}

/// What a new home needs.
#[derive(Debug)]
pub struct NewParty {
    /// What the party calls itself.
    pub name: Name,
    /// Its configuration.
    pub config: Config,
    /// Its words; only what they give is kept.
    pub mnemonic: bip39::Mnemonic,
    /// The last block at which nobody can know the identity yet: the chain is followed from here.
    pub birthday: Block,
    /// What opens its store.
    pub unlock: Unlock,
}

/// A mnemonic of 24 fresh words.
///
/// # Errors
/// If the system gives no randomness.
pub fn fresh_mnemonic() -> Result<bip39::Mnemonic, NodeError> {
    let entropy = Outside::system().secret::<32>()?;
    Ok(bip39::Mnemonic::from_entropy(entropy.expose()).map_err(RestoreError::Mnemonic)?)
}

/// The ledger's last block, as a new home's birthday.
///
/// # Errors
/// The ledger's.
pub fn birthday(ledger: &dyn Ledger) -> Result<Block, NodeError> {
    let at = ledger.tip()?;
    let time = ledger.header(&at.hash)?.map_or(0, |header| header.time);
    Ok(Block { at, time })
}

const CARD_LIFE_SECONDS: u32 = 365 * 24 * 3_600;
const CHAIN_HEAD: &str = "chain head";
const IDENTITY: &str = "identity";
const SEALING: &str = "sealing";

fn negotiation_secret_name(id: &NegotiationId) -> String {
    format!("negotiation {id}")
}

fn chain_key_name(id: &NegotiationId) -> String {
    format!("chain key {id}")
}

impl Party {
    /// Makes a home in `dir` and opens it.
    ///
    /// # Errors
    /// If there is a home already, or the disk refuses; then nothing is left behind that hinders a
    /// second try.
    pub fn create(dir: &Path, new: NewParty) -> Result<Self, NodeError> {
        let outside = Outside::system();
        let home = Home::create(dir)?;
        // Each file appears under its name when it is complete, the store last: a home is whole, or is not there.
        home.put(&home.config_path(), |unfinished| {
            std::fs::write(unfinished, new.config.to_toml())
                .map_err(|source| crate::home::io("write", unfinished, source))
        })?;
        home.put(&home.store_path(), |unfinished| Self::fill_store(unfinished, &new, &outside))?;
        Self::open_home(home, &new.unlock, &outside)
    }

    fn fill_store(path: &Path, new: &NewParty, outside: &Outside) -> Result<(), NodeError> {
        let chain = &new.config.chain;
        let seed = Seed::derive(&new.mnemonic, chain).map_err(|e| NodeError::Wallet(e.to_string()))?;
        let permanent = Permanent::of(new.name.clone(), chain, &seed.identity, &seed.sealing);
        let now = new.birthday.at.height;
        Store::create(path, &new.unlock, outside)?.step(|store| {
            prekeys::begin(store, &seed.prekey_head)?;
            let prekeys = prekeys::renew(store, chain, now, new.config.prekey_suites())?;
            let renewable = renewable(&new.config, 1, now, prekeys);
            let card = Card::sign(permanent, renewable, &seed.identity).map_err(PeerError::Card)?;
            store.set_secret(IDENTITY, &seed.identity.to_secret())?;
            store.set_secret(SEALING, seed.sealing.as_secret())?;
            store_chain_head(store, &seed.chain_head)?;
            store.set_meta("card", card.to_string().as_bytes())?;
            store.add_block(&new.birthday)
        })
    }

    /// Opens a home.
    ///
    /// # Errors
    /// No home, one that is in use, the wrong passphrase, a damaged store or configuration.
    pub fn open(dir: &Path, unlock: &Unlock) -> Result<Self, NodeError> {
        Self::open_from(dir, unlock, &Outside::system())
    }

    /// Opens a home, taking from `outside` what it does not have in itself.
    ///
    /// # Errors
    /// As [`Party::open`].
    pub fn open_from(dir: &Path, unlock: &Unlock, outside: &Outside) -> Result<Self, NodeError> {
        Self::open_home(Home::open(dir)?, unlock, outside)
    }

    fn open_home(home: Home, unlock: &Unlock, outside: &Outside) -> Result<Self, NodeError> {
        let config = Config::load(&home.config_path())?;
        let store = Store::open(&home.store_path(), unlock, outside)?;
        Self::read(home, config, store, outside)
    }

    /// Reads everything in memory anew, as a program does that starts again, but from the store that is already open. For
    /// laboratories that live many lives of one home, and put its store back before each.
    ///
    /// # Errors
    /// A damaged store.
    pub fn begin_again(self, outside: &Outside) -> Result<Self, NodeError> {
        let Self { home, config, mut store, .. } = self;
        store.trust();
        Self::read(home, config, store, outside)
    }

    fn read(home: Home, config: Config, store: Store, outside: &Outside) -> Result<Self, NodeError> {
        take_for_sound(store.sound_groups()?);
        let identity = store.secret(IDENTITY)?.and_then(|secret| IdentitySecret::from_secret(&secret).ok());
        let identity = identity.ok_or_else(|| missing(&store, "identity"))?;
        let sealing = store.secret(SEALING)?.map(SealingSecret::from_secret);
        let sealing = sealing.ok_or_else(|| missing(&store, "sealing secret"))?;
        let Memory { card, prekeys, peers, history, records, preparations, unassigned, restored } =
            Memory::read(&store)?;
        if card.permanent().chain != config.chain.id() {
            return Err(NodeError::OtherChain { home: card.permanent().chain, ledger: config.chain.id() });
        }
        let stream = if planted::is(Bug::StreamRepeats) { [0; 16] } else { outside.bytes()? };
        let stream = Stream::new(StreamId::from_bytes(stream));
        Ok(Self {
            home,
            config,
            store,
            identity,
            sealing,
            prekeys,
            card,
            peers,
            history,
            records,
            preparations,
            known: Known::default(),
            unassigned,
            restored,
            stream,
            roster_read: None,
            rest: None,
        })
    }

    /// Does what changes the store. If a step of it fails, memory is read from the disk again, for only the disk
    /// knows whether that step was made.
    fn in_step<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, NodeError>) -> Result<T, NodeError> {
        self.rest = None;
        self.follow_disk()?;
        let done = work(self);
        // If this fails, the next call tries it again, and `done` says what went wrong first.
        let _ = self.follow_disk();
        done
    }

    fn follow_disk(&mut self) -> Result<(), NodeError> {
        if planted::is(Bug::MemoryStays) {
            self.store.trust();
        }
        if self.store.is_doubtful() {
            let Memory { card, prekeys, peers, history, records, preparations, unassigned, restored } =
                Memory::read(&self.store)?;
            let old = std::mem::take(&mut self.history);
            (self.card, self.prekeys, self.peers, self.records) = (card, prekeys, peers, records);
            (self.unassigned, self.restored) = (unassigned, restored);
            self.preparations = preparations;
            self.history = history.keep_unstored(old);
            self.known.forget_all();
            self.store.trust();
        }
        Ok(())
    }

    /// Refuses to tell from memory what may not be on the disk.
    fn certain(&self) -> Result<(), NodeError> {
        if self.store.is_doubtful() {
            Err(StoreError::Doubtful(self.store.path().to_owned()).into())
        } else {
            Ok(())
        }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.home.dir()
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.card.permanent().name
    }

    /// Its identity on the chain.
    pub fn key(&self) -> PartyKey {
        self.card.permanent().key
    }

    /// Where to send it money.
    pub fn address(&self) -> String {
        wallet::address(&self.config.chain, &self.key().script())
    }

    /// The chain it follows, as far as it has followed it.
    pub fn tip(&self) -> BlockRef {
        let genesis = BlockRef::new(Height::GENESIS, self.config.chain.genesis());
        self.history.last().map_or(genesis, |block| block.at)
    }

    /// The followed block at a height, with its time.
    pub fn block(&self, height: Height) -> Option<Block> {
        self.history.block(height)
    }

    /// A new card with the next serial and fresh prekeys, valid for a year from now. Offers to the old prekeys are
    /// still understood until those expire.
    ///
    /// # Errors
    /// If the store fails.
    pub fn renew_card(&mut self) -> Result<&Card, NodeError> {
        self.ensure_restored()?;
        // A restored home does not know what the lost one signed last, but the chain has gone on.
        let restored = self.restored.map_or(0, |at| at.height.to_u32());
        let serial = self.card.renewable().serial.max(restored).saturating_add(1);
        self.in_step(|party| {
            let (config, now) = (&party.config, party.history.tip());
            let (permanent, identity) = (party.card.permanent().clone(), &party.identity);
            (party.card, party.prekeys) = party.store.step(|store| {
                let prekeys = prekeys::renew(store, &config.chain, now, config.prekey_suites())?;
                let renewable = renewable(config, serial, now, prekeys);
                let card = Card::sign(permanent, renewable, identity).map_err(PeerError::Card)?;
                store.set_meta("card", card.to_string().as_bytes())?;
                Ok((card, Prekeys::load(store)?))
            })?;
            party.known.forget_all();
            Ok(())
        })?;
        Ok(&self.card)
    }

    /// Whether the card lists what the configuration accepts.
    fn card_is_current(&self) -> bool {
        let listed = self.card.renewable();
        numbers(&self.config.accepts) == (listed.suites.clone(), listed.carriers.clone())
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            chain: &self.config.chain,
            own: self.card.permanent().party_ref(),
            sealing: &self.sealing,
            prekeys: &self.prekeys,
            preparations: &self.preparations,
            history: &self.history,
            known: &self.known,
        }
    }

    fn wallet(&self) -> Result<Wallet, NodeError> {
        Wallet::new(&self.config.chain, self.key(), &self.history, self.kept_coins())
    }

    /// The coins that no payment takes by itself.
    fn kept_coins(&self) -> Kept {
        Kept { for_answers: self.held_coins(), lent: self.preparations.coins() }
    }

    /// The coins of offers to this party that may still be answered: from anybody, since a card may
    /// arrive later. Nobody answers an offer whose locked payment is gone; what a mined transaction spent needs no keeping.
    fn held_coins(&self) -> HashSet<OutPoint> {
        let reader = self.reader();
        let open = |height: Height| keyway_protocol::state::in_time(height, self.history.tip().next());
        self.history
            .in_order()
            .filter(|mined| open(mined.at.height))
            .filter_map(|mined| reader.offer_to_us(mined))
            .filter(|offer| {
                offer.carried.locked().is_none_or(|it| self.history.spender(&it.outpoint).is_none())
            })
            .flat_map(|offer| offer.carried.held())
            .filter(|coin| self.history.spender(coin).is_none())
            .collect()
    }

    fn feerate(&self, ledger: &dyn Ledger) -> Result<FeeRate, LedgerError> {
        let floor = self.config.chain.min_relay();
        let ceiling = if planted::is(Bug::NoCeiling) { FeeRate::MAX } else { self.config.fee_ceiling };
        Ok(ledger.feerate()?.min(ceiling).max(floor))
    }

    fn negotiation_secret(&self, id: &NegotiationId) -> Result<Option<NegotiationSecret>, NodeError> {
        let secret = self.store.secret(&negotiation_secret_name(id))?;
        Ok(secret.map(NegotiationSecret::from_secret))
    }

    fn reading(&self, record: &Record) -> Result<Option<Reading>, NodeError> {
        let Some(peer) = self.peer_by_key(record.peer) else { return Ok(None) };
        let secret = self.negotiation_secret(&record.id)?;
        Ok(Some(self.reader().read(record, peer, secret.as_ref())))
    }
}

/// What a party has in memory of its store.
struct Memory {
    card: Card,
    prekeys: Prekeys,
    peers: Peers,
    history: History,
    records: BTreeMap<NegotiationId, Record>,
    preparations: Preparations,
    unassigned: Unassigned,
    restored: Option<BlockRef>,
}

impl Memory {
    fn read(store: &Store) -> Result<Self, NodeError> {
        let card = store.meta("card")?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<Card>().ok());
        let records: BTreeMap<_, _> =
            store.negotiations()?.into_iter().map(|record| (record.id, record)).collect();
        let mut history = History::new(store.blocks()?, store.mined()?);
        store.each_sent(|sent| history.add_sent(sent))?;
        Ok(Self {
            card: card.ok_or_else(|| missing(store, "card"))?,
            prekeys: Prekeys::load(store)?,
            peers: Peers::load(store)?,
            history,
            preparations: Preparations::new(store.preparations()?),
            unassigned: Unassigned::load(store, records.values())?,
            restored: store.restored()?,
            records,
        })
    }
}

fn missing(store: &Store, what: &str) -> NodeError {
    let what = format!("its {what} is missing or cannot be read");
    NodeError::Store(StoreError::Damaged { path: store.path().to_owned(), what })
}

/// Takes the next negotiation's secret from the store's chain, inside a step of the store.
fn take_secret(store: &Store, id: &NegotiationId) -> Result<(u32, NegotiationSecret), NodeError> {
    let index = next_index(store)?;
    let chain =
        index.zip(store.secret(CHAIN_HEAD)?).map(|(index, head)| SecretChain::from_parts(index, head));
    let chain =
        chain.ok_or_else(|| NodeError::Wallet("the store has no secret for a negotiation".to_owned()))?;
    let index = chain.index();
    let (secret, next) = chain.take();
    store.set_secret(&negotiation_secret_name(id), secret.as_secret())?;
    store_chain_head(store, &next)?;
    Ok((index, secret))
}

/// The index that the next negotiation takes, as the store has it.
fn next_index(store: &Store) -> Result<Option<u32>, NodeError> {
    Ok(store.meta("secret index")?.and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?))))
}

fn store_chain_head(store: &Store, chain: &SecretChain) -> Result<(), NodeError> {
    store.set_secret(CHAIN_HEAD, chain.head())?;
    store.set_meta("secret index", &chain.index().to_be_bytes())
}

fn renewable(config: &Config, serial: u32, now: Height, prekeys: Vec<Prekey>) -> Renewable {
    let (suites, carriers) = numbers(&config.accepts);
    let expiry = now.plus(CARD_LIFE_SECONDS / config.chain.block_seconds());
    Renewable { serial, expiry, suites, carriers, prekeys }
}

/// As cards list them.
fn numbers(accepts: &Accepts) -> (Vec<u8>, Vec<u8>) {
    let suites = accepts.suites.iter().map(|suite| suite.number()).collect();
    (suites, accepts.carriers.iter().map(|carrier| carrier.number()).collect())
}

/// What an output of the wallet pays in all.
fn total(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(Amount::MAX))
}
