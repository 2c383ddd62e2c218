//! Taking a prepared offer back from the wallet that funded it, signing it, and sending it.

use bitcoin::{Amount, OutPoint, Psbt, Transaction, TxOut};
use keyway_ledger::{BroadcastError, Ledger, LedgerError, RefusalKind};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;

use super::cancel::note_offered;
use super::offer::{LEAST_TIMEOUT, OfferSent, impossible};
use super::{Party, Terms};
use crate::carried::Carriage;
use crate::error::{NodeError, SessionError};
use crate::prepared::{Bounds, Foreign, Prepared, PsbtRefused, parse};
use crate::store::{Purpose, Record, Sent};
use crate::wallet;

impl Party {
    /// Takes the PSBT of [`Party::prepare`] back, funded and signed: holds it against what was prepared, signs input 0,
    /// stores the offer, and sends it. The same PSBT again is sent again.
    ///
    /// # Errors
    /// [`NodeError::Psbt`] says what differs, [`NodeError::Broadcast`] what the ledger has against it: nothing was
    /// signed or sent, and the offer waits as before. Unless the ledger could not be reached: then it is kept, and sent
    /// by the next [`Party::sync`].
    pub fn submit(&mut self, ledger: &dyn Ledger, psbt: &[u8]) -> Result<OfferSent, NodeError> {
        self.in_step(|party| {
            party.check_chain(ledger)?;
            let psbt = parse(psbt)?;
            match party.prepared_for(&psbt) {
                Some((record, prepared)) => party.submit_prepared(ledger, &record, &prepared, psbt),
                None => party.submit_again(ledger, &psbt.unsigned_tx),
            }
        })
    }

    fn prepared_for(&self, psbt: &Psbt) -> Option<(Record, Prepared)> {
        let spends = |coin| psbt.unsigned_tx.input.iter().any(|input| input.previous_output == coin);
        let prepared = self.preparations.open().find(|prepared| spends(prepared.input0()))?;
        Some((self.records.get(&prepared.id)?.clone(), prepared.clone()))
    }

    fn submit_prepared(
        &mut self,
        ledger: &dyn Ledger,
        record: &Record,
        prepared: &Prepared,
        psbt: Psbt,
    ) -> Result<OfferSent, NodeError> {
        let peer = record.peer.script();
        let foreign = prepared.compare(psbt, &peer, record.carrier == Carrier::Value)?;
        self.check_still_due(record, prepared)?;
        let coins = coins_of(ledger, &foreign)?;
        let bounds = Bounds { least: self.config.chain.min_relay(), most: self.config.fee_ceiling };
        let own = self.key().script();
        let (tx, fee) = foreign.check(prepared, &coins, &own, bounds)?;
        let tx = wallet::sign_first(tx, &prepared.coin(own), &self.identity)?;
        let carriage = self.read_back(record, prepared, &tx)?;
        ledger.check(&tx).map_err(|source| refused(source, fee))?;
        let tip = self.history.tip();
        let sent = self.store.step(|store| {
            store.remove_prepared(&record.id)?;
            note_offered(store, &record.id, tip)?;
            store.add_sent(&tx, Purpose::Offer(record.id), fee)
        })?;
        self.preparations.forget(&record.id);
        let outcome = self.dispatch(ledger, &sent);
        if let Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) = outcome {
            self.store.step(|store| {
                store.remove_sent(&sent.txid)?;
                store.put_prepared(prepared)
            })?;
            self.preparations.add(prepared.clone());
        } else {
            self.history.add_sent(sent.clone());
        }
        outcome.map(|()| offer_sent(&sent, record.id, carriage))
    }

    /// Whether an offer that was right when it was prepared is right now.
    fn check_still_due(&self, record: &Record, prepared: &Prepared) -> Result<(), NodeError> {
        let coin = prepared.input0();
        if let Some(mined) = self.history.spender(&coin) {
            return Err(PsbtRefused::CoinSpent(mined.txid).into());
        }
        if self.history.mined(&coin.txid).is_none() {
            return Err(PsbtRefused::CoinUnmined.into());
        }
        let peer = self.peer_by_key(record.peer).ok_or(SessionError::NotForUs(record.id))?;
        let Record { price, suite, carrier, form, .. } = *record;
        let group = record.group.as_ref().map(|group| group.numbers.lengths());
        self.check_peer(peer, &Terms { price, suite, carrier, form, force: true, group, coin: false })?;
        // `until` keeps the distance to the timeout.
        let (tip, until) = (self.history.tip(), prepared.until);
        if carrier == Carrier::Dynamic && tip > until {
            let timeout = until.plus(LEAST_TIMEOUT).to_u32();
            return Err(PsbtRefused::TooLate { timeout, least: LEAST_TIMEOUT }.into());
        }
        Ok(())
    }

    /// Reads the signed transaction as the peer would, and as this home will.
    fn read_back(
        &self,
        record: &Record,
        prepared: &Prepared,
        tx: &Transaction,
    ) -> Result<Carriage, NodeError> {
        let peer = self.peer_by_key(record.peer).ok_or(SessionError::NotForUs(record.id))?;
        let secret = self.negotiation_secret(&record.id)?;
        let offer = self.reader().own_offer_in(record, peer, secret.as_ref(), tx, prepared.lent());
        let offer = offer.ok_or(PsbtRefused::NotRead)?;
        Ok(offer.carried.carriage(offer.timeout()))
    }

    /// What was submitted before is sent again; what is of no offer here is refused.
    fn submit_again(&mut self, ledger: &dyn Ledger, tx: &Transaction) -> Result<OfferSent, NodeError> {
        let input0 = tx.input.first().map(|input| input.previous_output);
        let own = |record: &&Record| record.role == Role::Initiator && Some(record.input0) == input0;
        let records: Vec<&Record> = self.records.values().filter(own).collect();
        let is_of = |sent: &&Sent, record: &Record| sent.purpose == Purpose::Offer(record.id);
        let sent = self.history.sent().find(|sent| records.iter().any(|record| is_of(sent, record)));
        let Some(sent) = sent.cloned() else {
            let given_up = records.iter().any(|record| self.preparations.is_given_up(&record.id));
            let refused = if given_up { PsbtRefused::GivenUp } else { PsbtRefused::NotPrepared };
            return Err(refused.into());
        };
        let spends = |tx: &Transaction| -> Vec<OutPoint> {
            tx.input.iter().map(|input| input.previous_output).collect()
        };
        let record = records.into_iter().find(|record| is_of(&&sent, record)).cloned();
        let record = record.ok_or_else(|| impossible("an offer without a record"))?;
        if spends(tx) != spends(&sent.tx) || tx.output != sent.tx.output {
            return Err(PsbtRefused::OtherSent(sent.txid).into());
        }
        let reading = self.reading(&record)?.and_then(|reading| reading.offer);
        let offer = reading.ok_or(PsbtRefused::OtherSent(sent.txid))?;
        if self.history.mined(&sent.txid).is_none() {
            self.dispatch(ledger, &sent)?;
        }
        Ok(offer_sent(&sent, record.id, offer.carried.carriage(offer.timeout())))
    }
}

/// A fee that is too low here is the other wallet's, and no matter of this home's ceiling.
fn refused(source: BroadcastError, fee: Amount) -> NodeError {
    match source {
        BroadcastError::Refused(refusal) if refusal.kind() == RefusalKind::FeeTooLow => {
            PsbtRefused::FeeLowForLedger { fee, why: refusal.reason }.into()
        }
        source => NodeError::Broadcast { what: "offer", source },
    }
}

fn offer_sent(sent: &Sent, id: NegotiationId, carriage: Carriage) -> OfferSent {
    let (txid, fee): (_, Amount) = (sent.txid, sent.fee);
    OfferSent { id, txid, vbytes: sent.tx.vsize() as u64, fee, commit: None, carriage }
}

/// What the ledger shows for the other wallet's inputs.
fn coins_of(ledger: &dyn Ledger, foreign: &Foreign) -> Result<Vec<Option<TxOut>>, LedgerError> {
    let coin = |input: &bitcoin::TxIn| Ok(ledger.coin(&input.previous_output)?.map(|coin| coin.output));
    foreign.inputs().map(coin).collect()
}
