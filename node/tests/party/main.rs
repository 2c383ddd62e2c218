//! Whole parties over the embedded ledger: what they do, what is done to them, and what they refuse.
#![cfg(feature = "embedded")]
// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

mod accepts;
mod attacks;
mod backup;
#[path = "../../../fuzz/src/backup_text.rs"]
mod backup_text;
mod bad_input;
mod cancelled;
mod chain;
// Of what the fuzz target needs, the rest is others'.
#[allow(dead_code)]
#[path = "../../../protocol/tests/all/common.rs"]
mod common;
#[path = "../../../protocol/tests/support/corpus.rs"]
mod corpora;
mod corpus;
mod enveloped;
mod evidence;
mod exponent;
#[path = "../../../protocol/tests/support/groups.rs"]
mod fixtures;
mod groups;
#[path = "../../../fuzz/src/hearsay.rs"]
mod hearsay;
mod home;
mod introduced;
mod liveness;
mod liveness_shown;
mod locked;
mod negotiation;
mod operator;
#[path = "../../../fuzz/src/operator_text.rs"]
mod operator_text;
#[path = "../../../fuzz/src/peer/mod.rs"]
mod peer;
mod prepared;
#[path = "../../../fuzz/src/psbt.rs"]
mod psbt;
mod published;
mod recovery;
mod restored;
mod rotation;
mod sealed;
#[path = "../../../fuzz/src/stage.rs"]
mod stage;
#[path = "../../../fuzz/src/store_file.rs"]
mod store_file;
mod study;
mod world;
