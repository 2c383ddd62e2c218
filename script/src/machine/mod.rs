//! The stack machine that executes one script.

mod arithmetic;
mod control;
#[cfg(feature = "exponent")]
mod exponent;
mod hashes;
mod locktime;
mod multisig;
mod shuffle;
mod signatures;

use crate::conditions::Conditions;
use crate::instruction::{Instruction, Instructions};
use crate::limits::{MAX_OPS_PER_SCRIPT, MAX_SCRIPT_ELEMENT_SIZE, MAX_SCRIPT_SIZE, MAX_STACK_SIZE};
use crate::observe::{Observer, Part, State};
use crate::opcode::*;
use crate::stack::Stack;
use crate::{Flags, Input, ScriptError};

/// Which generation of rules a script is executed under.
#[derive(Clone, Copy, Debug)]
pub enum Generation {
    /// scriptSig, scriptPubKey and P2SH.
    Legacy,
    /// Segwit version 0.
    Segwit,
    /// Taproot leaves of version 0xc0.
    Tapscript(Tapscript),
}

/// What a tapscript has beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Tapscript {
    /// The hash of the leaf.
    pub leaf: [u8; 32],
    /// The hash of the annex, if there is one.
    pub annex: Option<[u8; 32]>,
    /// What its operations may still cost, in weight units.
    pub budget: i64,
}

/// A script being executed.
pub struct Machine<'m> {
    input: Input<'m>,
    flags: Flags,
    part: Part,
    generation: Generation,
    script: &'m [u8],
    stack: Stack,
    alt_stack: Stack,
    conditions: Conditions,
    /// Operations other than pushes so far.
    operations: usize,
    /// Byte after the last executed OP_CODESEPARATOR: signatures sign from here.
    code_start: usize,
    /// Place of that OP_CODESEPARATOR among the instructions, or `u32::MAX`.
    separator: u32,
}

impl<'m> Machine<'m> {
    /// Ready to execute the script with this stack.
    pub fn new(
        input: Input<'m>,
        flags: Flags,
        part: Part,
        generation: Generation,
        script: &'m [u8],
        stack: Stack,
    ) -> Self {
        let (alt_stack, conditions) = (Stack::default(), Conditions::default());
        let (operations, code_start, separator) = (0, 0, u32::MAX);
        Self {
            input,
            flags,
            part,
            generation,
            script,
            stack,
            alt_stack,
            conditions,
            operations,
            code_start,
            separator,
        }
    }

    /// Executes the script to its end. Returns the stack that it leaves.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<Stack, ScriptError> {
        if !self.is_tapscript() && self.script.len() > MAX_SCRIPT_SIZE {
            return Err(ScriptError::ScriptSize);
        }
        for (place, instruction) in (0..).zip(Instructions::new(self.script)) {
            let instruction = instruction?;
            observer.step(&self.state(), &instruction);
            self.step(&instruction, place)?;
        }
        if !self.conditions.is_empty() {
            return Err(ScriptError::UnbalancedConditional);
        }
        observer.end(&self.state());
        Ok(self.stack)
    }

    fn state(&self) -> State<'_> {
        State {
            part: self.part,
            script: self.script,
            stack: self.stack.items(),
            alt_stack: self.alt_stack.items(),
            depth: self.conditions.depth(),
            taken: self.conditions.all_true(),
            budget: match self.generation {
                Generation::Tapscript(tapscript) => Some(tapscript.budget),
                _ => None,
            },
        }
    }

    /// `place` counts the instructions before this one.
    fn step(&mut self, instruction: &Instruction<'_>, place: u32) -> Result<(), ScriptError> {
        self.check_always(instruction)?;
        let opcode = instruction.opcode;
        let taken = self.conditions.all_true();
        if taken && opcode.is_data_push() {
            self.push(instruction)?;
        } else if taken || (OP_IF..=OP_ENDIF).contains(&opcode) {
            self.execute(instruction, place)?;
        }
        if self.stack.len() + self.alt_stack.len() > MAX_STACK_SIZE {
            return Err(ScriptError::StackSize);
        }
        Ok(())
    }

    /// What holds even in a branch that is not taken.
    fn check_always(&mut self, instruction: &Instruction<'_>) -> Result<(), ScriptError> {
        let opcode = instruction.opcode;
        if instruction.push.len() > MAX_SCRIPT_ELEMENT_SIZE {
            return Err(ScriptError::PushSize);
        }
        if !self.is_tapscript() && !opcode.is_push() {
            self.count_operations(1)?;
        }
        if opcode.is_disabled() {
            return Err(ScriptError::DisabledOpcode);
        }
        if opcode == OP_CODESEPARATOR && self.is_legacy() && self.flags.has(Flags::CONST_SCRIPTCODE) {
            return Err(ScriptError::OpCodeSeparator);
        }
        Ok(())
    }

    fn count_operations(&mut self, more: usize) -> Result<(), ScriptError> {
        self.operations += more;
        if self.operations > MAX_OPS_PER_SCRIPT { Err(ScriptError::OpCount) } else { Ok(()) }
    }

    fn push(&mut self, instruction: &Instruction<'_>) -> Result<(), ScriptError> {
        if self.minimal() && !instruction.is_minimal_push() {
            return Err(ScriptError::MinimalData);
        }
        self.stack.push(instruction.push.to_vec());
        Ok(())
    }

    fn execute(&mut self, instruction: &Instruction<'_>, place: u32) -> Result<(), ScriptError> {
        let opcode = instruction.opcode;
        match opcode {
            _ if opcode.is_push() && opcode != OP_RESERVED => self.push_small(opcode),
            _ if (OP_NOP..=OP_RETURN).contains(&opcode) => self.control(opcode),
            _ if (OP_TOALTSTACK..=OP_SIZE).contains(&opcode) => self.shuffle(opcode),
            _ if (OP_EQUAL..=OP_WITHIN).contains(&opcode) => self.arithmetic(opcode),
            _ if (OP_RIPEMD160..=OP_HASH256).contains(&opcode) => self.hash(opcode),
            OP_CODESEPARATOR => self.separate(instruction, place),
            OP_CHECKSIG => self.check_sig(),
            OP_CHECKSIGVERIFY => self.check_sig_verify(),
            OP_CHECKSIGADD => self.check_sig_add(),
            OP_CHECKMULTISIG => self.check_multisig(),
            OP_CHECKMULTISIGVERIFY => self.check_multisig_verify(),
            OP_CHECKLOCKTIMEVERIFY => self.check_lock_time(),
            OP_CHECKSEQUENCEVERIFY => self.check_sequence(),
            _ if (OP_NOP1..=OP_NOP10).contains(&opcode) => self.upgradable_nop(),
            #[cfg(feature = "exponent")]
            OP_EXPONENT if self.is_tapscript() => self.exponent(),
            _ => Err(ScriptError::BadOpcode),
        }
    }

    /// OP_1NEGATE, OP_1 to OP_16.
    fn push_small(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        self.stack.push_number(i64::from(opcode.0) - i64::from(OP_1.0) + 1);
        Ok(())
    }

    /// Signatures from here on sign what follows.
    fn separate(&mut self, instruction: &Instruction<'_>, place: u32) -> Result<(), ScriptError> {
        (self.code_start, self.separator) = (instruction.end, place);
        Ok(())
    }

    fn upgradable_nop(&self) -> Result<(), ScriptError> {
        let discouraged = self.flags.has(Flags::DISCOURAGE_UPGRADABLE_NOPS);
        if discouraged { Err(ScriptError::DiscourageUpgradableNops) } else { Ok(()) }
    }

    fn is_tapscript(&self) -> bool {
        matches!(self.generation, Generation::Tapscript(_))
    }

    fn is_legacy(&self) -> bool {
        matches!(self.generation, Generation::Legacy)
    }

    /// Whether pushes and numbers must be as short as they can be.
    fn minimal(&self) -> bool {
        self.flags.has(Flags::MINIMALDATA)
    }

    /// Drops the 1 that an operation left, or fails with this error: what the VERIFY operations do.
    fn verify_top(&mut self, error: ScriptError) -> Result<(), ScriptError> {
        if crate::number::is_true(self.stack.peek(0)?) { self.stack.pop().map(drop) } else { Err(error) }
    }
}
