//! An answer in the sequence numbers of the inputs that collect the offer's run (PROTOCOL.md 7.2).

use bitcoin::{OutPoint, Sequence, Transaction};
use keyway_protocol::authorship::Authored;
use thiserror::Error;

use super::collect::{self, NotCollecting, UNUSED_SEQUENCE};
use super::layout::{ImpossibleLength, MessageLen};
use crate::bits;

/// Bits that one sequence number carries.
const WIDTH: u32 = 31;

/// Bit 31, which takes from a sequence number its meaning as a relative lock time (BIP68).
const CARRIES: u32 = 1 << 31;

/// Why an answer could not be written; the caller is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WriteError {
    /// Empty, or too long.
    #[error(transparent)]
    Length(#[from] ImpossibleLength),
    /// The offer's run is too short for the message.
    #[error("{len} bytes take {needed} inputs; the offer's run gives {found}", len = len.get())]
    TooFewInputs {
        /// The length of the message.
        len: MessageLen,
        /// Inputs that it takes.
        needed: usize,
        /// Outputs of the run.
        found: usize,
    },
}

/// Why a transaction is no answer in sequence numbers; its author is at fault unless the variant says otherwise.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// It does not collect the offer's run.
    #[error(transparent)]
    Collecting(#[from] NotCollecting),
    /// The offer's run cannot carry such an answer: the offer's author is at fault.
    #[error("{len} bytes take {needed} inputs; the offer's run gives {found}", len = len.get())]
    RunTooShort {
        /// The length of the expected message.
        len: MessageLen,
        /// Inputs that it takes.
        needed: usize,
        /// Outputs of the run.
        found: usize,
    },
    /// Bit 31 is missing.
    #[error("the sequence number {sequence:#010x} of input {input} carries no message bits", sequence = sequence.0)]
    NoData {
        /// The input.
        input: usize,
        /// Its sequence number.
        sequence: Sequence,
    },
    /// Bits beyond the message are set.
    #[error("the sequence number of input {input} has bits set beyond the message")]
    Padding {
        /// The last input that carries message bits.
        input: usize,
    },
    /// An input beyond those of the message has another sequence number than [`UNUSED_SEQUENCE`].
    #[error(
        "input {input} carries no message and has sequence number {sequence:#010x} instead of 0xfffffffd",
        sequence = sequence.0,
    )]
    Unused {
        /// The input.
        input: usize,
        /// Its sequence number.
        sequence: Sequence,
    },
}

/// How many inputs a message of that length takes.
pub fn inputs_needed(len: MessageLen) -> usize {
    bits::group_count(len.get(), WIDTH)
}

/// The sequence numbers of the inputs that spend a run of `run_outputs` outputs, in their order. Every further
/// input has [`UNUSED_SEQUENCE`], and the transaction has version 2.
///
/// # Errors
/// [`WriteError`]: a length that cannot be carried, or not by so few inputs.
pub fn write(message: &[u8], run_outputs: usize) -> Result<Vec<Sequence>, WriteError> {
    let len = MessageLen::new(message.len())?;
    let needed = inputs_needed(len);
    if run_outputs < needed {
        return Err(WriteError::TooFewInputs { len, needed, found: run_outputs });
    }
    let carrying = bits::groups(message, WIDTH).map(|group| Sequence(CARRIES | group));
    let unused = std::iter::repeat_n(UNUSED_SEQUENCE, run_outputs - needed);
    Ok(carrying.chain(unused).collect())
}

/// Reads a message of `len` bytes from the transaction that collects `run`, the outpoints of the offer's run in
/// their order ([`Run::outpoints`](super::Run::outpoints)). Whom it speaks for is the caller's to compare.
///
/// # Errors
/// [`Refused`]: it carries no such message.
pub fn read(tx: &Authored, run: &[OutPoint], len: MessageLen) -> Result<Vec<u8>, Refused> {
    read_inputs(tx.tx(), run, len)
}

/// The reader on a transaction of which nothing is known.
pub(crate) fn read_inputs(tx: &Transaction, run: &[OutPoint], len: MessageLen) -> Result<Vec<u8>, Refused> {
    collect::check(tx, run)?;
    let needed = inputs_needed(len);
    if run.len() < needed {
        return Err(Refused::RunTooShort { len, needed, found: run.len() });
    }
    if let Some((input, sequence)) = collect::first_used(tx, needed) {
        return Err(Refused::Unused { input, sequence });
    }
    let groups = carried(tx, needed)?;
    bits::join(groups, WIDTH, len.get()).ok_or(Refused::Padding { input: needed.saturating_sub(1) })
}

/// The groups in the first `count` inputs.
fn carried(tx: &Transaction, count: usize) -> Result<Vec<u32>, Refused> {
    let sequences = tx.input.iter().map(|input| input.sequence).enumerate().take(count);
    let group = |(input, sequence): (usize, Sequence)| {
        sequence.0.checked_sub(CARRIES).ok_or(Refused::NoData { input, sequence })
    };
    sequences.map(group).collect()
}
