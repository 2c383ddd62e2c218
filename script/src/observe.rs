//! Watching a script run.

use crate::instruction::Instruction;

/// Which script of an input is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The input's scriptSig.
    ScriptSig,
    /// The script of the output that is spent.
    ScriptPubkey,
    /// What a P2SH output commits to.
    RedeemScript,
    /// What a segwit version 0 output commits to; for P2WPKH the script that it stands for.
    WitnessScript,
    /// A leaf of a taproot output.
    Tapscript,
}

/// The machine as it is before an instruction, or at a script's end.
#[derive(Clone, Copy, Debug)]
pub struct State<'s> {
    /// The script that runs.
    pub part: Part,
    /// Its bytes.
    pub script: &'s [u8],
    /// The stack, the last item being the top.
    pub stack: &'s [Vec<u8>],
    /// The alternative stack, the last item being the top.
    pub alt_stack: &'s [Vec<u8>],
    /// How many OP_IFs are open.
    pub depth: usize,
    /// Whether this branch is taken.
    pub taken: bool,
    /// What is left of a tapscript's budget, in weight units.
    pub budget: Option<i64>,
}

/// Is told what happens. `()` does not care.
pub trait Observer {
    /// An instruction is about to be executed, or skipped if its branch is not taken.
    fn step(&mut self, _state: &State<'_>, _instruction: &Instruction<'_>) {}

    /// A script ran to its end.
    fn end(&mut self, _state: &State<'_>) {}
}

impl Observer for () {}
