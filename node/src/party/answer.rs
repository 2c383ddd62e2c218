//! Answering: collecting an offer's coins in the transaction that carries the answer.

use bitcoin::absolute::LockTime;
use bitcoin::{FeeRate, OutPoint, Sequence, TxOut};
use keyway_carriers::script::{Way, data, envelope};
use keyway_carriers::value;
use keyway_chain::Chain;
use keyway_ledger::{BroadcastError, Ledger};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::letter;
use keyway_protocol::message::{Answer, AnswerForm, Carrier};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, OfferPlace, State};

use super::envelope::Commit;
use super::lockup::Beside;
use super::offer::{check_enforced, impossible};
use super::{Event, Party, take_secret};
use crate::carried::Carried;
use crate::error::{FundsError, NodeError, OfferError, SessionError, StoreError};
use crate::reading::{OfferRead, Reader, Reading};
use crate::store::{Envelope, Purpose, Record, Sent};
use crate::wallet::{self, MOST_UNCONFIRMED, Order, Wallet};

impl Party {
    /// Notes every mined offer of a peer that has no record yet, or another one.
    pub(super) fn discover(&mut self, events: &mut Vec<Event>) -> Result<(), NodeError> {
        let reader = self.reader();
        let mut found = Vec::new();
        let mut strangers = 0;
        for mined in self.history.in_order() {
            let Some(received) = reader.offer_to_us(mined) else { continue };
            let (author, offer) = (received.author, &received.message);
            let Some(input) = mined.tx.input.first() else { continue };
            let Some(peer) = self.peer_by_key(author) else {
                strangers += 1;
                continue;
            };
            let carrier = offer.carrier();
            let id = reader.context(Role::Responder, peer, input.previous_output, carrier).id();
            let (suite, form, price) = (offer.suite(), offer.form(), received.carried.price());
            let fresh = || Record {
                id,
                role: Role::Responder,
                peer: author,
                secret_index: None,
                suite,
                carrier,
                form,
                input0: input.previous_output,
                prekey: None,
                group: None,
                price,
                state: State::Offered,
                confirmed: None,
                settled: None,
                no_answer: None,
            };
            // After a reorganisation the same coin may bring another offer.
            let known = self.records.get(&id).cloned();
            let record = Record { suite, carrier, form, price, ..known.clone().unwrap_or_else(fresh) };
            let terms = |it: &Record| (it.suite, it.carrier, it.form, it.price);
            if known.as_ref().map(terms) != Some(terms(&record)) {
                found.push(record);
            }
        }
        if strangers > 0 {
            events.push(Event::HeldFromStrangers(strangers));
        }
        self.store_all(found.iter())?;
        for record in found {
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
            let coin = self.coin_of_answer(&record, readings);
            match self.answer(ledger, &record, &offer, (feerate, coin)) {
                Ok(sent) => events.push(Event::AnswerSent { id: record.id, txid: sent.txid }),
                Err(
                    error @ (NodeError::Ledger(_)
                    | NodeError::Store(StoreError::DiskFull(_) | StoreError::Failed { .. })),
                ) => {
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
            && self.config.accepts.takes(record.suite, record.carrier)
            && reading.offer.as_ref().is_some_and(|offer| self.has_group(offer))
            && self.peer_by_key(record.peer).is_some_and(|peer| self.standing(peer).deals())
            && reading.offer.as_ref().and_then(OfferRead::timeout).is_none_or(|timeout| timeout > tip)
            && !self.history.unmined_sent().any(|sent| sent.purpose == Purpose::Answer(*id));
        open.then(|| Some((record.clone(), reading.offer.clone()?)))?
    }

    fn answer(
        &mut self,
        ledger: &dyn Ledger,
        record: &Record,
        offer: &OfferRead,
        (feerate, coin): (FeeRate, Option<TxOut>),
    ) -> Result<Sent, NodeError> {
        self.check_time(offer)?;
        check_enforced(ledger, record.carrier, record.suite)?;
        let way = self.answer_way(ledger, record, offer)?;
        let stored = self.store_answer(record, offer, way, (feerate, coin.as_ref()));
        let (record, mut sent) = match stored {
            // What was paid is too little for a coin beside: the answer matters more.
            Err(
                NodeError::Funds(FundsError::TooLittle { .. })
                | NodeError::Offer(OfferError::TooLittle { .. }),
            ) if coin.is_some() => self.store_answer(record, offer, way, (feerate, None))?,
            stored => stored?,
        };
        self.records.insert(record.id, record);
        let (taken, outcome) = self.dispatch_all(ledger, &sent);
        let answer = sent.last().cloned().ok_or_else(|| impossible("an answer without a transaction"))?;
        if let Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) = outcome {
            let refused = sent.split_off(taken);
            self.store.step(|store| Self::forget_refused(store, &self.history, &refused))?;
        }
        sent.into_iter().for_each(|sent| self.history.add_sent(sent));
        match outcome {
            Ok(()) => self.note_revealed(&answer).map(|()| answer),
            Err(NodeError::Broadcast { source: BroadcastError::Ledger(error), .. }) => Err(error.into()),
            Err(refused) => Err(refused),
        }
    }

    /// How the answer gets through the nodes that the ledger speaks for.
    fn answer_way(&self, ledger: &dyn Ledger, record: &Record, offer: &OfferRead) -> Result<Way, NodeError> {
        let len = Answer::len_of(record.suite, record.carrier);
        match record.carrier {
            Carrier::Value => Ok(Way::Output),
            Carrier::Static => {
                // In a group that the offer brings, share B is as long as share A.
                let share = offer.message.as_ref().map_or(0, |offer| offer.share().len());
                let share = if record.suite.brings_group() { share } else { 0 };
                Ok(Way::through(ledger.most_data()?, len + share + letter::OVERHEAD))
            }
            _ => Ok(Way::through(ledger.most_data()?, len)),
        }
    }

    /// The commit of its envelope, if that is a new one, and the answer.
    fn store_answer(
        &mut self,
        record: &Record,
        offer: &OfferRead,
        way: Way,
        (feerate, coin): (FeeRate, Option<&TxOut>),
    ) -> Result<(Record, Vec<Sent>), NodeError> {
        let peer = self.peer_by_key(record.peer).ok_or(SessionError::NotForUs(record.id))?.clone();
        let message = offer.message.as_ref().ok_or(SessionError::NotForUs(record.id))?;
        let locked = self.locked_payment(record, &peer, offer)?;
        let known_secret = self.negotiation_secret(&record.id)?.zip(record.secret_index);
        let kept = if way == Way::Envelope { self.kept_envelopes(&record.id)? } else { Vec::new() };
        let mut wallet = (way == Way::Envelope).then(|| self.wallet()).transpose()?;
        let (fund, set_aside) = (self.unspent_fund(offer), self.kept_coins());
        let now = self.lock_time(record.carrier, way);
        let (chain, identity, address) = (&self.config.chain, &self.identity, self.address());
        let own = self.card.permanent().party_ref();
        let (sealing, prekeys, preparations) = (&self.sealing, &self.prekeys, &self.preparations);
        let (history, known) = (&self.history, &self.known);
        let reader = Reader { chain, own, sealing, prekeys, preparations, history, known };
        let input0 = offer.carried.anchor();
        self.store.step(|store| {
            let (index, secret) = match known_secret {
                Some((secret, index)) => (index, secret),
                None => take_secret(store, &record.id)?,
            };
            let bytes = |at: Option<LockTime>| {
                let timestamp = at.map_or(0, |at| at.to_consensus_u32());
                reader.make_answer(record, &peer, &secret, offer, message, timestamp).map(|(bytes, _)| bytes)
            };
            // What was committed to is what is shown, whatever came between.
            let fits = |(envelope, at): &(Envelope, LockTime)| {
                let written = bytes(Some(*at)).ok().and_then(|it| envelope::write(own.key, &it).ok());
                written.as_ref() == Some(&envelope.script)
            };
            let kept = kept.into_iter().find(fits);
            let lock_time = kept.as_ref().map(|(_, at)| *at).or(now);
            let bytes = bytes(lock_time)?;
            let (id, at) = (record.id, lock_time.unwrap_or(LockTime::ZERO));
            let commit = Commit {
                chain,
                identity,
                id,
                feerate,
                lock_time: at,
                input0,
                fund: fund.clone(),
                address: &address,
            };
            let committed = match (way, &kept) {
                (Way::Envelope, None) => {
                    wallet.as_mut().map(|wallet| commit.make(wallet, &bytes)).transpose()?
                }
                _ => None,
            };
            let spends_fund = |(outpoint, _): &(OutPoint, TxOut)| {
                committed.as_ref().is_some_and(|committed| committed.spends(outpoint))
            };
            let fund = fund.filter(|fund| !spends_fund(fund));
            let shown = kept.map(|(kept, _)| kept).or(committed.as_ref().map(|it| it.envelope.clone()));
            let (tx, fee) = match &locked {
                Some(locked) => {
                    let beside = Beside::new(&bytes, fund, shown, lock_time)?.with(coin.cloned());
                    locked.collect(identity, &beside, locked.collecting_fee(&beside, feerate))?
                }
                None => {
                    let mut outputs = Outputs::of(&offer.carried, chain, own.key, record, &bytes, way)?;
                    outputs.paid.extend(coin.cloned());
                    let run = offer.carried.collected().into_iter().chain(fund.map(|(outpoint, _)| outpoint));
                    let run: Vec<OutPoint> = run.collect();
                    let order = Order {
                        outputs: &outputs.paid,
                        feerate,
                        lock_time,
                        envelope: shown.as_ref().map(|it| (it.outpoint, &it.script)),
                        address: &address,
                    };
                    let alone = wallet.is_none().then(|| order.collect_alone(chain, own.key, history, &run));
                    let mut draft = match (alone.flatten(), &mut wallet) {
                        (Some(draft), _) => draft,
                        (None, Some(wallet)) => wallet.collect(&run, &order)?,
                        (None, None) => {
                            Wallet::new(chain, own.key, history, set_aside)?.collect(&run, &order)?
                        }
                    };
                    for (input, sequence) in draft.tx.input.iter_mut().zip(outputs.sequences) {
                        input.sequence = sequence;
                    }
                    let fee = draft.fee();
                    (wallet::sign(draft, identity)?, fee)
                }
            };
            let record = Record { secret_index: Some(index), ..record.clone() };
            if let Some(digest) = message.group().digest() {
                store.note_sound_group(digest)?;
            }
            store.put_negotiation(&record)?;
            let commit = committed.map(|committed| committed.store(store)).transpose()?;
            let answer = store.add_sent(&tx, Purpose::Answer(record.id), fee)?;
            Ok((record, commit.into_iter().chain([answer]).collect()))
        })
    }

    /// The coin that came with the offer to pay for an envelope, unless something spent it.
    fn unspent_fund(&self, offer: &OfferRead) -> Option<(OutPoint, TxOut)> {
        let outpoint = offer.carried.fund()?;
        let spent =
            self.history.spender(&outpoint).is_some() || self.history.unmined_spender(&outpoint).is_some();
        let coin = self.own_coin(&outpoint)?;
        (!spent).then_some((outpoint, coin))
    }
}

/// Where an answer rides in the transaction that collects the offer's coins.
#[derive(Default)]
struct Outputs {
    paid: Vec<TxOut>,
    sequences: Vec<Sequence>,
}

impl Outputs {
    fn of(
        carried: &Carried,
        chain: &Chain,
        author: PartyKey,
        record: &Record,
        bytes: &[u8],
        way: Way,
    ) -> Result<Self, NodeError> {
        let mut outputs = Self::default();
        match (carried, record.form) {
            (Carried::Beside(_), _) if way == Way::Envelope => {}
            (Carried::Beside(_), _) => outputs.paid.push(data::write(bytes).map_err(impossible)?),
            (Carried::Run(run), AnswerForm::Sequences) => {
                outputs.sequences =
                    value::sequences::write(bytes, run.outpoints().len()).map_err(impossible)?;
            }
            (Carried::Run(run), AnswerForm::Amounts) => {
                let recipient = record.peer;
                let binding = value::Binding { chain, input0: run.anchor(), author, recipient };
                outputs.paid = value::amounts::write(&binding, bytes).map_err(impossible)?;
            }
        }
        Ok(outputs)
    }
}
