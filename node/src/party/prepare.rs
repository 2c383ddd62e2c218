//! Preparing an offer that another wallet funds and signs, and giving it up.

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, FeeRate, OutPoint, TxOut};
use keyway_carriers::script::Way;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;

use super::fees::child_fee;
use super::lockup::unsigned;
use super::offer::{Drawn, LEAST_TIMEOUT, OfferRequest, Plan};
use super::quote::Quote;
use super::{Party, negotiation_secret_name, take_secret};
use crate::carried::Carriage;
use crate::error::{FundsError, NodeError, OfferError};
use crate::prepared::Prepared;
use crate::wallet::{MOST_UNCONFIRMED, Wallet};

/// An offer that waits for another wallet.
#[derive(Clone, Debug)]
pub struct PreparedOffer {
    /// The negotiation.
    pub id: NegotiationId,
    /// The unsigned PSBT (BIP174, version 0), in bytes.
    pub psbt: Vec<u8>,
    /// What the other wallet pays, beside the miners' fee.
    pub price: Amount,
    /// What the home lends for input 0, and gets back in its last output.
    pub lent: Amount,
    /// The place of that output: the other wallet's come behind it.
    pub last_output: usize,
    /// The last block after which the signed PSBT is taken.
    pub until: Height,
    /// How the message is carried; unknown of one that was prepared before.
    pub carriage: Option<Carriage>,
}

impl Party {
    /// Writes an offer for another wallet to fund and sign. Its secret and the reservation of its coin are stored before
    /// this returns; nothing is signed before [`Party::submit`].
    ///
    /// # Errors
    /// As [`Party::offer`]; [`OfferError::NoPsbtInEnvelope`] where the message would ride in an envelope.
    pub fn prepare(
        &mut self,
        ledger: &dyn Ledger,
        request: &OfferRequest,
    ) -> Result<PreparedOffer, NodeError> {
        self.in_step(|party| {
            let wallet = party.wallet()?;
            let choose = |quote: &Quote| party.coin_to_lend(&wallet, quote);
            let Drawn { plan, carriage, .. } = party.draw_up(ledger, request, choose)?;
            if plan.way == Way::Envelope {
                return Err(
                    OfferError::NoPsbtInEnvelope { carrier: request.carrier, suite: request.suite }.into()
                );
            }
            let prepared = party.store_prepared(&plan)?;
            Ok(PreparedOffer { carriage: Some(carriage), ..party.prepared_offer(&prepared)? })
        })
    }

    /// The PSBT of an offer that waits, once more.
    ///
    /// # Errors
    /// [`OfferError::NotWaiting`] if there is none of that negotiation.
    pub fn prepared(&self, id: NegotiationId) -> Result<PreparedOffer, NodeError> {
        self.certain()?;
        let prepared = self.preparations.of(&id).ok_or(OfferError::NotWaiting(id))?;
        self.prepared_offer(prepared)
    }

    fn prepared_offer(&self, prepared: &Prepared) -> Result<PreparedOffer, NodeError> {
        let parent = self.history.mined(&prepared.input0().txid).map(|mined| mined.tx.as_ref());
        let psbt = prepared.to_psbt(self.key().script(), parent)?.serialize();
        let price = self.records.get(&prepared.id).map_or(Amount::ZERO, |record| record.price);
        Ok(PreparedOffer {
            id: prepared.id,
            psbt,
            price,
            lent: prepared.lent(),
            last_output: prepared.template.output.len().saturating_sub(1),
            until: prepared.until,
            carriage: None,
        })
    }

    /// The smallest coin whose return can pay for the offer up to the ceiling of fees, should it wait; else the largest.
    fn coin_to_lend(&self, wallet: &Wallet, quote: &Quote) -> Result<OutPoint, NodeError> {
        let unmined = self.history.hopeful_sent().count();
        if unmined >= MOST_UNCONFIRMED {
            return Err(FundsError::TooManyUnconfirmed(unmined).into());
        }
        let coins = self.first_coins(wallet);
        let enough = self.most_to_raise(quote.offer.vbytes, self.config.fee_ceiling);
        let fits = coins.iter().rev().find(|coin| coin.amount >= enough);
        let coin = fits.or(coins.first()).map(|coin| coin.outpoint);
        coin.ok_or_else(|| self.no_first_coin(wallet, enough))
    }

    fn most_to_raise(&self, vbytes: u64, ceiling: FeeRate) -> Amount {
        let fee = child_fee(vbytes, ceiling).unwrap_or(Amount::MAX);
        fee.checked_add(self.config.chain.dust_p2wpkh()).unwrap_or(Amount::MAX)
    }

    fn store_prepared(&mut self, plan: &Plan) -> Result<Prepared, NodeError> {
        let context = self.reader().context(Role::Initiator, &plan.peer, plan.input0, plan.terms.carrier);
        let id = context.id();
        let coin =
            self.own_coin(&plan.input0).ok_or_else(|| NodeError::Wallet("a coin is gone".to_owned()))?;
        let tip = LockTime::from_height(self.history.tip().to_u32()).unwrap_or(LockTime::ZERO);
        let (chain, until) = (&self.config.chain, self.waits_until(plan));
        let (record, prepared) = self.store.step(|store| {
            let (index, secret) = take_secret(store, &id)?;
            let (mut outputs, _) = plan.outputs(chain, context, &secret)?;
            outputs.push(TxOut { value: coin.value, script_pubkey: coin.script_pubkey.clone() });
            let template = unsigned(&[plan.input0], outputs, plan.lock_time.unwrap_or(tip));
            let (record, prepared) = (plan.record(id, index), Prepared { id, until, template });
            if let Some(group) = &record.group {
                store.note_sound_group(group.numbers.digest())?;
            }
            store.put_negotiation(&record)?;
            store.put_prepared(&prepared)?;
            Ok((record, prepared))
        })?;
        self.known.forget(&id);
        self.records.insert(id, record);
        self.preparations.add(prepared.clone());
        Ok(prepared)
    }

    /// As long as the configuration says, and not so long that the peer could not answer any more.
    fn waits_until(&self, plan: &Plan) -> Height {
        let until = self.history.tip().plus(self.config.prepared_blocks);
        match &plan.locked {
            Some((_, timeout)) => until.min(timeout.minus(LEAST_TIMEOUT)),
            None => until,
        }
    }

    /// Takes a prepared offer back: its coin is free, its secret erased, and no transaction was ever signed.
    pub(super) fn give_up_prepared(&mut self, id: NegotiationId) -> Result<(), NodeError> {
        self.store.step(|store| {
            store.give_up_prepared(&id)?;
            store.erase_secret(&negotiation_secret_name(&id))
        })?;
        self.preparations.give_up(id);
        self.known.forget(&id);
        Ok(())
    }

    /// Takes back what waited too long, and what can no longer be.
    pub(super) fn give_up_overdue(&mut self) -> Result<(), NodeError> {
        let tip = self.history.tip();
        let over =
            |prepared: &&Prepared| prepared.until < tip || self.history.spender(&prepared.input0()).is_some();
        let over: Vec<NegotiationId> = self.preparations.open().filter(over).map(|it| it.id).collect();
        over.into_iter().try_for_each(|id| self.give_up_prepared(id))
    }
}
