//! Messages in envelopes (PROTOCOL.md 7.7): the commit that pays to one, and its way back where no message shows it.

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Transaction, TxOut, Weight};
use keyway_carriers::script::{self, envelope};
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::{Chain, Depth};
use keyway_ledger::{Ledger, Refusal};
use keyway_protocol::identity::IdentitySecret;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, WINDOW};
use keyway_protocol::state::{Anchor, State};

use super::lockup::unsigned;
use super::offer::{forget_offer, impossible};
use super::sync::forget_sent;
use super::{Event, Party};
use crate::error::NodeError;
use crate::history::{History, Mined};
use crate::reading::Reading;
use crate::store::{Envelope, Purpose, Sent, Store};
use crate::wallet::{self, Draft, Order, Wallet};

/// Blocks above a commit after which the reveal is not waited for that spends a coin the chain does not have.
const DEEP: Depth = Depth::new(6);

/// Weight of a commit that spends one coin and gives no change.
pub(super) fn commit_weight() -> Weight {
    p2wpkh_weight(1, 0) + envelope::committing_weight()
}

/// Weight of a commit that gives change.
pub(super) fn own_commit_weight() -> Weight {
    p2wpkh_weight(1, 1) + envelope::committing_weight()
}

/// What an offer in an envelope gives its responder for the commit of the answer.
pub(super) fn fund_amount(chain: &Chain, feerate: FeeRate) -> Amount {
    let fee = feerate.fee_wu(commit_weight()).unwrap_or(Amount::MAX);
    envelope::amount(chain).checked_add(fee).unwrap_or(Amount::MAX)
}

/// Who commits, to what.
pub(super) struct Commit<'a> {
    pub(super) chain: &'a Chain,
    pub(super) identity: &'a IdentitySecret,
    pub(super) id: NegotiationId,
    pub(super) feerate: FeeRate,
    /// Its nLockTime, and that of the transaction that shows the envelope.
    pub(super) lock_time: LockTime,
    /// The coin that the other transaction's input 0 spends.
    pub(super) input0: OutPoint,
    /// A coin that was given for this; else the wallet's pay.
    pub(super) fund: Option<(OutPoint, TxOut)>,
    pub(super) address: &'a str,
}

/// A commit, signed and taken into account by the wallet that made it.
pub(super) struct Committed {
    pub(super) envelope: Envelope,
    tx: Transaction,
    fee: Amount,
}

impl Commit<'_> {
    pub(super) fn make(&self, wallet: &mut Wallet, message: &[u8]) -> Result<Committed, NodeError> {
        let script = envelope::write(self.identity.party(), message).map_err(impossible)?;
        let draft = match self.by_fund(&script) {
            Some(draft) => draft,
            None => self.by_wallet(wallet, &script)?,
        };
        let fee = draft.fee();
        let tx = wallet::sign(draft, self.identity)?;
        wallet.note(&tx);
        let outpoint = OutPoint::new(tx.compute_txid(), 0);
        Ok(Committed { envelope: Envelope { id: self.id, outpoint, script }, tx, fee })
    }

    /// All that was given beyond the envelope's amount is the fee, if nodes relay for so little.
    fn by_fund(&self, script: &ScriptBuf) -> Option<Draft> {
        let (outpoint, coin) = self.fund.clone()?;
        let output = envelope::output(self.chain, script);
        let least = self.chain.min_relay().fee_wu(commit_weight())?;
        coin.value.checked_sub(output.value).filter(|fee| *fee >= least)?;
        let tx = unsigned(&[outpoint], vec![output], self.lock_time);
        Some(Draft { tx, coins: vec![coin], envelope: None })
    }

    fn by_wallet(&self, wallet: &mut Wallet, script: &ScriptBuf) -> Result<Draft, NodeError> {
        let order = Order {
            outputs: &[envelope::output(self.chain, script)],
            feerate: self.feerate,
            lock_time: Some(self.lock_time),
            envelope: None,
            address: self.address,
        };
        wallet.pay_without(self.input0, &order)
    }
}

impl Committed {
    /// Inside a step of the store.
    pub(super) fn store(&self, store: &Store) -> Result<Sent, NodeError> {
        store.put_envelope(&self.envelope)?;
        store.add_sent(&self.tx, Purpose::Commit(self.envelope.id), self.fee)
    }

    /// Whether it spends this coin.
    pub(super) fn spends(&self, outpoint: &OutPoint) -> bool {
        self.tx.input.iter().any(|input| input.previous_output == *outpoint)
    }
}

impl Party {
    /// Hands stored transactions to the ledger, each only if it took those before. Says how many it took.
    pub(super) fn dispatch_all(&self, ledger: &dyn Ledger, sent: &[Sent]) -> (usize, Result<(), NodeError>) {
        for (taken, sent) in sent.iter().enumerate() {
            if let Err(error) = self.dispatch(ledger, sent) {
                return (taken, Err(error));
            }
        }
        (sent.len(), Ok(()))
    }

    /// Forgets stored transactions of which the ledger refused the first; inside a step of the store.
    pub(super) fn forget_refused(
        store: &Store,
        history: &History,
        refused: &[Sent],
    ) -> Result<(), NodeError> {
        for sent in refused {
            forget_sent(store, history, &sent.txid)?;
            if matches!(sent.purpose, Purpose::Commit(_)) {
                store.remove_envelope(&sent.txid)?;
            }
        }
        Ok(())
    }

    /// The envelopes that an answer was to ride in already and still can, with their commits' nLockTimes.
    pub(super) fn kept_envelopes(&self, id: &NegotiationId) -> Result<Vec<(Envelope, LockTime)>, NodeError> {
        let of_this =
            |envelope: &Envelope| envelope.id == *id && self.history.spender(&envelope.outpoint).is_none();
        let found = self.store.envelopes()?.into_iter().filter(of_this);
        Ok(found
            .filter_map(|envelope| {
                let lock_time = self.living(&envelope.outpoint)?.lock_time;
                Some((envelope, lock_time))
            })
            .collect())
    }

    /// The transaction that made a coin of this party, if it is mined or may be.
    fn living(&self, outpoint: &OutPoint) -> Option<&Transaction> {
        let mined = self.history.mined(&outpoint.txid).map(|mined| mined.tx.as_ref());
        let unmined = || self.history.hopeful_sent().find(|sent| sent.txid == outpoint.txid);
        mined.or_else(|| unmined().map(|sent| sent.tx.as_ref()))
    }

    /// Takes back every mined envelope that no message will show, and forgets those that are long spent.
    pub(super) fn tend_envelopes(
        &mut self,
        ledger: &dyn Ledger,
        readings: &[(NegotiationId, Reading)],
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        let long_ago = self.history.tip().minus(WINDOW - 1);
        for envelope in self.store.envelopes()? {
            let spent = self.history.spender(&envelope.outpoint).map(|mined| mined.at.height);
            if spent.is_some_and(|height| height < long_ago) {
                self.store.step(|store| store.remove_envelope(&envelope.outpoint.txid))?;
            } else if self.is_stranded(&envelope, readings) {
                self.take_envelope_back(ledger, &envelope, events)?;
            }
        }
        Ok(())
    }

    fn is_stranded(&self, envelope: &Envelope, readings: &[(NegotiationId, Reading)]) -> bool {
        let spends =
            |sent: &Sent| sent.tx.input.iter().any(|input| input.previous_output == envelope.outpoint);
        let to_come =
            readings.iter().any(|(id, reading)| *id == envelope.id && self.may_still_answer(id, reading));
        // What rests on a coin that the chain does not have may be mined yet, while reorganisations are young.
        let is_deep = |mined: &Mined| mined.at.height.depth_under(self.history.tip()) >= DEEP;
        let mined = self.history.mined(&envelope.outpoint.txid);
        let waits = match mined.is_some_and(is_deep) {
            true => self.history.hopeful_sent().any(spends),
            false => self.history.unmined_sent().any(spends),
        };
        mined.is_some() && self.history.spender(&envelope.outpoint).is_none() && !waits && !to_come
    }

    fn may_still_answer(&self, id: &NegotiationId, reading: &Reading) -> bool {
        let is_responder = self.records.get(id).is_some_and(|record| record.role == Role::Responder);
        let (tip, depth) = (self.history.tip(), self.config.policy.key_depth);
        is_responder
            && reading.facts.anchor == Anchor::Unspent
            && reading.facts.state(tip, depth, None) == State::Offered
            && reading.offer.as_ref().is_some_and(|offer| self.check_time(offer).is_ok())
    }

    /// As soon as that is worth its fee.
    fn take_envelope_back(
        &mut self,
        ledger: &dyn Ledger,
        envelope: &Envelope,
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        let Some(draft) = self.return_of(envelope, self.feerate(ledger)?) else { return Ok(()) };
        let fee = draft.fee();
        let tx = wallet::sign(draft, &self.identity)?;
        let id = envelope.id;
        let sent = self.store.step(|store| store.add_sent(&tx, Purpose::TakeBack(id), fee))?;
        self.send_stored(ledger, sent, events, |txid| Event::EnvelopeReturned { id, txid })
    }

    fn return_of(&self, envelope: &Envelope, feerate: FeeRate) -> Option<Draft> {
        let chain = &self.config.chain;
        let (_, message) = envelope::open(&envelope.script)?;
        let weight = p2wpkh_weight(0, 1) + envelope::revealing_weight(message.len());
        let coin = envelope::output(chain, &envelope.script);
        let value = coin.value.checked_sub(feerate.fee_wu(weight)?)?;
        let output = TxOut { value, script_pubkey: self.key().script() };
        let tx = unsigned(&[envelope.outpoint], vec![output], LockTime::ZERO);
        let draft = Draft { tx, coins: vec![coin], envelope: Some(envelope.script.clone()) };
        (value >= chain.dust_p2wpkh()).then_some(draft)
    }

    /// Whether a stored transaction is an offer, commits to one, or takes one back.
    pub(super) fn is_for_an_offer(&self, sent: &Sent) -> bool {
        match sent.purpose {
            Purpose::Offer(_) | Purpose::Cancel(_) => true,
            Purpose::Commit(id) => self.records.get(&id).is_some_and(|it| it.role == Role::Initiator),
            _ => false,
        }
    }

    /// Forgets a message that the ledger will never take, so that its envelope is taken back. `false` if it may be
    /// taken yet, or rides in none.
    pub(super) fn gave_up(&mut self, sent: &Sent, refusal: &Refusal) -> Result<bool, NodeError> {
        let in_envelope = script::envelopes(&sent.tx).next().is_some();
        let (true, false, Some(id)) =
            (in_envelope, refusal.kind().may_pass_later(), sent.purpose.negotiation())
        else {
            return Ok(false);
        };
        let refused = std::slice::from_ref(sent);
        match sent.purpose {
            Purpose::Offer(_) => {
                self.store.step(|store| forget_offer(store, &self.history, &id, refused))?;
                self.known.forget(&id);
                self.records.remove(&id);
            }
            _ => self.store.step(|store| Self::forget_refused(store, &self.history, refused))?,
        }
        self.history.remove_sent(&sent.txid);
        Ok(true)
    }
}
