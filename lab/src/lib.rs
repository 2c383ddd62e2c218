//! The laboratory: parties over a simulated chain, disk and network that fail in every way, driven by a seed.
//!
//! A [`world::World`] is one schedule. The parties in it are the real ones, with their real stores; what they
//! write to, whom they ask and what they draw is simulated. After each step the [`laws`] must hold. Production
//! code never uses this crate.
#![cfg(feature = "embedded")]

pub mod disk;
pub mod fuse;
pub mod laws;
pub mod link;
pub mod people;
pub mod room;
pub mod schedule;
pub mod sim;
pub mod world;
