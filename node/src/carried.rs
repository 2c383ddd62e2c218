//! What a payment carries, in whichever way, before anybody's secret is asked what it says.

use bitcoin::{Amount, OutPoint, Transaction};
use keyway_carriers::script;
use keyway_carriers::value::{self, Run};
use keyway_chain::{Chain, Height};
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::message::{Carrier, Offer};

/// The coins and the bytes of an offer.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    /// In amounts.
    Run(Run),
    /// Beside the payment.
    Beside(script::Payment),
}

/// How a message is carried, as people and programs are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// In the amounts of coins.
    Coins {
        /// How many.
        coins: usize,
        /// Bits that each data output carries.
        bits: u32,
    },
    /// Sealed, beside the payment.
    Sealed {
        /// Bytes of the message.
        bytes: usize,
        /// Where they are.
        way: script::Way,
    },
    /// In the open, beside a locked payment.
    Locked {
        /// Bytes of the message.
        bytes: usize,
        /// Where they are.
        way: script::Way,
        /// What is locked.
        amount: Amount,
        /// The height after which it can go back, where the message could be read.
        timeout: Option<Height>,
        /// Whether OP_EXPONENT locks it, and not a hash.
        by_exponent: bool,
    },
}

impl Carriage {
    /// Where the bytes are, if they are beside the payment.
    pub fn way(&self) -> Option<script::Way> {
        match self {
            Self::Coins { .. } => None,
            Self::Sealed { way, .. } | Self::Locked { way, .. } => Some(*way),
        }
    }
}

impl Carried {
    /// Reads what a transaction carries to `recipient`, and from whom: nothing, if it is none of `author`'s.
    pub(crate) fn read(
        chain: &Chain,
        tx: &Transaction,
        amount: Amount,
        author: Option<PartyKey>,
        recipient: PartyKey,
    ) -> Option<(PartyKey, Self)> {
        // Cheaper than the signature, and enough to pass over nearly every payment.
        let claimed = PartyKey::from_slice(tx.input.first()?.witness.nth(1)?).ok()?;
        if author.is_some_and(|author| author != claimed) || claimed == recipient {
            return None;
        }
        let authored = Authored::verify(tx, amount).ok()?;
        let run = value::run::read(chain, &authored, recipient).ok().flatten();
        let run = run.filter(|run| Offer::from_bytes(Carrier::Value, run.message()).is_ok());
        let beside = || script::read_offer(chain, &authored, recipient).ok().flatten();
        let carried = run.map(Self::Run).or_else(|| beside().map(Self::Beside))?;
        Some((authored.author(), carried))
    }

    /// The first output to the responder, whose spending decides the offer.
    pub(crate) fn anchor(&self) -> OutPoint {
        match self {
            Self::Run(run) => run.anchor(),
            Self::Beside(payment) => payment.anchor(),
        }
    }

    /// What the anchor holds.
    pub(crate) fn anchored(&self) -> Option<Amount> {
        match self {
            Self::Run(run) => run.coins().next().map(|coin| coin.amount),
            Self::Beside(payment) => Some(payment.anchored()),
        }
    }

    /// What an answer spends, in its order.
    pub(crate) fn collected(&self) -> Vec<OutPoint> {
        match self {
            Self::Run(run) => run.outpoints().collect(),
            Self::Beside(payment) => payment.collected(),
        }
    }

    /// What is kept out of ordinary payments until the offer is answered: what an answer spends, and what pays for
    /// its envelope.
    pub(crate) fn held(&self) -> Vec<OutPoint> {
        self.collected().into_iter().chain(self.fund()).collect()
    }

    /// The coin that pays for the envelope of an answer.
    pub(crate) fn fund(&self) -> Option<OutPoint> {
        match self {
            Self::Run(_) => None,
            Self::Beside(payment) => payment.fund(),
        }
    }

    /// What the responder is paid.
    pub(crate) fn price(&self) -> Amount {
        match self {
            Self::Run(run) => run.price(),
            Self::Beside(payment) => payment.price(),
        }
    }

    /// The output that may hold a locked payment.
    pub(crate) fn locked(&self) -> Option<&script::Locked> {
        match self {
            Self::Run(_) => None,
            Self::Beside(payment) => payment.locked(),
        }
    }

    /// As it is told; `timeout` is what the message says of it.
    pub(crate) fn carriage(&self, timeout: Option<Height>) -> Carriage {
        match self {
            Self::Run(run) => {
                Carriage::Coins { coins: run.outpoints().len(), bits: run.layout().bits().get() }
            }
            Self::Beside(payment) => {
                let (bytes, way) = (payment.message().len(), payment.way());
                match payment.locked() {
                    Some(locked) => {
                        let (amount, by_exponent) = (locked.amount, locked.script.is_p2tr());
                        Carriage::Locked { bytes, way, amount, timeout, by_exponent }
                    }
                    None => Carriage::Sealed { bytes, way },
                }
            }
        }
    }
}
