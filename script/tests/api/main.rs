//! What the crate promises beside Bitcoin Core's vectors.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod asm;
mod names;
mod observed;
