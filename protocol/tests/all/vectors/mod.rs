//! `vectors/*.json`: made by the code, and compared with it byte for byte. Whole runs and the value carrier's
//! vectors are made in `carriers/tests/vectors/`, because this crate knows no carrier.

mod authorship;
mod cards;
mod derivation;
mod groups;
mod introductions;
mod negotiation;
mod sealed;
mod second_implementation;
