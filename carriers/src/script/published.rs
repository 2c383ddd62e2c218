//! Groups that a transaction publishes (PROTOCOL.md 6.5; the paper's Algorithm 1).
//!
//! Two outputs that nobody can spend: a mark, always the same, by which readers find them; and behind it the numbers.

use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::Builder;
use bitcoin::{Amount, ScriptBuf, TxOut};
use keyway_protocol::authorship::Authored;
use keyway_protocol::suite::{BadGroup, Numbers};
use thiserror::Error;

use super::data;

const MARK: &[u8; 14] = b"keyway/1 group";

/// A transaction with the mark that publishes no group; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotPublished {
    /// Another number of data outputs than two, or the mark is not the first, or they do not follow one another.
    #[error("its data outputs are not the mark and, directly behind it, the numbers")]
    Outputs,
    /// The second is no data output as writers make it.
    #[error(transparent)]
    Data(#[from] data::NotData),
    /// A length that the data do not have.
    #[error("the length of its modulus is more than the data hold")]
    CutShort,
    /// Not even of the form of a group.
    #[error(transparent)]
    Numbers(#[from] BadGroup),
}

/// The script that readers watch.
pub fn mark() -> ScriptBuf {
    Builder::new().push_opcode(OP_RETURN).push_slice(MARK).into_script()
}

/// The outputs that publish a group.
///
/// # Errors
/// [`data::ImpossibleLength`], which no group's numbers have.
pub fn write(numbers: &Numbers) -> Result<[TxOut; 2], data::ImpossibleLength> {
    let (p, g) = (numbers.modulus(), numbers.generator());
    let length = (p.len() as u16).to_be_bytes();
    let mark = TxOut { value: Amount::ZERO, script_pubkey: mark() };
    Ok([mark, data::write(&[&length, p, g].concat())?])
}

/// Bytes of both outputs' scripts.
pub fn script_len(numbers: &Numbers) -> usize {
    mark().len() + data::script_len(2 + numbers.modulus().len() + numbers.generator().len())
}

/// The numbers that a transaction publishes: nothing, if it does not have the mark. Whether they may be used is another
/// question.
///
/// # Errors
/// [`NotPublished`] if it has the mark, in a form that no writer gives it.
pub fn read(tx: &Authored) -> Result<Option<Numbers>, NotPublished> {
    let (outputs, mark) = (&tx.tx().output, mark());
    let Some(place) = outputs.iter().position(|output| output.script_pubkey == mark) else { return Ok(None) };
    let data_outputs = outputs.iter().filter(|output| output.script_pubkey.is_op_return()).count();
    let pair = (outputs.get(place), outputs.get(place + 1));
    let (Some(first), Some(second), 2) = (pair.0, pair.1, data_outputs) else {
        return Err(NotPublished::Outputs);
    };
    if first.value != Amount::ZERO || !second.script_pubkey.is_op_return() {
        return Err(NotPublished::Outputs);
    }
    let (length, rest) = data::read(second)?.split_first_chunk().ok_or(NotPublished::CutShort)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (p, g) = rest.split_at_checked(length).ok_or(NotPublished::CutShort)?;
    Ok(Some(Numbers::new(p, g)?))
}
