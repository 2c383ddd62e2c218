//! The command line as people and scripts use it: the built binary, the real embedded ledger, real files.
//!
//! What it prints is compared with the text in each test, after [`stage::masked`] has replaced what differs
//! from run to run; `SNAPSHOTS=overwrite cargo test -p keyway --test cli` writes the text anew.
#![cfg(feature = "embedded")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests: they fail by panicking"
)]

mod beside_node;
mod beside_scripts;
mod busy;
mod by_hand;
mod cancelled;
mod carried;
mod damage;
mod declined;
mod demo;
mod disk_full;
mod door;
mod endless;
#[cfg(feature = "exponent")]
mod enforcing;
mod evidence;
#[path = "../../../protocol/tests/support/groups.rs"]
mod fixtures;
mod fleet;
mod help;
mod killed;
mod lab;
mod liveness;
mod many_offers;
#[path = "../../../node/tests/party/operator.rs"]
mod operator;
mod params;
mod prepared;
mod refusals;
mod reorganised;
mod restoring;
#[cfg(feature = "exponent")]
mod script;
mod serving;
mod stage;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod steps;
mod town;
mod troubled_node;
mod unmined;
