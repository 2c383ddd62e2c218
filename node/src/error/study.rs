//! What can be wrong with the paper's own value channel, which is kept for study.

use bitcoin::Txid;
use thiserror::Error;

use super::Kind;

/// The paper's eight digits are not for this chain, not asked for in so many words, or not there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The paper's eight digits where coins have a price.
    #[error(
        "the paper's eight digits are not for {0}\nwhoever reads the chain has the key in a moment, and the coins have a price here\nuse regtest, a signet or a testnet, for study"
    )]
    OnMain(&'static str),
    /// The paper's eight digits, and nobody said that they are known to be broken.
    #[error(
        "the paper's eight digits protect nothing\na prime of 27 bits at the most falls in a moment: `keyway lab break` shows it\nfor study say --i-know-this-is-broken; for keys use `keyway offer`"
    )]
    Unsaid,
    /// No offer of that kind to answer.
    #[error(
        "no offer by the paper's value channel to this home begins with `{0}`\nit must be mined, and not answered yet\nrun `keyway sync`, then `keyway lab list`"
    )]
    Unknown(String),
    /// Answered, and not mined yet.
    #[error(
        "the offer {0} is answered already\nthe answer waits to be mined\nrun `keyway sync` after the next block"
    )]
    Answered(Txid),
    /// Every answer would be dust.
    #[error(
        "the offer's numbers leave no share to answer with\nevery power of its generator is below what nodes relay as an output\nask the payer for another offer"
    )]
    TooSmall,
}

impl StudyError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::OnMain(_) | Self::Unsaid | Self::TooSmall => Kind::Refused,
            Self::Unknown(_) | Self::Answered(_) => Kind::Failed,
        }
    }
}
