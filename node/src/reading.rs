//! What the chain says of a negotiation (PROTOCOL.md 9.2): a function of the [`History`] and the
//! party's own secrets, computed from scratch each time.

use std::collections::BTreeMap;

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use keyway_carriers::value::{self, MessageLen, Run};
use keyway_chain::{BlockRef, Chain, Depth, Height};
use keyway_protocol::authorship::Authored;
use keyway_protocol::card::Card;
use keyway_protocol::identity::{NegotiationSecret, PartyKey, PartyRef};
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer, Refusal};
use keyway_protocol::negotiation::{Agreed, Context, Draft, NegotiationId, Received, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, Facts, OfferPlace, Position, State, in_time};
use thiserror::Error;

use crate::history::{History, Mined};
use crate::planted::{self, Bug};
use crate::store::Record;

/// Who reads.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) own: PartyRef,
    pub(crate) history: &'a History,
}

/// One negotiation as the chain tells it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) offer: Option<OfferRead>,
    pub(crate) answer: Option<AnswerRead>,
    pub(crate) facts: Facts,
    /// Why the anchor's spender is no answer.
    pub(crate) declined: Option<NoAnswer>,
}

/// An offer and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct OfferRead {
    pub(crate) txid: Txid,
    pub(crate) at: Option<Position>,
    pub(crate) run: Run,
    pub(crate) message: Offer,
}

/// An answer and where it stands.
#[derive(Debug)]
pub(crate) struct AnswerRead {
    pub(crate) txid: Txid,
    pub(crate) at: Option<Position>,
    /// The keys, while the negotiation's secret is kept.
    pub(crate) agreed: Option<Agreed>,
}

/// Why a transaction that spends an anchor is no answer; its author is at fault.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("it does not speak for the responder")]
    Author,
    #[error("it carries no answer in sequence numbers: {0}")]
    Sequences(#[from] value::sequences::Refused),
    #[error("it carries no answer in amounts: {0}")]
    Amounts(#[from] value::amounts::Refused),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("it is not the answer that this home made")]
    NotOurs,
    #[error("it came too late")]
    TooLate,
}

impl Reader<'_> {
    /// The coin that a transaction's input 0 spends.
    fn input0_amount(&self, mined: &Mined) -> Option<Amount> {
        let given = mined.input0.as_ref().map(|coin: &TxOut| coin.value);
        given.or_else(|| self.output(&mined.tx.input.first()?.previous_output).map(|coin| coin.value))
    }

    fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        let vout = usize::try_from(outpoint.vout).ok()?;
        let mined = self.history.mined(&outpoint.txid).map(|mined| &mined.tx);
        let tx = mined.or_else(|| self.history.sent().find(|s| s.txid == outpoint.txid).map(|sent| &sent.tx));
        tx.and_then(|tx| tx.output.get(vout))
    }

    /// The offer that a transaction carries from `author` to `recipient`, if it carries one.
    pub(crate) fn offer_in(
        &self,
        tx: &Transaction,
        amount: Amount,
        author: Option<PartyKey>,
        recipient: PartyKey,
    ) -> Option<(PartyKey, Run, Offer)> {
        // Cheaper than the signature, and enough to pass over nearly every payment.
        let claimed = PartyKey::from_slice(tx.input.first()?.witness.nth(1)?).ok()?;
        if author.is_some_and(|author| author != claimed) || claimed == recipient {
            return None;
        }
        let authored = Authored::verify(tx, amount).ok()?;
        let run = value::run::read(self.chain, &authored, recipient).ok()??;
        let offer = Offer::from_bytes(run.message()).ok()?;
        Some((authored.author(), run, offer))
    }

    /// A mined offer to this party, from anybody.
    pub(crate) fn offer_to_us(&self, mined: &Mined) -> Option<(PartyKey, Run, Offer)> {
        let own_script = self.own.key.script();
        mined.tx.output.iter().find(|output| output.script_pubkey == own_script)?;
        self.offer_in(&mined.tx, self.input0_amount(mined)?, None, self.own.key)
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
        let (place, offer) = self.find_offer(record, &context);
        let mut reading = Reading {
            facts: Facts { offer: place, anchor: Anchor::Unspent, has_secrets: true },
            offer,
            answer: None,
            declined: None,
        };
        if let (OfferPlace::Mined(_), Some(offer)) = (place, reading.offer.clone()) {
            self.read_anchor(record, &context, &offer, secret, &mut reading);
        }
        reading
    }

    fn find_offer(&self, record: &Record, context: &Context) -> (OfferPlace, Option<OfferRead>) {
        let (initiator, responder) = (context.initiator.key, context.responder.key);
        let Some(mined) = self.history.spender(&record.input0) else {
            return (OfferPlace::Unmined, self.unmined_offer(record, responder));
        };
        let found = self
            .input0_amount(mined)
            .filter(|_| mined.tx.input.first().is_some_and(|input| input.previous_output == record.input0))
            .and_then(|amount| self.offer_in(&mined.tx, amount, Some(initiator), responder));
        match found {
            None => (OfferPlace::Replaced, None),
            Some((_, run, message)) => {
                let offer = OfferRead { txid: mined.txid, at: Some(mined.at), run, message };
                (OfferPlace::Mined(mined.at.height), Some(offer))
            }
        }
    }

    fn unmined_offer(&self, record: &Record, responder: PartyKey) -> Option<OfferRead> {
        let tx = self.history.unmined_spender(&record.input0)?;
        let amount = self.output(&record.input0)?.value;
        let (_, run, message) = self.offer_in(tx, amount, None, responder)?;
        Some(OfferRead { txid: tx.compute_txid(), at: None, run, message })
    }

    fn read_anchor(
        &self,
        record: &Record,
        context: &Context,
        offer: &OfferRead,
        secret: Option<&NegotiationSecret>,
        reading: &mut Reading,
    ) {
        let anchor = offer.run.anchor();
        let (tx, txid, at) = match (self.history.spender(&anchor), self.history.unmined_spender(&anchor)) {
            (Some(mined), _) => (&mined.tx, mined.txid, Some(mined.at)),
            (None, Some(tx)) => (tx, tx.compute_txid(), None),
            (None, None) => return,
        };
        let late = offer.at.zip(at).is_some_and(|(offer, answer)| !in_time(offer.height, answer.height));
        let outcome =
            if late { Err(NoAnswer::TooLate) } else { self.agree(record, context, offer, tx, secret) };
        match (outcome, at) {
            (Ok(agreed), at) => {
                reading.facts.has_secrets = agreed.is_some() || self.settled_here(record, txid);
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

    /// The keys, if `tx` is the answer; `None` for the keys if the secret is erased.
    fn agree(
        &self,
        record: &Record,
        context: &Context,
        offer: &OfferRead,
        tx: &Transaction,
        secret: Option<&NegotiationSecret>,
    ) -> Result<Option<Agreed>, NoAnswer> {
        let answer = self.answer_in(context, offer, tx)?;
        let Some(secret) = secret else { return Ok(None) };
        match record.role {
            Role::Initiator => {
                let draft = Draft::new(*context, record.suite, record.form, secret);
                Ok(Some(draft.mined(offer.txid).handle(&answer, secret)?))
            }
            Role::Responder => {
                let received = Received::new(*context, offer.message.clone(), offer.run.anchor());
                let (ours, agreed) = received.answer(secret)?;
                let same = ours.to_bytes() == answer.to_bytes() || planted::is(Bug::AnswerNotCompared);
                if same { Ok(Some(agreed)) } else { Err(NoAnswer::NotOurs) }
            }
        }
    }

    fn answer_in(&self, context: &Context, offer: &OfferRead, tx: &Transaction) -> Result<Answer, NoAnswer> {
        let anchor_amount = offer.run.coins().next().ok_or(NoAnswer::Author)?.amount;
        let authored = Authored::verify(tx, anchor_amount).map_err(|_| NoAnswer::Author)?;
        if authored.author() != context.responder.key {
            return Err(NoAnswer::Author);
        }
        let run: Vec<OutPoint> = offer.run.outpoints().collect();
        let bytes = match offer.message.form() {
            AnswerForm::Sequences => value::sequences::read(&authored, &run, answer_len(&offer.message)?)?,
            AnswerForm::Amounts => {
                let read = value::amounts::read(
                    self.chain,
                    &authored,
                    &run,
                    context.initiator.key,
                    answer_len(&offer.message)?,
                )?;
                read.message().to_vec()
            }
        };
        Ok(Answer::from_bytes(&bytes).map_err(Refusal::from)?)
    }

    /// Whether the key that is kept for `record` belongs to this answer in this chain.
    fn settled_here(&self, record: &Record, answer: Txid) -> bool {
        record.settled.is_some_and(|settled| {
            let in_chain = |block: BlockRef| self.history.hash_at(block.height) == Some(block.hash);
            settled.answer == answer && in_chain(settled.first) && in_chain(settled.oldest)
        })
    }
}

fn answer_len(offer: &Offer) -> Result<MessageLen, NoAnswer> {
    MessageLen::new(Answer::len_of(offer.suite())).map_err(|_| NoAnswer::Author)
}

/// The states of all negotiations of a party: each by its facts, beside those with the same peer.
pub(crate) fn states<'a>(
    readings: impl Iterator<Item = (&'a Record, &'a Reading)> + Clone,
    tip: Height,
    depth: Depth,
) -> Vec<(NegotiationId, State)> {
    let mut latest: BTreeMap<PartyKey, Position> = BTreeMap::new();
    for (record, reading) in readings.clone() {
        if let (Anchor::Answered(at), State::Active) =
            (reading.facts.anchor, reading.facts.state(tip, depth, None))
        {
            latest.entry(record.peer).and_modify(|known| *known = at.max(*known)).or_insert(at);
        }
    }
    readings
        .map(|(record, reading)| {
            (record.id, reading.facts.state(tip, depth, latest.get(&record.peer).copied()))
        })
        .collect()
}
