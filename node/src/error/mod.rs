//! What can go wrong for one party: what happened, why, and what to do.
//!
//! Every text has these three lines. What belongs to one matter stands in a file of its own, which says how a caller should
//! take it; what is the store's fault is a failure, whatever it is.

mod cancel;
mod funds;
mod group;
mod offer;
mod peer;
mod restore;
mod session;
mod store;
mod study;

use std::path::PathBuf;

use bitcoin::Amount;
use bitcoin::consensus::encode;
use keyway_chain::ChainId;
use keyway_ledger::{BroadcastError, LedgerError, RefusalKind};
use keyway_protocol::message::Refusal;
use thiserror::Error;

pub use self::cancel::CancelError;
pub use self::funds::FundsError;
pub use self::group::GroupError;
pub use self::offer::OfferError;
pub use self::peer::PeerError;
pub use self::restore::RestoreError;
pub use self::session::SessionError;
pub use self::store::StoreError;
pub use self::study::StudyError;
use crate::party::EvidenceError;
use crate::prepared::PsbtRefused;

/// How a caller should take an error; the command line's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It failed.
    Failed,
    /// Nothing is wrong: come back later.
    NotYet,
    /// Refused by this protocol's rules or the party's policy.
    Refused,
    /// The ledger cannot be reached, is behind, or is another chain.
    Ledger,
}

/// What can go wrong. The first line of the text says what happened, the lines after it why and what
/// to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// There is no home in the folder.
    #[error("{} is not a Keyway home\nit has no {}\ncreate one with `keyway --home {} init`", .0.display(), crate::home::STORE_FILE, .0.display())]
    NoHome(PathBuf),
    /// There is one already.
    #[error("{} is already a Keyway home\nnothing was changed\nchoose another folder; a restore that was interrupted goes on with `keyway sync`", .0.display())]
    HomeExists(PathBuf),
    /// Another process holds the home.
    #[error("{} is in use by another process\nonly one may work with a home at a time\nwait for it, or stop it", .0.display())]
    HomeLocked(PathBuf),
    /// The home's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A failure of the file system.
    #[error("cannot {action} {}\n{source}\n{}", path.display(), io_advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration cannot be read.
    #[error("the configuration {} is wrong\n{what}\ncorrect the file, and look at it with `keyway config check`", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        what: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no random numbers\n{0}\ntry again on a sound system")]
    Randomness(getrandom::Error),
    /// A home made again from its words.
    #[error(transparent)]
    Restore(#[from] RestoreError),

    /// The ledger's fault.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger shows another chain than the home is for.
    #[error(
        "this home is for {home}, the ledger shows {ledger}\nnothing was changed\npoint the home's configuration to a ledger of {home}"
    )]
    OtherChain {
        /// The home's.
        home: ChainId,
        /// The ledger's.
        ledger: ChainId,
    },
    /// The ledger refused a transaction.
    #[error("the {what} was not sent\n{}", broadcast_text(source))]
    Broadcast {
        /// Offer, answer or split.
        what: &'static str,
        /// Why.
        source: BroadcastError,
    },
    /// The wallet lacks money, or coins that can be spent now.
    #[error(transparent)]
    Funds(#[from] FundsError),
    /// The wallet could not build a transaction.
    #[error("the wallet could not build the transaction\n{0}\nnothing was sent; please report it")]
    Wallet(String),

    /// A peer, its card or its introduction.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Several things begin so.
    #[error("`{prefix}` is ambiguous\nit may mean: {candidates}\ngive more characters")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// What it may mean.
        candidates: String,
    },
    /// No negotiation of that id or peer.
    #[error("no negotiation matches `{0}`\n`keyway keys` lists them\nrun `keyway sync` first if it is new")]
    UnknownNegotiation(String),

    /// An offer cannot be made, or not be answered.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// A group from outside.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A PSBT that came back is not what was prepared.
    #[error(transparent)]
    Psbt(#[from] PsbtRefused),
    /// An offer cannot be given up.
    #[error(transparent)]
    Cancel(#[from] CancelError),
    /// The message does not lead to a key.
    #[error(
        "the peer's message leads to no key\n{0}\nask the peer to negotiate anew with its newest program"
    )]
    Refusal(#[from] Refusal),
    /// A message is not sealed, or does not open.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A file for third parties cannot be made.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The paper's own value channel.
    #[error(transparent)]
    Study(#[from] StudyError),
}

impl NodeError {
    /// How to take it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Restore(error) => error.kind(),
            Self::Funds(error) => error.kind(),
            Self::Peer(error) => error.kind(),
            Self::Offer(error) => error.kind(),
            Self::Group(error) => error.kind(),
            Self::Cancel(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Evidence(error) => error.kind(),
            Self::Study(error) => error.kind(),
            Self::Psbt(PsbtRefused::CoinUnmined) => Kind::NotYet,
            Self::Psbt(_) | Self::Refusal(_) => Kind::Refused,
            Self::Ledger(_) | Self::OtherChain { .. } => Kind::Ledger,
            Self::Broadcast { source: BroadcastError::Ledger(_), .. } => Kind::Ledger,
            Self::Broadcast { source: BroadcastError::Refused(refusal), .. }
                if refusal.kind() == RefusalKind::FeeTooLow =>
            {
                Kind::Refused
            }
            Self::Broadcast { .. }
            | Self::Store(_)
            | Self::NoHome(_)
            | Self::HomeExists(_)
            | Self::HomeLocked(_)
            | Self::Io { .. }
            | Self::Config { .. }
            | Self::Randomness(_)
            | Self::Wallet(_)
            | Self::Ambiguous { .. }
            | Self::UnknownNegotiation(_) => Kind::Failed,
        }
    }
}

/// Why bytes are no transaction: the library calls their end an input that failed.
pub fn why_undecoded(error: &encode::Error) -> String {
    match error {
        encode::Error::Io(_) => "it ends too early".to_owned(),
        other => other.to_string(),
    }
}

/// Plain digits: what is told can be typed.
fn sat(amount: Amount) -> String {
    format!("{} sat", amount.to_sat())
}

/// A fee that is too low is one that this home may not raise: what to do about it is the configuration's.
fn broadcast_text(source: &BroadcastError) -> String {
    let text = source.to_string();
    match source {
        BroadcastError::Refused(refusal) if refusal.kind() == RefusalKind::FeeTooLow => {
            let cause = text.lines().next().unwrap_or_default();
            format!("{cause}\nraise fees.ceiling_sat_per_vb in the configuration, or wait for lower fees")
        }
        _ => text,
    }
}

fn io_advice(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make it writable for this user, or name another folder"
        }
        ErrorKind::NotFound => "check the name, or put the file back",
        _ => "check the name and the disk, and try again",
    }
}
