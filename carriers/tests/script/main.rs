//! The static and the dynamic carrier, from outside: damaged, foreign and doubled messages, and the fuzz target's seeds.

// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

#[path = "../../../fuzz/src/beside.rs"]
mod beside;
#[path = "../../../protocol/tests/support/corpus.rs"]
mod corpora;
mod corpus;
mod envelopes;
#[path = "../../../protocol/tests/support/groups.rs"]
mod fixtures;
mod payments;
#[path = "../value/support.rs"]
mod support;
