//! An answer in amounts paid back to the initiator, as in the paper (PROTOCOL.md 7.3).

use bitcoin::{Amount, OutPoint, Sequence, TxOut};
use keyway_chain::Chain;
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use thiserror::Error;

use super::collect::{self, NotCollecting};
use super::layout::{Layout, MessageLen};
use super::run::{self, Binding, Damage, Run, WriteError};

/// Why a transaction is no answer in amounts; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// It does not collect the offer's run.
    #[error(transparent)]
    Collecting(#[from] NotCollecting),
    /// A sequence number that is not [`UNUSED_SEQUENCE`](super::UNUSED_SEQUENCE).
    #[error(
        "input {input} has sequence number {sequence:#010x} instead of 0xfffffffd, though the answer is in amounts",
        sequence = sequence.0,
    )]
    Sequence {
        /// The input.
        input: usize,
        /// Its sequence number.
        sequence: Sequence,
    },
    /// Nothing that looks like a run is paid back.
    #[error("the transaction pays no message to the initiator")]
    NoRun,
    /// What is paid back looks like a run and is none.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A message, of another length.
    #[error("the message has {found} bytes; an answer has {expected}", expected = expected.get(), found = found.get())]
    Length {
        /// That of an answer.
        expected: MessageLen,
        /// That of the message.
        found: MessageLen,
    },
    /// A run at another price than the least of its length.
    #[error(
        "the message pays {found} sat back; an answer pays {expected}",
        expected = expected.to_sat(), found = found.to_sat(),
    )]
    Price {
        /// The least price of its length.
        expected: Amount,
        /// What it pays.
        found: Amount,
    },
}

/// What an answer of that length pays back: the least price of its length.
pub fn price(chain: &Chain, len: MessageLen) -> Amount {
    Layout::least(chain, len).worst_case()
}

/// The outputs to the initiator, who is the binding's recipient, that carry the message; the author is the
/// responder. The transaction has version 2, its inputs begin with the offer's run, and every input has
/// [`UNUSED_SEQUENCE`](super::UNUSED_SEQUENCE).
///
/// # Errors
/// [`WriteError::Length`]: a length that cannot be carried.
pub fn write(binding: &Binding, message: &[u8]) -> Result<Vec<TxOut>, WriteError> {
    let len = MessageLen::new(message.len())?;
    run::write(binding, message, price(binding.chain, len))
}

/// Reads a message of `len` bytes to the initiator from the transaction that collects `run`, the outpoints of
/// the offer's run in their order ([`Run::outpoints`]). Whom it speaks for is the caller's to compare.
///
/// # Errors
/// [`Refused`]: it carries no such message.
pub fn read(
    chain: &Chain,
    tx: &Authored,
    run: &[OutPoint],
    initiator: PartyKey,
    len: MessageLen,
) -> Result<Run, Refused> {
    collect::check(tx.tx(), run)?;
    if let Some((input, sequence)) = collect::first_used(tx.tx(), 0) {
        return Err(Refused::Sequence { input, sequence });
    }
    let answer = run::read(chain, tx, initiator)?.ok_or(Refused::NoRun)?;
    let (found, expected) = (answer.layout().len(), len);
    if found != expected {
        return Err(Refused::Length { expected, found });
    }
    let (found, expected) = (answer.price(), price(chain, len));
    if found != expected {
        return Err(Refused::Price { expected, found });
    }
    Ok(answer)
}
