//! Bitcoin scripts, executed: legacy, P2SH, segwit version 0, taproot's key path and tapscript.
//!
//! An interpreter of our own, right where Bitcoin Core is right: it is held to all of Core's vectors, and compared with
//! Core's own validation on generated inputs (`./x fuzz-script`). It knows nothing of keys, negotiations and networks.
//!
//! [`Spending`] is a transaction with what it spends, [`Input::verify`] says whether an input may, and
//! [`Input::verify_observed`] shows how. Below, from the outside in: `verify` and `witness` say which scripts are
//! executed, `machine` executes one, [`sighash`] computes what signatures sign, [`limits`] and [`Flags`] are the rules'
//! numbers and names.

mod conditions;
mod error;
mod flags;
mod machine;
mod signature;
mod spending;
mod verify;
mod witness;

pub mod asm;
#[cfg(feature = "exponent")]
pub mod exponent;
pub mod instruction;
pub mod limits;
pub mod number;
pub mod observe;
pub mod opcode;
pub mod sighash;
pub mod stack;
pub mod taproot;

pub use error::ScriptError;
pub use flags::{Flags, UnknownFlag};
pub use spending::{Input, PrevoutsMismatch, Spending};
