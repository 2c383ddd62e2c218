//! Key agreements and their shares (PROTOCOL.md 6.1).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::identity::{Binding, NegotiationSecret};
use crate::secret::Secret;

/// Which key agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suite {
    /// X25519 alone: short enough to ride in amounts.
    X25519,
}

/// No suite of that name is known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no suite is called `{0}`; known are: x25519")]
pub struct UnknownSuite(String);

impl Suite {
    /// Every suite, the one to prefer first.
    pub const ALL: [Suite; 1] = [Suite::X25519];

    /// Its number in messages and cards.
    pub const fn number(self) -> u8 {
        match self {
            Suite::X25519 => 1,
        }
    }

    /// The suite of that number, if known.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::X25519 => "x25519",
        }
    }

    /// Bytes of share A.
    pub const fn offer_share_len(self) -> usize {
        match self {
            Suite::X25519 => 32,
        }
    }

    /// Bytes of share B.
    pub const fn answer_share_len(self) -> usize {
        match self {
            Suite::X25519 => 32,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(name: &str) -> Result<Self, UnknownSuite> {
        Self::ALL.into_iter().find(|suite| suite.name() == name).ok_or_else(|| UnknownSuite(name.to_owned()))
    }
}

/// A share that must not be used; its sender is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadShare {
    /// Not as long as the suite's shares are.
    #[error("a share of {found} bytes, where {suite} has {expected}")]
    Length {
        /// The suite.
        suite: Suite,
        /// What it asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A point of small order: the shared secret would be known to everybody.
    #[error("a share of small order, which gives everybody the same secret")]
    SmallOrder,
    /// The reader's own share, sent back.
    #[error("the reader's own share, reflected")]
    Reflected,
}

/// One side's secret of an agreement.
pub(crate) struct ShareSecret {
    scalar: StaticSecret,
}

impl ShareSecret {
    /// The secret that PROTOCOL.md 6.1 derives for this side.
    pub(crate) fn derive(suite: Suite, secret: &NegotiationSecret, binding: &Binding) -> Self {
        match suite {
            Suite::X25519 => {
                let bytes = secret.derive("x25519 share", binding);
                Self { scalar: StaticSecret::from(*bytes.expose()) }
            }
        }
    }

    /// The share that the peer sees.
    pub(crate) fn public(&self) -> Vec<u8> {
        PublicKey::from(&self.scalar).to_bytes().to_vec()
    }

    /// The shared secret, if the peer's share may be used.
    pub(crate) fn agree(self, suite: Suite, theirs: &[u8]) -> Result<Secret, BadShare> {
        let bytes: [u8; 32] =
            theirs.try_into().map_err(|_| BadShare::Length { suite, expected: 32, found: theirs.len() })?;
        let theirs = PublicKey::from(bytes);
        if theirs == PublicKey::from(&self.scalar) {
            return Err(BadShare::Reflected);
        }
        let shared = self.scalar.diffie_hellman(&theirs);
        if !shared.was_contributory() {
            return Err(BadShare::SmallOrder);
        }
        Ok(Secret::fill_with(|secret| secret.copy_from_slice(shared.as_bytes())))
    }
}
