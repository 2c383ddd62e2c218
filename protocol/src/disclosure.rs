//! What a party says of a key to third parties, signed (PROTOCOL.md 13.5).
//!
//! Of a key nothing can be proven without giving it away; but a party can be held to its word, and where both give the same
//! one, neither can have made it up alone.

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, ChainId};

use crate::card::is_signed;
use crate::identity::{IdentitySecret, PartyKey};
use crate::kdf::hash;
use crate::negotiation::{Fingerprint, NegotiationId, Role};

/// Which key it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The chain.
    pub chain: ChainId,
    /// The negotiation.
    pub negotiation: NegotiationId,
    /// The offer, as it was mined.
    pub offer: Txid,
    /// The answer.
    pub answer: Txid,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key's fingerprint.
    Fingerprint(Fingerprint),
    /// The session key of one block in one direction.
    Session {
        /// The block.
        block: BlockRef,
        /// Who seals under it.
        sender: Role,
        /// Its bytes: whoever reads them opens that block's messages in that direction.
        key: [u8; 32],
    },
}

impl Claim {
    /// Signs it as `by`.
    pub fn sign(&self, subject: &Subject, by: Role, identity: &IdentitySecret) -> [u8; 64] {
        identity.sign_digest(self.digest(subject, by)).serialize()
    }

    /// Whether `key`, which is that of `by`, signed it.
    pub fn is_signed(&self, subject: &Subject, by: Role, key: PartyKey, signature: &[u8; 64]) -> bool {
        is_signed(key, self.digest(subject, by), signature)
    }

    fn digest(&self, subject: &Subject, by: Role) -> [u8; 32] {
        hash(
            "disclosure",
            &[
                subject.chain.as_bytes(),
                subject.negotiation.as_bytes(),
                subject.offer.as_byte_array(),
                subject.answer.as_byte_array(),
                &[number(by)],
                &self.to_bytes(),
            ],
        )
    }

    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Fingerprint(fingerprint) => [&[1][..], fingerprint.as_bytes()].concat(),
            Self::Session { block, sender, key } => {
                let height = block.height.to_u32().to_be_bytes();
                [&[2][..], &height, block.hash.as_byte_array(), &[number(sender)], &key].concat()
            }
        }
    }
}

/// As directions are numbered (PROTOCOL.md 10): 1 for the initiator.
const fn number(role: Role) -> u8 {
    match role {
        Role::Initiator => 1,
        Role::Responder => 2,
    }
}
