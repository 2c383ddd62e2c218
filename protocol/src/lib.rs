//! The Keyway protocol (docs/PROTOCOL.md), sans-IO: no socket, disk or clock inside. Blocks, time and
//! randomness come in; messages, keys and refusals come out.

pub mod authorship;
pub mod backup;
pub mod card;
pub mod disclosure;
mod encode;
pub mod identity;
pub mod introduction;
mod kdf;
pub mod letter;
pub mod message;
pub mod negotiation;
pub mod prekey;
pub mod ratchet;
pub mod sealing;
pub mod search;
pub mod secret;
pub mod state;
pub mod suite;
mod text;
mod verified;

pub use encode::outpoint_bytes;
pub use kdf::hash;
