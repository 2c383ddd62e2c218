//! `keyway script`: scripts as text, and step by step.

mod show;
mod spend;
mod trace;

use bitcoin::hex::{DisplayHex, FromHex};
use keyway_script::asm;
use serde::Serialize;

use crate::cli::{ScriptAction, ScriptAsm, ScriptDisasm, ScriptRun};
use crate::error::Error;
use crate::ui::Ui;

use self::spend::Spend;
use self::trace::Trace;

/// `keyway script`
pub fn script(action: &ScriptAction, ui: &Ui) -> Result<(), Error> {
    match action {
        ScriptAction::Asm(args) => assemble(args, ui),
        ScriptAction::Disasm(args) => disassemble(args, ui),
        ScriptAction::Run(args) => run(args, ui),
    }
}

#[derive(Serialize)]
struct Script {
    hex: String,
    text: String,
    bytes: usize,
}

impl Script {
    fn of(bytes: &[u8]) -> Self {
        Self { hex: bytes.to_lower_hex_string(), text: asm::disassemble(bytes), bytes: bytes.len() }
    }
}

/// `keyway script asm`
fn assemble(args: &ScriptAsm, ui: &Ui) -> Result<(), Error> {
    let script = asm::assemble(&args.script).map_err(Error::Script)?;
    ui.data(&Script::of(script.as_bytes()), |script| script.hex.clone())
}

/// `keyway script disasm`
fn disassemble(args: &ScriptDisasm, ui: &Ui) -> Result<(), Error> {
    let hex = args.script.trim().trim_start_matches("0x");
    let bytes = Vec::from_hex(hex).map_err(|_| Error::NotHex("the script"))?;
    ui.data(&Script::of(&bytes), |script| script.text.clone())
}

/// `keyway script run`
fn run(args: &ScriptRun, ui: &Ui) -> Result<(), Error> {
    let spend = Spend::of(args)?;
    let mut trace = Trace::default();
    let result = spend.verify(args.flags.0, &mut trace)?;
    let report = trace.report(result);
    ui.data(&report, |report| show::text(report, ui.paint()))?;
    result.map_err(Error::ScriptFails)
}
