//! What can go wrong with the embedded ledger alone.

use std::path::PathBuf;

use bitcoin::{BlockHash, Txid};
use thiserror::Error;

use super::policy::Reject;
use crate::{LedgerError, NotABlock, Refusal};

/// Why a folder could not be opened as a ledger.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the ledger in {} is in use by another process{}\nWait until that one ends, or stop it.",
        folder.display(), holder.map(|pid| format!(" (number {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The ledger's folder.
        folder: PathBuf,
        /// The other process, if it said.
        holder: Option<u32>,
    },

    /// This process has it.
    #[error("the ledger in {} is open in this process already\nShare that one.", folder.display())]
    AlreadyOpen {
        /// The ledger's folder.
        folder: PathBuf,
    },

    /// The folder holds other things.
    #[error("{} is not a ledger: it holds `{found}`\nName an empty folder, or one that does not exist.", folder.display())]
    NotALedger {
        /// The folder.
        folder: PathBuf,
        /// Something in it.
        found: String,
    },

    /// Written by another version of this program.
    #[error("{} has format {found}, this program reads format {expected}\nUse the version that wrote it.", path.display())]
    Format {
        /// The log.
        path: PathBuf,
        /// The format it says it has.
        found: String,
        /// The one this program knows.
        expected: u32,
    },

    /// Its files cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Why a block was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The bytes are no block.
    #[error("{0}\nIt was not looked at further.")]
    Malformed(#[from] NotABlock),

    /// Its parent has not come yet.
    #[error("block {block} follows {parent}, which is not here\nSubmit that one first.")]
    UnknownParent {
        /// The block.
        block: BlockHash,
        /// The one it follows.
        parent: BlockHash,
    },

    /// It breaks a rule.
    #[error(
        "block {block} was refused: {reason}{}\nThe chain is as it was.",
        if at_fault == block { String::new() } else { format!(" (in block {at_fault}, which it rests on)") }
    )]
    Refused {
        /// The block.
        block: BlockHash,
        /// The block that breaks the rule: this one or one it rests on.
        at_fault: BlockHash,
        /// Bitcoin Core's reason, word for word, with its details; or `op-exponent` and what breaks that rule.
        reason: String,
    },

    /// There is nothing to build on.
    #[error("there is no block {0} to build on\nName a block of this ledger.")]
    NoSuchBlock(BlockHash),

    /// The ledger holds as many blocks as it can.
    #[error("this ledger holds {limit} blocks and takes no more\nStart a new one in another folder.")]
    Full {
        /// How many that is.
        limit: usize,
    },

    /// The ledger could not do it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl BlockError {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(NotABlock::new(what))
    }
}

impl Reject {
    pub(super) fn of(self, txid: Txid) -> Refusal {
        Refusal { txid, reason: self.reason, detail: self.detail }
    }
}
