//! What the chain says of a negotiation (PROTOCOL.md 9.2): a function of the [`History`] and the
//! party's own secrets, computed from scratch each time; what messages open to is remembered ([`known`]).

mod answers;
mod claims;
mod elsewhere;
mod groups;
mod known;
mod laid;
pub(crate) mod liveness;
mod offers;

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid, Wtxid};
use keyway_carriers::script::lock::{Opening, opening};
use keyway_chain::{BlockRef, Chain, Depth, Height};
use keyway_protocol::card::Card;
use keyway_protocol::identity::{NegotiationSecret, PartyKey, PartyRef, SealingSecret};
use keyway_protocol::message::{Carrier, Offer, Terms};
use keyway_protocol::negotiation::{Agreed, Context, NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, Facts, OfferPlace, Payment, Position, State, in_time};

pub(crate) use answers::NoAnswer;
pub(crate) use claims::Own;
pub(crate) use known::Known;

use crate::carried::Carried;
use crate::history::{History, Mined};
use crate::prekeys::Prekeys;
use crate::prepared::Preparations;
use crate::store::Record;

/// Who reads.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) own: PartyRef,
    pub(crate) sealing: &'a SealingSecret,
    pub(crate) prekeys: &'a Prekeys,
    pub(crate) preparations: &'a Preparations,
    pub(crate) history: &'a History,
    pub(crate) known: &'a Known,
}

/// One negotiation as the chain tells it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) offer: Option<OfferRead>,
    pub(crate) answer: Option<AnswerRead>,
    pub(crate) facts: Facts,
    /// Why the anchor's spender is no answer.
    pub(crate) declined: Option<Arc<NoAnswer>>,
}

/// An offer and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct OfferRead {
    pub(crate) txid: Txid,
    pub(crate) wtxid: Wtxid,
    pub(crate) at: Option<Position>,
    pub(crate) lock_time: u32,
    pub(crate) carried: Arc<Carried>,
    /// Unknown only of one's own sealed offer whose secret is erased.
    pub(crate) message: Option<Arc<Offer>>,
}

/// An answer and where it stands.
#[derive(Debug)]
pub(crate) struct AnswerRead {
    pub(crate) txid: Txid,
    pub(crate) at: Option<Position>,
    /// The keys, while the negotiation's secret is kept.
    pub(crate) agreed: Option<Arc<Agreed>>,
}

/// One negotiation with all that reading it takes.
struct Case<'a> {
    record: &'a Record,
    context: Context,
    peer: &'a Card,
    secret: Option<&'a NegotiationSecret>,
}

/// A transaction with its ids.
#[derive(Clone, Copy)]
struct Seen<'a> {
    tx: &'a Transaction,
    txid: Txid,
    wtxid: Wtxid,
}

impl<'a> Seen<'a> {
    fn mined(mined: &'a Mined) -> Self {
        Self { tx: &mined.tx, txid: mined.txid, wtxid: mined.wtxid }
    }

    fn unmined(tx: &'a Transaction) -> Self {
        Self { tx, txid: tx.compute_txid(), wtxid: tx.compute_wtxid() }
    }
}

impl OfferRead {
    /// The height after which a locked payment can go back.
    pub(crate) fn timeout(&self) -> Option<Height> {
        timeout(self.message.as_deref()?)
    }
}

fn timeout(offer: &Offer) -> Option<Height> {
    match offer.terms() {
        Terms::Dynamic { timeout, .. } => Some(*timeout),
        _ => None,
    }
}

impl Reader<'_> {
    /// The coin that a transaction's input 0 spends.
    pub(crate) fn input0_amount(&self, mined: &Mined) -> Option<Amount> {
        let given = mined.input0.as_ref().map(|coin: &TxOut| coin.value);
        given.or_else(|| self.output(&mined.tx.input.first()?.previous_output).map(|coin| coin.value))
    }

    /// The transaction that spends an offer's anchor, as far as it is known.
    pub(crate) fn spender_of(&self, offer: &OfferRead) -> Option<Txid> {
        let anchor = offer.carried.anchor();
        let mined = self.history.spender(&anchor).map(|mined| mined.txid);
        mined.or_else(|| self.history.unmined_spender(&anchor).map(|tx| tx.compute_txid()))
    }

    fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        let vout = usize::try_from(outpoint.vout).ok()?;
        let mined = self.history.mined(&outpoint.txid).map(|mined| &mined.tx);
        let tx = mined.or_else(|| self.history.sent_as(&outpoint.txid).map(|sent| &sent.tx));
        tx.and_then(|tx| tx.output.get(vout))
    }

    pub(crate) fn context(&self, role: Role, peer: &Card, input0: OutPoint, carrier: Carrier) -> Context {
        let peer = peer.permanent().party_ref();
        let (initiator, responder) = match role {
            Role::Initiator => (self.own, peer),
            Role::Responder => (peer, self.own),
        };
        Context { initiator, responder, input0, carrier }
    }

    /// Reads one negotiation.
    pub(crate) fn read(&self, record: &Record, peer: &Card, secret: Option<&NegotiationSecret>) -> Reading {
        let context = self.context(record.role, peer, record.input0, record.carrier);
        let case = Case { record, context, peer, secret };
        let (place, offer) = self.find_offer(&case);
        let (anchor, payment) = (Anchor::Unspent, Payment::Open);
        let facts = Facts { offer: place, anchor, payment, has_secrets: true, revoked: None };
        let mut reading = Reading { facts, offer, answer: None, declined: None };
        if let (OfferPlace::Mined(_), Some(offer)) = (place, reading.offer.clone()) {
            self.read_anchor(&case, &offer, &mut reading);
            reading.facts.payment = self.read_payment(&offer, reading.facts.anchor);
        }
        reading
    }

    fn read_anchor(&self, case: &Case<'_>, offer: &OfferRead, reading: &mut Reading) {
        let anchor = offer.carried.anchor();
        let unmined = || self.history.unmined_spender(&anchor);
        let found = match self.history.spender(&anchor) {
            Some(mined) => Some((Seen::mined(mined), Some(mined.at))),
            None => unmined().map(|tx| (Seen::unmined(tx), None)),
        };
        let Some((spender, at)) = found else { return };
        let txid = spender.txid;
        let late = offer.at.zip(at).is_some_and(|(offer, answer)| !in_time(offer.height, answer.height));
        let outcome = if late { Err(Arc::new(NoAnswer::TooLate)) } else { self.agree(case, offer, &spender) };
        match (outcome, at) {
            (Ok(agreed), at) => {
                reading.facts.has_secrets = agreed.is_some() || self.settled_here(case.record, txid);
                reading.facts.anchor = at.map_or(Anchor::AnswerSeen, Anchor::Answered);
                reading.answer = Some(AnswerRead { txid, at, agreed });
            }
            (Err(why), Some(at)) => {
                reading.facts.anchor = Anchor::SpentOtherwise(at.height);
                reading.declined = Some(why);
            }
            // Unmined, and no answer: the offer stays open until something is mined.
            (Err(_), None) => {}
        }
    }

    /// What became of a locked payment that no answer collected.
    fn read_payment(&self, offer: &OfferRead, anchor: Anchor) -> Payment {
        let Some(locked) = offer.carried.locked() else { return Payment::Open };
        let spender = self.history.spender(&locked.outpoint);
        let (Some(mined), false) = (spender, matches!(anchor, Anchor::Answered(_))) else {
            return Payment::Open;
        };
        let input = mined.tx.input.iter().find(|input| input.previous_output == locked.outpoint);
        match input.map(opening) {
            Some(Opening::Collected(_)) => Payment::Collected(mined.at.height),
            Some(Opening::Returned) | None => Payment::Returned(mined.at.height),
        }
    }

    /// Whether the key that is kept for `record` belongs to this answer in this chain.
    fn settled_here(&self, record: &Record, answer: Txid) -> bool {
        record.settled.is_some_and(|settled| {
            let in_chain = |block: BlockRef| self.history.hash_at(block.height) == Some(block.hash);
            settled.answer == answer && in_chain(settled.first) && in_chain(settled.oldest)
        })
    }
}

/// The states of all negotiations of a party: each by its facts, beside those with the same peer and the epochs that other
/// homes of this party made ([`Reader::epochs_elsewhere`]).
pub(crate) fn states<'a>(
    readings: impl Iterator<Item = (&'a Record, &'a Reading)> + Clone,
    elsewhere: &[(PartyKey, Position)],
    tip: Height,
    depth: Depth,
) -> Vec<(NegotiationId, State)> {
    let is_deep = |at: &Position| at.height.depth_under(tip) >= depth;
    let mut latest: BTreeMap<PartyKey, Position> = BTreeMap::new();
    let mut note = |peer, at: Position| {
        latest.entry(peer).and_modify(|known| *known = at.max(*known)).or_insert(at);
    };
    for (record, reading) in readings.clone() {
        let state = reading.facts.state(tip, depth, None);
        // The peer has a key that is lost here, and leaves the older ones for it.
        if let (Anchor::Answered(at), State::Active | State::Lost) = (reading.facts.anchor, state)
            && is_deep(&at)
        {
            note(record.peer, at);
        }
    }
    elsewhere.iter().filter(|(_, at)| is_deep(at)).for_each(|(peer, at)| note(*peer, *at));
    readings
        .map(|(record, reading)| {
            (record.id, reading.facts.state(tip, depth, latest.get(&record.peer).copied()))
        })
        .collect()
}
