//! What a third party sees of negotiations (PROTOCOL.md 13): without a secret, a store or a network.
//!
//! - [`seen`]: what anybody reads of an offer and its answer;
//! - [`trace`]: the negotiations of two parties, from the transactions of a chain;
//! - [`Evidence`]: the file that proves one of them, and [`Evidence::verify`], which checks it;
//! - [`Statement`]: what it proves, and what not.
//!
//! ```
//! use keyway_chain::Depth;
//! use keyway_evidence::{Evidence, Trust};
//!
//! /// What a file proves to somebody who trusts nothing but work.
//! fn proven(file: &[u8]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
//!     let evidence = Evidence::from_bytes(file)?;
//!     Ok(evidence.verify(&Trust::Work, Depth::new(1))?.proven())
//! }
//! # assert!(proven(b"no evidence").is_err());
//! ```

mod disclosed;
mod file;
mod headers;
mod line;
mod living;
pub mod merkle;
mod reading;
mod say;
pub mod seen;
mod statement;
pub mod time;
pub mod trace;
mod verify;

pub use disclosed::{Contents, Disclosures, MOST_SESSIONS, SessionWord, Shown, Word};
pub use file::{Entry, Evidence, MOST_BYTES, MOST_DEPTH, Malformed};
pub use headers::{Headers, LEAD, MOST_HEADERS, WrongHeaders};
pub use living::{MOST_SPENDINGS, Spending};
pub use statement::{
    AnswerSeen, CoinSeen, NotOpened, Opened, Placed, Session, SpendingSeen, SpentFor, Statement, Ties,
};
pub use verify::{Found, Refused, Trust};
