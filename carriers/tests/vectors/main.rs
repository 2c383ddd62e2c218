//! `vectors/value.json`, `beside.json`, `envelopes.json`, `liveness.json` and `runs.json`: made by the code, and compared with it byte for
//! byte.

// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

mod answers;
mod beside;
mod envelopes;
#[path = "../../../protocol/tests/support/file.rs"]
mod file;
#[path = "../../../protocol/tests/support/groups.rs"]
mod fixtures;
#[path = "../../../protocol/tests/support/json.rs"]
mod json;
#[path = "../../../protocol/tests/support/kdf.rs"]
mod kdf;
mod liveness;
mod party;
mod runs;
mod value;
