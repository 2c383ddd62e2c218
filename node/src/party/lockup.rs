//! Locked payments (PROTOCOL.md 7.5): collected by the answer, whose fee rises as the timeout comes near, or taken back
//! after it.

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Weight};
use keyway_carriers::script::lock::{Lock, Spend, collecting_weight, returning_weight};
use keyway_carriers::script::{self, data, envelope};
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::{Chain, Height};
use keyway_ledger::{BroadcastError, Ledger};
use keyway_protocol::card::Card;
use keyway_protocol::identity::IdentitySecret;
use keyway_protocol::message::{Answer, Carrier};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::prekey::FirstSecret;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, OfferPlace, Payment};
use keyway_protocol::suite::Suite;

use super::offer::impossible;
use super::sync::forget_sent;
use super::{Event, Party};
use crate::error::{NodeError, OfferError, SessionError};
use crate::reading::{OfferRead, Reading};
use crate::store::{Envelope, Purpose, Record, Sent};
use crate::wallet::{self, Draft, PLAIN_SEQUENCE};

/// The fewest blocks before the timeout in which the responder still publishes t.
const LEAST_MARGIN: u32 = 36;
/// Within the margin the answer's feerate doubles each time so many blocks have passed.
const DOUBLING: u32 = 6;
const MOST_DOUBLINGS: u32 = 5;

/// A payment with what it takes to move it.
pub(super) struct LockedPayment {
    lock: Lock,
    first: FirstSecret,
    suite: Suite,
    timeout: Height,
    anchor: (OutPoint, TxOut),
    locked: (OutPoint, TxOut),
    /// Bytes of the answer.
    answer_len: usize,
    /// Less than this is dust.
    least: Amount,
    chain: Chain,
}

impl LockedPayment {
    pub(super) fn collecting_fee(&self, beside: &Beside, feerate: FeeRate) -> Amount {
        let message = match &beside.message {
            Riding::Output(output) => output.weight(),
            Riding::Envelope(_) => envelope::revealing_weight(self.answer_len),
        };
        let own = 1 + usize::from(beside.fund.is_some());
        let coin = beside.coin.as_ref().map_or(Weight::ZERO, TxOut::weight);
        let weight = p2wpkh_weight(own, 1) + message + coin + collecting_weight(self.suite);
        feerate.fee_wu(weight).unwrap_or(Amount::MAX)
    }

    /// The transaction that publishes t and answers, signed, and its fee.
    pub(super) fn collect(
        &self,
        identity: &IdentitySecret,
        beside: &Beside,
        fee: Amount,
    ) -> Result<(Transaction, Amount), NodeError> {
        let mut coins = vec![self.anchor.clone(), self.locked.clone()];
        coins.extend(beside.fund.clone());
        let mut outputs = Vec::new();
        match &beside.message {
            Riding::Output(output) => outputs.push(output.clone()),
            Riding::Envelope(shown) => {
                coins.push((shown.outpoint, envelope::output(&self.chain, &shown.script)));
            }
        }
        outputs.extend(beside.coin.clone());
        let paid = coins.iter().map(|(_, coin)| coin.value).sum();
        let besides = outputs.iter().map(|output| output.value).sum::<Amount>();
        outputs.insert(0, self.pay(identity, paid, fee.checked_add(besides).unwrap_or(Amount::MAX))?);
        let (inputs, coins): (Vec<OutPoint>, Vec<TxOut>) = coins.into_iter().unzip();
        let tx = unsigned(&inputs, outputs, beside.lock_time);
        let spend = Spend { tx: &tx, input: 1, spent: &coins };
        let opening = self.lock.collect(spend, identity, &self.first.payment_secret());
        let opening = opening.ok_or_else(|| impossible("the lock does not open with its own secret"))?;
        let tx = wallet::sign_but(Draft { tx, coins, envelope: beside.script() }, identity, (1, opening))?;
        Ok((tx, fee))
    }

    /// The transaction that takes the payment back, signed, and its fee.
    fn take_back(
        &self,
        identity: &IdentitySecret,
        feerate: FeeRate,
    ) -> Result<(Transaction, Amount), NodeError> {
        let weight = p2wpkh_weight(0, 1) + returning_weight(self.suite);
        let fee = feerate.fee_wu(weight).unwrap_or(Amount::MAX);
        let output = self.pay(identity, self.locked.1.value, fee)?;
        let at = LockTime::from_height(self.timeout.to_u32()).map_err(impossible)?;
        let mut tx = unsigned(&[self.locked.0], vec![output], at);
        let spent = [self.locked.1.clone()];
        let witness = self.lock.take_back(Spend { tx: &tx, input: 0, spent: &spent }, identity);
        let witness = witness.ok_or_else(|| impossible("the lock does not open after its timeout"))?;
        for input in &mut tx.input {
            input.witness = witness.clone();
        }
        Ok((tx, fee))
    }

    fn pay(&self, identity: &IdentitySecret, from: Amount, fee: Amount) -> Result<TxOut, NodeError> {
        let least = self.least.checked_add(fee).unwrap_or(Amount::MAX);
        let value = from.checked_sub(fee).filter(|value| *value >= self.least);
        let value = value.ok_or(OfferError::TooLittle { price: from, least, carrier: Carrier::Dynamic })?;
        Ok(TxOut { value, script_pubkey: identity.party().script() })
    }
}

/// What an answer brings beside the payment that it opens.
pub(super) struct Beside {
    message: Riding,
    fund: Option<(OutPoint, TxOut)>,
    /// The liveness coin that it creates.
    coin: Option<TxOut>,
    lock_time: LockTime,
}

enum Riding {
    Output(TxOut),
    Envelope(Envelope),
}

impl Beside {
    /// `shown` is the envelope that holds these bytes, if they ride in one; `fund` a coin that came for one and is left.
    pub(super) fn new(
        bytes: &[u8],
        fund: Option<(OutPoint, TxOut)>,
        shown: Option<Envelope>,
        lock_time: Option<LockTime>,
    ) -> Result<Self, NodeError> {
        let message = match shown {
            Some(shown) => Riding::Envelope(shown),
            None => Riding::Output(data::write(bytes).map_err(impossible)?),
        };
        Ok(Self { message, fund, coin: None, lock_time: lock_time.unwrap_or(LockTime::ZERO) })
    }

    /// The same with a liveness coin.
    pub(super) fn with(self, coin: Option<TxOut>) -> Self {
        Self { coin, ..self }
    }

    /// What an answer of this home brought.
    fn of(id: NegotiationId, tx: &Transaction, fund: Option<(OutPoint, TxOut)>) -> Result<Self, NodeError> {
        let output = tx.output.iter().find(|output| output.script_pubkey.is_op_return());
        let shown = script::envelopes(tx).find_map(|(index, script)| {
            let outpoint = tx.input.get(index)?.previous_output;
            Some(Envelope { id, outpoint, script: script.to_owned() })
        });
        let message = match (output, shown) {
            (Some(output), _) => Riding::Output(output.clone()),
            (None, Some(shown)) => Riding::Envelope(shown),
            (None, None) => return Err(impossible("an answer without its message")),
        };
        let coin = tx.output.iter().find(|output| output.script_pubkey.is_p2wsh()).cloned();
        Ok(Self { message, fund, coin, lock_time: tx.lock_time })
    }

    fn script(&self) -> Option<ScriptBuf> {
        match &self.message {
            Riding::Output(_) => None,
            Riding::Envelope(shown) => Some(shown.script.clone()),
        }
    }
}

pub(super) fn unsigned(inputs: &[OutPoint], output: Vec<TxOut>, lock_time: LockTime) -> Transaction {
    let input = |outpoint: &OutPoint| TxIn {
        previous_output: *outpoint,
        sequence: PLAIN_SEQUENCE,
        ..TxIn::default()
    };
    Transaction { version: Version::TWO, lock_time, input: inputs.iter().map(input).collect(), output }
}

impl Party {
    /// What moves an offer's payment, if it is locked.
    pub(super) fn locked_payment(
        &self,
        record: &Record,
        peer: &Card,
        offer: &OfferRead,
    ) -> Result<Option<LockedPayment>, NodeError> {
        let (Some(locked), Some(timeout)) = (offer.carried.locked(), offer.timeout()) else {
            return Ok(None);
        };
        let secret = self.negotiation_secret(&record.id)?;
        let found = self.reader().payment_lock(record, peer, secret.as_ref(), offer);
        let (lock, first) = found.ok_or(SessionError::NotForUs(record.id))?;
        let responder = match record.role {
            Role::Initiator => record.peer,
            Role::Responder => self.key(),
        };
        let anchored = TxOut {
            value: offer.carried.anchored().unwrap_or(Amount::ZERO),
            script_pubkey: responder.script(),
        };
        Ok(Some(LockedPayment {
            locked: (locked.outpoint, lock.output(locked.amount)),
            lock,
            first,
            suite: record.suite,
            timeout,
            anchor: (offer.carried.anchor(), anchored),
            answer_len: Answer::len_of(record.suite, record.carrier),
            least: self.config.chain.dust_p2wpkh(),
            chain: self.config.chain.clone(),
        }))
    }

    /// Blocks before the timeout in which an answer is no longer begun.
    pub(super) fn margin(&self) -> u32 {
        LEAST_MARGIN.max(2 * self.config.policy.key_depth.to_u32())
    }

    /// Refuses to publish t so late that the payment could go back before the answer is mined.
    pub(super) fn check_time(&self, offer: &OfferRead) -> Result<(), NodeError> {
        let (tip, margin) = (self.history.tip(), self.margin());
        match offer.timeout() {
            Some(timeout) if timeout < tip.plus(margin) => {
                Err(OfferError::TooLate { timeout, tip, margin }.into())
            }
            _ => Ok(()),
        }
    }

    /// Remembers that an answer's t is public: from then on the answer is sent again however late it is.
    pub(super) fn note_revealed(&mut self, sent: &Sent) -> Result<(), NodeError> {
        let Some(name) = self.dynamic_answer(sent).map(|id| revealed_name(&id)) else { return Ok(()) };
        match self.store.meta(&name)? {
            Some(_) => Ok(()),
            None => self.store.step(|store| store.set_meta(&name, &[1])),
        }
    }

    /// Whether a stored answer would publish t for the first time, and too late.
    pub(super) fn keeps_to_itself(&self, sent: &Sent) -> Result<bool, NodeError> {
        let Some(id) = self.dynamic_answer(sent) else { return Ok(false) };
        if self.store.meta(&revealed_name(&id))?.is_some() {
            return Ok(false);
        }
        let Some(record) = self.records.get(&id) else { return Ok(false) };
        let offer = self.reading(record)?.and_then(|reading| reading.offer);
        Ok(offer.is_none_or(|offer| self.check_time(&offer).is_err()))
    }

    fn dynamic_answer(&self, sent: &Sent) -> Option<NegotiationId> {
        let Purpose::Answer(id) = sent.purpose else { return None };
        let is_dynamic = self.records.get(&id).is_some_and(|record| record.carrier == Carrier::Dynamic);
        is_dynamic.then_some(id)
    }

    /// Takes back every locked payment whose timeout has passed without an answer.
    pub(super) fn refund_due(
        &mut self,
        ledger: &dyn Ledger,
        readings: &[(NegotiationId, Reading)],
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        let due: Vec<(Record, OfferRead)> =
            readings.iter().filter_map(|(id, reading)| self.refundable(id, reading)).collect();
        for (record, offer) in due {
            let Some(peer) = self.peer_by_key(record.peer).cloned() else { continue };
            let Some(locked) = self.locked_payment(&record, &peer, &offer)? else { continue };
            let (tx, fee) = locked.take_back(&self.identity, self.feerate(ledger)?)?;
            let sent = self.store.step(|store| store.add_sent(&tx, Purpose::Refund(record.id), fee))?;
            self.send_stored(ledger, sent, events, |txid| Event::RefundSent { id: record.id, txid })?;
        }
        Ok(())
    }

    fn refundable(&self, id: &NegotiationId, reading: &Reading) -> Option<(Record, OfferRead)> {
        let record = self.records.get(id).filter(|record| record.role == Role::Initiator)?;
        let offer = reading.offer.as_ref()?;
        let facts = &reading.facts;
        let open = matches!(facts.offer, OfferPlace::Mined(_))
            && matches!(facts.anchor, Anchor::Unspent | Anchor::SpentOtherwise(_))
            && facts.payment == Payment::Open
            && offer.timeout().is_some_and(|timeout| timeout <= self.history.tip())
            && !self.history.unmined_sent().any(|sent| sent.purpose == Purpose::Refund(*id));
        open.then(|| (record.clone(), offer.clone()))
    }

    /// Replaces answers that are not mined by others that pay more, the more the nearer the timeout is.
    pub(super) fn raise_fees(
        &mut self,
        ledger: &dyn Ledger,
        readings: &[(NegotiationId, Reading)],
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        let base = self.feerate(ledger)?;
        for (id, reading) in readings {
            let pending = reading.facts.anchor == Anchor::AnswerSeen;
            let newest = self.newest_unmined();
            let sent = newest.into_iter().find(|sent| sent.purpose == Purpose::Answer(*id));
            let record = self.records.get(id).filter(|record| record.carrier == Carrier::Dynamic).cloned();
            let (Some(sent), Some(record), Some(offer), true) = (sent, record, &reading.offer, pending)
            else {
                continue;
            };
            if let Some(raised) = self.raised(&record, offer, &sent, base)? {
                self.replace_answer(ledger, *id, raised, events)?;
            }
        }
        Ok(())
    }

    fn raised(
        &self,
        record: &Record,
        offer: &OfferRead,
        sent: &Sent,
        base: FeeRate,
    ) -> Result<Option<(Transaction, Amount)>, NodeError> {
        let Some(peer) = self.peer_by_key(record.peer) else { return Ok(None) };
        let Some(locked) = self.locked_payment(record, peer, offer)? else { return Ok(None) };
        let wanted = urgent(base, locked.timeout, self.history.tip(), self.margin());
        let most = record.price / 2;
        // The third coin is the one that came for an envelope, or the envelope itself, which is none of the wallet's.
        let third = sent.tx.input.get(2).map(|input| input.previous_output);
        let fund = third.and_then(|outpoint| Some((outpoint, self.own_coin(&outpoint)?)));
        let beside = Beside::of(record.id, &sent.tx, fund)?;
        let fee = locked.collecting_fee(&beside, wanted.min(self.config.fee_ceiling)).min(most);
        // A replacement must pay for its own relay on top.
        let relay = locked.collecting_fee(&beside, self.config.chain.min_relay());
        if fee < sent.fee.checked_add(relay).unwrap_or(Amount::MAX) {
            return Ok(None);
        }
        match locked.collect(&self.identity, &beside, fee) {
            // A liveness coin beside leaves no more for miners.
            Err(NodeError::Offer(OfferError::TooLittle { .. })) => Ok(None),
            collected => collected.map(Some),
        }
    }

    fn replace_answer(
        &mut self,
        ledger: &dyn Ledger,
        id: NegotiationId,
        (tx, fee): (Transaction, Amount),
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        // Both say the same and spend the same: whichever is mined is the answer, so both are kept.
        let new = self.store.step(|store| store.add_sent(&tx, Purpose::Answer(id), fee))?;
        self.send_stored(ledger, new, events, |txid| Event::FeeRaised { id, txid, fee })
    }

    /// Hands a stored transaction that can be made again to the ledger; one that it refuses is forgotten.
    pub(super) fn send_stored(
        &mut self,
        ledger: &dyn Ledger,
        sent: Sent,
        events: &mut Vec<Event>,
        told: impl FnOnce(bitcoin::Txid) -> Event,
    ) -> Result<(), NodeError> {
        let txid = sent.txid;
        match self.dispatch(ledger, &sent) {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(refusal), .. }) => {
                self.store.step(|store| forget_sent(store, &self.history, &txid))?;
                events.push(Event::Refused { txid, why: refusal.reason });
                Ok(())
            }
            outcome => {
                self.history.add_sent(sent);
                outcome?;
                events.push(told(txid));
                Ok(())
            }
        }
    }
}

/// The feerate of an answer that must be mined before the timeout.
fn urgent(base: FeeRate, timeout: Height, tip: Height, margin: u32) -> FeeRate {
    let left = timeout.to_u32().saturating_sub(tip.to_u32());
    let gone = margin.saturating_sub(left);
    let doublings = gone.div_ceil(DOUBLING).min(MOST_DOUBLINGS);
    FeeRate::from_sat_per_kwu(base.to_sat_per_kwu().saturating_mul(1 << doublings))
}

fn revealed_name(id: &NegotiationId) -> String {
    format!("revealed {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feerate_doubles_every_six_blocks_of_the_margin() {
        let base = FeeRate::from_sat_per_vb_u32(1);
        let at = |tip| urgent(base, Height::new(200), Height::new(tip), 36).to_sat_per_vb_floor();
        assert_eq!([100, 164, 165, 170, 171, 182, 199, 500].map(at), [1, 1, 2, 2, 4, 8, 32, 32]);
    }
}
