//! A payment that the responder collects by publishing t, and that goes back after a timeout: by a hash of t on any chain
//! (PROTOCOL.md 7.5), by a power of share A where OP_EXPONENT is enforced (7.6).

mod exponent;
mod hash;

use bitcoin::absolute::LockTime;
use bitcoin::taproot::LeafVersion;
use bitcoin::{Amount, Script, ScriptBuf, Transaction, TxIn, TxOut, Weight, Witness};
use keyway_chain::Height;
use keyway_protocol::identity::{IdentitySecret, PartyKey};
use keyway_protocol::prekey::Condition;
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::Suite;
use thiserror::Error;

/// Outpoint, empty scriptSig, sequence number.
const INPUT: u64 = 4 * (36 + 1 + 4);

/// Whom a payment is locked to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    condition: Condition,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Hash(hash::HashLock),
    Exponent(exponent::ExponentLock),
}

/// No such lock can be made; the timeout is no height. The caller is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a payment cannot be locked until height {0}")]
pub struct ImpossibleTimeout(Height);

/// Who can open a lock, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Collects, with t.
    pub responder: PartyKey,
    /// Takes back.
    pub initiator: PartyKey,
    /// The height after which it can.
    pub timeout: Height,
}

/// An input that spends a lock, and what a signature covers beside its transaction.
#[derive(Clone, Copy, Debug)]
pub struct Spend<'a> {
    /// The transaction, complete but for witnesses.
    pub tx: &'a Transaction,
    /// Which of its inputs spends the lock.
    pub input: usize,
    /// What all its inputs spend, in their order.
    pub spent: &'a [TxOut],
}

/// How a lock was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// By the responder, with t.
    Collected([u8; 32]),
    /// By the initiator, after the timeout.
    Returned,
}

impl Lock {
    /// The lock that what meets `condition` opens.
    ///
    /// # Errors
    /// [`ImpossibleTimeout`].
    pub fn new(ends: &Ends, condition: Condition) -> Result<Self, ImpossibleTimeout> {
        let form = match &condition {
            Condition::Hash(hash) => hash::HashLock::new(ends, *hash).map(Form::Hash),
            Condition::Power(power) => exponent::ExponentLock::new(ends, power).map(Form::Exponent),
        };
        let is_height = LockTime::from_height(ends.timeout.to_u32()).is_ok();
        let form = form.filter(|_| is_height).ok_or(ImpossibleTimeout(ends.timeout))?;
        Ok(Self { condition, form })
    }

    /// The output that holds `amount` so.
    pub fn output(&self, amount: Amount) -> TxOut {
        let script_pubkey = match &self.form {
            Form::Hash(lock) => lock.script_pubkey(),
            Form::Exponent(lock) => lock.script_pubkey(),
        };
        TxOut { value: amount, script_pubkey }
    }

    /// The script that collecting runs.
    pub fn script(&self) -> &ScriptBuf {
        match &self.form {
            Form::Hash(lock) => lock.script(),
            Form::Exponent(lock) => lock.collecting_leaf(),
        }
    }

    /// The responder's witness; `None` if t is not the lock's, or the key not the responder's.
    pub fn collect(&self, spend: Spend<'_>, key: &IdentitySecret, t: &Secret) -> Option<Witness> {
        if !self.condition.is_met_by(t) {
            return None;
        }
        match &self.form {
            Form::Hash(lock) => lock.collect(spend, key, t),
            Form::Exponent(lock) => lock.collect(spend, key, t),
        }
    }

    /// The initiator's witness, by the transaction's nLockTime; `None` if that is too early, or the key another's.
    pub fn take_back(&self, spend: Spend<'_>, key: &IdentitySecret) -> Option<Witness> {
        match &self.form {
            Form::Hash(lock) => lock.take_back(spend, key),
            Form::Exponent(lock) => lock.take_back(spend, key),
        }
    }
}

/// Whether an output of that script may be a lock: whose, only those who know its secret can tell.
pub fn may_be(script: &Script) -> bool {
    script.is_p2wsh() || script.is_p2tr()
}

/// How the input that spends a lock opened it, by its witness alone; of a transaction in a block it is true.
pub fn opening(input: &TxIn) -> Opening {
    match input.witness.taproot_leaf_script() {
        Some(leaf) if leaf.version == LeafVersion::TapScript => {
            exponent::opening(&input.witness, leaf.script)
        }
        _ => hash::opening(&input.witness),
    }
}

/// Weight of an input that collects from an offer of that suite.
pub fn collecting_weight(suite: Suite) -> Weight {
    let witness = if suite.locks_by_exponent() { exponent::collecting(suite) } else { hash::COLLECTING };
    Weight::from_wu(INPUT + witness)
}

/// Weight of an input that takes back.
pub const fn returning_weight(suite: Suite) -> Weight {
    let witness = if suite.locks_by_exponent() { exponent::RETURNING } else { hash::RETURNING };
    Weight::from_wu(INPUT + witness)
}

/// Bytes that a lock of that suite is longer by than it says anything, to pay for OP_EXPONENT.
pub fn padding(suite: Suite) -> usize {
    if suite.locks_by_exponent() { exponent::padding(suite) } else { 0 }
}

#[cfg(test)]
mod tests;
