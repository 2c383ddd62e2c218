//! Finding which secret each of this party's messages was made from.

use std::collections::{BTreeSet, HashMap, HashSet};

use bitcoin::{OutPoint, ScriptBuf, Txid};
use keyway_protocol::card::Card;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::prekey::PrekeyId;
use keyway_protocol::ratchet::{BestChain, WINDOW};
use keyway_protocol::state::ANSWER_WINDOW;
use keyway_protocol::suite::Suite;

use super::super::{Party, negotiation_secret_name};
use crate::error::NodeError;
use crate::reading::{OfferRead, Own};
use crate::store::{Chosen, Record};
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
pub(super) struct Counterparts {
    pub(super) offered_to: OfferedTo,
    by_script: HashMap<ScriptBuf, PartyKey>,
    groups: Vec<Chosen>,
}

impl Party {
    /// Finds the secret of each own message that has none yet. Does nothing in a home that was never restored, or knows
    /// all that it sent.
    pub(in crate::party) fn claim(&mut self) -> Result<(), NodeError> {
        if self.unassigned.is_empty() {
            return Ok(());
        }
        let mut unassigned = std::mem::take(&mut self.unassigned);
        let done = self.claim_with(&mut unassigned);
        self.unassigned = unassigned;
        done
    }

    fn claim_with(&mut self, unassigned: &mut Unassigned) -> Result<(), NodeError> {
        let known = Counterparts {
            offered_to: self.offered_to()?,
            by_script: self.peers_by_script(),
            groups: self.known_groups()?,
        };
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
            if !claimed && !self.claim_envelope(unassigned, &own, &known)? {
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
        let peers = paid.into_iter().filter_map(|key| self.peer_by_key(key));
        let offers = peers.flat_map(|peer| {
            reader.own_offers(own, peer, &known.groups).into_iter().map(move |offer| (peer, offer))
        });
        for (peer, offer) in offers {
            let wanted = offer.prekey();
            let prekey = wanted.and_then(|wanted| prekey_of(peer, &known.offered_to, wanted));
            if wanted.is_some() && prekey.is_none() {
                continue;
            }
            let found = unassigned.find(|secret| reader.offer_is_from(&offer, peer, secret));
            let Some((index, secret)) = found.and_then(|index| Some((index, unassigned.secret(index)?)))
            else {
                continue;
            };
            let record = reader.offer_record(own, &offer, peer, (index, secret), prekey);
            if let Some(record) = record {
                self.assign(unassigned, index, record)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The groups that this party's offers may have brought or named: those that the chain publishes, and the backup's.
    fn known_groups(&self) -> Result<Vec<Chosen>, NodeError> {
        let reader = self.reader();
        let published = self.history.in_order().filter_map(|mined| {
            let (_, numbers) = reader.group_in(mined)?;
            Some(Chosen { numbers, published: Some(mined.txid) })
        });
        Ok(published.chain(self.store.chosen_groups()?).collect())
    }

    fn peers_by_script(&self) -> HashMap<ScriptBuf, PartyKey> {
        self.peers.cards().iter().map(|card| card.permanent().key).map(|key| (key.script(), key)).collect()
    }

    pub(super) fn assign(
        &mut self,
        unassigned: &mut Unassigned,
        index: u32,
        record: Record,
    ) -> Result<(), NodeError> {
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
    pub(in crate::party) fn forget_unassigned(&mut self) -> Result<(), NodeError> {
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
    pub(in crate::party) fn note_earlier_card(&mut self, card: &Card) -> Result<bool, NodeError> {
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
        let offers = unread.flat_map(|own| reader.own_offers(&own, card, &[]));
        let wanted = offers.filter_map(|offer| offer.prekey());
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
