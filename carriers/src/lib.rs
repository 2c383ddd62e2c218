//! Carriers: message bytes to transaction outputs and sequence numbers, and back (PROTOCOL.md 7).
//!
//! What a message says is opaque here, and so is who is running: no wallet, no ledger, no negotiation.
//! Readers take an [`Authored`](keyway_protocol::authorship::Authored) transaction, because nothing that
//! the author's signature does not cover carries message bytes.

mod bits;
pub mod paper;
pub mod script;
pub mod value;
