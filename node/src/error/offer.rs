//! Why an offer cannot be made, or not be answered.

use bitcoin::Amount;
use keyway_carriers::value;
use keyway_chain::Height;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::suite::Suite;
use thiserror::Error;

use super::{Kind, sat};

/// The peer, the carrier, the price or the time does not allow it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The peer says that it does not answer so.
    #[error(
        "{peer} does not answer suite {suite} over carrier {carrier}\nits card says so\nask it for a card that lists them, or choose others"
    )]
    PeerRefuses {
        /// The peer's name.
        peer: String,
        /// The suite asked for.
        suite: Suite,
        /// The carrier asked for.
        carrier: Carrier,
    },
    /// The peer's card has no prekey that an offer can be made to now.
    #[error(
        "{peer} has no prekey for {suite} that is still good\nthe dynamic carrier locks the payment to one, and its card shows none for the blocks to come\nchoose suite x25519-mlkem768 or x25519, or ask it for a new card: `keyway card --renew`"
    )]
    NoPrekey {
        /// The peer's name.
        peer: String,
        /// The suite asked for.
        suite: Suite,
    },
    /// A card's key cannot be used.
    #[error("a key on {peer}'s card cannot be used\n{why}\nask it for a new card, and tell it of this")]
    BadPeerKey {
        /// The peer's name.
        peer: String,
        /// What is wrong with it.
        why: String,
    },
    /// An offer whose payment OP_EXPONENT locks, on a ledger where nobody enforces it.
    #[error(
        "nobody here enforces OP_EXPONENT\nover the dynamic carrier {suite} locks the payment with that opcode, and where it is not enforced anybody can take the payment\nuse --suite x25519-mlkem768 or x25519, which lock it on every chain; or a ledger that enforces it: enforce_exponent = true for the embedded one, `keyway enforce` before a node"
    )]
    NotEnforced {
        /// The suite asked for.
        suite: Suite,
    },
    /// The payment could go back before the answer is mined.
    #[error(
        "there is too little time left to answer\nthe payment can go back after block {timeout}, this is block {tip}, and the answer needs {margin} blocks to be safe\nask the peer for a new offer with a longer timeout"
    )]
    TooLate {
        /// When the payment can go back.
        timeout: Height,
        /// The reader's tip.
        tip: Height,
        /// The blocks that it wants in between.
        margin: u32,
    },
    /// The timeout is out of bounds.
    #[error(
        "{blocks} blocks is no timeout for a locked payment\nthe responder needs at least {least} blocks to answer, and no answer counts after {most}\nchoose a number between"
    )]
    Timeout {
        /// What was asked for.
        blocks: u32,
        /// The fewest.
        least: u32,
        /// The most.
        most: u32,
    },
    /// The anchor or the lock would be dust.
    #[error("{} is too little for the {carrier} carrier\nits outputs and the fee to collect them need at least {}\npay more", sat(*price), sat(*least))]
    TooLittle {
        /// The price.
        price: Amount,
        /// The least that works.
        least: Amount,
        /// The carrier asked for.
        carrier: Carrier,
    },
    /// The value carrier needs more.
    #[error("{} is too little for the value carrier\nits {} bytes and their checksum need at least {}, in {} outputs\npay more", sat(.0.price), .0.len.get(), sat(.0.least), .0.outputs)]
    PriceTooLow(value::PriceTooLow),
    /// The value carrier is made for short messages.
    #[error(
        "{suite} is too large for the value carrier\nits {bytes} bytes take a price of at least {} in {outputs} outputs: {offer} vB to pay, {answer} vB to collect\nchoose the static carrier, or another suite; --force does it all the same", sat(*price)
    )]
    TooLargeForValue {
        /// The suite asked for.
        suite: Suite,
        /// Bytes of its offer.
        bytes: usize,
        /// The least price.
        price: Amount,
        /// Outputs at that price.
        outputs: usize,
        /// Virtual bytes of the offer's transaction.
        offer: u64,
        /// Virtual bytes of the answer's transaction.
        answer: u64,
    },
    /// The responder would pay for being paid.
    #[error("{price} is too little: collecting it would cost the responder {cost}\n{what} out of the price\npay more than {cost}, or wait for lower fees", price = sat(*price), cost = sat(*cost), what = out_of_the_price(*in_amounts, *coin))]
    NothingLeft {
        /// The price.
        price: Amount,
        /// What the answer takes from it.
        cost: Amount,
        /// Whether the answer pays amounts back.
        in_amounts: bool,
        /// Whether it puts a liveness coin aside.
        coin: bool,
    },
    /// An offer in an envelope is two transactions, of which another wallet funds one.
    #[error(
        "this offer does not fit into a PSBT\nthe ledger relays no data output so large, so its message rides in an envelope, which the home pays for itself\nuse --carrier value, a suite that is short enough (dynamic with x25519 fits everywhere), or leave out --psbt"
    )]
    NoPsbtInEnvelope {
        /// The carrier asked for.
        carrier: Carrier,
        /// The suite asked for.
        suite: Suite,
    },
    /// No prepared offer waits in that negotiation.
    #[error(
        "negotiation {0} waits for no PSBT\nit was submitted, given up, or never prepared\n`keyway show` says where it stands"
    )]
    NotWaiting(NegotiationId),
}

impl OfferError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::NotWaiting(_) => Kind::Failed,
            _ => Kind::Refused,
        }
    }
}

fn out_of_the_price(in_amounts: bool, coin: bool) -> &'static str {
    match (in_amounts, coin) {
        (false, false) => "the answer's fee comes",
        (false, true) => "the answer's fee and the coin come",
        (true, false) => "the answer's fee and the amounts that it pays back come",
        (true, true) => "the answer's fee, the amounts that it pays back and the coin come",
    }
}
