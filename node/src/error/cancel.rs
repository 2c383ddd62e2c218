//! Why an offer cannot be given up.

use keyway_protocol::negotiation::NegotiationId;
use thiserror::Error;

use super::Kind;

/// There is nothing to give up, or it cannot be given up now.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CancelError {
    /// Only offers are given up, and only one's own.
    #[error(
        "negotiation {0} is not begun by this home\nonly whoever made an offer can give it up\nan offer of a peer is left unanswered by policy.answer = false, or `keyway peer revoke`"
    )]
    NotOwn(NegotiationId),
    /// What is in the chain stays there.
    #[error(
        "the offer of negotiation {0} is mined\nwhat is in the chain cannot be given up; a locked payment comes back by itself after its timeout\nwait for the answer: `keyway show`"
    )]
    Mined(NegotiationId),
    /// It ended before.
    #[error(
        "the offer of negotiation {0} is over\nit was given up before, or its coin was spent otherwise\nnothing needs doing"
    )]
    Over(NegotiationId),
    /// Another message would fall with it.
    #[error(
        "not yet: another message rests on the offer of negotiation {id}\nnegotiation {other} spends its change, and would be dropped with it\n`keyway cancel` that one first, or run it again after the next block"
    )]
    RestedOn {
        /// The one to be given up.
        id: NegotiationId,
        /// The one that rests on it.
        other: NegotiationId,
    },
    /// Its coins do not pay for their return.
    #[error(
        "the offer of negotiation {0} cannot be taken back\nto replace it takes a higher fee than its coins of this home hold\nit may be mined, or dropped by the ledger: then try again"
    )]
    Unpayable(NegotiationId),
}

impl CancelError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::RestedOn { .. } => Kind::NotYet,
            Self::NotOwn(_) | Self::Mined(_) | Self::Over(_) => Kind::Refused,
            Self::Unpayable(_) => Kind::Failed,
        }
    }
}
