//! What a restored home reads in its own transactions, before it knows which secret each was made from (PROTOCOL.md
//! 3.4).

use std::sync::Arc;

use bitcoin::{Amount, Transaction, Txid, Wtxid};
use keyway_carriers::script::{self, lock};
use keyway_chain::Height;
use keyway_protocol::card::Card;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::letter;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer, Terms};
use keyway_protocol::negotiation::{Context, Draft, Role};
use keyway_protocol::prekey::PrekeyId;
use keyway_protocol::search::{made_share_a, made_share_b};
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use super::offers::{carrier_of, in_the_open};
use super::{Case, OfferRead, Reader, Seen};
use crate::carried::Carried;
use crate::history::Mined;
use crate::store::{Chosen, Record};

/// A transaction whose input 0 spends a coin of this party.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) tx: Arc<Transaction>,
    pub(crate) txid: Txid,
    wtxid: Wtxid,
    /// What input 0 spends.
    amount: Amount,
    /// Its block; `None` while it is unmined.
    pub(crate) mined: Option<Height>,
}

/// An offer of this party's own, before anybody knows from which secret.
pub(crate) struct OwnOffer {
    context: Context,
    suite: Suite,
    /// What it brings or names, as far as groups are known that it may.
    group: Option<Chosen>,
    carried: Carried,
    /// What it says, unless that is sealed to the peer.
    message: Option<Offer>,
    lock_time: u32,
}

/// An answer of this party's own, before anybody knows from which secret.
pub(crate) struct OwnAnswer {
    pub(crate) record: Record,
    offer: OfferRead,
    message: Arc<Offer>,
    bytes: Vec<u8>,
    /// Share B, unless the answer is sealed to the peer.
    share: Option<Vec<u8>>,
    lock_time: u32,
}

impl Own {
    /// Whether its first output is that of this script.
    pub(crate) fn pays(&self, script: &bitcoin::Script) -> bool {
        self.tx.output.first().is_some_and(|output| output.script_pubkey == script.to_p2wsh())
    }

    /// Whether it looks like a payment with a message in it, to whomever.
    pub(crate) fn may_carry_an_offer(&self, own: &bitcoin::Script) -> bool {
        /// The value carrier's shortest run.
        const FEWEST_OUTPUTS: usize = 3;
        let beside = |output: &bitcoin::TxOut| {
            output.script_pubkey.is_op_return() || lock::may_be(&output.script_pubkey)
        };
        let others = self.tx.output.iter().map(|output| output.script_pubkey.as_script());
        let others: Vec<_> = others.filter(|script| *script != own).collect();
        let in_a_row = |run: &[&bitcoin::Script]| run.iter().all(|script| Some(script) == run.first());
        let enveloped = script::envelopes(&self.tx).next().is_some();
        let pays = others.iter().any(|script| script.is_p2wpkh());
        pays && (enveloped
            || self.tx.output.iter().any(beside)
            || others.windows(FEWEST_OUTPUTS).any(in_a_row))
    }
}

impl Reader<'_> {
    /// The transactions of this party, in the chain's order; unmined ones last.
    pub(crate) fn own_transactions(&self) -> Vec<Own> {
        let key = self.own.key.to_bytes();
        let is_own = |tx: &Transaction| {
            tx.input.first().and_then(|input| input.witness.nth(1)).is_some_and(|found| found == &key[..])
        };
        let mined = |mined: &Mined| {
            let amount = self.input0_amount(mined)?;
            let Mined { tx, txid, wtxid, at, .. } = mined.clone();
            Some(Own { tx, txid, wtxid, amount, mined: Some(at.height) })
        };
        let unmined = |tx: &Arc<Transaction>| {
            let amount = self.output(&tx.input.first()?.previous_output)?.value;
            let (txid, wtxid) = (tx.compute_txid(), tx.compute_wtxid());
            Some(Own { tx: Arc::clone(tx), txid, wtxid, amount, mined: None })
        };
        let pending = self.history.shown_unmined().iter().filter(|tx| is_own(tx));
        let known = self.history.in_order().filter(|mined| is_own(&mined.tx));
        known.filter_map(mined).chain(pending.filter_map(unmined)).collect()
    }

    /// What a transaction of this party may carry for an offer to `peer`: of a sealed one, what has its length.
    pub(crate) fn own_offers(&self, own: &Own, peer: &Card, groups: &[Chosen]) -> Vec<OwnOffer> {
        let recipient = peer.permanent().key;
        let read = Carried::read(self.chain, &own.tx, own.amount, Some(self.own.key), recipient);
        let input0 = own.tx.input.first().map(|input| input.previous_output);
        let Some(((_, carried), input0)) = read.zip(input0) else { return Vec::new() };
        let (carrier, message) = (carrier_of(&carried), in_the_open(&carried));
        let forms = match (&message, &carried) {
            (Some(message), _) => vec![(message.suite(), None)],
            (None, Carried::Beside(payment)) if carrier == Carrier::Static => {
                sealed_forms(payment.message().len(), groups)
            }
            (None, _) => Vec::new(),
        };
        let context = self.context(Role::Initiator, peer, input0, carrier);
        let lock_time = own.tx.lock_time.to_consensus_u32();
        let of = |(suite, group)| OwnOffer {
            context,
            suite,
            group,
            carried: carried.clone(),
            message: message.clone(),
            lock_time,
        };
        forms.into_iter().map(of).collect()
    }

    /// The answer to the offer of `record` that a transaction of this party carries, if it carries one.
    pub(crate) fn own_answer(
        &self,
        record: &Record,
        peer: &Card,
        offer: &OfferRead,
        own: &Own,
    ) -> Option<OwnAnswer> {
        let context = self.context(record.role, peer, record.input0, record.carrier);
        let case = Case { record, context, peer, secret: None };
        let bytes = self.answer_bytes(&case, offer, &own.tx).ok()?;
        let message = offer.message.clone()?;
        let read = || Answer::from_bytes(record.carrier, &bytes).ok();
        let share = match record.carrier {
            Carrier::Static => None,
            _ => Some(read()?.share().to_vec()),
        };
        let lock_time = own.tx.lock_time.to_consensus_u32();
        Some(OwnAnswer { record: record.clone(), offer: offer.clone(), message, bytes, share, lock_time })
    }

    /// Whether the offer was made from `secret`: its share, where that stands in the open, else all of it.
    pub(crate) fn offer_is_from(&self, offer: &OwnOffer, peer: &Card, secret: &NegotiationSecret) -> bool {
        match (&offer.message, &offer.carried) {
            (Some(message), _) => made_share_a(&offer.context, offer.suite, secret, message.share()),
            (None, Carried::Beside(payment)) => {
                let draft = match &offer.group {
                    None => Draft::dated(offer.context, offer.suite, offer.lock_time, secret),
                    Some(Chosen { numbers, published }) => {
                        let Ok(group) = numbers.check(offer.suite) else { return false };
                        Draft::in_group(offer.context, group, *published, offer.lock_time, secret)
                    }
                };
                let sealed = draft.sealed(&peer.permanent().sealing, secret);
                sealed.is_ok_and(|sealed| sealed == payment.message())
            }
            (None, Carried::Run(_)) => false,
        }
    }

    /// Whether the answer was made from `secret`: its share first, where that stands in the open, then all of it.
    pub(crate) fn answer_is_from(&self, answer: &OwnAnswer, peer: &Card, secret: &NegotiationSecret) -> bool {
        let OwnAnswer { record, offer, message, bytes, share, lock_time } = answer;
        if let Some(share) = share {
            let context = self.context(record.role, peer, record.input0, record.carrier);
            let anchor = offer.carried.anchor();
            if !made_share_b(&context, anchor, record.suite, secret, message.share(), share) {
                return false;
            }
        }
        let made = self.make_answer(record, peer, secret, offer, message, *lock_time);
        made.is_ok_and(|(made, _)| made == *bytes)
    }

    /// The record of an offer whose secret was found; an offer to a prekey needs that, too. `None` if the payment is not
    /// locked as this party would have.
    pub(crate) fn offer_record(
        &self,
        own: &Own,
        offer: &OwnOffer,
        peer: &Card,
        (index, secret): (u32, &NegotiationSecret),
        prekey: Option<Vec<u8>>,
    ) -> Option<Record> {
        let record = Record {
            id: offer.context.id(),
            role: Role::Initiator,
            peer: peer.permanent().key,
            secret_index: Some(index),
            suite: offer.suite,
            carrier: offer.context.carrier,
            form: offer.message.as_ref().map_or(AnswerForm::Sequences, Offer::form),
            input0: offer.context.input0,
            prekey,
            group: offer.group.clone(),
            price: offer.carried.price(),
            state: State::Offered,
            confirmed: None,
            settled: None,
            no_answer: None,
        };
        let case = Case { record: &record, context: offer.context, peer, secret: Some(secret) };
        let seen = Seen { tx: &own.tx, txid: own.txid, wtxid: own.wtxid };
        self.made(&case, &seen, own.amount)?;
        Some(record)
    }
}

impl OwnOffer {
    /// The prekey that it was made to, and of which suite.
    pub(crate) fn prekey(&self) -> Option<(Suite, PrekeyId)> {
        match self.message.as_ref()?.terms() {
            Terms::Dynamic { prekey, .. } => Some((self.suite, *prekey)),
            _ => None,
        }
    }
}

/// The suites, and the groups that offers of theirs bring, whose sealed offers are so long.
fn sealed_forms(len: usize, groups: &[Chosen]) -> Vec<(Suite, Option<Chosen>)> {
    let plain = Suite::ALL.into_iter().filter(|suite| !suite.brings_group());
    let plain = plain.map(|suite| (Offer::len_of(suite, Carrier::Static), suite, None));
    let grouped = groups.iter().map(|chosen| {
        let suite = if chosen.published.is_some() { Suite::FfdhPublished } else { Suite::FfdhCustom };
        (Offer::len_with(suite, chosen.numbers.lengths()), suite, Some(chosen.clone()))
    });
    let fits = plain.chain(grouped).filter(|(message, ..)| message + letter::OVERHEAD == len);
    fits.map(|(_, suite, group)| (suite, group)).collect()
}
