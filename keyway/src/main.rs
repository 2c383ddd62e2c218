//! `keyway`: two parties who pay each other agree, inside those payments, on a key.
//!
//! This crate only asks and tells: what it knows of chains, keys and messages it asks `keyway_node`.

mod amount;
mod cli;
mod commands;
mod context;
#[cfg(feature = "embedded")]
mod demo;
#[cfg(feature = "embedded")]
mod eavesdropper;
#[cfg(feature = "exponent")]
mod enforce;
mod error;
#[cfg(feature = "embedded")]
mod faucet;
mod files;
mod harden;
mod ledger;
mod progress;
mod render;
mod serve;
mod start;
mod ui;
mod unlock;

fn main() -> std::process::ExitCode {
    harden::keep_memory_private();
    start::run(std::env::args_os())
}
