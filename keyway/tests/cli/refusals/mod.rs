//! Wrong input: what the error says, its exit code, and that the right command works afterwards.

mod cards;
mod homes;
mod messages;
mod money;
mod names;
mod usage;

use snapbox::IntoData;

use crate::stage::{Run, Stage};

/// An error in three parts, told on standard error alone.
#[track_caller]
fn refused(run: Run, code: i32, expected: impl IntoData) {
    snapbox::assert_data_eq!(run.explained(code), expected);
}

/// Run in a session of its own, so that /dev/tty is nobody's.
fn without_terminal(stage: &Stage, args: &str) -> Run {
    let mut command = std::process::Command::new("setsid");
    command.arg("--wait").arg(crate::stage::KEYWAY).args(args.split_whitespace()).current_dir(stage.path());
    stage.finish(&mut command, b"")
}
