//! What must hold after every step of every schedule, whatever fails.

mod agreement;
mod end;
mod money;
mod rereading;
mod secrets;

use std::fmt;

use keyway_node::{NodeError, Party};

pub use agreement::transition;
pub use end::at_rest;
pub use money::payment;
pub use rereading::{from_scratch, memory_follows_disk};
pub use secrets::Used;

/// A law of the laboratory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// Between honest parties never two different active keys for one negotiation.
    OneKey,
    /// Never a key active on one side that the other can no longer reach.
    Reachable,
    /// Never a nonce twice, nor a share for two negotiations.
    NothingTwice,
    /// Never a coin that nobody can spend and nobody meant to give.
    NoCoinLost,
    /// Never a transaction of a coin that another one spent in a block which the home has followed.
    OnceSpent,
    /// Every negotiation moves as the table of states allows, and ends in a state of it.
    TheTable,
    /// What a party knows of the chain is the same as computed from scratch.
    FromScratch,
    /// What a party has in memory is what its disk would give.
    MemoryIsDisk,
    /// Whatever happens, a home opens again, and errors say what happened.
    Sound,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneKey => "never two different active keys for one negotiation",
            Self::Reachable => "never a key active on one side that the other can no longer reach",
            Self::NothingTwice => "never a nonce or a share twice",
            Self::NoCoinLost => "never a coin that nobody can spend and nobody meant to give",
            Self::OnceSpent => "never a transaction of a coin that is known to be spent",
            Self::TheTable => "every negotiation moves and ends as the table of states says",
            Self::FromScratch => "what the chain says is the same as computed from scratch",
            Self::MemoryIsDisk => "memory follows the disk",
            Self::Sound => "a home opens again, and errors say what happened",
        })
    }
}

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{law}: {what}")]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub what: String,
}

impl Law {
    /// A violation of this law.
    pub fn broken(self, what: impl Into<String>) -> Violation {
        Violation { law: self, what: what.into() }
    }

    /// Nothing, if it holds.
    ///
    /// # Errors
    /// The violation, if it does not.
    pub fn holds(self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { Err(self.broken(what())) }
    }
}

/// An error that no failure of disk or network explains.
pub(crate) fn sound<T>(who: &str, result: Result<T, NodeError>) -> Result<T, Violation> {
    result.map_err(|error| Law::Sound.broken(format!("{who}: {error}")))
}

/// What a home shows of itself, in one text that can be compared.
fn shown(party: &Party) -> Result<String, NodeError> {
    let views: Vec<String> = party.negotiations()?.iter().map(|view| format!("{view:?}")).collect();
    Ok(format!("{:?}\n{}", party.status()?, views.join("\n")))
}
