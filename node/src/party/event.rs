//! What one synchronisation did.

use std::path::PathBuf;

use bitcoin::{Amount, Txid};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;

use crate::roster::Imported;

/// Something that a person may want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer's offer is in the chain.
    OfferSeen(NegotiationId),
    /// Offers of authors whose cards are not known: their coins are held until a card arrives.
    HeldFromStrangers(usize),
    /// This home's answer is on its way.
    AnswerSent {
        /// The negotiation.
        id: NegotiationId,
        /// The answer's transaction.
        txid: Txid,
    },
    /// An offer could not be answered.
    NotAnswered {
        /// The negotiation.
        id: NegotiationId,
        /// Why, and what to do.
        why: String,
    },
    /// A negotiation is in another state than when it was last told.
    Moved {
        /// The negotiation.
        id: NegotiationId,
        /// The state it had.
        from: State,
        /// The state it has.
        to: State,
    },
    /// A coin was split, so that offers find confirmed ones.
    Split(Txid),
    /// A locked payment is on its way back.
    RefundSent {
        /// The negotiation.
        id: NegotiationId,
        /// The transaction that takes it back.
        txid: Txid,
    },
    /// An envelope that no message will show is on its way back.
    EnvelopeReturned {
        /// The negotiation.
        id: NegotiationId,
        /// The transaction that takes it back.
        txid: Txid,
    },
    /// A pair's liveness coin is on its way to a new epoch.
    CoinMoved {
        /// The epoch's negotiation.
        id: NegotiationId,
        /// The transaction that moves it.
        txid: Txid,
    },
    /// A pair's liveness coin was spent, in a block that joined: its keys end at the policy's depth.
    RevocationSeen {
        /// The negotiation that the coin named.
        id: NegotiationId,
        /// The transaction that spent it.
        txid: Txid,
    },
    /// A liveness coin was moved before this party's revocation was mined: the moved one is being spent.
    RevocationSent {
        /// The negotiation that it names.
        id: NegotiationId,
        /// The transaction that spends it.
        txid: Txid,
    },
    /// An answer was replaced by one that pays more to miners.
    FeeRaised {
        /// The negotiation.
        id: NegotiationId,
        /// The new answer.
        txid: Txid,
        /// What it pays.
        fee: Amount,
    },
    /// The card was renewed, because its prekeys grow old or the configuration accepts something else: peers need the
    /// new one.
    CardRenewed,
    /// A key has served its time: an offer of another is on its way.
    Rotating {
        /// The negotiation whose key is replaced.
        id: NegotiationId,
        /// The new one.
        by: NegotiationId,
    },
    /// A key has served its time, and could not be replaced.
    NotRotated {
        /// Its negotiation.
        id: NegotiationId,
        /// Why, and what to do.
        why: String,
    },
    /// The roster that the configuration names was read.
    RosterRead(Imported),
    /// That roster could not be read: what was known before stays in force.
    RosterUnread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A transaction speaks for this party that this home did not make: there is another home of the same words, or it
    /// was sent before this one was restored.
    OtherHome(Txid),
    /// This home was restored under another name than the party had: no answer leads to a key.
    OtherName,
    /// The ledger refuses a transaction of this home.
    Refused {
        /// The transaction.
        txid: Txid,
        /// The ledger's reason.
        why: String,
    },
}

/// What one synchronisation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Blocks that joined.
    pub connected: u32,
    /// Blocks that left in reorganisations.
    pub disconnected: u32,
    /// What happened, in order.
    pub events: Vec<Event>,
}
