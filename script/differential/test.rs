//! A short run of the comparison with Bitcoin Core; `./x fuzz-script` runs longer ones.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod compare;
mod generate;

use compare::{CASES_PER_INPUT, Report};

const CASES: u64 = 20_000;
const SEED: u64 = 1;

#[test]
fn generated_inputs_verify_here_if_and_only_if_they_verify_in_bitcoin_core() {
    println!("seed {SEED}");
    let mut report = Report::default();
    for nth in 0..CASES / CASES_PER_INPUT {
        report.compare(SEED, nth).unwrap_or_else(|difference| panic!("{difference}"));
    }
    println!("{report}");
    assert!(report.verified() > CASES / 5, "the generator makes too few inputs that verify:\n{report}");
    assert!(report.outcomes() > 30, "the generator reaches too few ways to fail:\n{report}");
    assert_eq!(report.flag_sets(), 96, "the sets of consensus flags that Bitcoin Core takes");
}
