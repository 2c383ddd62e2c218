//! Liveness coins (PROTOCOL.md 9.4): created by answers, moved to the next epoch, spent to revoke.

use std::collections::BTreeMap;

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid, Weight};
use keyway_carriers::script::liveness::lineage::{Coin, Lineage, Step, What};
use keyway_carriers::script::liveness::{Liveness, output_weight, spending_weight};
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::{Depth, Height};
use keyway_ledger::{BroadcastError, Ledger};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Anchor, Position, State};

use super::lockup::unsigned;
use super::{Event, Party, total};
use crate::error::NodeError;
use crate::history::Block;
use crate::reading::{Reading, liveness};
use crate::store::{Purpose, Record, Sent};
use crate::wallet::{self, Coin as Own, Draft};

/// Blocks above the policy's depth in which the initiator leaves the move to the responder: as long as that takes to send it
/// and to raise its fee once, in the usual configuration, and to be mined.
const RESPONDERS_TURN: u32 = 6;

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

type Readings = [(NegotiationId, Reading)];

impl Party {
    /// What became of the coins of each peer that ever had one.
    pub(super) fn lineages(&self, readings: &Readings) -> BTreeMap<PartyKey, Lineage> {
        let known = readings.iter().filter_map(|(id, reading)| Some((self.records.get(id)?, reading)));
        liveness::lineages(self.key(), &self.history, known)
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
        let lineages = liveness::lineages(self.key(), &self.history, with_peer);
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
        let answered = |id: &NegotiationId| self.answered_at(id);
        let later = names.and_then(|record| answered(&record.id)).zip(answered(&coin.names.negotiation));
        first && alone && later.is_some_and(|(target, from)| target > from)
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
    pub(super) fn is_ending(&self, record: &Record, readings: &Readings) -> bool {
        let reading = readings.iter().find(|(id, _)| *id == record.id).map(|(_, reading)| reading);
        let lineages = self.lineages(readings);
        let life = reading.and_then(|reading| self.coin_view(lineages.get(&record.peer), reading));
        life.is_some_and(|view| matches!(view.life, Life::Ending(_) | Life::Spent { .. }))
    }

    /// Tells of the revocations in the blocks above `before`.
    pub(super) fn tell_revocations(&self, before: Height, readings: &Readings, events: &mut Vec<Event>) {
        for lineage in self.lineages(readings).into_values() {
            for step in lineage.steps().iter().filter(|step| step.at.height > before) {
                if let What::Revoked { coin, .. } = &step.what {
                    events.push(Event::RevocationSeen { id: coin.names.negotiation, txid: step.txid });
                }
            }
        }
    }

    /// Moves the coins of pairs whose newest epoch is deep enough, if this home does such things and it is its turn.
    pub(super) fn move_coins(
        &mut self,
        ledger: &dyn Ledger,
        readings: &Readings,
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        if !self.config.policy.liveness {
            return Ok(());
        }
        let lineages = self.lineages(readings);
        if lineages.is_empty() {
            return Ok(());
        }
        let newest = self.newest_epochs(readings);
        for (peer, lineage) in lineages {
            let Some((names, at, answer)) = newest.get(&peer).copied() else { continue };
            if !self.peer_by_key(peer).is_some_and(|card| self.standing(card).deals()) {
                continue;
            }
            // What names a later epoch, one not active yet, is not moved back.
            for coin in lineage.live().iter().filter(|coin| coin.answered() < at) {
                if self.history.unmined_spender(&coin.outpoint).is_some()
                    || self.wants_revoked(coin, &lineage)
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
        Ok(self.spending(coin, Some(new), &own, (feerate, Amount::ZERO), at))
    }

    /// Confirmed coins of the wallet, the smallest first.
    fn fee_coins(&self) -> Result<Vec<Own>, NodeError> {
        let mut coins = self.wallet()?.coins();
        coins.retain(|coin| coin.confirmed);
        coins.reverse();
        Ok(coins)
    }

    /// Spends a liveness coin, and as few of one's own as the fee takes: the first that suffices, else more from the last on.
    fn spending(
        &self,
        coin: &Coin,
        first: Option<TxOut>,
        own: &[Own],
        (feerate, least): (FeeRate, Amount),
        at: LockTime,
    ) -> Option<Draft> {
        let one = own.iter().map(|coin| vec![*coin]);
        let more = (2..=own.len()).map(|count| own.iter().rev().take(count).copied().collect::<Vec<Own>>());
        let none = first.is_none().then(Vec::new);
        let mut chosen = none.into_iter().chain(one).chain(more);
        chosen.find_map(|own| self.spending_with(coin, first.clone(), &own, (feerate, least), at))
    }

    fn spending_with(
        &self,
        coin: &Coin,
        first: Option<TxOut>,
        own: &[Own],
        (feerate, least): (FeeRate, Amount),
        at: LockTime,
    ) -> Option<Draft> {
        let beside = first.as_ref().map_or(Weight::ZERO, |_| output_weight());
        let weight = p2wpkh_weight(own.len(), 1) + spending_weight() + beside;
        // A signature may be shorter than reckoned; a little more than the relay costs hides that.
        let relay = self.config.chain.min_relay().fee_wu(weight)?.checked_mul(21)? / 20;
        let replaces = if least > Amount::ZERO { least.checked_add(relay)? } else { Amount::ZERO };
        let fee = feerate.fee_wu(weight)?.max(relay).max(replaces);
        let held = total(own.iter().map(|coin| coin.amount)).checked_add(coin.amount)?;
        let rest = held.checked_sub(first.as_ref().map_or(Amount::ZERO, |it| it.value))?.checked_sub(fee)?;
        if rest < self.config.chain.dust_p2wpkh() {
            return None;
        }
        let change = TxOut { value: rest, script_pubkey: self.key().script() };
        let inputs: Vec<OutPoint> =
            std::iter::once(coin.outpoint).chain(own.iter().map(|coin| coin.outpoint)).collect();
        let script = coin.names.script();
        let spent = TxOut { value: coin.amount, script_pubkey: script.to_p2wsh() };
        let own = own.iter().map(|coin| TxOut { value: coin.amount, script_pubkey: self.key().script() });
        let coins = std::iter::once(spent).chain(own).collect();
        let tx = unsigned(&inputs, first.into_iter().chain([change]).collect(), at);
        Some(Draft { tx, coins, envelope: Some(script) })
    }

    /// Revokes the keys with the peer of a negotiation, by spending the pair's coin. Once more does no harm: the spending is
    /// sent again.
    ///
    /// # Errors
    /// [`NodeError::NoLivenessCoin`] if the pair has none; [`NodeError::Funds`] if neither the coin nor the wallet can pay the
    /// fee. If the ledger cannot be reached, the spending is kept, and sent by the next [`Party::sync`].
    pub fn revoke(&mut self, ledger: &dyn Ledger, id: NegotiationId) -> Result<Revocation, NodeError> {
        self.in_step(|party| party.make_revocation(ledger, id))
    }

    fn make_revocation(&mut self, ledger: &dyn Ledger, id: NegotiationId) -> Result<Revocation, NodeError> {
        self.check_chain(ledger)?;
        let record = self.records.get(&id).ok_or(NodeError::NotForUs(id))?;
        let (peer, name) = (record.peer, self.peer_name(record));
        let readings = self.readings_with(peer)?;
        let lineage = self.lineages(&readings).remove(&peer).unwrap_or_default();
        let answered =
            readings.iter().find(|(other, _)| *other == id).and_then(|(_, it)| it.answer.as_ref()?.at);
        let spent = answered.and_then(|at| lineage.revocation(at)).and_then(|step| self.spent(step));
        if let Some((_, Life::Spent { txid, has, wants, .. })) = spent {
            return Ok(Revocation::Mined { txid, has, wants });
        }
        let coin = lineage.live().last().ok_or(NodeError::NoLivenessCoin(name))?;
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
        let fee = draft.fee();
        let tx = wallet::sign(draft, &self.identity)?;
        let purpose = Purpose::Revoke(coin.names.negotiation);
        let sent = self.store.step(|store| store.add_sent(&tx, purpose, fee))?;
        self.history.add_sent(sent.clone());
        Ok(sent)
    }

    /// The spending that revokes, paying more than what unmined transaction it replaces.
    fn revoking(&self, ledger: &dyn Ledger, coin: &Coin) -> Result<Draft, NodeError> {
        let feerate = self.feerate(ledger)?;
        let rival = self.history.unmined_spender(&coin.outpoint);
        let replaced = rival.map(|tx| self.rival_fee(ledger, tx, coin)).transpose()?.flatten();
        let own = self.fee_coins()?;
        let (feerate, least) = (feerate, replaced.unwrap_or(Amount::ZERO));
        // Better late than never: what it holds beyond dust is the least that the coin alone can give.
        let low = self.config.chain.min_relay();
        self.spending(coin, None, &own, (feerate, least), LockTime::ZERO)
            .or_else(|| self.spending(coin, None, &own, (low, Amount::ZERO), LockTime::ZERO))
            .ok_or_else(|| NodeError::Funds {
                needed: low.fee_wu(p2wpkh_weight(1, 1) + spending_weight()).unwrap_or(Amount::MAX),
                available: total(own.iter().map(|coin| coin.amount)),
                address: self.address(),
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
        let outcome = self.dispatch(ledger, &sent);
        if let Err(NodeError::Broadcast { source: BroadcastError::Refused(refusal), .. }) = outcome {
            self.history.set_hopeless(txid, true);
            return Ok(Revocation::Waits { txid, fee, why: refusal.reason });
        }
        self.history.set_hopeless(txid, false);
        outcome.map(|()| Revocation::Sent { txid, fee })
    }

    /// Where a coin was moved before this party's revocation of it was mined, the moved one is spent instead.
    pub(super) fn revoke_moved(
        &mut self,
        ledger: &dyn Ledger,
        readings: &Readings,
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        if !self.history.sent().any(|sent| matches!(sent.purpose, Purpose::Revoke(_))) {
            return Ok(());
        }
        for lineage in self.lineages(readings).into_values() {
            for coin in lineage.live() {
                let is_asked = self.history.unmined_sent().any(|sent| is_revoking(sent, coin));
                if is_asked || !self.wants_revoked(coin, &lineage) {
                    continue;
                }
                let id = coin.names.negotiation;
                let sent = match self.store_revocation(ledger, coin) {
                    Ok(sent) => sent,
                    // A later round tries again.
                    Err(NodeError::Funds { .. }) => continue,
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
    fn wants_revoked(&self, coin: &Coin, lineage: &Lineage) -> bool {
        let before = ancestors(lineage, coin);
        self.history.sent().any(|sent| before.iter().any(|coin| is_revoking(sent, coin)))
    }

    /// Whether a stored transaction may be sent: a move only while the epoch that it names is answered, for else it revokes.
    pub(super) fn may_go(&self, sent: &Sent) -> bool {
        match sent.purpose {
            Purpose::Move(id) => self.answered_at(&id).is_some(),
            _ => true,
        }
    }

    /// The liveness coin that an input spends, and its script.
    pub(super) fn liveness_coin(&self, input: &TxIn) -> Option<(TxOut, ScriptBuf)> {
        let script = ScriptBuf::from_bytes(input.witness.last()?.to_vec());
        Liveness::of_script(&script)?;
        let outpoint = input.previous_output;
        let output = self.transaction(&outpoint.txid)?.output.get(usize::try_from(outpoint.vout).ok()?)?;
        (output.script_pubkey == script.to_p2wsh()).then(|| (output.clone(), script))
    }

    /// A revocation that pays more than one that waits, with coins of the wallet.
    pub(super) fn dearer_revocation(
        &self,
        sent: &Sent,
        feerate: FeeRate,
    ) -> Result<Option<Draft>, NodeError> {
        let (Purpose::Revoke(_), Some(input)) = (sent.purpose, sent.tx.input.first()) else {
            return Ok(None);
        };
        let Some((output, script)) = self.liveness_coin(input) else { return Ok(None) };
        let Some(names) = Liveness::of_script(&script) else { return Ok(None) };
        let coin = Coin::new(input.previous_output, output.value, names);
        Ok(self.spending(&coin, None, &self.fee_coins()?, (feerate, sent.fee), LockTime::ZERO))
    }
}

fn is_revoking(sent: &Sent, coin: &Coin) -> bool {
    let spends = |input: &TxIn| input.previous_output == coin.outpoint;
    matches!(sent.purpose, Purpose::Revoke(_)) && sent.tx.input.first().is_some_and(spends)
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
