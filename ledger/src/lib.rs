//! A ledger: a chain as a backend shows it. Knows nothing of negotiations, keys or wallets.
//!
//! [`Ledger`] is the one trait; its documentation is the contract that every backend keeps.
//! A caller follows the best chain by asking [`Ledger::next`] again and again:
//!
//! ```
//! use keyway_chain::{BlockRef, Height};
//! use keyway_ledger::{Ledger, LedgerError, Next, Watch};
//!
//! /// Brings `seen`, the blocks processed so far from genesis up, in line with the best chain.
//! fn follow(ledger: &dyn Ledger, seen: &mut Vec<BlockRef>, watch: &Watch) -> Result<(), LedgerError> {
//!     let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
//!     loop {
//!         let last = seen.last().copied().unwrap_or(genesis);
//!         match ledger.next(last, watch)? {
//!             Next::Connect(block) => seen.push(block.at), // store block.hits in the same step
//!             Next::Disconnect => drop(seen.pop()),        // take back what that block brought
//!             Next::AtTip => return Ok(()),
//!         }
//!     }
//! }
//! ```

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "exponent")]
pub mod enforcer;
mod error;
mod ledger;
pub mod rpc;
#[cfg(feature = "exponent")]
mod rule;
mod scan;
mod sieve;
#[cfg(feature = "testnode")]
pub mod testnode;
mod watch;

#[cfg(feature = "embedded")]
pub use embedded::Embedded;
pub use error::{BroadcastError, Fault, LedgerError, Refusal, RefusalKind};
pub use ledger::{Coin, Connected, Hit, Ledger, Next};
pub use rpc::Rpc;
pub use scan::{NotABlock, Scanned, scan};
pub use watch::Watch;
