//! Several signatures under several keys, before tapscript.

use super::Machine;
use crate::limits::MAX_PUBKEYS_PER_MULTISIG;
use crate::{Flags, ScriptError};

/// What OP_CHECKMULTISIG finds on the stack; keys and signatures in the order in which they were pushed.
struct Arguments {
    dummy: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
}

impl Machine<'_> {
    pub(super) fn check_multisig(&mut self) -> Result<(), ScriptError> {
        if self.is_tapscript() {
            return Err(ScriptError::TapscriptCheckMultisig);
        }
        let arguments = self.take_arguments()?;
        let verifies = self.verify_in_order(&arguments)?;
        let left = arguments.signatures.iter().any(|signature| !signature.is_empty());
        if !verifies && left && self.flags.has(Flags::NULLFAIL) {
            return Err(ScriptError::SigNullFail);
        }
        if !arguments.dummy.is_empty() && self.flags.has(Flags::NULLDUMMY) {
            return Err(ScriptError::SigNullDummy);
        }
        self.stack.push_bool(verifies);
        Ok(())
    }

    pub(super) fn check_multisig_verify(&mut self) -> Result<(), ScriptError> {
        self.check_multisig()?;
        self.verify_top(ScriptError::CheckMultisigVerify)
    }

    /// `dummy signature… count key… count`. The dummy was taken by mistake in 2009 and has been ever since.
    fn take_arguments(&mut self) -> Result<Arguments, ScriptError> {
        let keys =
            self.count(0, MAX_PUBKEYS_PER_MULTISIG).map_err(|error| error.or(ScriptError::PubkeyCount))?;
        self.count_operations(keys)?;
        let signatures = self.count(keys + 1, keys).map_err(|error| error.or(ScriptError::SigCount))?;
        self.stack.require(keys + signatures + 3)?;
        self.stack.pop()?;
        let keys = self.stack.pop_many(keys)?;
        self.stack.pop()?;
        let signatures = self.stack.pop_many(signatures)?;
        Ok(Arguments { dummy: self.stack.pop()?, signatures, keys })
    }

    /// The number at this depth, from none to `most`.
    fn count(&self, depth: usize, most: usize) -> Result<usize, CountError> {
        let number = self.stack.peek_number(depth, self.minimal()).map_err(CountError::Unreadable)?;
        usize::try_from(number).ok().filter(|count| *count <= most).ok_or(CountError::OutOfRange)
    }

    /// Keys and signatures are in the same order, and a key that was passed over is not tried again. Each pair that is
    /// tried must be written as the rules ask, so the order in which they are tried can be seen from outside.
    fn verify_in_order(&self, arguments: &Arguments) -> Result<bool, ScriptError> {
        let signatures: Vec<&[u8]> = arguments.signatures.iter().rev().map(Vec::as_slice).collect();
        let code = self.script_code(&signatures)?;
        let mut keys = arguments.keys.iter().rev();
        let mut signatures = signatures.iter();
        let mut next = signatures.next();
        while let Some(signature) = next {
            if signatures.len() >= keys.len() {
                return Ok(false);
            }
            let Some(key) = keys.next() else { return Ok(false) };
            self.check_encodings(signature, key)?;
            if self.verify_ecdsa_over(&code, signature, key) {
                next = signatures.next();
            }
        }
        Ok(true)
    }
}

enum CountError {
    Unreadable(ScriptError),
    OutOfRange,
}

impl CountError {
    fn or(self, out_of_range: ScriptError) -> ScriptError {
        match self {
            CountError::Unreadable(error) => error,
            CountError::OutOfRange => out_of_range,
        }
    }
}
