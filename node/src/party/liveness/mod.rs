//! Liveness coins (PROTOCOL.md 9.4): created by answers, moved to the next epoch, spent to revoke.

mod moves;
mod revoke;
mod shown;
mod spend;

use std::collections::BTreeMap;

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use keyway_carriers::script::liveness::Liveness;
use keyway_carriers::script::liveness::lineage::{Coin, Lineage, Step, What};
use keyway_chain::{Depth, Height};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, Position};

pub use self::revoke::Revocation;
pub(super) use self::shown::SpentCoin;
use super::{Event, Party};
use crate::history::Block;
use crate::reading::{Reading, liveness};
use crate::store::{Purpose, Record, Sent};

/// A pair's liveness coin, as one of its epochs sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinView {
    /// Where it is, or was.
    pub outpoint: OutPoint,
    /// What it holds, or held.
    pub amount: Amount,
    /// The epoch that it names.
    pub names: NegotiationId,
    /// The block of the answer that created it, or what it was moved from.
    pub since: Option<Block>,
    /// Whether the key lives.
    pub life: Life,
}

/// Whether a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The coin is unspent.
    Alive,
    /// An unmined transaction moves it.
    Moving(Txid),
    /// An unmined transaction revokes the key.
    Ending(Txid),
    /// A mined one does.
    Spent {
        /// The transaction.
        txid: Txid,
        /// Its block.
        block: Option<Block>,
        /// How deep it is.
        has: Depth,
        /// How deep it must be.
        wants: Depth,
        /// Whether this party signed it; unknown where the signature does not tell.
        by_us: Option<bool>,
    },
}

type Readings = [(NegotiationId, Reading)];

/// What became of the coins of each peer that ever had one.
pub(super) type Lineages = BTreeMap<PartyKey, Lineage>;

impl Party {
    /// As the best chain tells it; what is not mined changes nothing.
    pub(super) fn lineages(&self, readings: &Readings) -> Lineages {
        let known = readings.iter().filter_map(|(id, reading)| Some((self.records.get(id)?, reading)));
        self.reader().lineages(known)
    }

    /// Notes which negotiations are revoked; the readings must be all of the peers that they are with.
    pub(super) fn mark_revoked(&self, readings: &mut Readings) {
        let lineages = self.lineages(readings);
        if lineages.is_empty() {
            return;
        }
        for (id, reading) in readings {
            let lineage = self.records.get(id).and_then(|record| lineages.get(&record.peer));
            if let (Some(lineage), Anchor::Answered(at)) = (lineage, reading.facts.anchor) {
                reading.facts.revoked = lineage.revocation(at).map(|step| step.at.height);
            }
        }
    }

    /// The coin that the answer of this negotiation creates, if the policy and the pair want one.
    pub(super) fn coin_of_answer(&self, record: &Record, readings: &Readings) -> Option<TxOut> {
        if !self.config.policy.liveness {
            return None;
        }
        let with_peer = readings.iter().filter_map(|(id, reading)| {
            Some((self.records.get(id).filter(|other| other.peer == record.peer)?, reading))
        });
        let lineages = self.reader().lineages(with_peer);
        let is_live = lineages.values().any(|lineage| !lineage.live().is_empty());
        let creates = |sent: &Sent| {
            let Purpose::Answer(id) = sent.purpose else { return false };
            let other = self.records.get(&id).filter(|it| it.peer == record.peer && it.id != record.id);
            other.is_some_and(|it| liveness::names(self.key(), it).find(&sent.tx).is_some())
        };
        let wanted = !is_live && !self.history.unmined_sent().any(creates);
        wanted.then(|| liveness::names(self.key(), record).output(&self.config.chain))
    }

    /// The coin of a pair as one of its negotiations sees it.
    pub(super) fn coin_view(&self, lineage: Option<&Lineage>, reading: &Reading) -> Option<CoinView> {
        let (lineage, answered) = (lineage?, reading.answer.as_ref()?.at?);
        let (coin, life) = match lineage.revocation(answered) {
            Some(step) => self.spent(step)?,
            None => {
                let coin = lineage.live().last()?;
                (coin, self.life_of(coin, lineage))
            }
        };
        let since = created(lineage, coin).and_then(|at| self.history.block(at.height));
        let Coin { outpoint, amount, names, .. } = *coin;
        Some(CoinView { outpoint, amount, names: names.negotiation, since, life })
    }

    fn spent<'a>(&self, step: &'a Step) -> Option<(&'a Coin, Life)> {
        let What::Revoked { coin, by } = &step.what else { return None };
        let has = step.at.height.depth_under(self.history.tip());
        let (block, wants) = (self.history.block(step.at.height), self.config.policy.key_depth);
        let by_us = by.map(|key| key == self.key());
        Some((coin, Life::Spent { txid: step.txid, block, has, wants, by_us }))
    }

    fn life_of(&self, coin: &Coin, lineage: &Lineage) -> Life {
        let Some(tx) = self.history.unmined_spender(&coin.outpoint) else { return Life::Alive };
        let txid = tx.compute_txid();
        if self.is_move(tx, coin, lineage) { Life::Moving(txid) } else { Life::Ending(txid) }
    }

    /// Whether an unmined transaction would move a coin, were it mined next.
    fn is_move(&self, tx: &Transaction, coin: &Coin, lineage: &Lineage) -> bool {
        let spends = |it: &Coin| tx.input.iter().any(|input| input.previous_output == it.outpoint);
        let alone = lineage.live().iter().filter(|it| spends(it)).count() == 1;
        let first = tx.input.first().map(|input| input.previous_output) == Some(coin.outpoint);
        let (Some(output), Some(peer)) = (tx.output.first(), self.other_of(&coin.names)) else {
            return false;
        };
        let names =
            self.records.values().filter(|record| record.peer == peer).find(|record| {
                liveness::names(self.key(), record).script().to_p2wsh() == output.script_pubkey
            });
        let other = names.filter(|record| record.id != coin.names.negotiation);
        first && alone && other.is_some_and(|record| self.answered_at(&record.id).is_some())
    }

    fn other_of(&self, names: &Liveness) -> Option<PartyKey> {
        [names.initiator, names.responder].into_iter().find(|key| *key != self.key())
    }

    fn answered_at(&self, id: &NegotiationId) -> Option<Position> {
        let reading = self.reading(self.records.get(id)?).ok()??;
        match reading.facts.anchor {
            Anchor::Answered(at) => Some(at),
            _ => None,
        }
    }

    /// Whether a revocation of the pair's keys is mined, or on its way: then nobody asked for another key.
    pub(super) fn is_ending(&self, lineage: Option<&Lineage>, reading: &Reading) -> bool {
        let life = self.coin_view(lineage, reading);
        life.is_some_and(|view| matches!(view.life, Life::Ending(_) | Life::Spent { .. }))
    }

    /// Tells of the revocations in the blocks above `before`.
    pub(super) fn tell_revocations(&self, before: Height, lineages: &Lineages, events: &mut Vec<Event>) {
        for lineage in lineages.values() {
            for step in lineage.steps().iter().filter(|step| step.at.height > before) {
                if let What::Revoked { coin, .. } = &step.what {
                    events.push(Event::RevocationSeen { id: coin.names.negotiation, txid: step.txid });
                }
            }
        }
    }
}

/// A coin and those that it was moved from.
fn ancestors(lineage: &Lineage, coin: &Coin) -> Vec<Coin> {
    let mut found = vec![*coin];
    for step in lineage.steps().iter().rev() {
        if let What::Moved { from, to } = &step.what
            && found.last() == Some(to)
        {
            found.push(*from);
        }
    }
    found
}

/// Where the first of these was created.
fn created(lineage: &Lineage, coin: &Coin) -> Option<Position> {
    let first = *ancestors(lineage, coin).last()?;
    let creates = |step: &&Step| step.what == What::Created(first);
    lineage.steps().iter().find(creates).map(|step| step.at)
}
