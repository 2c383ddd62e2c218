//! Answering: collecting an offer's coins in the transaction that carries the answer.

use bitcoin::{FeeRate, OutPoint};
use keyway_carriers::value;
use keyway_ledger::{BroadcastError, Ledger};
use keyway_protocol::message::AnswerForm;
use keyway_protocol::negotiation::{NegotiationId, Received, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, OfferPlace, State};

use super::{Event, Party, take_secret};
use crate::error::NodeError;
use crate::reading::{OfferRead, Reading};
use crate::store::{Purpose, Record, Sent};
use crate::wallet::{self, MOST_UNCONFIRMED, Wallet};

impl Party {
    /// Notes every mined offer of a peer that has no record yet.
    pub(super) fn discover(&mut self, events: &mut Vec<Event>) -> Result<(), NodeError> {
        let reader = self.reader();
        let mut found = Vec::new();
        let mut strangers = 0;
        for mined in self.history.in_order() {
            let Some((author, run, offer)) = reader.offer_to_us(mined) else { continue };
            let Some(input) = mined.tx.input.first() else { continue };
            let Some(peer) = self.peer_by_key(author) else {
                strangers += 1;
                continue;
            };
            let carrier = keyway_protocol::message::Carrier::Value;
            let id = reader.context(Role::Responder, peer, input.previous_output, carrier).id();
            if !self.records.contains_key(&id) {
                found.push(Record {
                    id,
                    role: Role::Responder,
                    peer: author,
                    secret_index: None,
                    suite: offer.suite(),
                    carrier,
                    form: offer.form(),
                    input0: input.previous_output,
                    price: run.price(),
                    state: State::Offered,
                    confirmed: None,
                    settled: None,
                });
            }
        }
        if strangers > 0 {
            events.push(Event::HeldFromStrangers(strangers));
        }
        for record in found {
            self.store.step(|store| store.put_negotiation(&record))?;
            events.push(Event::OfferSeen(record.id));
            self.records.insert(record.id, record);
        }
        Ok(())
    }

    /// Answers every offer that the policy answers and that is deep enough.
    pub(super) fn answer_due(
        &mut self,
        ledger: &dyn Ledger,
        readings: &[(NegotiationId, Reading)],
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        if !self.config.policy.answer {
            return Ok(());
        }
        let due: Vec<(Record, OfferRead)> =
            readings.iter().filter_map(|(id, reading)| self.due(id, reading)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let feerate = self.feerate(ledger)?;
        for (record, offer) in due {
            if self.history.hopeful_sent().count() >= MOST_UNCONFIRMED {
                break;
            }
            // One that cannot be answered must not keep the others from being answered.
            match self.answer(ledger, &record, &offer, feerate) {
                Ok(sent) => events.push(Event::AnswerSent { id: record.id, txid: sent.txid }),
                Err(error @ (NodeError::Ledger(_) | NodeError::DiskFull(_) | NodeError::Store { .. })) => {
                    return Err(error);
                }
                Err(error) => events.push(Event::NotAnswered { id: record.id, why: error.to_string() }),
            }
        }
        Ok(())
    }

    fn due(&self, id: &NegotiationId, reading: &Reading) -> Option<(Record, OfferRead)> {
        let record = self.records.get(id)?;
        let policy = &self.config.policy;
        let OfferPlace::Mined(height) = reading.facts.offer else { return None };
        let tip = self.history.tip();
        let open = record.role == Role::Responder
            && reading.facts.anchor == Anchor::Unspent
            && reading.facts.state(tip, policy.key_depth, None) == State::Offered
            && height.depth_under(tip) >= policy.offer_depth
            && record.price >= policy.least_price
            && !self.history.unmined_sent().any(|sent| sent.purpose == Purpose::Answer(*id));
        open.then(|| Some((record.clone(), reading.offer.clone()?)))?
    }

    fn answer(
        &mut self,
        ledger: &dyn Ledger,
        record: &Record,
        offer: &OfferRead,
        feerate: FeeRate,
    ) -> Result<Sent, NodeError> {
        let mut wallet = self.wallet()?;
        let (record, sent) = self.store_answer(record, offer, &mut wallet, feerate)?;
        self.records.insert(record.id, record);
        match self.dispatch(ledger, &sent) {
            Ok(()) => {
                self.history.add_sent(sent.clone());
                Ok(sent)
            }
            Err(NodeError::Broadcast { source: BroadcastError::Ledger(error), .. }) => {
                self.history.add_sent(sent);
                Err(error.into())
            }
            Err(refused) => {
                self.store.step(|store| store.remove_sent(&sent.txid))?;
                Err(refused)
            }
        }
    }

    fn store_answer(
        &mut self,
        record: &Record,
        offer: &OfferRead,
        wallet: &mut Wallet,
        feerate: FeeRate,
    ) -> Result<(Record, Sent), NodeError> {
        let peer = self.peer_by_key(record.peer).ok_or(NodeError::NotForUs(record.id))?.clone();
        let context = self.reader().context(Role::Responder, &peer, record.input0, record.carrier);
        let known = self.negotiation_secret(&record.id)?.zip(record.secret_index);
        let (chain, identity, address) = (&self.config.chain, &self.identity, self.address());
        let anchor = offer.run.anchor();
        let binding =
            value::Binding { chain, input0: anchor, author: identity.party(), recipient: record.peer };
        let run: Vec<OutPoint> = offer.run.outpoints().collect();
        self.store.step(|store| {
            let (index, secret) = match known {
                Some((secret, index)) => (index, secret),
                None => take_secret(store, &record.id)?,
            };
            let (answer, _) = Received::new(context, offer.message.clone(), anchor).answer(&secret)?;
            let bytes = answer.to_bytes();
            let wallet_error = |error: &dyn std::fmt::Display| NodeError::Wallet(error.to_string());
            let outputs = match offer.message.form() {
                AnswerForm::Sequences => Vec::new(),
                AnswerForm::Amounts => {
                    value::amounts::write(&binding, &bytes).map_err(|e| wallet_error(&e))?
                }
            };
            let mut draft = wallet.collect(&run, &outputs, feerate, &address)?;
            if offer.message.form() == AnswerForm::Sequences {
                let sequences = value::sequences::write(&bytes, run.len()).map_err(|e| wallet_error(&e))?;
                for (input, sequence) in draft.tx.input.iter_mut().zip(sequences) {
                    input.sequence = sequence;
                }
            }
            let fee = draft.fee();
            let tx = wallet::sign(draft, identity)?;
            let record = Record { secret_index: Some(index), ..record.clone() };
            store.put_negotiation(&record)?;
            let sent = store.add_sent(&tx, Purpose::Answer(record.id), fee)?;
            Ok((record, sent))
        })
    }
}
