//! Bitcoin Core's own vectors. They lie in the sources of the package that vendors it, and are read from there; where
//! that package is not, these tests skip.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bip341;
mod files;
mod script_tests;
mod sighash;
mod transactions;
