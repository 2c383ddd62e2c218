//! Bytes in an output of no value that nobody can spend (PROTOCOL.md 7.4).

use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::{Builder, Instruction, PushBytesBuf};
use bitcoin::{Amount, TxOut, Weight};
use thiserror::Error;

/// The most bytes of a message: more than any suite's, and far less than what nodes relay.
pub const MOST_BYTES: usize = 10_000;

/// One byte has a shorter form of push, which is no message.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=MOST_BYTES;

/// The most bytes of a script that nodes with the old limit relay.
pub const OLD_LIMIT: usize = 83;

/// The caller's bytes are too many, or none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a data output carries 2 to {MOST_BYTES} bytes, not {0}")]
pub struct ImpossibleLength(usize);

/// An output that carries no message; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotData {
    /// It destroys money.
    #[error("the data output holds {}", .0)]
    Value(Amount),
    /// Not one push in the shortest form, and nothing else.
    #[error("the data output is not one push in its shortest form")]
    Form,
    /// Too many bytes, or none.
    #[error("the data output carries {0} bytes; a message has 2 to {MOST_BYTES}")]
    Length(usize),
}

/// The output that carries `message`.
///
/// # Errors
/// [`ImpossibleLength`].
pub fn write(message: &[u8]) -> Result<TxOut, ImpossibleLength> {
    let impossible = ImpossibleLength(message.len());
    if !LENGTHS.contains(&message.len()) {
        return Err(impossible);
    }
    let push = PushBytesBuf::try_from(message.to_vec()).map_err(|_| impossible)?;
    let script_pubkey = Builder::new().push_opcode(OP_RETURN).push_slice(push).into_script();
    Ok(TxOut { value: Amount::ZERO, script_pubkey })
}

/// Reads [`write()`] back.
///
/// # Errors
/// [`NotData`].
pub fn read(output: &TxOut) -> Result<&[u8], NotData> {
    if output.value != Amount::ZERO {
        return Err(NotData::Value(output.value));
    }
    let mut instructions = output.script_pubkey.instructions_minimal().skip(1);
    let (Some(Ok(Instruction::PushBytes(push))), None) = (instructions.next(), instructions.next()) else {
        return Err(NotData::Form);
    };
    let message = push.as_bytes();
    if LENGTHS.contains(&message.len()) { Ok(message) } else { Err(NotData::Length(message.len())) }
}

/// Bytes of the script that carries so many.
pub const fn script_len(message: usize) -> usize {
    let push = match message {
        0..=75 => 1,
        76..=255 => 2,
        _ => 3,
    };
    1 + push + message
}

/// Weight of the output that carries so many bytes.
pub fn weight(message: usize) -> Weight {
    let script = script_len(message);
    Weight::from_non_witness_data_size((8 + bitcoin::VarInt(script as u64).size() + script) as u64)
}

#[cfg(test)]
mod tests {
    use bitcoin::ScriptBuf;

    use super::*;

    fn of(script: &[u8]) -> TxOut {
        TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(script.to_vec()) }
    }

    #[test]
    fn what_is_written_is_read_and_as_heavy_as_said() {
        for len in [2, 48, 75, 76, 255, 256, 2_345, MOST_BYTES] {
            let output = write(&vec![7; len]).unwrap();
            assert_eq!(read(&output), Ok(&vec![7; len][..]));
            assert_eq!(output.script_pubkey.len(), script_len(len));
            assert_eq!(output.weight(), weight(len));
        }
        assert!(write(&[7]).is_err() && write(&vec![7; MOST_BYTES + 1]).is_err());
    }

    #[test]
    fn every_other_form_is_refused() {
        assert_eq!(
            read(&TxOut { value: Amount::from_sat(1), ..of(&[0x6a, 1, 5]) }),
            Err(NotData::Value(Amount::from_sat(1)))
        );
        let forms: [&[u8]; 6] = [
            &[0x6a],
            &[0x6a, 0x4c, 2, 5, 5],
            &[0x6a, 0x4d, 2, 0, 5, 5],
            &[0x6a, 2, 5],
            &[0x6a, 2, 5, 5, 1, 5],
            &[0x6a, 2, 5, 5, 0x75],
        ];
        for form in forms {
            assert_eq!(read(&of(form)), Err(NotData::Form), "{form:02x?}");
        }
        assert_eq!(read(&of(&[0x6a, 0])), Err(NotData::Length(0)));
        assert_eq!(read(&of(&[0x6a, 1, 0x55])), Err(NotData::Length(1)));
    }
}
