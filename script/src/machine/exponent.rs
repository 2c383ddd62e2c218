//! OP_EXPONENT.

use super::Machine;
use crate::ScriptError;
use crate::exponent::Exponentiation;

impl Machine<'_> {
    /// `exponent base modulus` becomes `base^exponent mod modulus`. The price is due before the work is done.
    pub(super) fn exponent(&mut self) -> Result<(), ScriptError> {
        self.stack.require(3)?;
        let (modulus, base, exponent) = (self.stack.pop()?, self.stack.pop()?, self.stack.pop()?);
        let operation = Exponentiation::new(&base, &exponent, &modulus)?;
        self.spend_budget(operation.price())?;
        self.stack.push(operation.compute());
        Ok(())
    }
}
