//! The steps for people: each instruction, and the stack that it leaves.

use super::trace::{Executed, Report, Step};
use crate::render::paint::Paint;

/// Columns of an instruction.
const INSTRUCTION: usize = 26;
/// Digits of an item that is shown whole.
const WHOLE: usize = 16;
/// Items of a stack that are shown.
const ITEMS: usize = 8;

/// The whole report.
pub fn text(report: &Report, paint: Paint) -> String {
    let scripts = report.scripts.iter().filter(|script| script.bytes > 0);
    let mut lines: Vec<String> = scripts.flat_map(|script| script_lines(script, paint)).collect();
    if report.left_out > 0 {
        lines.push(format!("  and {} steps more, too many to show", report.left_out));
    }
    lines.push(match report.error {
        None => paint.bold("it verifies"),
        Some(name) => paint.bold(&format!("it fails: {name}")),
    });
    lines.join("\n")
}

fn script_lines(script: &Executed, paint: Paint) -> Vec<String> {
    let budget = script.steps.first().and_then(|step| step.budget);
    let budget = budget.map_or_else(String::new, |budget| format!(", budget {budget} weight units"));
    let head = format!("{}, {} bytes{budget}", script.part, script.bytes);
    let afters = script.steps.iter().skip(1).map(|next| Some((&next.stack, next.budget)));
    let last = script.left.as_ref().map(|left| (left, None));
    let steps = script.steps.iter().zip(afters.chain([last]));
    let steps = steps.map(|(step, after)| step_line(step, after, paint));
    std::iter::once(paint.bold(&head)).chain(steps).collect()
}

/// `after` is the stack and the budget that the instruction leaves; none if it failed.
fn step_line(step: &Step, after: Option<(&Vec<String>, Option<i64>)>, paint: Paint) -> String {
    let indent = "  ".repeat(step.depth.min(8));
    let instruction = format!("{indent}{}", short_instruction(&step.instruction));
    let paid = after.and_then(|(_, budget)| Some(step.budget? - budget?)).filter(|paid| *paid > 0);
    let paid = paid.map_or_else(String::new, |paid| format!("  for {paid} weight units"));
    let ends_branch = matches!(step.instruction.as_str(), "OP_ELSE" | "OP_ENDIF");
    let stack = match after {
        _ if !step.executed && !ends_branch => paint.dim("not executed"),
        Some((stack, _)) => stack_text(stack) + &paint.dim(&paid),
        None => paint.error("fails"),
    };
    format!("{:>5}  {instruction:<INSTRUCTION$}  {stack}", step.byte)
}

/// The top is on the right.
fn stack_text(stack: &[String]) -> String {
    let hidden = stack.len().saturating_sub(ITEMS);
    let more = (hidden > 0).then(|| format!("({hidden} more)"));
    let items = stack.iter().skip(hidden).map(|item| short_item(item));
    let items: Vec<String> = more.into_iter().chain(items).collect();
    if items.is_empty() { "(nothing)".to_owned() } else { items.join(" ") }
}

fn short_item(hex: &str) -> String {
    match hex {
        "" => "<>".to_owned(),
        _ if hex.len() <= WHOLE => hex.to_owned(),
        _ => format!("{} ({})", ends(hex), hex.len() / 2),
    }
}

fn short_instruction(word: &str) -> String {
    match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
        Some(hex) if hex.len() > WHOLE => format!("<{}> ({})", ends(hex), hex.len() / 2),
        _ if word.len() > INSTRUCTION => ends(word),
        _ => word.to_owned(),
    }
}

fn ends(text: &str) -> String {
    let head: String = text.chars().take(8).collect();
    let tail: String = text.chars().skip(text.chars().count().saturating_sub(4)).collect();
    format!("{head}…{tail}")
}
