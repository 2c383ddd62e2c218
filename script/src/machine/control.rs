//! Branches, OP_VERIFY, OP_RETURN.

use super::{Generation, Machine};
use crate::opcode::*;
use crate::{Flags, ScriptError, number};

impl Machine<'_> {
    pub(super) fn control(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        match opcode {
            OP_NOP => Ok(()),
            OP_IF => self.branch(true),
            OP_NOTIF => self.branch(false),
            OP_ELSE => self.conditions.toggle(),
            OP_ENDIF => self.conditions.close(),
            OP_VERIFY => self.verify_top(ScriptError::Verify),
            OP_RETURN => Err(ScriptError::OpReturn),
            _ => Err(ScriptError::BadOpcode),
        }
    }

    /// Within a branch that is not taken no argument is there to be looked at.
    fn branch(&mut self, wanted: bool) -> Result<(), ScriptError> {
        let mut taken = false;
        if self.conditions.all_true() {
            let argument = self.stack.peek(0)?;
            self.check_minimal_if(argument)?;
            taken = number::is_true(argument) == wanted;
            self.stack.pop()?;
        }
        self.conditions.open(taken);
        Ok(())
    }

    /// Anything but nothing and 1 could be changed by whoever relays the transaction.
    fn check_minimal_if(&self, argument: &[u8]) -> Result<(), ScriptError> {
        let minimal = matches!(argument, [] | [1]);
        match self.generation {
            Generation::Tapscript(_) if !minimal => Err(ScriptError::TapscriptMinimalIf),
            Generation::Segwit if !minimal && self.flags.has(Flags::MINIMALIF) => Err(ScriptError::MinimalIf),
            _ => Ok(()),
        }
    }
}
