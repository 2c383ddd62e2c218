//! Keys that are settled: their secrets are erased, and what must remain is kept (PROTOCOL.md 9.3, 10).

use std::collections::BTreeSet;

use keyway_chain::Height;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet, WINDOW};
use keyway_protocol::state::{ANSWER_WINDOW, Anchor, OfferPlace, Payment, Position};

use super::{Party, chain_key_name, negotiation_secret_name};
use crate::error::{NodeError, SessionError};
use crate::planted::{self, Bug};
use crate::reading::Reading;
use crate::store::{Record, Settled, Store};

impl Party {
    /// Erases what old blocks no longer need (PROTOCOL.md 3.2 and 10), of all negotiations in one step of the store.
    pub(super) fn settle(&mut self, readings: &[(NegotiationId, Reading)]) -> Result<(), NodeError> {
        let oldest_useful = self.history.tip().minus(WINDOW - 1);
        let outlived: BTreeSet<NegotiationId> = self.outlived(readings).into_iter().collect();
        let mut aged = Vec::new();
        for (id, reading) in readings {
            let Some(record) = self.records.get(id) else { continue };
            if record.settled.is_none() || !outlived.contains(id) {
                aged.extend(self.aged(record, reading, oldest_useful)?);
            } else if self.store.secret(&chain_key_name(id))?.is_some() {
                aged.push(Aged::outlived(record));
            }
        }
        let forgets = self.store.has_opened_below(oldest_useful)?;
        if !aged.is_empty() || forgets {
            self.store.step(|store| {
                aged.iter().try_for_each(|aged| aged.store(store))?;
                store.forget_opened_below(oldest_useful)
            })?;
        }
        for Aged { record, secret, .. } in aged {
            if secret == Erase::NegotiationSecret {
                self.known.forget(&record.id);
            }
            self.records.insert(record.id, record);
        }
        self.forget_unassigned()
    }

    /// What becomes of one negotiation now that its oldest useful block is this one.
    fn aged(
        &self,
        record: &Record,
        reading: &Reading,
        oldest_useful: Height,
    ) -> Result<Option<Aged>, NodeError> {
        match (reading.facts.anchor, &record.settled) {
            (Anchor::Answered(at), None) if at.height < oldest_useful || planted::is(Bug::ErasedAtOnce) => {
                self.replaced(record, reading, at)
            }
            (Anchor::Answered(_), Some(settled)) if settled.oldest.height < oldest_useful => {
                self.advanced(record, *settled)
            }
            (Anchor::Answered(_), Some(_)) => Ok(None),
            _ if self.ended_at(record, reading).is_some_and(|at| at < oldest_useful) => {
                self.ended(record, reading)
            }
            _ => Ok(None),
        }
    }

    fn ended(&self, record: &Record, reading: &Reading) -> Result<Option<Aged>, NodeError> {
        if self.store.secret(&negotiation_secret_name(&record.id))?.is_none() {
            return Ok(None);
        }
        let anchor = reading.offer.as_ref().map(|offer| offer.carried.anchor());
        let spender = anchor.and_then(|anchor| self.history.spender(&anchor)).map(|mined| mined.txid);
        let record = Record { no_answer: spender, ..record.clone() };
        Ok(Some(Aged { record, chain_key: None, secret: Erase::NegotiationSecret }))
    }

    /// Where the chain ended a negotiation that led to no key.
    fn ended_at(&self, record: &Record, reading: &Reading) -> Option<Height> {
        match (reading.facts.offer, reading.facts.anchor) {
            (OfferPlace::Replaced, _) => self.history.spender(&record.input0).map(|mined| mined.at.height),
            _ if reading.offer.as_ref().is_some_and(|offer| offer.carried.locked().is_some()) => {
                match (reading.facts.anchor, reading.facts.payment) {
                    (Anchor::Answered(_), _) | (_, Payment::Open) => None,
                    (_, Payment::Collected(at) | Payment::Returned(at)) => Some(at),
                }
            }
            (OfferPlace::Mined(_), Anchor::SpentOtherwise(at)) => Some(at),
            (OfferPlace::Mined(offer), Anchor::Unspent | Anchor::AnswerSeen) => {
                Some(offer.plus(ANSWER_WINDOW))
            }
            _ => None,
        }
    }

    /// Puts the chain key of the window's oldest block in the place of the negotiation's secret.
    fn replaced(&self, record: &Record, reading: &Reading, at: Position) -> Result<Option<Aged>, NodeError> {
        let Some(answer) = &reading.answer else { return Ok(None) };
        let (Some(agreed), Some(first)) = (&answer.agreed, self.history.block(at.height)) else {
            return Ok(None);
        };
        let mut ratchet = Ratchet::start(first.at, agreed.master_key());
        ratchet.advance(&self.history).map_err(SessionError::NoSession)?;
        let settled = Settled {
            answer: answer.txid,
            first: first.at,
            oldest: ratchet.oldest(),
            fingerprint: agreed.fingerprint(),
            initiator_tag: agreed.tag(Role::Initiator),
        };
        let record = Record { settled: Some(settled), ..record.clone() };
        Ok(Some(Aged { record, chain_key: Some(ratchet), secret: Erase::NegotiationSecret }))
    }

    fn advanced(&self, record: &Record, settled: Settled) -> Result<Option<Aged>, NodeError> {
        let Some(mut ratchet) = self.settled_ratchet(record, settled)? else { return Ok(None) };
        // Lost after a deep reorganisation: the state says so, and there is nothing to advance.
        if !matches!(ratchet.advance(&self.history), Ok(true)) {
            return Ok(None);
        }
        let settled = Settled { oldest: ratchet.oldest(), ..settled };
        let record = Record { settled: Some(settled), ..record.clone() };
        Ok(Some(Aged { record, chain_key: Some(ratchet), secret: Erase::Nothing }))
    }

    pub(super) fn settled_ratchet(
        &self,
        record: &Record,
        settled: Settled,
    ) -> Result<Option<Ratchet>, NodeError> {
        let ck = self.store.secret(&chain_key_name(&record.id))?;
        Ok(ck.map(|ck| Ratchet::from_parts(settled.first.height, settled.oldest, ck)))
    }
}

/// A negotiation of which older secrets are no longer needed.
struct Aged {
    record: Record,
    /// What takes the place of the stored chain key.
    chain_key: Option<Ratchet>,
    secret: Erase,
}

/// Which secret is erased.
#[derive(PartialEq, Eq)]
enum Erase {
    Nothing,
    NegotiationSecret,
    /// The key that took its place is older than the window: were that one gone from the chain, so would be the block that
    /// this one has advanced to, and it would be lost.
    ChainKey,
}

impl Aged {
    fn outlived(record: &Record) -> Self {
        Self { record: record.clone(), chain_key: None, secret: Erase::ChainKey }
    }

    /// In a step of the store.
    fn store(&self, store: &Store) -> Result<(), NodeError> {
        let id = &self.record.id;
        if let Some(ratchet) = &self.chain_key {
            store.set_secret(&chain_key_name(id), ratchet.ck())?;
        }
        match self.secret {
            Erase::Nothing => {}
            Erase::NegotiationSecret => store.erase_secret(&negotiation_secret_name(id))?,
            Erase::ChainKey => return store.erase_secret(&chain_key_name(id)),
        }
        store.put_negotiation(&self.record)
    }
}
