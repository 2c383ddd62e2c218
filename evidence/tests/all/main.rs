//! Evidence of a story that is always the same: what verifies, what is refused by name, and the vectors of both.

// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

#[path = "../../../protocol/tests/support/corpus.rs"]
mod corpora;
mod corpus;
#[path = "../../../fuzz/src/evidence.rs"]
mod evidence;
#[path = "../../../protocol/tests/support/file.rs"]
mod file;
mod forged;
#[path = "../../../protocol/tests/support/json.rs"]
mod json;
#[path = "../../../carriers/tests/vectors/party.rs"]
#[expect(dead_code, reason = "the carriers' own vectors take all of it")]
mod party;
mod story;
mod vectors;
