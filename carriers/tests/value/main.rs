//! The value carrier, from outside: what users do, what strangers do, what attackers do.

// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

mod answers;
#[path = "../../../protocol/tests/support/corpus.rs"]
mod corpora;
mod corpus;
mod layout;
mod mutations;
mod runs;
mod strangers;
mod support;
#[path = "../../../fuzz/src/value_answer.rs"]
mod value_answer;
#[path = "../../../fuzz/src/value_offer.rs"]
mod value_offer;
