//! The value carrier: messages in the amounts of the payment itself (PROTOCOL.md 7.1 to 7.3).
//!
//! - [`Layout`]: how a message of some length is spread over the outputs of a price, before anything is paid;
//! - [`run`]: a message in amounts, an offer above all;
//! - [`sequences`]: an answer in the sequence numbers of the inputs that collect the offer's run;
//! - [`amounts`]: an answer in amounts that are paid back.

pub mod amounts;
#[cfg(test)]
mod block;
mod collect;
mod layout;
pub mod run;
pub mod sequences;

pub use collect::{NotCollecting, UNUSED_SEQUENCE};
pub use layout::{CoinBits, ImpossibleLength, Layout, MessageLen, PriceTooLow, p2wpkh_weight};
pub use run::{Binding, Damage, Run};
