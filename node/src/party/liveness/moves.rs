//! Moving a liveness coin to the pair's next epoch.

use std::collections::BTreeMap;

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, TxOut, Txid};
use keyway_carriers::script::liveness::Liveness;
use keyway_carriers::script::liveness::lineage::Coin;
use keyway_chain::Depth;
use keyway_ledger::Ledger;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Position, State};

use super::spend::Spend;
use super::{Lineages, Readings, ancestors};
use crate::error::NodeError;
use crate::party::{Event, Party};
use crate::reading::{Reading, liveness};
use crate::store::{Purpose, Sent};
use crate::wallet::{self, Draft};

/// Blocks above the policy's depth in which the initiator leaves the move to the responder: as long as that takes to send it
/// and to raise its fee once, in the usual configuration, and to be mined.
const RESPONDERS_TURN: u32 = 6;

impl Party {
    /// Moves the coins of pairs whose newest epoch is deep enough, if this home does such things and it is its turn.
    pub(in crate::party) fn move_coins(
        &mut self,
        ledger: &dyn Ledger,
        (readings, lineages): (&Readings, &Lineages),
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        if !self.config.policy.liveness || lineages.is_empty() {
            return Ok(());
        }
        let newest = self.newest_epochs(readings);
        for (peer, lineage) in lineages {
            let Some((names, at, answer)) = newest.get(peer).copied() else { continue };
            if !self.peer_by_key(*peer).is_some_and(|card| self.standing(card).deals()) {
                continue;
            }
            // What names a later epoch, one not active yet, is not moved back.
            for coin in lineage.live().iter().filter(|coin| coin.answered() < at) {
                // Whoever moved it back from there shall not have it moved again and again.
                if ancestors(lineage, coin).iter().any(|before| before.names == names) {
                    continue;
                }
                if self.history.unmined_spender(&coin.outpoint).is_some() || self.wants_revoked(coin, lineage)
                {
                    continue;
                }
                let Some(draft) = self.moving(ledger, coin, &names, answer)? else { continue };
                let fee = draft.fee();
                let tx = wallet::sign(draft, &self.identity)?;
                let id = names.negotiation;
                let sent = self.store.step(|store| store.add_sent(&tx, Purpose::Move(id), fee))?;
                self.send_stored(ledger, sent, events, |txid| Event::CoinMoved { id, txid })?;
            }
        }
        Ok(())
    }

    /// The active epoch with each peer, if it is this party's turn to move a coin there, and its answer.
    fn newest_epochs(&self, readings: &Readings) -> BTreeMap<PartyKey, (Liveness, Position, Txid)> {
        let depth = self.config.policy.key_depth.to_u32();
        let epoch = |((id, reading), (_, state)): (&(NegotiationId, Reading), (NegotiationId, State))| {
            let record = self.records.get(id).filter(|_| state.seals())?;
            let answer = reading.answer.as_ref()?;
            let patience = match record.role {
                Role::Responder => 0,
                Role::Initiator => RESPONDERS_TURN,
            };
            let wants = Depth::new(depth.saturating_add(patience));
            let at = answer.at?;
            let due = at.height.depth_under(self.history.tip()) >= wants;
            due.then(|| (record.peer, (liveness::names(self.key(), record), at, answer.txid)))
        };
        readings.iter().zip(self.states(readings)).filter_map(epoch).collect()
    }

    fn moving(
        &self,
        ledger: &dyn Ledger,
        coin: &Coin,
        to: &Liveness,
        answer: Txid,
    ) -> Result<Option<Draft>, NodeError> {
        let feerate = self.feerate(ledger)?;
        let new = TxOut { value: coin.amount, script_pubkey: to.script().to_p2wsh() };
        let mut own = self.fee_coins()?;
        // What the answer itself paid comes first: then no reorganisation can put the move in front of it.
        own.sort_by_key(|it| it.outpoint.txid != answer);
        let at = LockTime::from_height(self.history.tip().to_u32()).unwrap_or(LockTime::ZERO);
        let spend = Spend { coin, first: Some(new), feerate, replaced: Amount::ZERO, at };
        Ok(self.spending(&spend, &own))
    }

    /// Whether a stored transaction may be sent: a move only while the epoch that it names is answered, for else it revokes.
    pub(in crate::party) fn may_go(&self, sent: &Sent) -> bool {
        match sent.purpose {
            Purpose::Move(id) => self.answered_at(&id).is_some(),
            _ => true,
        }
    }
}
