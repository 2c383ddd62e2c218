//! The stack: items are byte strings, counted from the top.

use crate::number;
use crate::{ScriptError, ScriptError::InvalidStackOperation};

/// Items, the last being the top.
#[derive(Clone, Debug, Default)]
pub struct Stack(Vec<Vec<u8>>);

impl Stack {
    /// These items, the last being the top.
    pub fn new(items: Vec<Vec<u8>>) -> Self {
        Self(items)
    }

    /// All items, the last being the top.
    pub fn items(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails unless there are so many.
    pub fn require(&self, count: usize) -> Result<(), ScriptError> {
        if self.0.len() < count { Err(InvalidStackOperation) } else { Ok(()) }
    }

    /// The item at this depth; the top has depth 0.
    pub fn peek(&self, depth: usize) -> Result<&[u8], ScriptError> {
        self.0.iter().rev().nth(depth).map(Vec::as_slice).ok_or(InvalidStackOperation)
    }

    /// The item at this depth as a number.
    pub fn peek_number(&self, depth: usize, minimal: bool) -> Result<i64, ScriptError> {
        number::decode(self.peek(depth)?, minimal, number::OPERAND)
    }

    /// Puts an item on top.
    pub fn push(&mut self, item: Vec<u8>) {
        self.0.push(item);
    }

    /// Puts a number on top.
    pub fn push_number(&mut self, number: i64) {
        self.push(number::encode(number));
    }

    /// Puts 1 on top, or nothing.
    pub fn push_bool(&mut self, value: bool) {
        self.push(number::of_bool(value));
    }

    /// Takes the top.
    pub fn pop(&mut self) -> Result<Vec<u8>, ScriptError> {
        self.0.pop().ok_or(InvalidStackOperation)
    }

    /// Takes so many from the top; the last is what was the top.
    pub fn pop_many(&mut self, count: usize) -> Result<Vec<Vec<u8>>, ScriptError> {
        let rest = self.0.len().checked_sub(count).ok_or(InvalidStackOperation)?;
        Ok(self.0.split_off(rest))
    }

    /// Puts copies of the `count` items from `depth` upwards on top, in their order.
    pub fn copy(&mut self, depth: usize, count: usize) -> Result<(), ScriptError> {
        let first = self.index(depth)?;
        let copies = self.0.get(first..first + count).ok_or(InvalidStackOperation)?.to_vec();
        self.0.extend(copies);
        Ok(())
    }

    /// Takes the item at this depth out.
    pub fn remove(&mut self, depth: usize) -> Result<Vec<u8>, ScriptError> {
        let index = self.index(depth)?;
        Ok(self.0.remove(index))
    }

    /// Puts an item so that it has this depth.
    pub fn insert(&mut self, depth: usize, item: Vec<u8>) -> Result<(), ScriptError> {
        let index = self.0.len().checked_sub(depth).ok_or(InvalidStackOperation)?;
        self.0.insert(index, item);
        Ok(())
    }

    /// Exchanges two items.
    pub fn swap(&mut self, depth: usize, other: usize) -> Result<(), ScriptError> {
        let (first, second) = (self.index(depth)?, self.index(other)?);
        self.0.swap(first, second);
        Ok(())
    }

    fn index(&self, depth: usize) -> Result<usize, ScriptError> {
        self.0.len().checked_sub(depth + 1).ok_or(InvalidStackOperation)
    }
}
