//! Whether the transaction that spends an anchor is the answer, and what key it leads to.

use std::sync::Arc;

use bitcoin::Transaction;
use keyway_carriers::script;
use keyway_carriers::value::{self, MessageLen};
use keyway_protocol::authorship::Authored;
use keyway_protocol::card::Card;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::letter;
use keyway_protocol::message::{Answer, AnswerForm, AnswerTerms, Brought, Carrier, Offer, Refusal};
use keyway_protocol::negotiation::{Agreed, Received, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::suite::Suite;
use thiserror::Error;

use super::known::{Agreement, Subject};
use super::{Case, OfferRead, Reader, Seen};
use crate::carried::Carried;
use crate::error::NodeError;
use crate::planted::{self, Bug};
use crate::store::Record;

/// Why a transaction that spends an anchor is no answer; its author is at fault.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("it does not speak for the responder")]
    Author,
    #[error("it carries no answer in sequence numbers: {0}")]
    Sequences(#[from] value::sequences::Refused),
    #[error("it carries no answer in amounts: {0}")]
    Amounts(#[from] value::amounts::Refused),
    #[error("it carries no answer: {0}")]
    Script(#[from] script::Damage),
    #[error("it carries no answer: {0}")]
    Letter(#[from] letter::NotForUs),
    #[error("its answer is dated {found}, and its nLockTime is {expected}")]
    Timestamp { expected: u32, found: u32 },
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{0}")]
    BadKey(#[from] letter::BadSealingKey),
    #[error("it is not the answer that this home made")]
    NotOurs,
    #[error("the group that its offer names is not in the chain, deep enough below the offer")]
    NoGroup,
    #[error("it came too late")]
    TooLate,
    #[error("it was found to be no answer while there was a secret to tell")]
    Decided,
}

impl NoAnswer {
    /// Whether all of it is right but what both sides call each other, or the key.
    pub(crate) fn is_of_another_transcript(&self) -> bool {
        matches!(self, Self::Refused(Refusal::WrongTag))
    }
}

impl From<NoAnswer> for NodeError {
    /// An answer of one's own that cannot be made.
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::Refused(refusal) => Self::Refusal(refusal),
            other => Self::Wallet(other.to_string()),
        }
    }
}

impl Reader<'_> {
    /// The keys, if `spender` is the answer; `None` for the keys if the secret is erased.
    pub(super) fn agree(&self, case: &Case<'_>, offer: &OfferRead, spender: &Seen<'_>) -> Agreement {
        // In the form of an answer, it can no longer be told from one.
        if case.secret.is_none() && case.record.no_answer == Some(spender.txid) {
            return Err(Arc::new(NoAnswer::Decided));
        }
        if !self.group_stands(case, offer) {
            return Err(Arc::new(NoAnswer::NoGroup));
        }
        let height = offer.at.map(|at| at.height);
        let question = (Subject::of(case), offer.wtxid, height, spender.wtxid);
        self.known.agreed.recall(case.record.id, question, || {
            self.read_agreement(case, offer, spender.tx).map(|agreed| agreed.map(Arc::new)).map_err(Arc::new)
        })
    }

    fn read_agreement(
        &self,
        case: &Case<'_>,
        offer: &OfferRead,
        tx: &Transaction,
    ) -> Result<Option<Agreed>, NoAnswer> {
        let bytes = self.answer_bytes(case, offer, tx)?;
        match case.record.role {
            Role::Initiator => self.agree_as_initiator(case, offer, tx, &bytes),
            Role::Responder => self.agree_as_responder(case, offer, tx, &bytes),
        }
    }

    fn agree_as_initiator(
        &self,
        case: &Case<'_>,
        offer: &OfferRead,
        tx: &Transaction,
        bytes: &[u8],
    ) -> Result<Option<Agreed>, NoAnswer> {
        let opened = match case.record.carrier {
            Carrier::Static => {
                let direction = case.context.letter(Role::Responder, offer.carried.anchor());
                letter::open(&direction, self.sealing, bytes)?
            }
            _ => bytes.to_vec(),
        };
        let answer = Answer::from_bytes(case.record.carrier, &opened).map_err(Refusal::from)?;
        if let AnswerTerms::Static { timestamp: found } = answer.terms()
            && found != tx.lock_time.to_consensus_u32()
        {
            return Err(NoAnswer::Timestamp { expected: tx.lock_time.to_consensus_u32(), found });
        }
        let Some(secret) = case.secret else { return Ok(None) };
        let draft = self.draft(case.record, case.context, secret, offer.lock_time, offer.message.as_deref());
        let draft = draft.ok_or(NoAnswer::NotOurs)?;
        Ok(Some(draft.mined(offer.txid).handle(&answer)?))
    }

    /// The answer that this home made is the one that it would make again.
    fn agree_as_responder(
        &self,
        case: &Case<'_>,
        offer: &OfferRead,
        tx: &Transaction,
        bytes: &[u8],
    ) -> Result<Option<Agreed>, NoAnswer> {
        let (Some(secret), Some(message)) = (case.secret, &offer.message) else { return Ok(None) };
        let (made, agreed) = self.make_answer(
            case.record,
            case.peer,
            secret,
            offer,
            message,
            tx.lock_time.to_consensus_u32(),
        )?;
        let same = made == bytes || planted::is(Bug::AnswerNotCompared);
        if same { Ok(Some(agreed)) } else { Err(NoAnswer::NotOurs) }
    }

    /// The responder's answer, as its carrier takes it, in a transaction of that nLockTime.
    pub(crate) fn make_answer(
        &self,
        record: &Record,
        peer: &Card,
        secret: &NegotiationSecret,
        offer: &OfferRead,
        message: &Offer,
        lock_time: u32,
    ) -> Result<(Vec<u8>, Agreed), NoAnswer> {
        let context = self.context(Role::Responder, peer, record.input0, record.carrier);
        let anchor = offer.carried.anchor();
        let mut received = Received::new(context, message.clone(), anchor).at(lock_time);
        if record.carrier == Carrier::Dynamic {
            let direction = context.letter(Role::Initiator, record.input0);
            let height = offer.at.map_or_else(|| self.history.tip().next(), |at| at.height);
            let first = self.first_secret(&direction, message, height).ok_or(Refusal::NoFirstSecret)?;
            received = received.with_first(first);
        }
        if let Brought::Published(named) = message.group() {
            let (_, numbers) =
                offer.at.and_then(|at| self.published(named, at.height)).ok_or(NoAnswer::NoGroup)?;
            received = received.with_published(numbers);
        }
        let (answer, agreed) = received.answer(secret)?;
        let bytes = match record.carrier {
            Carrier::Static => {
                let to = &peer.permanent().sealing;
                Received::sealed(&context, anchor, &answer, to, secret)?
            }
            _ => answer.to_bytes(),
        };
        Ok((bytes, agreed))
    }

    /// What the anchor's spender carries, if it speaks for the responder.
    pub(super) fn answer_bytes(
        &self,
        case: &Case<'_>,
        offer: &OfferRead,
        tx: &Transaction,
    ) -> Result<Vec<u8>, NoAnswer> {
        let anchored = offer.carried.anchored().ok_or(NoAnswer::Author)?;
        let authored = Authored::verify(tx, anchored).map_err(|_| NoAnswer::Author)?;
        if authored.author() != case.context.responder.key {
            return Err(NoAnswer::Author);
        }
        let collected = offer.carried.collected();
        let (Record { suite, form, .. }, initiator) = (case.record, case.context.initiator.key);
        match (&*offer.carried, form) {
            (Carried::Beside(_), _) => Ok(script::read_answer(self.chain, &authored, &collected)?.bytes),
            (Carried::Run(_), AnswerForm::Sequences) => {
                Ok(value::sequences::read(&authored, &collected, answer_len(*suite)?)?)
            }
            (Carried::Run(_), AnswerForm::Amounts) => {
                let len = answer_len(*suite)?;
                let read = value::amounts::read(self.chain, &authored, &collected, initiator, len)?;
                Ok(read.message().to_vec())
            }
        }
    }
}

fn answer_len(suite: Suite) -> Result<MessageLen, NoAnswer> {
    MessageLen::new(Answer::len_of(suite, Carrier::Value)).map_err(|_| NoAnswer::Author)
}
