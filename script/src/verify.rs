//! One input: its scriptSig, the script that it spends, what that commits to, and its witness.

use bitcoin::Witness;

use crate::instruction::{is_push_only, push_of};
use crate::machine::{Generation, Machine};
use crate::observe::{Observer, Part};
use crate::opcode::{OP_1, OP_16, OP_EQUAL, OP_HASH160, Opcode};
use crate::stack::Stack;
use crate::{Flags, Input, ScriptError, number, witness};

/// What every step of one verification needs.
pub struct Run<'r> {
    pub input: Input<'r>,
    pub flags: Flags,
    pub observer: &'r mut dyn Observer,
}

pub fn verify(input: Input<'_>, flags: Flags, observer: &mut dyn Observer) -> Result<(), ScriptError> {
    Run { input, flags, observer }.verify()
}

impl Run<'_> {
    fn verify(&mut self) -> Result<(), ScriptError> {
        let script_sig = self.input.txin().script_sig.as_bytes();
        let script_pubkey = self.input.prevout().script_pubkey.as_bytes();
        if self.flags.has(Flags::SIGPUSHONLY) && !is_push_only(script_sig) {
            return Err(ScriptError::SigPushOnly);
        }
        let given = self.run(Part::ScriptSig, script_sig, Stack::default())?;
        let mut left = self.run_to_true(Part::ScriptPubkey, script_pubkey, given.clone())?;
        let mut program = self.program(script_pubkey);
        if let Some(program) = program {
            let clean = script_sig.is_empty();
            self.verify_program(program, clean.then_some(()).ok_or(ScriptError::WitnessMalleated), false)?;
        }
        let redeem_script = self.redeem_script(script_pubkey, &given)?;
        if let Some((script, rest)) = &redeem_script {
            left = self.run_to_true(Part::RedeemScript, script, rest.clone())?;
            program = self.program(script);
            if let Some(program) = program {
                let clean = script_sig == push_of(script);
                self.verify_program(
                    program,
                    clean.then_some(()).ok_or(ScriptError::WitnessMalleatedP2sh),
                    true,
                )?;
            }
        }
        self.check_end(&left, program.is_some())
    }

    fn run(&mut self, part: Part, script: &[u8], stack: Stack) -> Result<Stack, ScriptError> {
        Machine::new(self.input, self.flags, part, Generation::Legacy, script, stack).run(self.observer)
    }

    fn run_to_true(&mut self, part: Part, script: &[u8], stack: Stack) -> Result<Stack, ScriptError> {
        let stack = self.run(part, script, stack)?;
        if stack.peek(0).is_ok_and(number::is_true) { Ok(stack) } else { Err(ScriptError::EvalFalse) }
    }

    fn program<'a>(&self, script: &'a [u8]) -> Option<Program<'a>> {
        if self.flags.has(Flags::WITNESS) { Program::of(script) } else { None }
    }

    fn verify_program(
        &mut self,
        program: Program<'_>,
        script_sig: Result<(), ScriptError>,
        wrapped: bool,
    ) -> Result<(), ScriptError> {
        script_sig?;
        witness::verify(self, program, wrapped)
    }

    /// The script that a P2SH output commits to, and the stack that it starts with.
    fn redeem_script(
        &self,
        script_pubkey: &[u8],
        given: &Stack,
    ) -> Result<Option<(Vec<u8>, Stack)>, ScriptError> {
        if !self.flags.has(Flags::P2SH) || !is_p2sh(script_pubkey) {
            return Ok(None);
        }
        if !is_push_only(self.input.txin().script_sig.as_bytes()) {
            return Err(ScriptError::SigPushOnly);
        }
        let mut rest = given.clone();
        let script = rest.pop()?;
        Ok(Some((script, rest)))
    }

    /// What is left on the stack, and a witness that nothing asked for. A witness program's stack is not the one
    /// that counts here.
    fn check_end(&self, left: &Stack, had_program: bool) -> Result<(), ScriptError> {
        if self.flags.has(Flags::CLEANSTACK) && !had_program && left.len() != 1 {
            return Err(ScriptError::CleanStack);
        }
        if self.flags.has(Flags::WITNESS) && !had_program && !self.witness().is_empty() {
            return Err(ScriptError::WitnessUnexpected);
        }
        Ok(())
    }

    pub fn witness(&self) -> &Witness {
        &self.input.txin().witness
    }
}

/// A witness program: a version and what it commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program<'s> {
    pub version: u8,
    pub bytes: &'s [u8],
}

impl<'s> Program<'s> {
    /// A small number and a push of 2 to 40 bytes, nothing else.
    fn of(script: &'s [u8]) -> Option<Self> {
        let [version, length, bytes @ ..] = script else { return None };
        let version = match *version {
            0 => 0,
            small if (OP_1..=OP_16).contains(&Opcode(small)) => small - OP_1.0 + 1,
            _ => return None,
        };
        let fits = (2..=40).contains(&bytes.len()) && usize::from(*length) == bytes.len();
        fits.then_some(Self { version, bytes })
    }
}

fn is_p2sh(script: &[u8]) -> bool {
    matches!(script, [hash160, 20, hash @ .., equal]
        if *hash160 == OP_HASH160.0 && hash.len() == 20 && *equal == OP_EQUAL.0)
}
