//! From the arguments to the exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

use crate::cli::{Cli, ColorWhen};
use crate::commands;
use crate::error::Error;
use crate::serve;
use crate::ui::Ui;

/// Parses, runs, and says what went wrong.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let command = Cli::command().color(color_of(&args));
    let parsed = command.try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return not_run(&error, args.iter().any(|arg| arg == "--json")),
    };
    let ui = Ui::new(&cli.global);
    let outcome = match serve::forward(&cli, &args, &ui) {
        Ok(Some(code)) => return ExitCode::from(code),
        Ok(None) => commands::run(cli, &ui),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.failed(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Help and version on stdout, wrong usage on stderr.
fn not_run(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        eprintln!("{}", Error::usage_json(&error.render().to_string()));
    } else {
        // A closed pipe is no reason to complain: whoever read has read enough.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// Clap prints help and usage errors before `--color` is parsed, so it is looked up by hand.
fn color_of(args: &[OsString]) -> ColorChoice {
    let texts = || args.iter().filter_map(|arg| arg.to_str());
    let inline = texts().find_map(|arg| arg.strip_prefix("--color="));
    let apart = texts().skip_while(|arg| *arg != "--color").nth(1);
    match inline.or(apart).and_then(ColorWhen::named) {
        Some(ColorWhen::Always) => ColorChoice::Always,
        Some(ColorWhen::Never) => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}
