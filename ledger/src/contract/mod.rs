//! The test suite that every backend passes. Each test is named after the clause of [`Ledger`]'s
//! contract that it checks.
//!
//! A backend writes a [`Harness`] and one line, with the feature `contract`:
//!
//! ```ignore
//! keyway_ledger::contract_tests!(MyHarness::start());
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: they fail by panicking"
)]

mod coins;
mod contents;
mod errors;
mod following;
mod hits;
mod sending;
mod waiting;

use bitcoin::Script;
use keyway_chain::BlockRef;

use crate::Ledger;

pub use self::coins::*;
pub use self::contents::*;
pub use self::errors::*;
pub use self::following::*;
pub use self::hits::*;
pub use self::sending::*;
pub use self::waiting::*;

/// A fresh chain of a backend, and the power to make it move. Every method returns when the ledger
/// shows what it did.
pub trait Harness {
    /// The backend under test.
    type Ledger: Ledger;

    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;

    /// Mines blocks that pay `to` and hold all unmined transactions.
    fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef>;

    /// Replaces the last `remove` blocks by `add` others that hold no transactions and pay `to`;
    /// `add` is more than `remove`.
    fn reorganise(&self, remove: u32, add: u32, to: &Script) -> Vec<BlockRef>;

    /// Takes the last blocks away and puts nothing in their place.
    fn roll_back(&self, blocks: u32);
}

/// Makes a `#[test]` of every test of the contract. Takes an expression that starts a fresh
/// [`Harness`]; after `where there is one:`, an expression that gives none where the machine lacks what it
/// needs, and says so.
#[macro_export]
macro_rules! contract_tests {
    (where there is one: $harness:expr) => {
        $crate::contract_tests!(@all $harness);
    };
    ($harness:expr) => {
        $crate::contract_tests!(@all Some($harness));
    };
    (@all $harness:expr) => {
        $crate::contract_tests!(@each $harness;
            c1_1_asking_again_gives_the_same_answer,
            c1_2_blocks_come_one_by_one_and_ascending,
            c1_3_following_may_begin_anywhere_in_the_best_chain,
            c1_4_at_the_tip_nothing_follows,
            c2_1_a_reorganisation_takes_blocks_back_before_others_come,
            c2_2_a_bare_rollback_is_noticed,
            c2_3_an_unknown_block_is_taken_back_and_a_foreign_genesis_refused,
            c2_4_a_transaction_that_left_and_came_back_is_a_hit_again,
            c3_1_paying_a_watched_script_is_a_hit,
            c3_2_spending_a_watched_outpoint_is_a_hit,
            c3_3_spending_what_the_same_block_paid_is_a_hit_and_later_it_is_not,
            c4_1_hits_come_in_block_order_and_once_each,
            c4_2_a_coinbase_can_be_a_hit,
            c4_4_a_hit_is_whole_and_says_what_its_first_input_spends,
            c5_the_tip_has_depth_one,
            c6_a_coin_is_shown_until_something_spends_it,
            c7_1_a_transaction_that_was_taken_is_pending_until_it_is_mined,
            c7_2_broadcasting_again_changes_nothing,
            c7_3_a_refusal_says_why_and_changes_nothing,
            c7_4_a_check_says_what_a_broadcast_would_and_sends_nothing,
            c7_5_a_transaction_of_a_block_that_left_is_pending_again,
            c7_6_data_outputs_of_the_size_that_is_said_are_taken_and_larger_ones_are_not,
            c8_pending_transactions_come_parents_first,
            c9_waiting_ends_when_the_tip_moves_or_the_time_is_up,
            c10_several_threads_may_ask_at_once,
            c11_1_what_a_backend_cannot_do_it_can_never_do,
            c13_a_block_holds_what_its_header_commits_to,
            c11_4_hostile_transactions_are_refused_and_the_chain_goes_on,
        );
    };
    (@each $harness:expr; $($test:ident,)*) => {
        $(#[test]
        fn $test() {
            if let Some(harness) = $harness {
                $crate::contract::$test(&harness);
            }
        })*
    };
}
