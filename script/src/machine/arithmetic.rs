//! Comparing items, and computing with numbers.

use super::Machine;
use crate::ScriptError;
use crate::opcode::*;

impl Machine<'_> {
    pub(super) fn arithmetic(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        match opcode {
            OP_EQUAL => self.equal(),
            OP_EQUALVERIFY => self.equal().and_then(|()| self.verify_top(ScriptError::EqualVerify)),
            _ if (OP_1ADD..=OP_0NOTEQUAL).contains(&opcode) => self.unary(opcode),
            _ if (OP_ADD..=OP_MAX).contains(&opcode) => self.binary(opcode),
            OP_WITHIN => self.within(),
            _ => Err(ScriptError::BadOpcode),
        }
    }

    fn equal(&mut self) -> Result<(), ScriptError> {
        let equal = self.stack.peek(1)? == self.stack.peek(0)?;
        self.stack.pop_many(2)?;
        self.stack.push_bool(equal);
        Ok(())
    }

    fn unary(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        let number = self.stack.peek_number(0, self.minimal())?;
        let result = match opcode {
            OP_1ADD => number + 1,
            OP_1SUB => number - 1,
            OP_NEGATE => -number,
            OP_ABS => number.abs(),
            OP_NOT => i64::from(number == 0),
            OP_0NOTEQUAL => i64::from(number != 0),
            _ => return Err(ScriptError::BadOpcode),
        };
        self.stack.pop()?;
        self.stack.push_number(result);
        Ok(())
    }

    fn binary(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        self.stack.require(2)?;
        let a = self.stack.peek_number(1, self.minimal())?;
        let b = self.stack.peek_number(0, self.minimal())?;
        let result = compute(opcode, a, b).ok_or(ScriptError::BadOpcode)?;
        self.stack.pop_many(2)?;
        self.stack.push_number(result);
        if opcode == OP_NUMEQUALVERIFY { self.verify_top(ScriptError::NumEqualVerify) } else { Ok(()) }
    }

    /// Whether the first number is at least the second and below the third.
    fn within(&mut self) -> Result<(), ScriptError> {
        self.stack.require(3)?;
        let number = self.stack.peek_number(2, self.minimal())?;
        let least = self.stack.peek_number(1, self.minimal())?;
        let beyond = self.stack.peek_number(0, self.minimal())?;
        self.stack.pop_many(3)?;
        self.stack.push_bool((least..beyond).contains(&number));
        Ok(())
    }
}

/// Operands have 32 bits at most, so nothing overflows.
fn compute(opcode: Opcode, a: i64, b: i64) -> Option<i64> {
    Some(match opcode {
        OP_ADD => a + b,
        OP_SUB => a - b,
        OP_BOOLAND => i64::from(a != 0 && b != 0),
        OP_BOOLOR => i64::from(a != 0 || b != 0),
        OP_NUMEQUAL | OP_NUMEQUALVERIFY => i64::from(a == b),
        OP_NUMNOTEQUAL => i64::from(a != b),
        OP_LESSTHAN => i64::from(a < b),
        OP_GREATERTHAN => i64::from(a > b),
        OP_LESSTHANOREQUAL => i64::from(a <= b),
        OP_GREATERTHANOREQUAL => i64::from(a >= b),
        OP_MIN => a.min(b),
        OP_MAX => a.max(b),
        _ => return None,
    })
}
