//! What must hold of whatever `./x paper` writes, and of the file that says how to cite Keyway.
#![cfg(feature = "embedded")]
// Clippy then gives the helpers the leave that it gives tests.
#![cfg(test)]

mod citation;
mod walk;
