//! What parties add to a file of what only they know (PROTOCOL.md 13.4, 13.5).

use bitcoin::OutPoint;
use keyway_chain::Height;
use keyway_protocol::letter::{self, Direction};
use keyway_protocol::negotiation::{Fingerprint, Role};
use keyway_protocol::secret::Secret;

/// More session keys than anybody means to show.
pub const MOST_SESSIONS: usize = 64;

/// A sealed message laid open by its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it says.
    pub message: Vec<u8>,
    /// What its encapsulation drew.
    pub ephemeral: [u8; 32],
}

/// A party's signed word for the key's fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// BIP340, by its identity key.
    pub signature: [u8; 64],
}

/// A party's signed word for a session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWord {
    /// Whose word.
    pub by: Role,
    /// Which block's key.
    pub height: Height,
    /// Who seals under it.
    pub sender: Role,
    /// The key.
    pub key: [u8; 32],
    /// BIP340, by that party's identity key.
    pub signature: [u8; 64],
}

/// All that is disclosed in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disclosures {
    /// What the sealed offer says.
    pub offer: Option<Contents>,
    /// What the sealed answer says.
    pub answer: Option<Contents>,
    /// The responder's tag key (PROTOCOL.md 8).
    pub tag_key: Option<[u8; 32]>,
    /// The initiator's word.
    pub initiator: Option<Word>,
    /// The responder's word.
    pub responder: Option<Word>,
    /// Session keys, by height, sender and whose word it is.
    pub sessions: Vec<SessionWord>,
}

/// What a file discloses beside another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Both say the same, or one says nothing.
    Joined,
    /// They differ in this.
    Differ(&'static str),
}

impl Contents {
    /// Whether these bytes on the chain are this message, sealed to `to`: that key's owner opens them to it, and nobody can
    /// open them to another.
    pub(crate) fn prove(&self, direction: &Direction, to: &[u8; 32], sealed: &[u8]) -> bool {
        let ephemeral = Secret::fill_with(|bytes| *bytes = self.ephemeral);
        letter::seal_with(direction, to, &self.message, ephemeral).is_ok_and(|again| again == sealed)
    }
}

impl Disclosures {
    /// The word of one side.
    pub fn word(&self, of: Role) -> Option<&Word> {
        match of {
            Role::Initiator => self.initiator.as_ref(),
            Role::Responder => self.responder.as_ref(),
        }
    }

    /// Takes over what another file on the same negotiation discloses.
    pub fn join(&mut self, other: Self) -> Shown {
        let agree = join(&mut self.offer, other.offer)
            & join(&mut self.answer, other.answer)
            & join(&mut self.tag_key, other.tag_key)
            & join(&mut self.initiator, other.initiator)
            & join(&mut self.responder, other.responder);
        self.sessions.extend(other.sessions);
        self.sort();
        if agree { Shown::Joined } else { Shown::Differ("the same side discloses two different things") }
    }

    /// Puts the session keys into their one order.
    pub fn sort(&mut self) {
        self.sessions.sort_by_key(SessionWord::place);
        self.sessions.dedup();
    }

    pub(crate) fn is_sorted(&self) -> bool {
        self.sessions.is_sorted_by(|one, next| one.place() < next.place())
    }
}

impl SessionWord {
    fn place(&self) -> (Height, Role, Role) {
        (self.height, self.sender, self.by)
    }
}

fn join<T: PartialEq>(ours: &mut Option<T>, theirs: Option<T>) -> bool {
    match (&ours, theirs) {
        (_, None) => true,
        (Some(ours), Some(theirs)) => *ours == theirs,
        (None, theirs) => {
            *ours = theirs;
            true
        }
    }
}

/// The coin that a letter of the responder is bound to: the anchor, which its transaction spends first.
pub(crate) fn direction_back(direction: &Direction, anchor: OutPoint) -> Direction {
    Direction {
        chain: direction.chain,
        author: direction.recipient,
        recipient: direction.author,
        input0: anchor,
    }
}
