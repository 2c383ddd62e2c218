//! Following the chain: take in what it says, then do what is due.

use std::collections::BTreeSet;

use bitcoin::Txid;
use keyway_chain::{BlockRef, Height};
use keyway_ledger::{BroadcastError, Ledger, RefusalKind};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::State;

use super::{Event, Party, Synced};
use crate::error::NodeError;
use crate::history::History;
use crate::planted::{self, Bug};
use crate::reading::{Reading, states};
use crate::store::{Purpose, Record, Store};
use crate::wallet;

/// What a round saw after which nothing was due and nothing was on its way: until something else is seen, or this party
/// does something, there is nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    tip: BlockRef,
    pending: BTreeSet<Txid>,
}

impl Party {
    /// Follows the ledger to its tip and does what is due: answers offers, sends again what is not
    /// mined, splits coins, erases old secrets. `progress` hears of each block.
    ///
    /// Blocks are taken in many at a time: after a crash the next call goes on where the last step ended.
    ///
    /// # Errors
    /// The ledger's and the store's. What was done before stays done.
    pub fn sync(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
    ) -> Result<Synced, NodeError> {
        let rest = self.rest.take();
        self.in_step(|party| party.synchronise(ledger, progress, rest))
    }

    fn synchronise(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
        rest: Option<Rest>,
    ) -> Result<Synced, NodeError> {
        let before = self.history.tip();
        let mut synced = self.come_to_tip(ledger, progress)?;
        self.find_again(&mut synced.events)?;
        self.send_again(ledger, &mut synced.events)?;
        let seen = Rest { tip: self.tip(), pending: self.history.pending().collect() };
        if rest.as_ref() == Some(&seen) && synced == Synced::default() {
            self.rest = rest;
            return Ok(synced);
        }
        self.discover(&mut synced.events)?;
        self.claim()?;
        if synced.connected > 0 {
            self.tell_other_home(before, &mut synced.events);
        }
        if !self.unassigned.is_empty() && self.had_another_name()? {
            synced.events.push(Event::OtherName);
        }
        self.give_up_overdue()?;
        let mut readings = self.readings()?;
        let lineages = self.lineages(&readings);
        let events = synced.events.len();
        self.answer_due(ledger, &readings, &mut synced.events)?;
        self.refund_due(ledger, &readings, &mut synced.events)?;
        self.raise_fees(ledger, &readings, &mut synced.events)?;
        self.tend_envelopes(ledger, &readings, &mut synced.events)?;
        self.move_coins(ledger, (&readings, &lineages), &mut synced.events)?;
        self.revoke_moved(ledger, &lineages, &mut synced.events)?;
        self.rotate_due(ledger, (&readings, &lineages), &mut synced.events)?;
        if synced.events.len() > events {
            readings = self.readings()?;
        }
        if synced.connected > 0 {
            self.tell_revocations(before, &lineages, &mut synced.events);
        }
        self.tell(&readings, &mut synced.events)?;
        self.settle(&readings)?;
        self.split_if_low(ledger, &mut synced.events)?;
        if self.prekeys.are_old(&self.config.chain, self.history.tip()) || !self.card_is_current() {
            self.renew_card()?;
            synced.events.push(Event::CardRenewed);
        }
        if synced.events.is_empty() && self.history.unmined_sent().next().is_none() {
            self.rest = Some(seen);
        }
        Ok(synced)
    }

    /// Broadcasts what is not mined and what the ledger no longer holds.
    fn send_again(&mut self, ledger: &dyn Ledger, events: &mut Vec<Event>) -> Result<(), NodeError> {
        for sent in self.newest_unmined() {
            if ledger.unmined(&sent.txid)?.is_some() || planted::is(Bug::NotSentAgain) {
                self.history.set_hopeless(sent.txid, false);
                self.note_revealed(&sent)?;
                continue;
            }
            if self.keeps_to_itself(&sent)? {
                self.stop_sending(&sent.txid)?;
                continue;
            }
            if !self.may_go(&sent) {
                self.history.set_hopeless(sent.txid, true);
                continue;
            }
            match ledger.broadcast(&sent.tx) {
                Ok(_) => {
                    self.history.set_hopeless(sent.txid, false);
                    self.note_revealed(&sent)?;
                }
                Err(BroadcastError::Ledger(error)) => return Err(error.into()),
                Err(BroadcastError::Refused(refusal)) => {
                    let waits = matches!(sent.purpose, Purpose::Cancel(_) | Purpose::Revoke(_));
                    let missing = refusal.kind() == RefusalKind::MissingInputs;
                    self.history.set_hopeless(sent.txid, missing || waits);
                    if waits {
                        // The ledger keeps the offer, or another spending of the coin, and takes none in its place.
                        continue;
                    }
                    if self.gave_up(&sent, &refusal)? {
                        events.push(Event::Refused { txid: sent.txid, why: refusal.reason });
                        continue;
                    }
                    // An answer whose offer left the chain, or a split whose coin did: both are made anew when
                    // there is cause. An offer stays, for its price and peer are the user's decision.
                    let remade = !self.is_for_an_offer(&sent);
                    if remade && matches!(refusal.kind(), RefusalKind::MissingInputs | RefusalKind::Conflict)
                    {
                        self.stop_sending(&sent.txid)?;
                    }
                    // Another spending of the coin was faster.
                    if !matches!(sent.purpose, Purpose::Move(_)) {
                        events.push(Event::Refused { txid: sent.txid, why: refusal.reason });
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends this one no more. It is forgotten, unless another rests on it: nobody could tell any more what excludes that.
    fn stop_sending(&mut self, txid: &Txid) -> Result<(), NodeError> {
        if self.history.is_rested_on(txid) {
            self.store.step(|store| store.withdraw_sent(txid))?;
            self.history.withdraw_sent(txid);
        } else {
            self.store.step(|store| store.remove_sent(txid))?;
            self.history.remove_sent(txid);
        }
        Ok(())
    }

    /// All negotiations whose peer's card is known, as the chain tells them now.
    pub(super) fn readings(&self) -> Result<Vec<(NegotiationId, Reading)>, NodeError> {
        let read = |record: &Record| Ok(self.reading(record)?.map(|reading| (record.id, reading)));
        self.marked(self.records.values().filter_map(|record| read(record).transpose()).collect())
    }

    fn marked(
        &self,
        readings: Result<Vec<(NegotiationId, Reading)>, NodeError>,
    ) -> Result<Vec<(NegotiationId, Reading)>, NodeError> {
        let mut readings = readings?;
        self.mark_revoked(&mut readings);
        Ok(readings)
    }

    /// Those with one peer: the state of a negotiation depends on no other peer's.
    pub(super) fn readings_with(&self, peer: PartyKey) -> Result<Vec<(NegotiationId, Reading)>, NodeError> {
        let read = |record: &Record| Ok(self.reading(record)?.map(|reading| (record.id, reading)));
        let with_peer = self.records.values().filter(|record| record.peer == peer);
        self.marked(with_peer.filter_map(|record| read(record).transpose()).collect())
    }

    pub(super) fn states(&self, readings: &[(NegotiationId, Reading)]) -> Vec<(NegotiationId, State)> {
        let known = readings.iter().filter_map(|(id, reading)| Some((self.records.get(id)?, reading)));
        let elsewhere = self.reader().epochs_elsewhere(&self.records, known.clone(), &self.peers);
        states(known, &elsewhere, self.history.tip(), self.config.policy.key_depth)
    }

    /// Stores states that changed, and what the chain shows of the peer's confirmation.
    pub(super) fn tell(
        &mut self,
        readings: &[(NegotiationId, Reading)],
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        let mut told = Vec::new();
        for ((id, reading), (_, to)) in readings.iter().zip(self.states(readings)) {
            let Some(record) = self.records.get(id) else { continue };
            // The answer's tag, once it verified, shows the initiator that the responder has the key.
            let answer = reading.answer.as_ref().filter(|answer| answer.agreed.is_some());
            let shown = answer.filter(|_| record.role == Role::Initiator).map(|answer| answer.txid);
            let (from, confirmed) = (record.state, shown.or(record.confirmed));
            if (from, record.confirmed) == (to, confirmed) {
                continue;
            }
            told.push((from, Record { state: to, confirmed, ..record.clone() }));
        }
        self.store_all(told.iter().map(|(_, record)| record))?;
        for (from, record) in told {
            let (id, to) = (record.id, record.state);
            self.records.insert(id, record);
            if from != to {
                events.push(Event::Moved { id, from, to });
            }
        }
        Ok(())
    }

    /// Stores records in one step, if there are any.
    pub(super) fn store_all<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
    ) -> Result<(), NodeError> {
        let mut records = records.peekable();
        if records.peek().is_none() {
            return Ok(());
        }
        self.store.step(|store| records.try_for_each(|record| store.put_negotiation(record)))
    }

    /// Splits a coin when few confirmed ones are left and nothing is under way that brings more.
    fn split_if_low(&mut self, ledger: &dyn Ledger, events: &mut Vec<Event>) -> Result<(), NodeError> {
        if self.history.hopeful_sent().next().is_some() {
            return Ok(());
        }
        if wallet::has_enough_coins(self.key(), &self.history, &self.kept_coins()) {
            return Ok(());
        }
        let feerate = self.feerate(ledger)?;
        let Some(draft) = self.wallet()?.split(feerate, &self.address())? else { return Ok(()) };
        let fee = draft.fee();
        let tx = wallet::sign(draft, &self.identity)?;
        let sent = self.store.step(|store| store.add_sent(&tx, Purpose::Split, fee))?;
        match self.dispatch(ledger, &sent) {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(refusal), .. }) => {
                self.store.step(|store| forget_sent(store, &self.history, &sent.txid))?;
                events.push(Event::Refused { txid: sent.txid, why: refusal.reason });
            }
            outcome => {
                self.history.add_sent(sent.clone());
                outcome?;
                events.push(Event::Split(sent.txid));
            }
        }
        Ok(())
    }
}

/// Forgets a stored transaction that the ledger refused at once. One that had been withdrawn before it was made again is so still.
pub(super) fn forget_sent(store: &Store, history: &History, txid: &Txid) -> Result<(), NodeError> {
    if history.is_withdrawn(txid) { store.withdraw_sent(txid) } else { store.remove_sent(txid) }
}
