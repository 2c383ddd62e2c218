//! What both forms of an answer share: it collects the offer's run (PROTOCOL.md 7.2).

use bitcoin::transaction::Version;
use bitcoin::{OutPoint, Sequence, Transaction};
use thiserror::Error;

/// nSequence of an answer's input that carries nothing: replaceable, and without any lock time.
pub const UNUSED_SEQUENCE: Sequence = Sequence(0xffff_fffd);

/// Why a transaction does not collect the offer's run as an answer must; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotCollecting {
    /// Version 1 and versions above 2 give sequence numbers no, or another, meaning.
    #[error("the transaction has version {0}; an answer has version 2")]
    Version(i32),
    /// No outpoints were given: the caller is at fault.
    #[error("no outputs of an offer were named for the answer to spend")]
    NoRun,
    /// Too few inputs to spend the run.
    #[error("the transaction has {inputs} inputs; the offer's run has {run} outputs for an answer to spend")]
    InputsMissing {
        /// Inputs of the transaction.
        inputs: usize,
        /// Outputs of the run.
        run: usize,
    },
    /// An input spends something else, or the run's outputs in another order.
    #[error(
        "input {input} spends {found}; in an answer it spends {expected}, the run's output in that place"
    )]
    WrongInput {
        /// The input.
        input: usize,
        /// The run's output in that place.
        expected: OutPoint,
        /// What is spent.
        found: OutPoint,
    },
}

/// That `tx` has version 2 and its inputs begin with the outpoints of `run`, in their order.
pub(crate) fn check(tx: &Transaction, run: &[OutPoint]) -> Result<(), NotCollecting> {
    if tx.version != Version::TWO {
        return Err(NotCollecting::Version(tx.version.0));
    }
    if run.is_empty() {
        return Err(NotCollecting::NoRun);
    }
    if tx.input.len() < run.len() {
        return Err(NotCollecting::InputsMissing { inputs: tx.input.len(), run: run.len() });
    }
    let pairs = run.iter().zip(tx.input.iter().map(|input| input.previous_output));
    for (input, (expected, found)) in pairs.enumerate() {
        if *expected != found {
            return Err(NotCollecting::WrongInput { input, expected: *expected, found });
        }
    }
    Ok(())
}

/// The first input from number `from` on that has another sequence number than an unused one.
pub(crate) fn first_used(tx: &Transaction, from: usize) -> Option<(usize, Sequence)> {
    let sequences = tx.input.iter().map(|input| input.sequence).enumerate();
    sequences.skip(from).find(|(_, sequence)| *sequence != UNUSED_SEQUENCE)
}
