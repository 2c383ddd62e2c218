//! Restoring a party from its mnemonic, the chain and the cards, with or without a backup (PROTOCOL.md 3.4).
//!
//! The home follows the chain as any other does; what is to be found again is which secret each of its own messages was
//! made from. That is done by [`Party::claim`], when the chain was followed to its tip, and again whenever there is news:
//! for an offer's peer may be known only later. From then on the home is like any other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};
use keyway_carriers::script;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_protocol::card::{Card, Permanent};
use keyway_protocol::identity::{PartyKey, Seed};
use keyway_protocol::message::Terms;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::prekey::PrekeyId;
use keyway_protocol::ratchet::{BestChain, WINDOW};
use keyway_protocol::state::ANSWER_WINDOW;
use keyway_protocol::suite::Suite;

use super::rotation::store_volume;
use super::sync::Synced;
use super::{
    Event, IDENTITY, NewParty, Party, SEALING, negotiation_secret_name, renewable, store_chain_head,
};
use crate::backup::{Backup, Facts};
use crate::error::NodeError;
use crate::home::Home;
use crate::outside::Outside;
use crate::prekeys::{self, Prekeys};
use crate::reading::{OfferRead, Own, Reading};
use crate::store::{Envelope, Purpose, Record, Restoring, Store};
use crate::unassigned::Unassigned;

/// What the cards that are known do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Payments of this party that may be offers to somebody whose card, or earlier card, is not known.
    pub own: usize,
    /// Offers to this party by somebody whose card is not known.
    pub strangers: usize,
}

/// The peers' prekeys that are known.
type OfferedTo = BTreeSet<(Suite, Vec<u8>)>;

/// To whom offers may have been made.
struct Counterparts {
    offered_to: OfferedTo,
    by_script: HashMap<ScriptBuf, PartyKey>,
}

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
        Ok(Card::sign(self.permanent.clone(), renewable, &self.seed.identity)?)
    }
}

impl Party {
    /// Makes the home of a party that lost its own, and opens it; [`Party::restore`] then finds what it was. `now` is the
    /// ledger's height.
    ///
    /// # Errors
    /// As [`Party::create`]; [`NodeError::BackupOfAnother`] if the backup is of other words or another chain.
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
                Card::sign(card.permanent().clone(), renewable, identity)?
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

    /// Takes over what the lost home had sent and the ledger still holds unmined, so that it is sent again, and its coins
    /// are spent by nothing else.
    fn adopt(&mut self) -> Result<(), NodeError> {
        let key = self.key().to_bytes();
        for tx in self.history.shown_unmined().to_vec() {
            let is_own = tx
                .input
                .first()
                .and_then(|input| input.witness.nth(1))
                .is_some_and(|found| found == &key[..]);
            let is_new = self.transaction(&tx.compute_txid()).is_none();
            let Some(fee) = self.fee_of(&tx).filter(|_| is_own && is_new) else { continue };
            let (purpose, envelope) = self.purpose_of(&tx)?;
            let sent = self.store.step(|store| {
                envelope.map_or(Ok(()), |envelope| store.put_envelope(&envelope))?;
                store.add_sent(&tx, purpose, fee)
            })?;
            self.history.add_sent(sent);
        }
        Ok(())
    }

    /// What a transaction of this party is for, and the envelope that it commits to. What it is not known to be for is
    /// kept as what moves the party's own coins.
    fn purpose_of(&self, tx: &Transaction) -> Result<(Purpose, Option<Envelope>), NodeError> {
        if let Some(id) = self.message_of(tx)? {
            let answers = self.records.get(&id).is_some_and(|record| record.role == Role::Responder);
            return Ok((if answers { Purpose::Answer(id) } else { Purpose::Offer(id) }, None));
        }
        let outpoint = OutPoint::new(tx.compute_txid(), 0);
        for shown in self.history.shown_unmined() {
            let script = script::envelopes(shown).find_map(|(index, script)| {
                (shown.input.get(index)?.previous_output == outpoint).then(|| script.to_owned())
            });
            if let Some((script, id)) = script.zip(self.message_of(shown)?) {
                return Ok((Purpose::Commit(id), Some(Envelope { id, outpoint, script })));
            }
        }
        Ok((Purpose::Split, None))
    }

    /// The negotiation whose offer or answer a transaction of this party is.
    fn message_of(&self, tx: &Transaction) -> Result<Option<NegotiationId>, NodeError> {
        let Some(input0) = tx.input.first().map(|input| input.previous_output) else { return Ok(None) };
        let mut own = self.records.values().filter(|record| record.role == Role::Initiator);
        if let Some(record) = own.find(|record| record.input0 == input0) {
            return Ok(Some(record.id));
        }
        let is_answer = |(id, reading): &(NegotiationId, Reading)| {
            let found = self.records.get(id).is_some_and(|record| record.secret_index.is_some());
            found && reading.offer.as_ref().is_some_and(|offer| offer.carried.anchor() == input0)
        };
        Ok(self.readings()?.into_iter().find(is_answer).map(|(id, _)| id))
    }

    /// What a transaction pays to miners, if all its coins are known.
    fn fee_of(&self, tx: &Transaction) -> Option<Amount> {
        let coin = |outpoint: &OutPoint| {
            let made = self.transaction(&outpoint.txid)?;
            Some(made.output.get(usize::try_from(outpoint.vout).ok()?)?.value)
        };
        let spent: Option<Amount> = tx.input.iter().map(|input| coin(&input.previous_output)).sum();
        spent?.checked_sub(tx.output.iter().map(|output| output.value).sum())
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
            Some(_) => Err(NodeError::Restoring(self.history.tip())),
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

    /// Finds the secret of each own message that has none yet. Does nothing in a home that was never restored, or knows
    /// all that it sent.
    pub(super) fn claim(&mut self) -> Result<(), NodeError> {
        if self.unassigned.is_empty() {
            return Ok(());
        }
        let mut unassigned = std::mem::take(&mut self.unassigned);
        let done = self.claim_with(&mut unassigned);
        self.unassigned = unassigned;
        done
    }

    fn claim_with(&mut self, unassigned: &mut Unassigned) -> Result<(), NodeError> {
        let known = Counterparts { offered_to: self.offered_to()?, by_script: self.peers_by_script() };
        let (answers, offers) = (self.answers_without_secret()?, self.offers_with_secret());
        for own in self.reader().own_transactions() {
            let input0 = own.tx.input.first().map(|input| input.previous_output);
            let is_known = input0.is_none_or(|input0| offers.contains(&input0));
            if is_known || unassigned.was_tried(&own.txid) {
                continue;
            }
            let claimed = match answers.get(&own.txid) {
                Some((id, offer)) => self.claim_answer(unassigned, *id, offer, &own)?,
                None => self.claim_offer(unassigned, &own, &known)?,
            };
            if !claimed {
                unassigned.note_tried(own.txid);
            }
        }
        Ok(())
    }

    /// The coins that offers spend first whose secret is known.
    fn offers_with_secret(&self) -> HashSet<OutPoint> {
        let own = self.records.values().filter(|record| record.role == Role::Initiator);
        own.map(|record| record.input0).collect()
    }

    /// The offers of others whose anchor this party spent, by the transaction that did: those whose answer's secret is
    /// not known.
    fn answers_without_secret(&self) -> Result<HashMap<Txid, (NegotiationId, OfferRead)>, NodeError> {
        let mut found = HashMap::new();
        for (id, reading) in self.readings()? {
            let Some(record) = self.records.get(&id) else { continue };
            let is_open =
                record.role == Role::Responder && record.settled.is_none() && record.no_answer.is_none();
            let agreed = reading.answer.as_ref().is_some_and(|answer| answer.agreed.is_some());
            let Some(offer) = reading.offer.filter(|_| is_open && !agreed) else { continue };
            if let Some(spender) = self.reader().spender_of(&offer) {
                found.insert(spender, (id, offer));
            }
        }
        Ok(found)
    }

    fn claim_answer(
        &mut self,
        unassigned: &mut Unassigned,
        id: NegotiationId,
        offer: &OfferRead,
        own: &Own,
    ) -> Result<bool, NodeError> {
        let reader = self.reader();
        let Some(record) = self.records.get(&id) else { return Ok(false) };
        let Some(peer) = self.peer_by_key(record.peer) else { return Ok(false) };
        let Some(answer) = reader.own_answer(record, peer, offer, own) else { return Ok(false) };
        let record = record.clone();
        let Some(index) = unassigned.find(|secret| reader.answer_is_from(&answer, peer, secret)) else {
            return Ok(false);
        };
        self.assign(unassigned, index, Record { secret_index: Some(index), ..record })?;
        Ok(true)
    }

    fn claim_offer(
        &mut self,
        unassigned: &mut Unassigned,
        own: &Own,
        known: &Counterparts,
    ) -> Result<bool, NodeError> {
        let reader = self.reader();
        let paid: BTreeSet<PartyKey> =
            own.tx.output.iter().filter_map(|out| known.by_script.get(&out.script_pubkey)).copied().collect();
        for peer in paid.into_iter().filter_map(|key| self.peer_by_key(key)) {
            let Some(offer) = reader.own_offer(own, peer) else { continue };
            let wanted = offer.prekey();
            let prekey = wanted.and_then(|wanted| prekey_of(peer, &known.offered_to, wanted));
            if wanted.is_some() && prekey.is_none() {
                continue;
            }
            let found = unassigned.find(|secret| reader.offer_is_from(&offer, peer, secret));
            let Some(index) = found else { continue };
            let Some(secret) = unassigned.secret(index) else { continue };
            let record = reader.offer_record(own, &offer, peer, (index, secret), prekey);
            if let Some(record) = record {
                self.assign(unassigned, index, record)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn peers_by_script(&self) -> HashMap<ScriptBuf, PartyKey> {
        self.peers.cards().iter().map(|card| card.permanent().key).map(|key| (key.script(), key)).collect()
    }

    fn assign(&mut self, unassigned: &mut Unassigned, index: u32, record: Record) -> Result<(), NodeError> {
        let confirmed = self.store.confirmed_by_backup(&record.id)?;
        let record = Record { confirmed: record.confirmed.or(confirmed), ..record };
        let secret = unassigned.secret(index);
        self.store.step(|store| {
            if let Some(secret) = secret {
                store.set_secret(&negotiation_secret_name(&record.id), secret.as_secret())?;
            }
            unassigned.store_without(store, index)?;
            store.put_negotiation(&record)
        })?;
        unassigned.assign(index);
        self.known.forget(&record.id);
        self.records.insert(record.id, record);
        Ok(())
    }

    /// What nobody can read before further cards are added.
    pub fn unread(&self) -> Unread {
        if self.unassigned.is_empty() {
            return Unread::default();
        }
        let (reader, own_script, offers) = (self.reader(), self.key().script(), self.offers_with_secret());
        let own = reader.own_transactions().into_iter().filter(|own| {
            let known = own.tx.input.first().is_some_and(|input| offers.contains(&input.previous_output));
            !known && own.may_carry_an_offer(&own_script)
        });
        let strangers = self.history.in_order().filter_map(|mined| reader.offer_to_us(mined));
        let strangers = strangers.filter(|offer| self.peer_by_key(offer.author).is_none());
        Unread { own: own.count(), strangers: strangers.count() }
    }

    /// Whether there are answers, and none of them leads to a key: then the party had another name when it agreed, for the
    /// name is part of what both sides agree on.
    ///
    /// # Errors
    /// If the store fails.
    pub fn had_another_name(&self) -> Result<bool, NodeError> {
        let mut without_key = false;
        for (id, reading) in self.readings()? {
            let Some(record) = self.records.get(&id) else { continue };
            let agreed = reading.answer.as_ref().is_some_and(|answer| answer.agreed.is_some());
            if agreed || record.settled.is_some() {
                return Ok(false);
            }
            let own =
                record.role == Role::Responder && record.secret_index.is_none() && reading.answer.is_some();
            without_key |= own || reading.declined.is_some_and(|why| why.is_of_another_transcript());
        }
        Ok(without_key)
    }

    /// Erases the secrets that nothing was found for, when nothing can come any more that they would be for.
    pub(super) fn forget_unassigned(&mut self) -> Result<(), NodeError> {
        let Some(restored) = self.restored.filter(|_| !self.unassigned.is_empty()) else { return Ok(()) };
        let over = self.history.tip() > restored.height.plus(ANSWER_WINDOW + WINDOW);
        if over && self.unread() == Unread::default() {
            self.store.step(|store| {
                self.unassigned.erase(store)?;
                store.set_offered_to(std::iter::empty())
            })?;
            self.unassigned = Unassigned::default();
        }
        Ok(())
    }

    /// Notes the prekeys of a peer's earlier card, if an offer waits for one of them. Whether it did.
    pub(super) fn note_earlier_card(&mut self, card: &Card) -> Result<bool, NodeError> {
        let known = self.peer_by_key(card.permanent().key);
        let same_owner = known.is_some_and(|known| {
            known.permanent() == card.permanent() && known.renewable().serial > card.renewable().serial
        });
        if !same_owner || self.unassigned.is_empty() {
            return Ok(false);
        }
        let reader = self.reader();
        let offers = self.offers_with_secret();
        let unread = reader
            .own_transactions()
            .into_iter()
            .filter(|own| own.tx.input.first().is_some_and(|input| !offers.contains(&input.previous_output)));
        let wanted = unread.filter_map(|own| reader.own_offer(&own, card)?.prekey());
        let is_wanted = wanted.into_iter().any(|wanted| prekey_of(card, &OfferedTo::new(), wanted).is_some());
        if !is_wanted {
            return Ok(false);
        }
        let mut offered_to = self.offered_to()?;
        offered_to.extend(
            card.renewable()
                .prekeys
                .iter()
                .filter_map(|prekey| Some((Suite::from_number(prekey.suite)?, prekey.key.clone()))),
        );
        self.store.step(|store| store.set_offered_to(offered_to.iter()))?;
        self.unassigned.try_again();
        Ok(true)
    }
}

/// The prekey of that id: on the peer's card, or one that an offer was made to.
fn prekey_of(peer: &Card, offered_to: &OfferedTo, (suite, id): (Suite, PrekeyId)) -> Option<Vec<u8>> {
    let on_card = peer.renewable().prekeys.iter().filter(|prekey| prekey.suite == suite.number());
    let earlier = offered_to.iter().filter(|(other, _)| *other == suite).map(|(_, key)| key);
    let mut all = on_card.map(|prekey| &prekey.key).chain(earlier);
    all.find(|key| PrekeyId::of(suite.number(), key) == id).cloned()
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
        NodeError::BackupOfAnotherName(name)
    } else {
        NodeError::BackupOfAnother { name, backup: card.key.into(), words: permanent.key.into() }
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
    facts.confirmed.iter().try_for_each(|(id, answer)| store.set_confirmed_by_backup(id, answer))?;
    facts.volumes.iter().try_for_each(|(id, bytes)| store_volume(store, id, *bytes))?;
    facts.envelopes.iter().try_for_each(|envelope| store.put_envelope(envelope))
}
