//! What a file proves.

use bitcoin::pow::Work;
use bitcoin::{Amount, OutPoint, Txid};
use keyway_chain::{BlockRef, Chain, Depth};
use keyway_protocol::card::Permanent;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::message::{Answer, Offer};
use keyway_protocol::negotiation::{Fingerprint, NegotiationId, Role, Transcript};
use keyway_protocol::ratchet::SessionKey;
use keyway_protocol::sealing::{OpenError, Sealed};
use keyway_protocol::secret::Secret;
use thiserror::Error;

use crate::seen::{Said, SeenOffer};

/// A transaction's place in the chain, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its id.
    pub txid: Txid,
    /// Its block.
    pub block: BlockRef,
    /// Its index in the block.
    pub index: u32,
    /// What the block's header says of the time, in seconds since 1970.
    pub time: u32,
    /// The median of that and of the ten headers before: the chain's clock, which never goes back.
    pub median_time: Option<u32>,
}

/// An answer, as far as anybody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerSeen {
    /// Where it is.
    pub placed: Placed,
    /// What it says.
    pub said: Said<Answer>,
    /// Whether it rides in an envelope.
    pub in_envelope: bool,
    /// The transaction that made the coin of its envelope, where that is shown.
    pub commit: Option<Txid>,
}

/// A liveness coin (PROTOCOL.md 9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoinSeen {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
}

/// A spending of a liveness coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendingSeen {
    /// Where it is.
    pub placed: Placed,
    /// Whose signature it was; unknown where none is shown.
    pub by: Option<PartyKey>,
    /// What the coin named before, where that is another negotiation.
    pub from: Option<NegotiationId>,
    /// What it was spent for.
    pub spent_for: SpentFor,
}

/// What a liveness coin was spent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpentFor {
    /// It names that negotiation now: a move, if that was answered before.
    Moved(NegotiationId),
    /// No move: the key is revoked.
    Revoking,
    /// It went to a script that the file does not name a negotiation of.
    Unknown,
}

/// The messages that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The offer.
    pub offer: Option<Offer>,
    /// The answer.
    pub answer: Option<Answer>,
    /// Whether the offer is sealed, and its author laid it open.
    pub offer_laid: bool,
    /// Whether the answer is sealed, and its author laid it open.
    pub answer_laid: bool,
}

/// A session key that a party says is the key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The block.
    pub block: BlockRef,
    /// Who says so.
    pub by: Role,
    /// Who seals under it.
    pub sender: Role,
    /// The key.
    pub key: [u8; 32],
}

/// What the blocks are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Their work alone.
    Work {
        /// Blocks from the last transaction's up to the last.
        depth: Depth,
        /// What these took to make, in hashes.
        work: Work,
    },
    /// A block that the verifier trusts.
    Block {
        /// The block.
        block: BlockRef,
        /// Whether its height is known, and not only claimed.
        heights: bool,
        /// Blocks from the last transaction's up to it.
        depth: Depth,
    },
    /// The verifier's own chain.
    Chain {
        /// Whether the heights are known, and not only claimed.
        heights: bool,
        /// Blocks from the last transaction's up to that chain's last.
        depth: Depth,
    },
}

impl Ties {
    /// How deep the last transaction is.
    pub fn depth(&self) -> Depth {
        match self {
            Self::Work { depth, .. } | Self::Block { depth, .. } | Self::Chain { depth, .. } => *depth,
        }
    }

    /// Whether heights are known, and not only claimed.
    pub fn know_heights(&self) -> bool {
        match self {
            Self::Work { .. } => false,
            Self::Block { heights, .. } | Self::Chain { heights, .. } => *heights,
        }
    }
}

/// What a file proves; only its verification makes one. [`Statement::proven`] and [`Statement::not_proven`] say it in
/// sentences.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The chain.
    pub chain: Chain,
    /// What its blocks are held to.
    pub ties: Ties,
    /// Who pays.
    pub initiator: Permanent,
    /// Who is paid.
    pub responder: Permanent,
    /// The negotiation.
    pub negotiation: NegotiationId,
    /// What the offer's input 0 spent.
    pub coin: Amount,
    /// Where the offer is.
    pub placed: Placed,
    /// The offer, as anybody reads it.
    pub seen: SeenOffer,
    /// The transaction that made the coin of the offer's envelope, where that is shown.
    pub commit: Option<Txid>,
    /// The answer.
    pub answer: Option<AnswerSeen>,
    /// The liveness coin that the answer created, if it created one.
    pub liveness: Option<CoinSeen>,
    /// What became of that coin, or how it came to this negotiation and went on.
    pub spendings: Vec<SpendingSeen>,
    /// The messages, as far as they can be read.
    pub opened: Opened,
    /// th of PROTOCOL.md 8, where both can.
    pub transcript: Option<Transcript>,
    /// Whether the responder's tag was found right, under its disclosed key.
    pub tag: bool,
    /// What the initiator and the responder say the fingerprint is.
    pub fingerprints: [Option<Fingerprint>; 2],
    /// What they say of session keys.
    pub sessions: Vec<Session>,
    /// The first header's block.
    pub first: Option<BlockRef>,
    /// The last header's block.
    pub last: Option<BlockRef>,
}

/// A sealed message that no disclosed key opens.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotOpened {
    /// It is under another negotiation's key.
    #[error("the message is under a key of negotiation {0}, and the file is about another one")]
    OtherNegotiation(NegotiationId),
    /// No key of its block is disclosed.
    #[error("the message is under the session key of block {0}, which the file does not disclose")]
    NoKey(BlockRef),
    /// It is sealed in the other direction, or was changed.
    #[error(
        "the message does not open under the disclosed keys of its block: it is of the other direction, was changed, or has other associated data"
    )]
    Other(OpenError),
}

impl Statement {
    /// Opens a sealed message under a session key that a party disclosed: what it says if that party's word is true.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, sealed: &Sealed, aad: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let envelope = sealed.envelope();
        if envelope.negotiation != self.negotiation {
            return Err(NotOpened::OtherNegotiation(envelope.negotiation));
        }
        let sessions = self.sessions.iter().filter(|session| session.block == envelope.block);
        let mut keys = sessions.map(|session| Secret::fill_with(|bytes| *bytes = session.key)).peekable();
        if keys.peek().is_none() {
            return Err(NotOpened::NoKey(envelope.block));
        }
        let opened = keys.find_map(|key| sealed.open(&SessionKey::from_secret(key), aad).ok());
        opened.map(|plaintext| plaintext.to_vec()).ok_or(NotOpened::Other(OpenError))
    }

    /// The name on a side's card.
    pub fn name(&self, of: Role) -> &str {
        match of {
            Role::Initiator => self.initiator.name.as_str(),
            Role::Responder => self.responder.name.as_str(),
        }
    }
}
