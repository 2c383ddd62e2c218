//! What can be wrong with a peer, its card or its introduction.

use std::fmt::Display;

use keyway_protocol::card::{CardError, CardRefused, Name};
use keyway_protocol::introduction::IntroductionError;
use thiserror::Error;

use super::Kind;
use crate::peers::Standing;

/// A card or an introduction is not read or not taken, or a peer is not known, not dealt with, or not to be removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The text is no card.
    #[error("the card cannot be accepted\n{}", explained(.0, unreadable_card_advice(.0)))]
    Card(#[from] CardError),
    /// The card is not accepted.
    #[error("the card is refused\n{}", explained(.0, card_advice(.0)))]
    CardRefused(#[from] CardRefused),
    /// The text is no introduction.
    #[error("the introduction cannot be read\n{0}\nask for it again, whole")]
    Introduction(#[from] IntroductionError),
    /// No peer of that name.
    #[error("no peer is called `{name}`\nknown are: {known}\nadd its card with `keyway peer add`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The peers there are.
        known: String,
    },
    /// A peer with keys in use is not removed by accident.
    #[error(
        "the peer {0} has negotiations in this home\nremoving its card would leave them unreadable\nuse --force if that is meant"
    )]
    InUse(String),
    /// A revoked peer is not forgotten.
    #[error(
        "{0} is revoked, and its card is kept\na roster that lists it would bring it back\n`keyway peer revoke --undo {0}` comes first if it shall be forgotten"
    )]
    RevokedKept(Name),
    /// A peer that was revoked, or for whom no introduction holds.
    #[error("{peer} is not dealt with\n{}", standing_advice(peer, standing))]
    NotDealtWith {
        /// The peer's name.
        peer: Name,
        /// How this party stands to it.
        standing: Standing,
    },
    /// The pair has no coin that its keys live by.
    #[error(
        "this pair has no liveness coin: none of its answers created one, or it was spent before they were answered\nkeys without one cannot be revoked on the chain; policy.liveness of the responder's configuration has an answer create one\nuse `keyway peer revoke {0}`: then this home neither seals for it nor opens what it sealed"
    )]
    NoLivenessCoin(String),
}

impl PeerError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Card(CardError::PermanentSignature | CardError::RenewableSignature)
            | Self::CardRefused(_)
            | Self::InUse(_)
            | Self::RevokedKept(_)
            | Self::NotDealtWith { .. }
            | Self::NoLivenessCoin(_) => Kind::Refused,
            Self::Card(_) | Self::Introduction(_) | Self::Unknown { .. } => Kind::Failed,
        }
    }
}

/// A cause and what to do: `protocol` says the latter after a semicolon where it knows better than `advice`.
fn explained(cause: &impl Display, advice: &str) -> String {
    let text = cause.to_string();
    let (why, todo) = text.rsplit_once("; ").unwrap_or((&text, advice));
    format!("{why}\n{todo}")
}

fn unreadable_card_advice(error: &CardError) -> &'static str {
    match error {
        CardError::PermanentSignature | CardError::RenewableSignature => {
            "ask its owner for it again, by a way on which nobody can change it"
        }
        _ => "copy it again, whole, as `keyway card` prints it",
    }
}

fn card_advice(refused: &CardRefused) -> &'static str {
    match refused {
        CardRefused::ForeignChain { .. } => "ask its owner for the card of a home on this chain",
        CardRefused::Own => "give it to the peer, and add the peer's card here",
        CardRefused::Older { .. } => "nothing needs doing: the newer one is kept",
        CardRefused::OtherPermanentPart(_) => {
            "ask its owner; if the change is meant, `keyway peer remove` the old card first"
        }
        CardRefused::Expired { .. } | CardRefused::NameTaken(_) | CardRefused::SameSerial(_) => {
            "ask its owner for a new one"
        }
    }
}

fn standing_advice(name: &Name, standing: &Standing) -> String {
    match standing {
        Standing::Revoked => {
            format!("it was revoked here\n`keyway peer revoke --undo {name}` takes that back")
        }
        _ => "its introduction is over or withdrawn, or introductions.accept_by no longer names who made it\nask its introducer for a new one, or take its card by hand: `keyway peer add`".to_owned(),
    }
}
