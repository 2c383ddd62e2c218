//! OP_EXPONENT: its rules, and `vectors/op_exponent.json`.

// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

mod errata;
#[path = "../../../protocol/tests/support/file.rs"]
mod file;
#[path = "../../../protocol/tests/support/json.rs"]
#[allow(dead_code, reason = "these vectors hold no lists of numbers")]
mod json;
mod lock;
mod operations;
mod rules;
mod spend;
mod vectors;
