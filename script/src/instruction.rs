//! Scripts as a sequence of instructions.

use crate::ScriptError;
use crate::opcode::{OP_PUSHDATA1, OP_PUSHDATA2, OP_PUSHDATA4, Opcode};

/// One opcode, with what it pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction<'s> {
    /// Which.
    pub opcode: Opcode,
    /// What follows an opcode up to OP_PUSHDATA4; empty for the others.
    pub push: &'s [u8],
    /// Byte of the script at which it starts.
    pub start: usize,
    /// Byte of the script after it.
    pub end: usize,
}

/// Reads one instruction after the other.
#[derive(Clone, Debug)]
pub struct Instructions<'s> {
    script: &'s [u8],
    position: usize,
}

impl<'s> Instructions<'s> {
    /// From the script's first byte.
    pub fn new(script: &'s [u8]) -> Self {
        Self { script, position: 0 }
    }

    /// The byte up to which the script was read. After an error: where reading stopped.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Goes on at another byte.
    pub(crate) fn go_on_at(&mut self, position: usize) {
        self.position = position;
    }

    fn take(&mut self, bytes: usize) -> Option<&'s [u8]> {
        let taken = self.script.get(self.position..self.position.checked_add(bytes)?)?;
        self.position += bytes;
        Some(taken)
    }

    fn take_length(&mut self, bytes: usize) -> Option<usize> {
        let taken = self.take(bytes)?;
        Some(taken.iter().rfold(0, |high, byte| (high << 8) | usize::from(*byte)))
    }

    fn read(&mut self) -> Option<Instruction<'s>> {
        let start = self.position;
        let opcode = Opcode(*self.take(1)?.first()?);
        let length = match opcode {
            OP_PUSHDATA1 => self.take_length(1)?,
            OP_PUSHDATA2 => self.take_length(2)?,
            OP_PUSHDATA4 => self.take_length(4)?,
            Opcode(length) if opcode < OP_PUSHDATA1 => usize::from(length),
            _ => 0,
        };
        let push = self.take(length)?;
        Some(Instruction { opcode, push, start, end: self.position })
    }
}

impl<'s> Iterator for Instructions<'s> {
    type Item = Result<Instruction<'s>, ScriptError>;

    /// A script that ends within a push gives BAD_OPCODE; what comes after that has no meaning.
    fn next(&mut self) -> Option<Self::Item> {
        let left = self.position < self.script.len();
        left.then(|| self.read().ok_or(ScriptError::BadOpcode))
    }
}

/// Whether the script can be read to its end and holds pushes alone. OP_RESERVED counts as one.
pub fn is_push_only(script: &[u8]) -> bool {
    Instructions::new(script).all(|instruction| instruction.is_ok_and(|it| it.opcode.is_push()))
}

/// The bytes that push this data, with the shortest length but never as a number: OP_1 to OP_16 are not used.
pub fn push_of(data: &[u8]) -> Vec<u8> {
    let length = data.len().to_le_bytes();
    let [low, second, third, fourth, ..] = length;
    let mut bytes = match data.len() {
        0..=0x4b => vec![low],
        0x4c..=0xff => vec![OP_PUSHDATA1.0, low],
        0x100..=0xffff => vec![OP_PUSHDATA2.0, low, second],
        _ => vec![OP_PUSHDATA4.0, low, second, third, fourth],
    };
    bytes.extend_from_slice(data);
    bytes
}

impl Instruction<'_> {
    /// Whether there is no shorter way to push the same.
    pub fn is_minimal_push(&self) -> bool {
        match self.push {
            [] => self.opcode == Opcode(0),
            [1..=16 | 0x81] => false,
            data if data.len() <= 0x4b => usize::from(self.opcode.0) == data.len(),
            data if data.len() <= 0xff => self.opcode == OP_PUSHDATA1,
            data if data.len() <= 0xffff => self.opcode == OP_PUSHDATA2,
            _ => true,
        }
    }
}
