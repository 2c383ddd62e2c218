//! The ledger over a real node, and before nodes that lie.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: they fail by panicking"
)]

mod contract;
#[cfg(feature = "exponent")]
mod door;
#[cfg(feature = "exponent")]
mod enforcer;
mod harness;
mod hostile;
mod liar;
#[cfg(feature = "exponent")]
#[path = "../lock/mod.rs"]
mod lock;
mod nodes;
