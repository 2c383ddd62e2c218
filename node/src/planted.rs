//! Bugs to plant, one at a time, so that the laboratory can show that it would find them.
//!
//! Only with the feature `planted`, which no product turns on. Without it [`is`] is `false` when this crate is
//! compiled, and the planted lines are gone.

/// A bug that this crate could have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// After a failed step of the store memory is believed.
    MemoryStays,
    /// When the birthday leaves the chain, the home goes on one block below it in the new one.
    BirthdayOneBelow,
    /// What can no longer be mined keeps its other coins.
    HopelessLocks,
    /// An offer whose broadcast got no reply is forgotten, as a refused one is.
    ForgottenOnLostReply,
    /// A negotiation's secret is erased as soon as the answer is mined.
    ErasedAtOnce,
    /// A block that leaves the chain leaves its transactions behind in the store.
    RowsStay,
    /// Every start of the program seals in the same stream.
    StreamRepeats,
    /// A responder takes any answer of its own identity for the one it made.
    AnswerNotCompared,
    /// Fees follow the ledger's advice, whatever it is.
    NoCeiling,
    /// What left the ledger's view unmined is not sent again.
    NotSentAgain,
    /// Opened messages are not noted.
    OpenedNotNoted,
    /// A coin is offered again when what spent it brought the party nothing.
    SpentOffered,
}

#[cfg(feature = "planted")]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::MemoryStays,
        Self::BirthdayOneBelow,
        Self::HopelessLocks,
        Self::ForgottenOnLostReply,
        Self::ErasedAtOnce,
        Self::RowsStay,
        Self::StreamRepeats,
        Self::AnswerNotCompared,
        Self::NoCeiling,
        Self::NotSentAgain,
        Self::OpenedNotNoted,
        Self::SpentOffered,
    ];
}

#[cfg(feature = "planted")]
mod planting {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug in everything that this thread does from now on, or takes it away again.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted here.
    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub(crate) use planting::is;
#[cfg(feature = "planted")]
pub use planting::plant;

/// Whether this bug is planted: never, in a product.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
