//! The static and the dynamic carrier: messages beside the payment (PROTOCOL.md 7.4 to 7.6).
//!
//! - [`data`]: bytes in an output that nobody can spend;
//! - [`lock`]: the output that holds a payment until the offer is answered;
//! - [`read_offer`], [`read_answer`]: what a transaction carries in that way.

pub mod data;
pub mod lock;

use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use thiserror::Error;

/// A message beside a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    anchor: OutPoint,
    anchored: Amount,
    locked: Option<Locked>,
    message: Vec<u8>,
}

/// An output that may be a lock: whose, only those who know its secret can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
    /// Its script.
    pub script: ScriptBuf,
}

/// Why a transaction with a data output carries no message; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Damage {
    /// More than one data output.
    #[error("the transaction has {0} data outputs; a message is in one alone")]
    SeveralMessages(usize),
    /// The data output is not of the form that writers give it.
    #[error(transparent)]
    Data(#[from] data::NotData),
    /// More than one output that may be a lock.
    #[error("the transaction has {0} outputs that may be locks; a payment is locked in one alone")]
    SeveralLocks(usize),
    /// An answer that does not spend what it answers.
    #[error("input {input} does not spend the offer's output in its place")]
    NotSpending {
        /// The input.
        input: usize,
    },
    /// No data output where an answer must have one.
    #[error("the transaction has no data output")]
    NoMessage,
}

impl Payment {
    /// The first output to the recipient, whose first spender decides an offer (PROTOCOL.md 9.2).
    pub fn anchor(&self) -> OutPoint {
        self.anchor
    }

    /// What the anchor holds.
    pub fn anchored(&self) -> Amount {
        self.anchored
    }

    /// The output that may be a lock, if there is one: then the carrier is the dynamic one.
    pub fn locked(&self) -> Option<&Locked> {
        self.locked.as_ref()
    }

    /// The message's bytes: sealed if the carrier is the static one.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// What it pays in all.
    pub fn price(&self) -> Amount {
        let locked = self.locked.as_ref().map_or(Amount::ZERO, |locked| locked.amount);
        self.anchored.checked_add(locked).unwrap_or(Amount::MAX)
    }

    /// What an answer spends, in its order.
    pub fn collected(&self) -> Vec<OutPoint> {
        std::iter::once(self.anchor).chain(self.locked.as_ref().map(|locked| locked.outpoint)).collect()
    }
}

/// Reads what a transaction may carry to `recipient` beside a payment: nothing, if it has no data output or pays
/// nothing.
///
/// # Errors
/// [`Damage`] if it has such outputs, in a form that no writer gives them.
pub fn read_offer(tx: &Authored, recipient: PartyKey) -> Result<Option<Payment>, Damage> {
    let Some(message) = message_in(&tx.tx().output)? else { return Ok(None) };
    let script = recipient.script();
    let mut outputs = (0..).zip(&tx.tx().output);
    let Some((vout, anchor)) = outputs.find(|(_, output)| output.script_pubkey == script) else {
        return Ok(None);
    };
    let anchored = anchor.value;
    let locked = locked_in(tx)?;
    Ok(Some(Payment { anchor: OutPoint::new(tx.txid(), vout), anchored, locked, message }))
}

/// Reads what the transaction that spends `collected`, an offer's [`Payment::collected`], carries.
///
/// # Errors
/// [`Damage`]: nothing that an answer would.
pub fn read_answer(tx: &Authored, collected: &[OutPoint]) -> Result<Vec<u8>, Damage> {
    let inputs = tx.tx().input.iter().map(|input| Some(input.previous_output)).chain(std::iter::repeat(None));
    for (input, (expected, found)) in collected.iter().zip(inputs).enumerate() {
        if found != Some(*expected) {
            return Err(Damage::NotSpending { input });
        }
    }
    message_in(&tx.tx().output)?.ok_or(Damage::NoMessage)
}

fn message_in(outputs: &[TxOut]) -> Result<Option<Vec<u8>>, Damage> {
    let mut found = outputs.iter().filter(|output| output.script_pubkey.is_op_return());
    match (found.next(), found.count()) {
        (None, _) => Ok(None),
        (Some(output), 0) => Ok(Some(data::read(output)?.to_vec())),
        (Some(_), more) => Err(Damage::SeveralMessages(1 + more)),
    }
}

fn locked_in(tx: &Authored) -> Result<Option<Locked>, Damage> {
    let mut found = (0..).zip(&tx.tx().output).filter(|(_, output)| lock::may_be(&output.script_pubkey));
    match (found.next(), found.count()) {
        (None, _) => Ok(None),
        (Some((vout, output)), 0) => Ok(Some(Locked {
            outpoint: OutPoint::new(tx.txid(), vout),
            amount: output.value,
            script: output.script_pubkey.clone(),
        })),
        (Some(_), more) => Err(Damage::SeveralLocks(1 + more)),
    }
}
