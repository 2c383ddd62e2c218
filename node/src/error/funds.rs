//! What the wallet lacks.

use bitcoin::Amount;
use thiserror::Error;

use super::{Kind, sat};

/// There is too little money, or it is not free to be spent yet.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FundsError {
    /// The wallet lacks money.
    #[error("not enough funds: {missing} are missing\n{needed} are needed, fee included, and {available} can be spent\nsend more to {address}; on the embedded ledger by `keyway fund`", missing = sat(needed.checked_sub(*available).unwrap_or(Amount::ZERO)), needed = sat(*needed), available = sat(*available))]
    TooLittle {
        /// Price and fee.
        needed: Amount,
        /// What can be spent now.
        available: Amount,
        /// Where to send more.
        address: String,
    },
    /// Every confirmed coin is in use.
    #[error("not yet: every confirmed coin is in use{}\nan offer must spend a confirmed coin first\nrun it again after the next block", if *split { "; a split into more coins was sent" } else { "" })]
    NoConfirmedCoin {
        /// Whether a split is under way.
        split: bool,
    },
    /// A message in an envelope takes a coin more.
    #[error(
        "the message needs an envelope, and no coin is left to pay for it\nthe ledger relays no data output so large, and the first coin must stay with the message itself\nsend something to {address}; where money is left, `keyway sync` splits it"
    )]
    NoCoinForEnvelope {
        /// Where to send it.
        address: String,
    },
    /// Nodes refuse longer chains.
    #[error(
        "not yet: {0} transactions of this home are unconfirmed\nnodes refuse longer chains of them\nrun it again after the next block"
    )]
    TooManyUnconfirmed(usize),
}

impl FundsError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::TooLittle { .. } => Kind::Failed,
            Self::NoConfirmedCoin { .. } | Self::NoCoinForEnvelope { .. } | Self::TooManyUnconfirmed(_) => {
                Kind::NotYet
            }
        }
    }
}
