//! How things look: for people (aligned lines) and for programs (JSON with stable names).

pub mod evidence;
pub mod json;
pub mod layout;
pub mod negotiation;
pub mod paint;
pub mod time;
