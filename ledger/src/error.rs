//! What can go wrong, whose fault it is, and what to do.

use std::io;
use std::path::PathBuf;

use bitcoin::{BlockHash, Txid};
use keyway_chain::Height;
use thiserror::Error;

/// Whose fault an error is, so that a caller knows whether to wait, ask or repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The caller asked for what cannot be.
    Caller,
    /// The backend or the way to it; the same call may succeed later.
    Backend,
    /// The machine: a disk that is full or fails, a file that another process holds.
    Machine,
    /// The stored data are damaged.
    Data,
}

/// Why a ledger could not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The backend did not answer.
    #[error(
        "{backend} does not answer: {reason}\nCheck that it runs and that its address and credentials are right."
    )]
    Unreachable {
        /// Which backend, with its address.
        backend: String,
        /// What the attempt ended with.
        reason: String,
    },

    /// The backend's address is none.
    #[error(
        "`{url}` is not the address of a node: {what}\nGive it as http://HOST:PORT, for example http://127.0.0.1:8332."
    )]
    Address {
        /// What was given, without a password.
        url: String,
        /// What is wrong with it.
        what: &'static str,
    },

    /// The backend does not know the caller.
    #[error(
        "{backend} gives no access: {reason}\nName the cookie file in the node's folder, or a user and password of its configuration."
    )]
    Credentials {
        /// Which backend, with its address.
        backend: String,
        /// What is wrong with the credentials.
        reason: String,
    },

    /// The backend starts and does not answer yet.
    #[error("{backend} is starting: {doing}\nWait until it has started.")]
    Starting {
        /// Which backend, with its address.
        backend: String,
        /// What it does, in its own words.
        doing: String,
    },

    /// The backend is of another network.
    #[error(
        "{backend} is of another network: it is on {found}, not on {expected}\nPoint to a node of the right network."
    )]
    OtherNetwork {
        /// Which backend, with its address.
        backend: String,
        /// The network that was asked for.
        expected: String,
        /// The one that it is on.
        found: String,
    },

    /// The backend lacks what newer versions have.
    #[error("{backend} is too old: it has version {found}\nUse {needed} or newer.")]
    TooOld {
        /// Which backend, with its address.
        backend: String,
        /// Its version, as it numbers them.
        found: u32,
        /// The least that will do.
        needed: &'static str,
    },

    /// The backend no longer has a block.
    #[error(
        "{backend} lacks a block: it has pruned {block}\nUse a node that keeps all blocks until this one is passed."
    )]
    Pruned {
        /// Which backend, with its address.
        backend: String,
        /// The block.
        block: BlockHash,
    },

    /// The backend is still catching up with its network.
    #[error(
        "{backend} is still synchronising: it has block {have} of about {want}\nWait until it has caught up."
    )]
    Behind {
        /// Which backend, with its address.
        backend: String,
        /// The last block it has checked.
        have: Height,
        /// The last block it knows of.
        want: Height,
    },

    /// The backend shows another chain than the caller follows.
    #[error(
        "wrong chain: expected genesis block {expected}, found {found}\nPoint to a ledger of the right network."
    )]
    ForeignChain {
        /// Genesis block of this ledger's chain.
        expected: BlockHash,
        /// What was found in its place.
        found: BlockHash,
    },

    /// The backend lacks a feature.
    #[error("{backend} cannot {what}\nUse a backend that can.")]
    Unsupported {
        /// Which backend.
        backend: &'static str,
        /// What it cannot do, as a verb phrase.
        what: &'static str,
    },

    /// The backend's answer makes no sense.
    #[error(
        "{backend} gave an answer that cannot be right: {what}\nIf it comes again, the backend is broken or not what it claims to be."
    )]
    Nonsense {
        /// Which backend, with its address.
        backend: String,
        /// What is wrong with the answer.
        what: String,
    },

    /// Stored data are damaged.
    #[error("{} is damaged: {what}\nRestore it from a copy.", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },

    /// No space left for a write. Nothing that was acknowledged before is lost.
    #[error("no space left to write {}\nFree some space and try again; nothing that was stored is lost.", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },

    /// Another failure of the file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The validation engine failed where it must not.
    #[error("the validation engine failed: {what}\nOpen the ledger again; its blocks are safe in its log.")]
    Engine {
        /// What it said.
        what: String,
    },
}

impl LedgerError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::ForeignChain { .. }
            | Self::Unsupported { .. }
            | Self::Address { .. }
            | Self::Credentials { .. }
            | Self::OtherNetwork { .. }
            | Self::TooOld { .. }
            | Self::Pruned { .. } => Fault::Caller,
            Self::Unreachable { .. }
            | Self::Starting { .. }
            | Self::Behind { .. }
            | Self::Nonsense { .. } => Fault::Backend,
            Self::Engine { .. } | Self::DiskFull { .. } | Self::Io { .. } => Fault::Machine,
            Self::Corrupt { .. } => Fault::Data,
        }
    }
}

/// Why a transaction was not broadcast.
#[derive(Debug, Error)]
pub enum BroadcastError {
    /// The backend looked at it and refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The backend could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A node's refusal of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("transaction {txid} was refused: {reason}{}\n{}", detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default(), self.kind().advice())]
pub struct Refusal {
    /// The refused transaction.
    pub txid: Txid,
    /// Bitcoin Core's reason, word for word as in `testmempoolaccept`'s `reject-reason`.
    pub reason: String,
    /// More than the reason says: figures, the input, the output.
    pub detail: Option<String>,
}

impl Refusal {
    /// What sort of refusal it is.
    pub fn kind(&self) -> RefusalKind {
        RefusalKind::of(&self.reason)
    }
}

/// Refusals by what the sender can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The backend holds it already (only [`Ledger::check`](crate::Ledger::check) says so).
    Known,
    /// A coin it spends does not exist or is spent.
    MissingInputs,
    /// An unmined transaction spends the same coin and cannot or may not be replaced.
    Conflict,
    /// It pays too little, for relay or to replace another.
    FeeTooLow,
    /// Its time has not come: a time lock, or a coinbase that is not mature.
    TooEarly,
    /// Too many unmined transactions hang together.
    ChainTooLong,
    /// A script or signature of it fails, by consensus or by what nodes relay.
    Script,
    /// Valid, but nodes do not relay it: dust, size, unusual scripts, much data.
    Policy,
    /// Invalid for ever, by consensus.
    Consensus,
}

impl RefusalKind {
    /// The kind that a node's reason belongs to. A reason nobody knows counts as policy.
    pub fn of(reason: &str) -> Self {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|p| reason.starts_with(p));
        if starts(&["txn-already", "txn-same-nonwitness"]) {
            Self::Known
        } else if starts(&["missing-inputs", "missingorspent", "bad-txns-inputs-missingorspent"]) {
            Self::MissingInputs
        } else if starts(&[
            "txn-mempool-conflict",
            "bip125",
            "replacement-adds",
            "bad-txns-spends-conflicting",
            "too many potential",
        ]) {
            Self::Conflict
        } else if starts(&["min relay fee", "mempool min fee", "insufficient fee", "replacement-failed"]) {
            Self::FeeTooLow
        } else if starts(&["non-final", "non-BIP68-final", "bad-txns-premature-spend"]) {
            Self::TooEarly
        } else if reason.contains("script-verify-flag") {
            Self::Script
        } else if starts(&["too-long-mempool-chain", "too-large-cluster"]) {
            Self::ChainTooLong
        } else if starts(&["bad-txns-too-many-sigops", "bad-txns-nonstandard", "bad-witness-nonstandard"]) {
            Self::Policy
        } else if starts(&["bad-", "coinbase"]) {
            Self::Consensus
        } else {
            Self::Policy
        }
    }

    /// Whether the same transaction may be taken later without any change.
    pub fn may_pass_later(self) -> bool {
        matches!(
            self,
            Self::MissingInputs | Self::Conflict | Self::FeeTooLow | Self::TooEarly | Self::ChainTooLong
        )
    }

    /// What to do, as one sentence.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Known => "It is there already: nothing to do.",
            Self::MissingInputs => {
                "A coin it spends is gone or not here yet: synchronise, then build it again."
            }
            Self::Conflict => "Another unmined transaction spends the same coin: wait for it or replace it.",
            Self::FeeTooLow => "Pay a higher fee.",
            Self::TooEarly => "Wait for the block or the time that its locks name.",
            Self::ChainTooLong => "Wait for a block, then broadcast it again.",
            Self::Script => "A script or signature in it is wrong: build and sign it again.",
            Self::Policy => "It is valid, but nodes do not relay it: build it in a standard form.",
            Self::Consensus => "It can never be mined: build another.",
        }
    }
}
