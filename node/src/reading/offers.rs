//! Which transactions carry offers: to this party by its secrets, from this party as it would make them again.

use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction};
use keyway_carriers::script::lock::{Ends, Lock};
use keyway_chain::Height;
use keyway_protocol::card::Card;
use keyway_protocol::identity::{NegotiationSecret, PartyKey};
use keyway_protocol::letter::{self, Direction};
use keyway_protocol::message::{Carrier, Offer, Terms};
use keyway_protocol::negotiation::{Context, Draft, Role};
use keyway_protocol::prekey::FirstSecret;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{OfferPlace, Position};

use super::known::{MadeOffer, ReceivedOffer, Subject};
use super::{Case, OfferRead, Reader, Seen, timeout};
use crate::carried::Carried;
use crate::history::Mined;
use crate::store::{Chosen, Record};

impl Reader<'_> {
    /// A mined offer to this party, from anybody.
    pub(crate) fn offer_to_us(&self, mined: &Mined) -> Option<Arc<ReceivedOffer>> {
        self.received(&Seen::mined(mined), self.input0_amount(mined)?, mined.at.height)
    }

    fn received(&self, seen: &Seen<'_>, amount: Amount, height: Height) -> Option<Arc<ReceivedOffer>> {
        self.known.received.recall(seen.wtxid, (amount, height), || {
            let own_script = self.own.key.script();
            seen.tx.output.iter().find(|output| output.script_pubkey == own_script)?;
            let (author, carried) = Carried::read(self.chain, seen.tx, amount, None, self.own.key)?;
            let message = self.offer_for_us(author, seen.tx, height, &carried)?;
            Some(Arc::new(ReceivedOffer { author, carried: carried.into(), message: message.into() }))
        })
    }

    /// What it says to this party, by its sealing secret or its prekeys.
    fn offer_for_us(
        &self,
        author: PartyKey,
        tx: &Transaction,
        height: Height,
        carried: &Carried,
    ) -> Option<Offer> {
        let direction = self.from(author, tx.input.first()?.previous_output);
        match carried {
            Carried::Run(run) => Offer::from_bytes(Carrier::Value, run.message()).ok(),
            Carried::Beside(payment) if payment.locked().is_none() => {
                let message = letter::open(&direction, self.sealing, payment.message()).ok()?;
                let offer = Offer::from_bytes(Carrier::Static, &message).ok()?;
                let dated = Terms::Static { timestamp: tx.lock_time.to_consensus_u32() };
                (*offer.terms() == dated).then_some(offer)
            }
            Carried::Beside(payment) => {
                let offer = Offer::from_bytes(Carrier::Dynamic, payment.message()).ok()?;
                let first = self.first_secret(&direction, &offer, height)?;
                let lock = self.lock(author, self.own.key, &first, &offer)?;
                is_locked(carried, &lock).then_some(offer)
            }
        }
    }

    fn from(&self, author: PartyKey, input0: OutPoint) -> Direction {
        Direction { chain: self.chain.id(), author, recipient: self.own.key, input0 }
    }

    /// The first secret of an offer to one of this party's prekeys, mined at `height`.
    pub(crate) fn first_secret(
        &self,
        from: &Direction,
        offer: &Offer,
        height: Height,
    ) -> Option<FirstSecret> {
        let Terms::Dynamic { prekey, .. } = offer.terms() else { return None };
        FirstSecret::receive(from, offer, self.prekeys.find(offer.suite(), *prekey, height)?).ok()
    }

    /// The lock that an offer's payment must have.
    fn lock(
        &self,
        initiator: PartyKey,
        responder: PartyKey,
        first: &FirstSecret,
        offer: &Offer,
    ) -> Option<Lock> {
        let Terms::Dynamic { timeout, .. } = *offer.terms() else { return None };
        Lock::new(&Ends { responder, initiator, timeout }, first.condition(offer).ok()?).ok()
    }

    /// The lock of an offer's payment, and the secret that opens it.
    pub(crate) fn payment_lock(
        &self,
        record: &Record,
        peer: &Card,
        secret: Option<&NegotiationSecret>,
        offer: &OfferRead,
    ) -> Option<(Lock, FirstSecret)> {
        let context = self.context(record.role, peer, record.input0, record.carrier);
        let message = offer.message.as_deref()?;
        let first = match record.role {
            Role::Initiator => {
                self.draft(record, context, secret?, offer.lock_time, Some(message))?.into_first()?
            }
            Role::Responder => {
                let direction = context.letter(Role::Initiator, record.input0);
                self.first_secret(&direction, message, offer.at?.height)?
            }
        };
        Some((self.lock(context.initiator.key, context.responder.key, &first, message)?, first))
    }

    pub(super) fn find_offer(&self, case: &Case<'_>) -> (OfferPlace, Option<OfferRead>) {
        let input0 = case.record.input0;
        let Some(mined) = self.history.spender(&input0) else {
            if self.preparations.is_given_up(&case.record.id) {
                return (OfferPlace::GivenUp, None);
            }
            // The newest may be one that takes the offer back.
            let offer = self.output(&input0).and_then(|coin| {
                let mut unmined = self.history.unmined_spenders(&input0);
                unmined.find_map(|tx| self.offer_in(case, &Seen::unmined(tx), coin.value, None))
            });
            return (OfferPlace::Unmined, offer);
        };
        let found = self
            .input0_amount(mined)
            .filter(|_| mined.tx.input.first().is_some_and(|input| input.previous_output == input0))
            .and_then(|amount| self.offer_in(case, &Seen::mined(mined), amount, Some(mined.at)));
        let place = found.as_ref().map_or(OfferPlace::Replaced, |_| OfferPlace::Mined(mined.at.height));
        (place, found)
    }

    /// This party's own offer, if that is what a transaction carries that is not sent yet; input 0 spends `amount`.
    pub(crate) fn own_offer_in(
        &self,
        record: &Record,
        peer: &Card,
        secret: Option<&NegotiationSecret>,
        tx: &Transaction,
        amount: Amount,
    ) -> Option<OfferRead> {
        let context = self.context(Role::Initiator, peer, record.input0, record.carrier);
        self.offer_in(&Case { record, context, peer, secret }, &Seen::unmined(tx), amount, None)
    }

    /// The negotiation's offer, if that is what a transaction carries.
    fn offer_in(
        &self,
        case: &Case<'_>,
        seen: &Seen<'_>,
        amount: Amount,
        at: Option<Position>,
    ) -> Option<OfferRead> {
        let (carried, message) = match case.record.role {
            Role::Responder => {
                let height = at.map_or_else(|| self.history.tip().next(), |at| at.height);
                let received = self.received(seen, amount, height)?;
                let by_peer = received.author == case.context.initiator.key;
                by_peer.then(|| (Arc::clone(&received.carried), Some(Arc::clone(&received.message))))?
            }
            Role::Initiator => {
                let question = (Subject::of(case), seen.wtxid, amount);
                let read = || self.made(case, seen, amount).map(Arc::new);
                let made = self.known.made.recall(case.record.id, question, read)?;
                (Arc::clone(&made.carried), made.message.clone())
            }
        };
        let lock_time = seen.tx.lock_time.to_consensus_u32();
        Some(OfferRead { txid: seen.txid, wtxid: seen.wtxid, at, lock_time, carried, message })
    }

    /// One's own offer, as this home would make it again. Without the secret it is taken for what it looks like.
    pub(super) fn made(&self, case: &Case<'_>, seen: &Seen<'_>, amount: Amount) -> Option<MadeOffer> {
        let (initiator, responder) = (case.context.initiator.key, case.context.responder.key);
        let (_, carried) = Carried::read(self.chain, seen.tx, amount, Some(initiator), responder)?;
        let carrier = carrier_of(&carried);
        if carrier != case.record.carrier {
            return None;
        }
        let mut read = MadeOffer { message: in_the_open(&carried).map(Arc::new), carried: carried.into() };
        if read.message.is_none() && carrier != Carrier::Static {
            return None;
        }
        let Some(secret) = case.secret else { return Some(read) };
        let lock_time = seen.tx.lock_time.to_consensus_u32();
        let draft = self.draft(case.record, case.context, secret, lock_time, read.message.as_deref())?;
        let is_ours = match &*read.carried {
            Carried::Run(_) => true,
            Carried::Beside(payment) if carrier == Carrier::Static => {
                let sealed = draft.sealed(&case.peer.permanent().sealing, secret).ok()?;
                sealed == payment.message()
            }
            Carried::Beside(_) => {
                let lock = self.lock(initiator, responder, draft.first()?, draft.offer())?;
                read.message.as_deref() == Some(draft.offer()) && is_locked(&read.carried, &lock)
            }
        };
        read.message = read.message.or_else(|| Some(Arc::new(draft.offer().clone())));
        is_ours.then_some(read)
    }

    /// The initiator's draft of the offer that was found.
    pub(super) fn draft(
        &self,
        record: &Record,
        context: Context,
        secret: &NegotiationSecret,
        lock_time: u32,
        message: Option<&Offer>,
    ) -> Option<Draft> {
        match record.carrier {
            Carrier::Value => Some(Draft::new(context, record.suite, record.form, secret)),
            Carrier::Static if record.suite.brings_group() => {
                let Chosen { numbers, published } = record.group.as_ref()?;
                let group = numbers.check(record.suite).ok()?;
                Some(Draft::in_group(context, group, *published, lock_time, secret))
            }
            Carrier::Static => Some(Draft::dated(context, record.suite, lock_time, secret)),
            Carrier::Dynamic => {
                let (prekey, timeout) = (record.prekey.as_deref()?, timeout(message?)?);
                Draft::to_prekey(context, record.suite, prekey, timeout, secret).ok()
            }
            _ => None,
        }
    }
}

pub(super) fn carrier_of(carried: &Carried) -> Carrier {
    match carried {
        Carried::Run(_) => Carrier::Value,
        Carried::Beside(payment) if payment.locked().is_none() => Carrier::Static,
        Carried::Beside(_) => Carrier::Dynamic,
    }
}

/// What a message says that anybody can read.
pub(super) fn in_the_open(carried: &Carried) -> Option<Offer> {
    let bytes = match carried {
        Carried::Run(run) => run.message(),
        Carried::Beside(payment) => payment.locked().map(|_| payment.message())?,
    };
    Offer::from_bytes(carrier_of(carried), bytes).ok()
}

fn is_locked(carried: &Carried, lock: &Lock) -> bool {
    carried.locked().is_some_and(|locked| locked.script == lock.output(locked.amount).script_pubkey)
}
