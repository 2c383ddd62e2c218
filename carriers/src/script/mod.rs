//! The static and the dynamic carrier: messages beside the payment (PROTOCOL.md 7.4 to 7.7).
//!
//! - [`data`]: bytes in an output that nobody can spend;
//! - [`envelope`]: bytes in a script that the transaction shows, where nodes relay no such output;
//! - [`liveness`]: the coin that a pair's keys hang on;
//! - [`lock`]: the output that holds a payment until the offer is answered;
//! - [`published`]: groups for everybody, which offers name;
//! - [`read_offer`], [`read_answer`]: what a transaction carries in that way.

pub mod data;
pub mod envelope;
pub mod liveness;
pub mod lock;
pub mod published;

use bitcoin::{Amount, OutPoint, Script, ScriptBuf, Transaction};
use keyway_chain::Chain;
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use thiserror::Error;

/// Where the bytes of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In a data output.
    Output,
    /// In an envelope.
    Envelope,
}

impl Way {
    /// How so many bytes get through nodes that relay data outputs of at most `most_data` bytes of script.
    pub const fn through(most_data: usize, bytes: usize) -> Self {
        if data::script_len(bytes) <= most_data { Self::Output } else { Self::Envelope }
    }
}

/// The bytes of a message and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Sealed if the carrier is the static one.
    pub bytes: Vec<u8>,
    /// Where they are.
    pub way: Way,
}

/// A message beside a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    anchor: OutPoint,
    anchored: Amount,
    fund: Option<(OutPoint, Amount)>,
    locked: Option<Locked>,
    message: Message,
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

/// Why a transaction with a data output or an envelope carries no message; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Damage {
    /// More than one data output or envelope, or one of each.
    #[error("the transaction has {0} data outputs and envelopes; a message is in one alone")]
    SeveralMessages(usize),
    /// The envelope is not the author's, or not of the form that writers give it.
    #[error(transparent)]
    Envelope(#[from] envelope::NotEnvelope),
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
    /// Neither where an answer must have one of them.
    #[error("the transaction has no data output and no envelope")]
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

    /// The second output to the recipient, if there is one: it pays for the envelope of an answer.
    pub fn fund(&self) -> Option<OutPoint> {
        self.fund.map(|(outpoint, _)| outpoint)
    }

    /// The message's bytes: sealed if the carrier is the static one.
    pub fn message(&self) -> &[u8] {
        &self.message.bytes
    }

    /// Where they are.
    pub fn way(&self) -> Way {
        self.message.way
    }

    /// What it pays in all.
    pub fn price(&self) -> Amount {
        let (fund, locked) = (self.fund.map(|(_, amount)| amount), self.locked.as_ref().map(|it| it.amount));
        let parts = [Some(self.anchored), fund, locked];
        parts.into_iter().flatten().try_fold(Amount::ZERO, Amount::checked_add).unwrap_or(Amount::MAX)
    }

    /// What an answer spends, in its order.
    pub fn collected(&self) -> Vec<OutPoint> {
        std::iter::once(self.anchor).chain(self.locked.as_ref().map(|locked| locked.outpoint)).collect()
    }
}

/// Reads what a transaction may carry to `recipient` beside a payment: nothing, if it has neither a data output nor an
/// envelope, or pays nothing.
///
/// # Errors
/// [`Damage`] if it has one of these, in a form that no writer gives them.
pub fn read_offer(chain: &Chain, tx: &Authored, recipient: PartyKey) -> Result<Option<Payment>, Damage> {
    let Some(message) = message_in(chain, tx)? else { return Ok(None) };
    let script = recipient.script();
    let outputs = (0..).zip(&tx.tx().output).filter(|(_, output)| output.script_pubkey == script);
    let mut paid = outputs.map(|(vout, output)| (OutPoint::new(tx.txid(), vout), output.value));
    let Some((anchor, anchored)) = paid.next() else { return Ok(None) };
    let locked = locked_in(tx)?;
    Ok(Some(Payment { anchor, anchored, fund: paid.next(), locked, message }))
}

/// Reads what the transaction that spends `collected`, an offer's [`Payment::collected`], carries.
///
/// # Errors
/// [`Damage`]: nothing that an answer would.
pub fn read_answer(chain: &Chain, tx: &Authored, collected: &[OutPoint]) -> Result<Message, Damage> {
    let inputs = tx.tx().input.iter().map(|input| Some(input.previous_output)).chain(std::iter::repeat(None));
    for (input, (expected, found)) in collected.iter().zip(inputs).enumerate() {
        if found != Some(*expected) {
            return Err(Damage::NotSpending { input });
        }
    }
    message_in(chain, tx)?.ok_or(Damage::NoMessage)
}

/// The envelopes that a transaction shows, each with its input. Input 0 says who speaks, and shows none.
pub fn envelopes(tx: &Transaction) -> impl Iterator<Item = (usize, &Script)> {
    let inputs = tx.input.iter().enumerate().skip(1);
    inputs.filter_map(|(index, input)| Some((index, envelope::shown(input)?)))
}

fn message_in(chain: &Chain, tx: &Authored) -> Result<Option<Message>, Damage> {
    let mut outputs = tx.tx().output.iter().filter(|output| output.script_pubkey.is_op_return());
    let mut shown = envelopes(tx.tx());
    let message = match (outputs.next(), shown.next()) {
        (None, None) => return Ok(None),
        (Some(output), None) => {
            unless_more(outputs.count())?;
            Message { bytes: data::read(output)?.to_vec(), way: Way::Output }
        }
        (None, Some((index, script))) => {
            unless_more(shown.count())?;
            Message { bytes: envelope::read(chain, tx, index, script)?, way: Way::Envelope }
        }
        (Some(_), Some(_)) => return Err(Damage::SeveralMessages(2 + outputs.count() + shown.count())),
    };
    Ok(Some(message))
}

fn unless_more(more: usize) -> Result<(), Damage> {
    if more == 0 { Ok(()) } else { Err(Damage::SeveralMessages(1 + more)) }
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
