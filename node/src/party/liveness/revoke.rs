//! Spending a liveness coin to revoke the keys that live by it.

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, Transaction, TxIn, Txid};
use keyway_carriers::script::liveness::lineage::{Coin, Lineage};
use keyway_carriers::script::liveness::spending_weight;
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::Depth;
use keyway_ledger::Ledger;
use keyway_protocol::negotiation::NegotiationId;

use super::spend::Spend;
use super::{Life, Lineages, ancestors};
use crate::error::{FundsError, NodeError, PeerError, SessionError};
use crate::party::{Event, Party, total};
use crate::store::{Purpose, Sent};
use crate::wallet::Draft;

/// What became of a wish to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The coin is spent already.
    Mined {
        /// By this transaction.
        txid: Txid,
        /// How deep it is.
        has: Depth,
        /// How deep it must be.
        wants: Depth,
    },
    /// The spending is on its way.
    Sent {
        /// The transaction.
        txid: Txid,
        /// What it pays to miners.
        fee: Amount,
    },
    /// It is stored, and sent again and again until it is mined; if the coin is moved before, the moved one is spent.
    Waits {
        /// The transaction.
        txid: Txid,
        /// What it pays to miners.
        fee: Amount,
        /// Why the ledger does not take it now.
        why: String,
    },
}

impl Party {
    /// Revokes the keys with the peer of a negotiation, by spending the pair's coin. Once more does no harm: the spending is
    /// sent again.
    ///
    /// # Errors
    /// [`PeerError::NoLivenessCoin`] if the pair has none; [`FundsError::TooLittle`] if neither the coin nor the wallet can
    /// pay the fee. If the ledger cannot be reached, the spending is kept, and sent by the next [`Party::sync`].
    pub fn revoke(&mut self, ledger: &dyn Ledger, id: NegotiationId) -> Result<Revocation, NodeError> {
        self.in_step(|party| party.make_revocation(ledger, id))
    }

    fn make_revocation(&mut self, ledger: &dyn Ledger, id: NegotiationId) -> Result<Revocation, NodeError> {
        self.check_chain(ledger)?;
        let record = self.records.get(&id).ok_or(SessionError::NotForUs(id))?;
        let (peer, name) = (record.peer, self.peer_name(record));
        let readings = self.readings_with(peer)?;
        let lineage = self.lineages(&readings).remove(&peer).unwrap_or_default();
        let answered =
            readings.iter().find(|(other, _)| *other == id).and_then(|(_, it)| it.answer.as_ref()?.at);
        let spent = answered.and_then(|at| lineage.revocation(at)).and_then(|step| self.spent(step));
        if let Some((_, Life::Spent { txid, has, wants, .. })) = spent {
            return Ok(Revocation::Mined { txid, has, wants });
        }
        let coin = lineage.live().last().ok_or(PeerError::NoLivenessCoin(name))?;
        let spends = |sent: &&Sent| is_revoking(sent, coin);
        let kept = self.history.unmined_sent().rev().find(spends).cloned();
        let sent = match kept {
            Some(sent) => sent,
            None => self.store_revocation(ledger, coin)?,
        };
        self.send_revocation(ledger, sent)
    }

    fn store_revocation(&mut self, ledger: &dyn Ledger, coin: &Coin) -> Result<Sent, NodeError> {
        let draft = self.revoking(ledger, coin)?;
        self.store_wanted(draft, Purpose::Revoke(coin.names.negotiation))
    }

    /// The spending that revokes, paying more than what unmined transaction it replaces.
    fn revoking(&self, ledger: &dyn Ledger, coin: &Coin) -> Result<Draft, NodeError> {
        let feerate = self.feerate(ledger)?;
        let rival = self.history.unmined_spender(&coin.outpoint);
        let replaced = rival.map(|tx| self.rival_fee(ledger, tx, coin)).transpose()?.flatten();
        let own = self.fee_coins()?;
        let replaced = replaced.unwrap_or(Amount::ZERO);
        let spend = |feerate, replaced| Spend { coin, first: None, feerate, replaced, at: LockTime::ZERO };
        // Better late than never: what it holds beyond dust is the least that the coin alone can give.
        let low = self.config.chain.min_relay();
        self.spending(&spend(feerate, replaced), &own)
            .or_else(|| self.spending(&spend(low, Amount::ZERO), &own))
            .ok_or_else(|| {
                NodeError::Funds(FundsError::TooLittle {
                    needed: low.fee_wu(p2wpkh_weight(1, 1) + spending_weight()).unwrap_or(Amount::MAX),
                    available: total(own.iter().map(|coin| coin.amount)),
                    address: self.address(),
                })
            })
    }

    /// What an unmined transaction pays to miners, where all its coins are known.
    fn rival_fee(
        &self,
        ledger: &dyn Ledger,
        tx: &Transaction,
        coin: &Coin,
    ) -> Result<Option<Amount>, NodeError> {
        if let Some(sent) = self.history.sent_as(&tx.compute_txid()) {
            return Ok(Some(sent.fee));
        }
        let mut spent = Amount::ZERO;
        for TxIn { previous_output, .. } in &tx.input {
            let known = if *previous_output == coin.outpoint { Some(coin.amount) } else { None };
            let seen = || {
                let output = usize::try_from(previous_output.vout).ok()?;
                Some(self.transaction(&previous_output.txid)?.output.get(output)?.value)
            };
            let amount = match known.or_else(seen) {
                Some(amount) => amount,
                None => match ledger.coin(previous_output)? {
                    Some(coin) => coin.output.value,
                    None => return Ok(None),
                },
            };
            spent = spent.checked_add(amount).unwrap_or(Amount::MAX);
        }
        Ok(spent.checked_sub(total(tx.output.iter().map(|output| output.value))))
    }

    fn send_revocation(&mut self, ledger: &dyn Ledger, sent: Sent) -> Result<Revocation, NodeError> {
        let (txid, fee) = (sent.txid, sent.fee);
        if ledger.unmined(&txid)?.is_some() {
            return Ok(Revocation::Sent { txid, fee });
        }
        Ok(match self.dispatch_wanted(ledger, &sent)? {
            Some(why) => Revocation::Waits { txid, fee, why },
            None => Revocation::Sent { txid, fee },
        })
    }

    /// Where a coin was moved before this party's revocation of it was mined, the moved one is spent instead.
    pub(in crate::party) fn revoke_moved(
        &mut self,
        ledger: &dyn Ledger,
        lineages: &Lineages,
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        if !self.history.sent().any(|sent| matches!(sent.purpose, Purpose::Revoke(_))) {
            return Ok(());
        }
        for lineage in lineages.values() {
            for coin in lineage.live() {
                let is_asked = self.history.unmined_sent().any(|sent| is_revoking(sent, coin));
                if is_asked || !self.wants_revoked(coin, lineage) {
                    continue;
                }
                let id = coin.names.negotiation;
                let sent = match self.store_revocation(ledger, coin) {
                    Ok(sent) => sent,
                    // A later round tries again.
                    Err(NodeError::Funds(FundsError::TooLittle { .. })) => continue,
                    Err(error) => return Err(error),
                };
                if let Revocation::Sent { txid, .. } = self.send_revocation(ledger, sent)? {
                    events.push(Event::RevocationSent { id, txid });
                }
            }
        }
        Ok(())
    }

    /// Whether this party has made a revocation of a coin, or of what it was moved from.
    pub(super) fn wants_revoked(&self, coin: &Coin, lineage: &Lineage) -> bool {
        let before = ancestors(lineage, coin);
        self.history.sent().any(|sent| before.iter().any(|coin| is_revoking(sent, coin)))
    }
}

fn is_revoking(sent: &Sent, coin: &Coin) -> bool {
    let spends = |input: &TxIn| input.previous_output == coin.outpoint;
    matches!(sent.purpose, Purpose::Revoke(_)) && sent.tx.input.first().is_some_and(spends)
}
