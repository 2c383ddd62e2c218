//! Our own code takes the same steps whatever the secret: its instructions are counted, by valgrind, for secrets
//! that could not differ more. Counts repeat exactly, so one instruction more is a difference.
#![cfg(all(test, feature = "embedded", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: they fail by panicking"
)]

use std::process::Command;

/// Instructions of the program that does this with that secret; `None` where there is no valgrind.
fn instructions(what: &str, which: usize) -> Option<u64> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([env!("CARGO_BIN_EXE_one-secret"), what, &which.to_string()])
        // What the environment holds moves the stack, and so a few instructions of the start.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output();
    let Ok(run) = run else {
        println!("skipped: valgrind is not there");
        return None;
    };
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}");
    let counted = said.lines().find_map(|line| line.split_once("Collected : "));
    let counted = counted.unwrap_or_else(|| panic!("no count: {said}")).1;
    Some(counted.trim().parse().unwrap())
}

fn counts(what: &str) -> Option<Vec<u64>> {
    (0..4).map(|which| instructions(what, which)).collect()
}

fn takes_the_same_steps(what: &str) {
    let Some(counts) = counts(what) else { return };
    assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{what}: {counts:?}");
    println!("{what}: {counts:?}");
}

#[test]
fn negotiation_secrets_are_derived_in_the_same_steps_whatever_they_are() {
    takes_the_same_steps("derive");
}

#[test]
fn a_confirmation_tag_is_compared_in_the_same_steps_wherever_it_differs() {
    takes_the_same_steps("compare");
}

#[test]
fn a_key_is_agreed_over_x25519_in_the_same_steps_whatever_the_shares() {
    takes_the_same_steps("agree");
}

#[test]
fn a_message_is_sealed_and_opened_in_the_same_steps_whatever_the_chain_key() {
    takes_the_same_steps("seal");
}

#[test]
fn steps_that_depend_on_a_secret_would_be_counted() {
    let Some(counts) = counts("leak") else { return };
    assert!(counts.windows(2).all(|pair| pair[0] != pair[1]), "{counts:?}");
    assert_eq!(instructions("leak", 0), counts.first().copied(), "counts repeat");
}
