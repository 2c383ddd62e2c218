//! The embedded ledger, as its users and its enemies meet it.
#![cfg(all(test, feature = "embedded"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: they fail by panicking"
)]

mod contract;
mod course;
mod crash;
mod damage;
mod enforcer;
mod exponent;
mod liars;
#[path = "../lock/mod.rs"]
mod lock;
mod mining;
mod refusals;
#[cfg(target_os = "linux")]
mod space;
mod tools;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tracer;
mod victim;
