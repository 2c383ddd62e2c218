//! What happened, step by step.

use bitcoin::hex::DisplayHex;
use keyway_script::ScriptError;
use keyway_script::asm::word_of;
use keyway_script::instruction::Instruction;
use keyway_script::observe::{Observer, Part, State};
use serde::Serialize;

/// The most bytes of stacks that are kept; what a script does beyond is only counted.
const MOST: usize = 64 << 20;

/// Everything that happened.
#[derive(Serialize)]
pub struct Report {
    pub verifies: bool,
    /// The failure's name.
    pub error: Option<&'static str>,
    pub why: Option<String>,
    pub scripts: Vec<Executed>,
    /// Steps that are not shown, because there are too many.
    pub left_out: u64,
}

/// One script.
#[derive(Serialize)]
pub struct Executed {
    pub part: &'static str,
    pub bytes: usize,
    pub steps: Vec<Step>,
    /// The stack that it left; null if it did not come to its end.
    pub left: Option<Vec<String>>,
}

/// The machine before one instruction.
#[derive(Serialize)]
pub struct Step {
    /// Where in the script it stands.
    pub byte: usize,
    pub instruction: String,
    /// Whether it is executed, or stands in a branch that is not taken.
    pub executed: bool,
    pub depth: usize,
    /// The last item is the top.
    pub stack: Vec<String>,
    pub alt_stack: Vec<String>,
    /// What the tapscript's operations may still cost.
    pub budget: Option<i64>,
}

/// Takes notes.
#[derive(Default)]
pub struct Trace {
    scripts: Vec<(Part, Executed)>,
    kept: usize,
    left_out: u64,
}

impl Trace {
    /// The notes, with how it ended.
    pub fn report(self, result: Result<(), ScriptError>) -> Report {
        Report {
            verifies: result.is_ok(),
            error: result.err().map(ScriptError::name),
            why: result.err().map(|error| error.to_string()),
            scripts: self.scripts.into_iter().map(|(_, script)| script).collect(),
            left_out: self.left_out,
        }
    }

    /// The notes on the script that runs: the last, unless that one has ended.
    fn script(&mut self, state: &State<'_>) -> Option<&mut Executed> {
        let running = |(part, script): &(Part, Executed)| *part == state.part && script.left.is_none();
        if !self.scripts.last().is_some_and(running) {
            let (part, bytes) = (name_of(state.part), state.script.len());
            self.scripts.push((state.part, Executed { part, bytes, steps: Vec::new(), left: None }));
        }
        self.scripts.last_mut().map(|(_, script)| script)
    }
}

impl Observer for Trace {
    fn step(&mut self, state: &State<'_>, instruction: &Instruction<'_>) {
        let items = state.stack.iter().chain(state.alt_stack);
        self.kept += items.map(|item| 2 * item.len() + 32).sum::<usize>() + 128;
        if self.kept > MOST {
            self.left_out += 1;
            return;
        }
        let step = Step {
            byte: instruction.start,
            instruction: word_of(instruction, state.script),
            executed: state.taken,
            depth: state.depth,
            stack: hex(state.stack),
            alt_stack: hex(state.alt_stack),
            budget: state.budget,
        };
        if let Some(script) = self.script(state) {
            script.steps.push(step);
        }
    }

    fn end(&mut self, state: &State<'_>) {
        if let Some(script) = self.script(state) {
            script.left = Some(hex(state.stack));
        }
    }
}

fn hex(items: &[Vec<u8>]) -> Vec<String> {
    items.iter().map(|item| item.to_lower_hex_string()).collect()
}

fn name_of(part: Part) -> &'static str {
    match part {
        Part::ScriptSig => "scriptSig",
        Part::ScriptPubkey => "scriptPubKey",
        Part::RedeemScript => "redeem script",
        Part::WitnessScript => "witness script",
        Part::Tapscript => "tapscript",
    }
}
