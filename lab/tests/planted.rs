//! Each planted bug is found, and by a law that names it.
#![cfg(all(test, feature = "embedded", feature = "planted"))]
#![expect(clippy::panic, reason = "these are tests: they fail by panicking")]

use keyway_lab::laws::Law;
use keyway_lab::schedule::{plant, run};
use keyway_node::planted::Bug;

/// Each bug is found within so many schedules.
const SCHEDULES: u64 = 2_000;

fn is_found(bug: Bug, laws: &[Law]) {
    // One process for each test, as cargo-nextest has it: what is planted here is planted nowhere else.
    plant(bug);
    let summary = run(1, SCHEDULES, 1, &|_| ()).unwrap_or_else(|error| panic!("{error}"));
    let Some(failure) = summary.failure else { panic!("{bug:?} was not found in {SCHEDULES} schedules") };
    println!("{bug:?} found after {} schedules: {}", summary.schedules, failure.violation);
    assert!(laws.contains(&failure.violation.law), "{}", failure.violation);
}

#[test]
fn memory_that_is_believed_after_a_failed_write_is_found() {
    is_found(Bug::MemoryStays, &[Law::MemoryIsDisk]);
}

#[test]
fn a_home_that_misses_what_lies_below_its_birthday_is_found() {
    is_found(Bug::BirthdayOneBelow, &[Law::NoCoinLost, Law::FromScratch]);
}

#[test]
fn coins_locked_by_what_cannot_be_mined_are_found() {
    is_found(Bug::HopelessLocks, &[Law::NoCoinLost]);
}

#[test]
fn an_offer_forgotten_although_it_is_out_is_found() {
    is_found(Bug::ForgottenOnLostReply, &[Law::Reachable, Law::NoCoinLost]);
}

#[test]
fn a_secret_erased_before_its_answer_is_deep_is_found() {
    is_found(Bug::ErasedAtOnce, &[Law::Reachable, Law::TheTable, Law::FromScratch]);
}

#[test]
fn rows_that_outlive_their_block_are_found() {
    is_found(Bug::RowsStay, &[Law::MemoryIsDisk, Law::FromScratch, Law::Reachable, Law::NoCoinLost]);
}

#[test]
fn a_nonce_that_comes_again_after_a_restart_is_found() {
    is_found(Bug::StreamRepeats, &[Law::NothingTwice]);
}

#[test]
fn two_keys_for_one_negotiation_are_found() {
    is_found(Bug::AnswerNotCompared, &[Law::OneKey, Law::Reachable]);
}

#[test]
fn a_fee_above_the_ceiling_is_found() {
    is_found(Bug::NoCeiling, &[Law::NoCoinLost]);
}

#[test]
fn an_evicted_payment_that_is_not_sent_again_is_found() {
    is_found(Bug::NotSentAgain, &[Law::TheTable]);
}

#[test]
fn a_message_that_opens_twice_is_found() {
    is_found(Bug::OpenedNotNoted, &[Law::NothingTwice]);
}

#[test]
fn a_coin_that_is_offered_although_it_was_spent_is_found() {
    is_found(Bug::SpentOffered, &[Law::OnceSpent]);
}
