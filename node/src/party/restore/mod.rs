//! Restoring a party from its mnemonic, the chain and the cards, with or without a backup (PROTOCOL.md 3.4).
//!
//! The home follows the chain as any other does; what is to be found again is which secret each of its own messages was
//! made from. That is done by [`Party::claim`], when the chain was followed to its tip, and again whenever there is news:
//! for an offer's peer may be known only later. From then on the home is like any other.

mod adopt;
mod claim;
mod envelopes;

use std::path::Path;

use bitcoin::Txid;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_protocol::card::{Card, Permanent};
use keyway_protocol::identity::Seed;
use keyway_protocol::message::Terms;
use keyway_protocol::ratchet::BestChain;

pub use self::claim::Unread;
use super::Synced;
use super::rotation::store_volume;
use super::{Event, IDENTITY, NewParty, Party, SEALING, renewable, store_chain_head};
use crate::backup::{Backup, Facts};
use crate::error::{NodeError, PeerError, RestoreError};
use crate::home::Home;
use crate::outside::Outside;
use crate::prekeys::{self, Prekeys};
use crate::store::{Restoring, Store};
use crate::unassigned::Unassigned;

/// What a restore begins with.
struct Lost<'a> {
    seed: Seed,
    permanent: Permanent,
    facts: Option<&'a Facts>,
    now: Height,
}

impl Lost<'_> {
    fn fill(&self, path: &Path, new: &NewParty, outside: &Outside) -> Result<(), NodeError> {
        let Self { seed, facts, .. } = self;
        let card = self.card(new)?;
        let restoring = Restoring {
            next_prekey: facts.map_or(0, |facts| facts.next_prekey),
            at: facts.map_or(new.birthday.at.height, |facts| facts.tip.height),
            has_card: facts.is_some(),
        };
        Store::create(path, &new.unlock, outside)?.step(|store| {
            store.set_secret(IDENTITY, &seed.identity.to_secret())?;
            store.set_secret(SEALING, seed.sealing.as_secret())?;
            Unassigned::begin(store, &seed.chain_head, facts.map_or(0, |facts| facts.next_secret))?;
            let generations = facts.map_or(&[][..], |facts| &facts.generations);
            prekeys::begin_again(store, &seed.prekey_head, generations.iter().copied())?;
            store.set_restoring(&restoring)?;
            store.set_meta("card", card.to_string().as_bytes())?;
            store.add_block(&new.birthday)?;
            facts.map_or(Ok(()), |facts| take_over(store, facts))
        })
    }

    /// The backup's; else one whose prekeys come when the chain has told how many there were.
    fn card(&self, new: &NewParty) -> Result<Card, NodeError> {
        if let Some(facts) = self.facts {
            return Ok(facts.card.clone());
        }
        let renewable = renewable(&new.config, self.now.to_u32().max(1), self.now, Vec::new());
        Ok(Card::sign(self.permanent.clone(), renewable, &self.seed.identity).map_err(PeerError::Card)?)
    }
}

impl Party {
    /// Makes the home of a party that lost its own, and opens it; [`Party::restore`] then finds what it was. `now` is the
    /// ledger's height.
    ///
    /// # Errors
    /// As [`Party::create`]; [`RestoreError::OfAnother`] if the backup is of other words or another chain.
    pub fn create_restored(
        dir: &Path,
        new: NewParty,
        backup: Option<&Backup>,
        now: Height,
    ) -> Result<Self, NodeError> {
        let (outside, facts) = (Outside::system(), backup.map(|backup| &backup.facts));
        let chain = &new.config.chain;
        let seed = Seed::derive(&new.mnemonic, chain).map_err(|e| NodeError::Wallet(e.to_string()))?;
        let permanent = Permanent::of(new.name.clone(), chain, &seed.identity, &seed.sealing);
        check_owner(facts, &permanent)?;
        let home = Home::create(dir)?;
        home.put(&home.config_path(), |unfinished| {
            std::fs::write(unfinished, new.config.to_toml())
                .map_err(|source| crate::home::io("write", unfinished, source))
        })?;
        let lost = Lost { seed, permanent, facts, now };
        home.put(&home.store_path(), |unfinished| lost.fill(unfinished, &new, &outside))?;
        Self::open_home(home, &new.unlock, &outside)
    }

    /// Follows the chain to the ledger's tip and finds again what this party was. Nothing is sent. Whatever ends it, it
    /// goes on there when it is called again, or by [`Party::sync`].
    ///
    /// # Errors
    /// The ledger's and the store's.
    pub fn restore(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
    ) -> Result<Synced, NodeError> {
        self.in_step(|party| {
            let mut synced = party.come_to_tip(ledger, progress)?;
            party.find_again(&mut synced.events)?;
            let readings = party.readings()?;
            party.tell(&readings, &mut synced.events)?;
            party.settle(&readings)?;
            Ok(synced)
        })
    }

    /// Ends the restoring of a home that was followed to the tip.
    pub(super) fn find_again(&mut self, events: &mut Vec<Event>) -> Result<(), NodeError> {
        let Some(restoring) = self.store.restoring()? else { return Ok(()) };
        self.discover(events)?;
        self.claim()?;
        self.adopt()?;
        let (tip, used) = (self.tip(), self.newest_generation());
        let known = prekeys::Known { next: restoring.next_prekey, at: restoring.at, used };
        let Unread { own, strangers } = self.unread();
        let unread = u32::try_from(own.saturating_add(strangers)).unwrap_or(u32::MAX);
        let mut unassigned = std::mem::take(&mut self.unassigned);
        let (config, card, identity) = (&self.config, &self.card, &self.identity);
        let settled = self.store.step(|store| {
            if let Some(head) = unassigned.settle(store, unread)? {
                store_chain_head(store, &head)?;
            }
            prekeys::settle(store, &config.chain, tip.height, known)?;
            let card = if restoring.has_card {
                card.clone()
            } else {
                let prekeys = prekeys::renew(store, &config.chain, tip.height, config.prekey_suites())?;
                let serial = card.renewable().serial.max(tip.height.to_u32()).saturating_add(1);
                let renewable = renewable(config, serial, tip.height, prekeys);
                Card::sign(card.permanent().clone(), renewable, identity).map_err(PeerError::Card)?
            };
            store.set_meta("card", card.to_string().as_bytes())?;
            store.set_restored(tip)?;
            Ok((card, Prekeys::load(store)?))
        });
        self.unassigned = unassigned;
        (self.card, self.prekeys) = settled?;
        self.unassigned = Unassigned::load(&self.store, self.records.values())?;
        self.restored = Some(tip);
        self.known.forget_all();
        Ok(())
    }

    /// Tells of transactions above a height that speak for this party, and that this home did not make.
    pub(super) fn tell_other_home(&self, above: Height, events: &mut Vec<Event>) {
        let above = above.max(self.restored.map_or(Height::GENESIS, |at| at.height));
        let own = self.reader().own_transactions().into_iter();
        let fresh = own.filter(|own| own.mined.is_some_and(|height| height > above));
        let made = |txid: &Txid| self.history.sent().any(|sent| sent.txid == *txid);
        let foreign = fresh.filter(|own| !made(&own.txid));
        events.extend(foreign.map(|own| Event::OtherHome(own.txid)));
    }

    /// Refuses what needs the whole of the party, while it is still being restored.
    pub(super) fn ensure_restored(&self) -> Result<(), NodeError> {
        match self.store.restoring()? {
            Some(_) => Err(RestoreError::Unfinished(self.history.tip()).into()),
            None => Ok(()),
        }
    }

    /// The newest of this party's prekeys that an offer was made to.
    fn newest_generation(&self) -> Option<u32> {
        let reader = self.reader();
        let offers = self.history.in_order().filter_map(|mined| reader.offer_to_us(mined));
        let used = offers.filter_map(|offer| match offer.message.terms() {
            Terms::Dynamic { prekey, .. } => self.prekeys.generation(offer.message.suite(), *prekey),
            _ => None,
        });
        used.max()
    }
}

/// Refuses a backup that does not belong to these words on this chain.
fn check_owner(facts: Option<&Facts>, permanent: &Permanent) -> Result<(), NodeError> {
    let Some(card) = facts.map(|facts| facts.card.permanent()) else { return Ok(()) };
    if card.chain != permanent.chain {
        return Err(NodeError::OtherChain { home: card.chain, ledger: permanent.chain });
    }
    if card == permanent {
        return Ok(());
    }
    let name = card.name.clone();
    Err(if card.key == permanent.key {
        NodeError::Restore(RestoreError::OfAnotherName(name))
    } else {
        NodeError::Restore(RestoreError::OfAnother {
            name,
            backup: card.key.into(),
            words: permanent.key.into(),
        })
    })
}

/// Stores what a backup says, inside a step of the store.
fn take_over(store: &Store, facts: &Facts) -> Result<(), NodeError> {
    for (card, mark) in &facts.peers {
        store.put_peer(card)?;
        store.put_mark(card.permanent().key, *mark)?;
    }
    facts.words.iter().try_for_each(|word| store.put_introduction(word))?;
    store.set_offered_to(facts.offered_to.iter())?;
    store.set_chosen_groups(facts.groups.iter())?;
    facts.confirmed.iter().try_for_each(|(id, answer)| store.set_confirmed_by_backup(id, answer))?;
    facts.volumes.iter().try_for_each(|(id, bytes)| store_volume(store, id, *bytes))?;
    facts.envelopes.iter().try_for_each(|envelope| store.put_envelope(envelope))
}
