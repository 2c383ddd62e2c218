//! Taking over what the lost home had sent and nobody has mined yet.

use bitcoin::{Amount, OutPoint, Transaction};
use keyway_carriers::script;
use keyway_protocol::negotiation::{NegotiationId, Role};

use super::super::Party;
use crate::error::NodeError;
use crate::reading::Reading;
use crate::store::{Envelope, Purpose};

impl Party {
    /// Takes over what the lost home had sent and the ledger still holds unmined, so that it is sent again, and its coins
    /// are spent by nothing else.
    pub(super) fn adopt(&mut self) -> Result<(), NodeError> {
        let key = self.key().to_bytes();
        for tx in self.history.shown_unmined().to_vec() {
            let is_own = tx
                .input
                .first()
                .and_then(|input| input.witness.nth(1))
                .is_some_and(|found| found == &key[..]);
            let is_new = self.transaction(&tx.compute_txid()).is_none();
            let Some(fee) = self.fee_of(&tx).filter(|_| is_own && is_new) else { continue };
            let (purpose, envelope) = self.purpose_of(&tx)?;
            let sent = self.store.step(|store| {
                envelope.map_or(Ok(()), |envelope| store.put_envelope(&envelope))?;
                store.add_sent(&tx, purpose, fee)
            })?;
            self.history.add_sent(sent);
        }
        Ok(())
    }

    /// What a transaction of this party is for, and the envelope that it commits to. What it is not known to be for is
    /// kept as what moves the party's own coins.
    fn purpose_of(&self, tx: &Transaction) -> Result<(Purpose, Option<Envelope>), NodeError> {
        if let Some(id) = self.message_of(tx)? {
            let answers = self.records.get(&id).is_some_and(|record| record.role == Role::Responder);
            return Ok((if answers { Purpose::Answer(id) } else { Purpose::Offer(id) }, None));
        }
        let outpoint = OutPoint::new(tx.compute_txid(), 0);
        for shown in self.history.shown_unmined() {
            let script = script::envelopes(shown).find_map(|(index, script)| {
                (shown.input.get(index)?.previous_output == outpoint).then(|| script.to_owned())
            });
            if let Some((script, id)) = script.zip(self.message_of(shown)?) {
                return Ok((Purpose::Commit(id), Some(Envelope { id, outpoint, script })));
            }
        }
        Ok((Purpose::Split, None))
    }

    /// The negotiation whose offer or answer a transaction of this party is.
    fn message_of(&self, tx: &Transaction) -> Result<Option<NegotiationId>, NodeError> {
        let Some(input0) = tx.input.first().map(|input| input.previous_output) else { return Ok(None) };
        let mut own = self.records.values().filter(|record| record.role == Role::Initiator);
        if let Some(record) = own.find(|record| record.input0 == input0) {
            return Ok(Some(record.id));
        }
        let is_answer = |(id, reading): &(NegotiationId, Reading)| {
            let found = self.records.get(id).is_some_and(|record| record.secret_index.is_some());
            found && reading.offer.as_ref().is_some_and(|offer| offer.carried.anchor() == input0)
        };
        Ok(self.readings()?.into_iter().find(is_answer).map(|(id, _)| id))
    }

    /// What a transaction pays to miners, if all its coins are known.
    fn fee_of(&self, tx: &Transaction) -> Option<Amount> {
        let coin = |outpoint: &OutPoint| {
            let made = self.transaction(&outpoint.txid)?;
            Some(made.output.get(usize::try_from(outpoint.vout).ok()?)?.value)
        };
        let spent: Option<Amount> = tx.input.iter().map(|input| coin(&input.previous_output)).sum();
        spent?.checked_sub(tx.output.iter().map(|output| output.value).sum())
    }
}
