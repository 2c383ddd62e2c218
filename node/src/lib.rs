//! One party running: its home, its wallet, its encrypted store, and the chain it follows.
//!
//! [`Party`] is the whole of it. It takes a ledger where one is needed and keeps none; it knows nothing of
//! the command line.

mod backup;
mod carried;
mod config;
mod error;
mod history;
mod home;
mod outside;
mod party;
mod peers;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
mod prekeys;
mod prepared;
mod reading;
mod roster;
mod service;
mod store;
mod unassigned;
mod wallet;

pub use backup::{Backup, BackupError, MOST_BACKUP_BYTES};
pub use carried::Carriage;
pub use config::{
    Accepts, Access, Config, Introductions, LedgerConfig, NodeConfig, Policy, Rotation, usual_cookie,
};
pub use error::{
    CancelError, FundsError, GroupError, Kind, NodeError, OfferError, PeerError, RestoreError, SessionError,
    StoreError, StudyError, why_undecoded,
};
pub use history::Block;
pub use home::{CONFIG_FILE, STORE_FILE};
pub use outside::Outside;
pub use party::{
    AnswerView, Cancelled, CoinView, Costs, Event, EvidenceError, EvidenceRequest, GroupSent,
    KnownToBeBroken, Life, Marked, NegotiationView, NewParty, NextRotation, OfferRequest, OfferSent,
    OfferView, Opened, OwnView, Party, PreparedOffer, PublishedGroup, Quote, Raised, Revocation, Scan,
    SealedMessage, Status, Study, StudySeen, StudySent, Synced, Terms, TraceView, Unread, UsedGroup, Waiting,
    Way, birthday, fresh_mnemonic, marked_groups, studies_between,
};
pub use peers::Standing;
pub use prepared::{MOST_PSBT_BYTES, PsbtRefused};
pub use roster::{Imported, MOST_ROSTER_BYTES, Refused, Roster};
pub use service::{Notice, Service, Signal, Stop, watch_tip};
pub use store::{Chosen, Unlock};
pub use wallet::{Balance, IDENTITY_COINS};
