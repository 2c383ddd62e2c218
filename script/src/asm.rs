//! Scripts as text, and back.
//!
//! Words stand apart: names of opcodes, with `OP_` or without; decimal numbers, pushed as numbers; `<00ff>`, bytes that
//! are pushed; `'abc'`, text that is pushed; `0x00ff`, bytes of the script itself. Bitcoin Core's vectors are written in
//! this way, but for `<…>`.

use bitcoin::ScriptBuf;
use bitcoin::hex::{DisplayHex, FromHex};

use crate::instruction::{Instruction, Instructions, push_of};
use crate::number;
use crate::opcode::{OP_1, OP_1NEGATE, OP_PUSHDATA1, OP_PUSHDATA4, Opcode};

/// The largest number that is pushed as one, either way from zero.
const LARGEST: u64 = 0xffff_ffff;

/// A word that is none of a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsmError {
    /// No opcode of that name, and nothing else.
    #[error("'{0}' is no opcode, no number and no bytes")]
    Unknown(String),
    /// Not an even number of hexadecimal digits.
    #[error("'{0}' is not hexadecimal")]
    NotHex(String),
    /// Larger than what scripts count with.
    #[error("{0} is out of range: from -4294967295 to 4294967295")]
    OutOfRange(String),
    /// A name that needs bytes after it, written without them.
    #[error("{0} stands for the bytes after it: write <…> for a push, or 0x… for the script's own bytes")]
    NeedsBytes(String),
}

/// The script that the text describes.
pub fn assemble(text: &str) -> Result<ScriptBuf, AsmError> {
    let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
    let bytes: Vec<Vec<u8>> = words.map(assemble_word).collect::<Result<_, _>>()?;
    Ok(ScriptBuf::from_bytes(bytes.concat()))
}

fn assemble_word(word: &str) -> Result<Vec<u8>, AsmError> {
    if let Some(inner) = between(word, "<", ">") {
        return bytes_of(inner).map(|bytes| push_of(&bytes));
    }
    if let Some(inner) = between(word, "'", "'") {
        return Ok(push_of(inner.as_bytes()));
    }
    match word.strip_prefix("0x") {
        Some(raw) => bytes_of(raw),
        None if is_decimal(word) => push_number(word),
        None => opcode_of(word),
    }
}

fn between<'w>(word: &'w str, open: &str, close: &str) -> Option<&'w str> {
    word.strip_prefix(open)?.strip_suffix(close)
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, AsmError> {
    Vec::from_hex(hex).map_err(|_| AsmError::NotHex(hex.to_owned()))
}

fn is_decimal(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn push_number(word: &str) -> Result<Vec<u8>, AsmError> {
    let out_of_range = || AsmError::OutOfRange(word.to_owned());
    let number: i64 = word.parse().map_err(|_| out_of_range())?;
    match number {
        0 => Ok(vec![0]),
        -1 => Ok(vec![OP_1NEGATE.0]),
        1..=16 => Ok(vec![OP_1.0 - 1 + number as u8]),
        _ if number.unsigned_abs() <= LARGEST => Ok(push_of(&number::encode(number))),
        _ => Err(out_of_range()),
    }
}

fn opcode_of(word: &str) -> Result<Vec<u8>, AsmError> {
    let opcode = Opcode::named(word).ok_or_else(|| AsmError::Unknown(word.to_owned()))?;
    if (OP_PUSHDATA1..=OP_PUSHDATA4).contains(&opcode) {
        return Err(AsmError::NeedsBytes(word.to_owned()));
    }
    Ok(vec![opcode.0])
}

/// The script as text that [`assemble`] turns into the same bytes.
pub fn disassemble(script: &[u8]) -> String {
    let mut words = Vec::new();
    let mut instructions = Instructions::new(script);
    let mut written = 0;
    while let Some(Ok(instruction)) = instructions.next() {
        words.push(word_of(&instruction, script));
        written = instruction.end;
    }
    match script.get(written..) {
        None | Some([]) => {}
        Some(rest) => words.push(raw(rest)),
    }
    words.join(" ")
}

/// One instruction as text.
pub fn word_of(instruction: &Instruction<'_>, script: &[u8]) -> String {
    let shortest = push_of(instruction.push);
    let written = script.get(instruction.start..instruction.end).unwrap_or_default();
    match instruction.opcode.name() {
        _ if instruction.opcode.is_data_push() && !instruction.push.is_empty() && shortest == written => {
            format!("<{}>", instruction.push.to_lower_hex_string())
        }
        Some(name) if !instruction.opcode.is_data_push() || written == [0] => name.to_owned(),
        _ => raw(written),
    }
}

fn raw(bytes: &[u8]) -> String {
    format!("0x{}", bytes.to_lower_hex_string())
}
