//! The rule of OP_EXPONENT enforced beside an unmodified node (docs/OP_EXPONENT.md): an enforcer follows the node, has it
//! take back blocks that break the rule, and stands before it for those who pay and mine.
//!
//! - [`follow`]: holds every block to the rule that comes after the one where it began, in whatever branch;
//! - `pool`: transactions that the node takes for anybody's money and refuses to hold;
//! - `template`: blocks to be mined, with these transactions;
//! - [`Enforcer::answer`]: the node's JSON-RPC, in which all other questions go to the node.

mod follow;
mod place;
mod pool;
mod proxy;
mod template;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyway_chain::{BlockRef, Family};
use thiserror::Error;

pub use self::follow::{Guarded, Heard, follow};
use self::place::Place;
use self::pool::Pool;
use crate::{Ledger, LedgerError, Rpc};

pub use crate::rule::Broken;

/// An enforcer beside one node.
#[derive(Debug)]
pub struct Enforcer {
    node: Rpc,
    /// The last block that was held to the rule.
    checked: Mutex<Place>,
    pool: Mutex<Pool>,
}

/// Why a question gets no answer.
#[derive(Debug, Error)]
pub enum Said {
    /// The node's refusal, or this enforcer's, by the node's numbers.
    #[error("{message} (code {code})")]
    No {
        /// The number.
        code: i64,
        /// The words.
        message: String,
    },
    /// The node, or the way to it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Enforcer {
    /// An enforcer that remembers in `file` how far it came. Where there is none, the rule holds from the node's tip on.
    ///
    /// # Errors
    /// If the node does not answer or is not Bitcoin Core, or the file cannot be read or written.
    pub fn new(node: Rpc, file: PathBuf) -> Result<Self, LedgerError> {
        if node.chain().family() == Family::Litecoin {
            let what = "tell what a block's inputs spent, which an enforcer must know";
            return Err(LedgerError::Unsupported { backend: "Litecoin Core", what });
        }
        let checked = match Place::read(&file)? {
            Some(place) => place,
            None => Place::begin(file, node.tip()?)?,
        };
        Ok(Self { node, checked: Mutex::new(checked), pool: Mutex::default() })
    }

    /// The last block that was held to the rule, and all below it that came since it began.
    pub fn checked(&self) -> BlockRef {
        self.place().at()
    }

    /// Holds to the rule what the node has by now, until its tip stands still. What a reorganisation takes back
    /// is kept to be mined again.
    ///
    /// # Errors
    /// If the node does not answer, or the place cannot be written. What was checked stays checked.
    pub fn follow(&self, hear: &mut dyn FnMut(&Heard)) -> Result<(), LedgerError> {
        let mut place = self.place();
        let mut returned = Vec::new();
        let mut checked = place.at();
        let outcome = follow(&self.node, &mut checked, &mut |heard| {
            if let Heard::Left { transactions, .. } = &heard {
                returned.extend(transactions.iter().cloned());
            }
            hear(&heard);
        });
        let moved = place.at() != checked;
        place.set(checked)?;
        drop(place);
        if moved {
            self.pool().settle(&self.node, returned);
        }
        outcome
    }

    /// Returns when the node has another tip than the one that was checked last, or when the time is up.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn wait(&self, at_most: std::time::Duration) -> Result<(), LedgerError> {
        self.node.wait(self.checked(), at_most).map(drop)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
