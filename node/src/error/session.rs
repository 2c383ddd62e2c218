//! Why a message is not sealed, or does not open.

use keyway_chain::{Depth, Height};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::ratchet::NoSession;
use keyway_protocol::sealing::{OpenError, SealError, SealedError};
use keyway_protocol::state::State;
use thiserror::Error;

use super::Kind;

/// There is no key for it, or the message is not what it should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The key is not in a state that seals or opens.
    #[error("the key of negotiation {id} {use_} no messages\nit is {state}{depth}\n{advice}", use_ = if *sealing { "seals" } else { "opens" }, depth = depth_note(*state, *has, *wants), advice = state_advice(*state))]
    KeyUnusable {
        /// The negotiation, shortened.
        id: String,
        /// Its state.
        state: State,
        /// Whether sealing was asked for.
        sealing: bool,
        /// Its answer's depth.
        has: Depth,
        /// The policy's depth.
        wants: Depth,
    },
    /// A later epoch took its place long ago.
    #[error(
        "the key of negotiation {0} is erased\nanother of this peer took its place more than 100 blocks ago\nuse that one, or negotiate again"
    )]
    KeyErased(String),
    /// No key of the pair can seal.
    #[error(
        "there is no active key with {0}\nno negotiation has one that is deep enough in the chain\nmake an offer, or `keyway sync` after the next block"
    )]
    NoActiveKey(String),
    /// Another home of this party has the key that took the place of all that are here.
    #[error(
        "the newest key with {0} is in another home of this party\n{0} leaves the older ones for it\nseal there, or negotiate again from here"
    )]
    KeyElsewhere(String),
    /// The block has no session key here.
    #[error("the message does not open\n{0}\n{advice}", advice = session_advice(.0))]
    NoSession(#[from] NoSession),
    /// The text is no sealed message.
    #[error("this is no message to open\n{0}\ngive it whole, as `keyway seal` wrote it")]
    Sealed(#[from] SealedError),
    /// Sealing failed.
    #[error("the message was not sealed\n{0}\nrun the command again, with a shorter message if it was long")]
    Seal(#[from] SealError),
    /// The message does not open.
    #[error(
        "the message does not open\nit was changed on the way, or sealed with another key or other public text\nask the sender to seal it again, with the same --aad on both sides"
    )]
    Open(#[from] OpenError),
    /// Sealed under a key that this party has no part in.
    #[error(
        "the message is not for this home\nit was sealed under negotiation {0}, which is not known here\nrun `keyway sync` if that is new; else give it to whom it is for"
    )]
    NotForUs(NegotiationId),
    /// Sealed by this party itself.
    #[error("this home sealed the message itself\nit opens for the other side, {0}, alone\nsend it there")]
    OwnMessage(String),
    /// The initiator's tag is wrong or missing, or came from the responder.
    #[error(
        "the message's confirmation tag is {0}\nit was changed on the way, or its sender has another key\nask the sender to seal it again, and compare the fingerprints in `keyway keys`"
    )]
    ConfirmationTag(&'static str),
    /// The same message again.
    #[error("the message was opened before\nsomebody sent it twice\nuse --again to open it once more")]
    Replayed,
    /// Sealed before a restore, which brings back no list of what was opened.
    #[error(
        "the message may have been opened before\nit was sealed up to block {0}, at which this home was restored, and what the lost home opened nobody knows\nask the sender to seal it again; or use --again if its coming twice would do no harm"
    )]
    MaybeReplayed(Height),
}

impl SessionError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::KeyUnusable { state: State::Offered | State::Answered | State::Provisional, .. }
            | Self::NoSession(NoSession::Unknown { .. } | NoSession::OtherBranch(_)) => Kind::NotYet,
            Self::KeyUnusable { .. }
            | Self::KeyErased(_)
            | Self::KeyElsewhere(_)
            | Self::OwnMessage(_)
            | Self::ConfirmationTag(_)
            | Self::Replayed
            | Self::MaybeReplayed(_) => Kind::Refused,
            Self::NoActiveKey(_)
            | Self::NoSession(_)
            | Self::Sealed(_)
            | Self::Seal(_)
            | Self::Open(_)
            | Self::NotForUs(_) => Kind::Failed,
        }
    }
}

fn session_advice(no: &NoSession) -> &'static str {
    match no {
        NoSession::Unknown { .. } | NoSession::OtherBranch(_) => "run `keyway sync` and try again",
        NoSession::BeforeKey { .. } | NoSession::BelowWindow { .. } => "ask the sender to seal it again",
        NoSession::Lost(_) => "negotiate again with `keyway offer`",
    }
}

fn depth_note(state: State, has: Depth, wants: Depth) -> String {
    if state == State::Provisional {
        format!(": its answer has depth {has} of {wants}")
    } else {
        String::new()
    }
}

fn state_advice(state: State) -> &'static str {
    match state {
        State::Offered | State::Answered => "wait for the answer to be mined, then `keyway sync`",
        State::Provisional => "run `keyway sync` after the next block",
        State::Superseded => "seal with the newer key of this peer",
        State::Declined | State::Expired | State::Refunded | State::PaidUnanswered | State::Lost => {
            "negotiate again with `keyway offer`"
        }
        State::Revoked => {
            "negotiate again with `keyway offer`: what is answered behind the revocation is untouched by it"
        }
        State::Active => "nothing needs doing",
    }
}
