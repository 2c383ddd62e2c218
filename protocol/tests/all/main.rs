//! What users and attackers do with the protocol, through its public interface only; and the vectors that another
//! implementation can check itself against.

// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

mod authorship;
#[path = "../../../fuzz/src/card_text.rs"]
mod card_text;
mod cards_accepted;
mod cards_read;
mod common;
#[path = "../support/corpus.rs"]
mod corpora;
mod corpus;
mod errata;
#[path = "../support/file.rs"]
mod file;
#[path = "../support/groups.rs"]
mod fixtures;
mod groups;
mod identity;
mod introductions;
#[path = "../support/json.rs"]
mod json;
#[path = "../support/kdf.rs"]
mod kdf;
#[path = "../../../fuzz/src/letter.rs"]
mod letter;
#[path = "../../../fuzz/src/message_bytes.rs"]
mod message_bytes;
mod negotiation;
mod observer;
mod sealed_forged;
#[path = "../../../fuzz/src/sealed_message.rs"]
mod sealed_message;
mod sealing;
mod secrets;
mod shares;
mod vectors;
