//! Giving up an offer of one's own that is not mined.
//!
//! A transaction that spends the coin of its input 0 back to the home takes its place: once that is mined, the offer
//! never can be, the negotiation has expired (PROTOCOL.md 9.3), and the other coins are free. Until then the offer may
//! be mined after all, and the negotiation goes on; so no secret is erased before the return is deep.

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, FeeRate, OutPoint, TxOut, Txid, Weight};
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::OfferPlace;

use super::Party;
use super::fees::feerate_of;
use super::lockup::unsigned;
use crate::error::{CancelError, NodeError};
use crate::store::{Purpose, Record, Sent, Store};
use crate::wallet::Draft;

/// What became of an offer that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It was prepared for another wallet, and never signed: its coin is free.
    Unsigned,
    /// The return of its coin is on its way, and has taken its place.
    Sent {
        /// The return.
        txid: Txid,
        /// What it pays to miners.
        fee: Amount,
    },
    /// The return is stored, and sent again and again until the ledger takes it or the offer is mined after all.
    Waits {
        /// The return.
        txid: Txid,
        /// What it pays to miners.
        fee: Amount,
        /// Why the ledger does not take it now.
        why: String,
    },
}

impl Party {
    /// Gives up an offer of this party that is not mined. Once more does no harm: the return is sent again.
    ///
    /// # Errors
    /// [`CancelError::Mined`], [`CancelError::Over`], [`CancelError::NotOwn`] say why there is nothing to give
    /// up, [`CancelError::RestedOn`] what would fall with it. If the ledger cannot be reached, the return is kept, and
    /// sent by the next [`Party::sync`].
    pub fn cancel(&mut self, ledger: &dyn Ledger, id: NegotiationId) -> Result<Cancelled, NodeError> {
        self.in_step(|party| party.make_cancel(ledger, id))
    }

    fn make_cancel(&mut self, ledger: &dyn Ledger, id: NegotiationId) -> Result<Cancelled, NodeError> {
        self.check_chain(ledger)?;
        if self.preparations.of(&id).is_some() {
            return self.give_up_prepared(id).map(|()| Cancelled::Unsigned);
        }
        let record = self.records.get(&id).filter(|record| record.role == Role::Initiator).cloned();
        let record = record.ok_or(CancelError::NotOwn(id))?;
        let place = self.reading(&record)?.map(|reading| reading.facts.offer);
        match place {
            Some(OfferPlace::Unmined) => {}
            Some(OfferPlace::Mined(_)) => return Err(CancelError::Mined(id).into()),
            Some(OfferPlace::Replaced | OfferPlace::GivenUp) | None => {
                return Err(CancelError::Over(id).into());
            }
        }
        let sent = match self.cancellation(&id).cloned() {
            Some(sent) => sent,
            None => self.store_cancel(ledger, &record)?,
        };
        self.send_cancel(ledger, sent)
    }

    /// The newest return of an offer's coin that may be mined.
    pub(super) fn cancellation(&self, id: &NegotiationId) -> Option<&Sent> {
        self.history.unmined_sent().rev().find(|sent| sent.purpose == Purpose::Cancel(*id))
    }

    fn store_cancel(&mut self, ledger: &dyn Ledger, record: &Record) -> Result<Sent, NodeError> {
        let draft = self.cancelling(ledger, record)?;
        self.store_wanted(draft, Purpose::Cancel(record.id))
    }

    fn send_cancel(&mut self, ledger: &dyn Ledger, sent: Sent) -> Result<Cancelled, NodeError> {
        let (txid, fee) = (sent.txid, sent.fee);
        Ok(match self.dispatch_wanted(ledger, &sent)? {
            Some(why) => Cancelled::Waits { txid, fee, why },
            None => Cancelled::Sent { txid, fee },
        })
    }

    /// The return, unsigned: input 0's coin, and as many of the offer's others as the fee takes.
    fn cancelling(&self, ledger: &dyn Ledger, record: &Record) -> Result<Draft, NodeError> {
        let versions: Vec<&Sent> =
            self.history.sent().filter(|sent| sent.purpose == Purpose::Offer(record.id)).collect();
        let newest = versions.last().ok_or(CancelError::Over(record.id))?;
        let resting = self.resting_on(&versions);
        if let Some(other) = resting.iter().find_map(|sent| sent.purpose.negotiation()) {
            return Err(CancelError::RestedOn { id: record.id, other }.into());
        }
        let mut replaced = Amount::ZERO;
        for sent in versions.iter().copied().chain(resting) {
            if ledger.unmined(&sent.txid)?.is_some() {
                replaced = replaced.checked_add(sent.fee).unwrap_or(Amount::MAX);
            }
        }
        let least = feerate_of(newest.fee, newest.tx.vsize() as u64);
        let feerate =
            if replaced > Amount::ZERO { self.feerate(ledger)?.max(least) } else { self.feerate(ledger)? };
        let own =
            |input: &bitcoin::TxIn| Some((input.previous_output, self.own_coin(&input.previous_output)?));
        let coins: Vec<(OutPoint, TxOut)> = newest.tx.input.iter().filter_map(own).collect();
        let none = || NodeError::Cancel(CancelError::Unpayable(record.id));
        (1..=coins.len())
            .find_map(|taken| self.returning(coins.get(..taken)?, replaced, feerate))
            .ok_or_else(none)
    }

    /// Spends these coins into one, and pays more than what it replaces by its own relay.
    fn returning(&self, coins: &[(OutPoint, TxOut)], replaced: Amount, feerate: FeeRate) -> Option<Draft> {
        let chain = &self.config.chain;
        let weight: Weight = p2wpkh_weight(coins.len(), 1);
        // A signature may be shorter than reckoned; a little more than the relay costs hides that.
        let relay = chain.min_relay().fee_wu(weight)?.checked_mul(21)? / 20;
        let fee = replaced.checked_add(relay)?.max(feerate.fee_wu(weight)?.checked_mul(21)? / 20);
        let (inputs, coins): (Vec<OutPoint>, Vec<TxOut>) = coins.iter().cloned().unzip();
        let held = coins.iter().try_fold(Amount::ZERO, |sum, coin| sum.checked_add(coin.value))?;
        let value = held.checked_sub(fee).filter(|value| *value >= chain.dust_p2wpkh())?;
        let output = TxOut { value, script_pubkey: self.key().script() };
        Some(Draft { tx: unsigned(&inputs, vec![output], LockTime::ZERO), coins, envelope: None })
    }

    /// Unmined transactions of this home that spend outputs of these, and what spends theirs.
    fn resting_on(&self, versions: &[&Sent]) -> Vec<&Sent> {
        let mut ids: Vec<Txid> = versions.iter().map(|sent| sent.txid).collect();
        let mut resting = Vec::new();
        // In the order of sending, parents come first.
        for sent in self.history.unmined_sent() {
            let rests = sent.tx.input.iter().any(|input| ids.contains(&input.previous_output.txid));
            if rests {
                ids.push(sent.txid);
                resting.push(sent);
            }
        }
        resting
    }

    /// Offers of this home that wait to be mined for as many blocks as the configuration has patience for.
    pub fn overdue_offers(&self) -> Vec<NegotiationId> {
        let Some(patience) = self.config.give_up_after else { return Vec::new() };
        let tip = self.history.tip();
        let is_overdue = |sent: &Sent, id: &NegotiationId| {
            self.offered_at(sent, id).plus(patience) <= tip && self.cancellation(id).is_none()
        };
        let offers = self.history.unmined_sent().filter_map(|sent| match sent.purpose {
            Purpose::Offer(id) if is_overdue(sent, &id) => Some(id),
            _ => None,
        });
        let mut ids: Vec<NegotiationId> = offers.collect();
        ids.dedup();
        ids
    }

    /// Since when an offer waits; of one from before this was noted its nLockTime says it.
    fn offered_at(&self, sent: &Sent, id: &NegotiationId) -> Height {
        let noted = self.store.meta(&offered_name(id)).ok().flatten();
        let noted = noted.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        Height::new(noted.unwrap_or(sent.tx.lock_time.to_consensus_u32()))
    }
}

fn offered_name(id: &NegotiationId) -> String {
    format!("offered {id}")
}

/// Notes at which height an offer was sent first, inside a step of the store.
pub(super) fn note_offered(store: &Store, id: &NegotiationId, tip: Height) -> Result<(), NodeError> {
    store.set_meta(&offered_name(id), &tip.to_u32().to_be_bytes())
}
