//! Compares the interpreter with Bitcoin Core's: `./x fuzz-script --cases N --seed S`.
//!
//! A case is a generated input under one set of consensus flags. Each input gives two: all flags, and a set drawn at
//! random from those that Bitcoin Core takes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod compare;
mod generate;

use std::process::ExitCode;
use std::time::Instant;

use compare::{CASES_PER_INPUT, Report};

const USAGE: &str = "usage: fuzz_script [--cases N] [--seed S]";
const REPORT_EVERY: u64 = 500_000;

fn main() -> ExitCode {
    let Some((cases, seed)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("seed {seed}, {cases} cases");
    let (started, mut report) = (Instant::now(), Report::default());
    for nth in 0..cases.div_ceil(CASES_PER_INPUT) {
        if let Err(difference) = report.compare(seed, nth) {
            println!("{difference}");
            return ExitCode::FAILURE;
        }
        let done = (nth + 1) * CASES_PER_INPUT;
        if done.is_multiple_of(REPORT_EVERY) {
            println!("{done} cases in {:.0} s", started.elapsed().as_secs_f64());
        }
    }
    println!("{report}no difference in {cases} cases, seed {seed}, {:.0} s", started.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn arguments() -> Option<(u64, u64)> {
    let (mut cases, mut seed) = (100_000, 1);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match word.as_str() {
            "--cases" => cases = number,
            "--seed" => seed = number,
            _ => return None,
        }
    }
    Some((cases, seed))
}
