//! Raising the fees of one's own transactions that wait too long.

use std::collections::HashSet;

use bitcoin::{Amount, FeeRate, OutPoint, Transaction, TxIn, TxOut, Txid};
use keyway_ledger::{BroadcastError, Ledger};

use super::Party;
use super::sync::forget_sent;
use crate::error::NodeError;
use crate::store::{Purpose, Sent};
use crate::wallet::{self, Draft, PLAIN_SEQUENCE};

/// A step must be worth its trouble, and nodes want each version to pay for its own relay.
const STEP: (u64, u64) = (5, 4);
/// Virtual bytes of a transaction that spends one P2WPKH coin into another.
const CHILD_VBYTES: u64 = 110;

/// How a fee was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a version that pays more and takes the place of the first (BIP125).
    Replacement,
    /// By a child that pays for its parent too.
    Child,
}

/// A fee that was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The transaction that waited.
    pub waiting: Txid,
    /// What was sent for it.
    pub by: Txid,
    /// How.
    pub way: Way,
    /// What the two pay, or the new version pays, per virtual byte.
    pub feerate: FeeRate,
}

impl Party {
    /// The newest versions of this party's transactions that wait to be mined.
    pub fn waiting(&self) -> Vec<Txid> {
        self.newest_unmined().iter().map(|sent| sent.txid).collect()
    }

    /// Unmined ones without those that a later version replaces.
    pub(super) fn newest_unmined(&self) -> Vec<Sent> {
        let mut spent: HashSet<OutPoint> = HashSet::new();
        let mut newest = Vec::new();
        for sent in self.history.unmined_sent().rev() {
            let inputs = || sent.tx.input.iter().map(|input| input.previous_output);
            if !inputs().any(|outpoint| spent.contains(&outpoint)) {
                newest.push(sent.clone());
            }
            spent.extend(inputs());
        }
        newest.reverse();
        newest
    }

    /// Pays more for a transaction that waits, up to the configuration's ceiling: by a new version of it, or,
    /// where something of this party rests on it or nodes take no new version, by a child. `None` if it waits
    /// no longer, or pays all that may be paid.
    ///
    /// # Errors
    /// The ledger's and the store's.
    pub fn raise_fee(&mut self, ledger: &dyn Ledger, waiting: &Txid) -> Result<Option<Raised>, NodeError> {
        self.check_chain(ledger)?;
        let newest = self.newest_unmined();
        let Some(sent) = newest.iter().find(|sent| sent.txid == *waiting).cloned() else { return Ok(None) };
        let advised = self.feerate(ledger)?;
        let Some(feerate) = self.next_feerate(&sent, advised) else { return Ok(None) };
        let has_child = newest
            .iter()
            .any(|other| other.tx.input.iter().any(|input| input.previous_output.txid == sent.txid));
        if has_child {
            // Whatever rests on it is younger, and is raised for both.
            return Ok(None);
        }
        match self.replace(ledger, &sent, feerate)? {
            Some(by) => Ok(Some(Raised { waiting: *waiting, by, way: Way::Replacement, feerate })),
            None => {
                let by = self.bear(ledger, &sent, feerate)?;
                Ok(by.map(|by| Raised { waiting: *waiting, by, way: Way::Child, feerate }))
            }
        }
    }

    /// What the next version should pay, if that is more than now by a step.
    pub(super) fn next_feerate(&self, sent: &Sent, advised: FeeRate) -> Option<FeeRate> {
        let now = feerate_of(sent.fee, sent.tx.vsize() as u64);
        let step = FeeRate::from_sat_per_kwu(now.to_sat_per_kwu().saturating_mul(STEP.0) / STEP.1);
        // A new signature may be a byte longer: a little more than what the relay of the new version costs.
        let relay = self.config.chain.min_relay().to_sat_per_kwu() * 21 / 20;
        let least = FeeRate::from_sat_per_kwu(now.to_sat_per_kwu() + relay).max(step);
        let wanted = least.max(advised).min(self.config.fee_ceiling);
        (wanted >= least).then_some(wanted)
    }

    /// Sends a version that takes more from the change. `None` if there is not enough of it, if it spends what
    /// is not this party's alone to sign, or if nodes refuse new versions.
    fn replace(
        &mut self,
        ledger: &dyn Ledger,
        sent: &Sent,
        feerate: FeeRate,
    ) -> Result<Option<Txid>, NodeError> {
        let draft = match self.dearer(sent, feerate) {
            Some(draft) => draft,
            None => match self.dearer_revocation(sent, feerate)? {
                Some(draft) => draft,
                None => return Ok(None),
            },
        };
        self.send_new(ledger, draft, sent.purpose)
    }

    /// The same transaction with a higher fee, unsigned.
    fn dearer(&self, sent: &Sent, feerate: FeeRate) -> Option<Draft> {
        let liveness = sent.tx.input.first().and_then(|input| self.liveness_coin(input));
        let coin = |(index, input): (usize, &TxIn)| {
            let first = liveness.as_ref().filter(|_| index == 0).map(|(coin, _)| coin.clone());
            first.or_else(|| self.own_coin(&input.previous_output))
        };
        let coins: Option<Vec<TxOut>> = sent.tx.input.iter().enumerate().map(coin).collect();
        let fee = feerate.fee_wu(sent.tx.weight())?;
        let more = fee.checked_sub(sent.fee)?;
        let mut tx = Transaction::clone(&sent.tx);
        let change = tx.output.last_mut().filter(|output| output.script_pubkey == self.key().script())?;
        change.value =
            change.value.checked_sub(more).filter(|rest| *rest >= self.config.chain.dust_p2wpkh())?;
        tx.input.iter_mut().for_each(|input| input.witness.clear());
        Some(Draft { tx, coins: coins?, envelope: liveness.map(|(_, script)| script) })
    }

    /// Spends the change of a transaction so that both together pay enough. `None` if there is none, or too
    /// little of it.
    fn bear(
        &mut self,
        ledger: &dyn Ledger,
        sent: &Sent,
        feerate: FeeRate,
    ) -> Result<Option<Txid>, NodeError> {
        let Some(draft) = self.child(sent, feerate) else { return Ok(None) };
        self.send_new(ledger, draft, Purpose::Split)
    }

    fn child(&self, sent: &Sent, feerate: FeeRate) -> Option<Draft> {
        let script = self.key().script();
        let (vout, change) =
            (0u32..).zip(&sent.tx.output).filter(|(_, output)| output.script_pubkey == script).last()?;
        let both = child_fee(sent.tx.vsize() as u64, feerate)?;
        let least = self.config.chain.min_relay().fee_vb(CHILD_VBYTES)?;
        let fee = both.checked_sub(sent.fee).unwrap_or(Amount::ZERO).max(least);
        let rest = change.value.checked_sub(fee).filter(|rest| *rest >= self.config.chain.dust_p2wpkh())?;
        let input = TxIn {
            previous_output: OutPoint::new(sent.txid, vout),
            sequence: PLAIN_SEQUENCE,
            ..TxIn::default()
        };
        let tx = Transaction {
            version: bitcoin::transaction::Version::TWO,
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input: vec![input],
            output: vec![TxOut { value: rest, script_pubkey: script }],
        };
        Some(Draft { tx, coins: vec![change.clone()], envelope: None })
    }

    /// Whether another wallet signed for an offer, and no child could raise its fee.
    pub(super) fn is_stuck(&self, offer: &Txid) -> bool {
        let Some(sent) = self.history.sent_as(offer) else { return false };
        let mut inputs = sent.tx.input.iter();
        let Some(feerate) = self.next_feerate(sent, FeeRate::ZERO) else { return false };
        inputs.any(|input| self.own_coin(&input.previous_output).is_none())
            && self.child(sent, feerate).is_none()
    }

    /// Signs, stores and sends. `None`, and nothing kept, if the ledger refuses it.
    fn send_new(
        &mut self,
        ledger: &dyn Ledger,
        draft: Draft,
        purpose: Purpose,
    ) -> Result<Option<Txid>, NodeError> {
        let fee = draft.fee();
        let tx = wallet::sign(draft, &self.identity)?;
        let sent = self.store.step(|store| store.add_sent(&tx, purpose, fee))?;
        match self.dispatch(ledger, &sent) {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) => {
                self.store.step(|store| forget_sent(store, &self.history, &sent.txid))?;
                Ok(None)
            }
            outcome => {
                let txid = sent.txid;
                self.history.add_sent(sent);
                outcome.map(|()| Some(txid))
            }
        }
    }

    /// An output that this party alone can spend.
    pub(super) fn own_coin(&self, outpoint: &OutPoint) -> Option<TxOut> {
        let script = self.key().script();
        let output = self.transaction(&outpoint.txid)?.output.get(usize::try_from(outpoint.vout).ok()?)?;
        (output.script_pubkey == script).then(|| output.clone())
    }
}

/// What a transaction of that size and its child pay together at that feerate.
pub(super) fn child_fee(vbytes: u64, feerate: FeeRate) -> Option<Amount> {
    feerate.fee_vb(vbytes.checked_add(CHILD_VBYTES)?)
}

pub(super) fn feerate_of(fee: Amount, vbytes: u64) -> FeeRate {
    FeeRate::from_sat_per_kwu((fee.to_sat() * 250).div_ceil(vbytes.max(1)))
}
