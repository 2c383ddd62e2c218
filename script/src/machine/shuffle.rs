//! Moving items about.

use super::Machine;
use crate::ScriptError;
use crate::ScriptError::InvalidStackOperation;
use crate::opcode::*;

impl Machine<'_> {
    pub(super) fn shuffle(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        let stack = &mut self.stack;
        match opcode {
            OP_TOALTSTACK => self.alt_stack.push(stack.pop()?),
            OP_FROMALTSTACK => {
                stack.push(self.alt_stack.pop().map_err(|_| ScriptError::InvalidAltstackOperation)?);
            }
            OP_DROP => drop(stack.pop()?),
            OP_2DROP => drop(stack.pop_many(2)?),
            OP_DUP => stack.copy(0, 1)?,
            OP_2DUP => stack.copy(1, 2)?,
            OP_3DUP => stack.copy(2, 3)?,
            OP_OVER => stack.copy(1, 1)?,
            OP_2OVER => stack.copy(3, 2)?,
            OP_NIP => drop(stack.remove(1)?),
            OP_SWAP => stack.swap(0, 1)?,
            OP_TUCK => {
                stack.require(2)?;
                let top = stack.peek(0)?.to_vec();
                stack.insert(2, top)?;
            }
            OP_ROT => self.roll(2)?,
            OP_2ROT => {
                self.roll(5)?;
                self.roll(5)?;
            }
            OP_2SWAP => {
                self.roll(3)?;
                self.roll(3)?;
            }
            OP_PICK | OP_ROLL => return self.pick_or_roll(opcode == OP_ROLL),
            OP_IFDUP => return self.if_dup(),
            OP_DEPTH => stack.push_number(stack.len() as i64),
            OP_SIZE => stack.push_number(stack.peek(0)?.len() as i64),
            _ => return Err(ScriptError::BadOpcode),
        }
        Ok(())
    }

    /// Brings the item at this depth to the top.
    fn roll(&mut self, depth: usize) -> Result<(), ScriptError> {
        let item = self.stack.remove(depth)?;
        self.stack.push(item);
        Ok(())
    }

    /// Both want an item beside the number, whatever the number says.
    fn pick_or_roll(&mut self, take: bool) -> Result<(), ScriptError> {
        self.stack.require(2)?;
        let depth = self.stack.peek_number(0, self.minimal())?;
        self.stack.pop()?;
        let depth = usize::try_from(depth).map_err(|_| InvalidStackOperation)?;
        if take { self.roll(depth) } else { self.stack.copy(depth, 1) }
    }

    fn if_dup(&mut self) -> Result<(), ScriptError> {
        if crate::number::is_true(self.stack.peek(0)?) { self.stack.copy(0, 1) } else { Ok(()) }
    }
}
