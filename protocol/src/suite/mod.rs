//! Key agreements and their shares (PROTOCOL.md 6.1).

mod ffdh;
mod group;
mod jacobi;
mod rfc7919;
mod search;
mod x25519;
mod xwing;

pub use ffdh::{Group, Power};
pub use group::{
    BadGroup, BadNumbers, GROUP_DEPTH, GroupLen, LEAST_BITS, MOST_BITS, Numbers, Published, take_for_sound,
};
pub use search::{expected_draws, generate};

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::identity::{Binding, NegotiationSecret};
use crate::kdf::expand;
use crate::message::Carrier;
use crate::secret::Secret;

/// Which key agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suite {
    /// X25519 alone: short enough to ride in amounts.
    X25519,
    /// X-Wing, which is X25519 and ML-KEM-768 together: what is on the chain today stays closed to the quantum
    /// computers of later.
    X25519MlKem768,
    /// Diffie-Hellman in RFC 7919's group of 2,048 bits.
    Ffdhe2048,
    /// Diffie-Hellman in RFC 7919's group of 3,072 bits.
    Ffdhe3072,
    /// Diffie-Hellman in RFC 7919's group of 4,096 bits.
    Ffdhe4096,
    /// Diffie-Hellman in a group that a transaction has published: the paper's Algorithms 1 and 3.
    FfdhPublished,
    /// Diffie-Hellman in a group that the offer itself brings: the paper's Algorithms 2 and 4.
    FfdhCustom,
}

/// No suite of that name is known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}", unknown(.0))]
pub struct UnknownSuite(String);

fn unknown(name: &str) -> String {
    if name == "paper-8digit" {
        return "paper-8digit is for study alone, and no suite: `keyway lab` has it".to_owned();
    }
    let known = [Suite::X25519, Suite::X25519MlKem768].into_iter().chain(Suite::OF_NUMBERS).map(Suite::name);
    format!("no suite is called `{name}`; known are: {}", known.collect::<Vec<_>>().join(", "))
}

impl Suite {
    /// Every suite, the one to prefer first.
    pub const ALL: [Suite; 7] = [
        Suite::X25519MlKem768,
        Suite::X25519,
        Suite::Ffdhe4096,
        Suite::Ffdhe3072,
        Suite::Ffdhe2048,
        Suite::FfdhPublished,
        Suite::FfdhCustom,
    ];

    /// Those that need nothing but their name, which are answered where nothing else is said.
    pub const USUAL: [Suite; 5] =
        [Suite::X25519MlKem768, Suite::X25519, Suite::Ffdhe4096, Suite::Ffdhe3072, Suite::Ffdhe2048];

    /// Those that compute with large numbers.
    const OF_NUMBERS: [Suite; 5] =
        [Suite::Ffdhe2048, Suite::Ffdhe3072, Suite::Ffdhe4096, Suite::FfdhPublished, Suite::FfdhCustom];

    /// Those for which every card has prekeys.
    pub const WITH_PREKEYS: [Suite; 2] = [Suite::X25519MlKem768, Suite::X25519];

    /// Those of RFC 7919: offers to their prekeys lock the payment by OP_EXPONENT, so only a card of somebody whose
    /// ledger enforces that has such prekeys.
    pub const FFDHE: [Suite; 3] = [Suite::Ffdhe4096, Suite::Ffdhe3072, Suite::Ffdhe2048];

    /// What to take where nothing is said: the strongest that the carrier has room for.
    pub const fn default_over(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Value => Suite::X25519,
            Carrier::Static | Carrier::Dynamic => Suite::X25519MlKem768,
        }
    }

    /// Its number in messages and cards.
    pub const fn number(self) -> u8 {
        match self {
            Suite::X25519 => 1,
            Suite::X25519MlKem768 => 2,
            Suite::Ffdhe2048 => 3,
            Suite::Ffdhe3072 => 4,
            Suite::Ffdhe4096 => 5,
            Suite::FfdhPublished => 6,
            Suite::FfdhCustom => 7,
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
            Suite::X25519MlKem768 => "x25519-mlkem768",
            Suite::Ffdhe2048 => "ffdhe2048",
            Suite::Ffdhe3072 => "ffdhe3072",
            Suite::Ffdhe4096 => "ffdhe4096",
            Suite::FfdhPublished => "ffdh-published",
            Suite::FfdhCustom => "ffdh-custom",
        }
    }

    /// Whether its offers bring or name the group: over the static carrier alone, whose layout has a place for it.
    pub const fn brings_group(self) -> bool {
        matches!(self, Suite::FfdhPublished | Suite::FfdhCustom)
    }

    /// Whether offers of it can ride so.
    pub const fn rides_over(self, carrier: Carrier) -> bool {
        !self.brings_group() || matches!(carrier, Carrier::Static)
    }

    /// Bytes of share A; none of a suite that brings its group, whose shares are as long as that group's modulus.
    pub const fn offer_share_len(self) -> usize {
        match self {
            Suite::X25519 => x25519::SHARE_LEN,
            Suite::X25519MlKem768 => xwing::KEY_LEN,
            _ => self.number_len(),
        }
    }

    /// Bytes of share B, as of share A.
    pub const fn answer_share_len(self) -> usize {
        match self {
            Suite::X25519 => x25519::SHARE_LEN,
            Suite::X25519MlKem768 => xwing::CIPHERTEXT_LEN,
            _ => self.number_len(),
        }
    }

    const fn number_len(self) -> usize {
        match self {
            Suite::Ffdhe2048 => 256,
            Suite::Ffdhe3072 => 384,
            Suite::Ffdhe4096 => 512,
            _ => 0,
        }
    }

    /// Whether an offer to a prekey locks its payment by OP_EXPONENT, instead of by a hash.
    pub const fn locks_by_exponent(self) -> bool {
        matches!(self, Suite::Ffdhe2048 | Suite::Ffdhe3072 | Suite::Ffdhe4096)
    }

    /// Bytes that an offer to a prekey carries beside share A: none where share A itself meets the prekey.
    pub const fn prekey_ciphertext_len(self) -> usize {
        match self {
            Suite::X25519MlKem768 => xwing::CIPHERTEXT_LEN,
            _ => 0,
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
    /// Bytes that no key of the suite has.
    #[error("a share that is no key of {0}")]
    NoKey(Suite),
    /// A point of small order: the shared secret would be known to everybody.
    #[error("a share of small order, which gives everybody the same secret")]
    SmallOrder,
    /// A number outside the subgroup of prime order: using it would tell a bit of the secret.
    #[error("a share outside the subgroup of {0}")]
    OutsideSubgroup(Suite),
    /// The reader's own share, sent back.
    #[error("the reader's own share, reflected")]
    Reflected,
    /// Nothing was made in a group that is not there.
    #[error("the group of an offer of {0} is not at hand")]
    NoGroup(Suite),
}

/// A side's secret of an agreement; in X-Wing, the initiator's.
pub(crate) enum ShareSecret {
    X25519(x25519::Private),
    XWing(xwing::Private),
    Ffdh(ffdh::Private),
    /// Of a suite that brings its group, without one: its share is empty, which nobody takes.
    Groupless(Suite),
}

impl fmt::Debug for ShareSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suite = match self {
            Self::X25519(_) => Suite::X25519,
            Self::XWing(_) => Suite::X25519MlKem768,
            Self::Ffdh(private) => private.suite(),
            Self::Groupless(suite) => *suite,
        };
        write!(f, "ShareSecret({suite})")
    }
}

impl ShareSecret {
    /// The secret that PROTOCOL.md 6.1 derives; `group` is what the offer brings.
    pub(crate) fn derive(
        suite: Suite,
        group: Option<&Group>,
        secret: &NegotiationSecret,
        binding: &Binding,
    ) -> Self {
        match suite {
            Suite::X25519 => Self::X25519(x25519::Private::new(&secret.derive(x25519::PURPOSE, binding))),
            Suite::X25519MlKem768 => {
                Self::XWing(xwing::Private::new(&secret.derive(xwing::PURPOSE, binding)))
            }
            Suite::Ffdhe2048 | Suite::Ffdhe3072 | Suite::Ffdhe4096 => {
                Self::ffdh(ffdh::group(suite), &secret.derive_for(ffdh::PURPOSE, binding, b"", b""))
            }
            Suite::FfdhPublished | Suite::FfdhCustom => match group {
                Some(group) => Self::ffdh(group, &secret.derive_for(ffdh::PURPOSE, binding, b"", b"")),
                None => Self::Groupless(suite),
            },
        }
    }

    /// The private half of the prekey that a generation's secret gives for `suite` (PROTOCOL.md 3.3).
    pub(crate) fn of_prekey(suite: Suite, secret: &Secret) -> Self {
        let number = [suite.number()];
        match suite {
            Suite::X25519 => Self::X25519(x25519::Private::new(&expand(secret, "prekey", &[&number]))),
            Suite::X25519MlKem768 => Self::XWing(xwing::Private::new(&expand(secret, "prekey", &[&number]))),
            Suite::Ffdhe2048 | Suite::Ffdhe3072 | Suite::Ffdhe4096 => {
                Self::ffdh(ffdh::group(suite), &expand(secret, "prekey", &[&number]))
            }
            Suite::FfdhPublished | Suite::FfdhCustom => Self::Groupless(suite),
        }
    }

    fn ffdh(group: &Group, exponent: &Secret<{ ffdh::EXPONENT_LEN }>) -> Self {
        Self::Ffdh(ffdh::Private::new(group, exponent))
    }

    /// The share that the peer sees.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::X25519(private) => private.public().to_vec(),
            Self::XWing(private) => private.public(),
            Self::Ffdh(private) => private.public().to_vec(),
            Self::Groupless(_) => Vec::new(),
        }
    }

    /// The shared secret, if the peer's share may be used.
    pub(crate) fn agree(&self, theirs: &[u8]) -> Result<Secret, BadShare> {
        match self {
            Self::X25519(private) => private.agree(theirs),
            Self::XWing(private) => private.decapsulate(theirs),
            Self::Ffdh(private) => private.agree(theirs),
            Self::Groupless(suite) => Err(BadShare::NoGroup(*suite)),
        }
    }
}

/// The responder's share B and the shared secret, if share A may be used.
pub(crate) fn respond(
    suite: Suite,
    group: Option<&Group>,
    secret: &NegotiationSecret,
    binding: &Binding,
    theirs: &[u8],
) -> Result<(Vec<u8>, Secret), BadShare> {
    if suite == Suite::X25519MlKem768 {
        let randomness = secret.derive_for(xwing::ENCAPSULATION, binding, theirs, b"");
        return xwing::encapsulate(theirs, &randomness);
    }
    let mine = ShareSecret::derive(suite, group, secret, binding);
    Ok((mine.public(), mine.agree(theirs)?))
}

/// The first secret with a prekey, and what the offer carries so that its owner has it too: something encapsulated to an
/// X-Wing prekey, and nothing to others, which share A itself meets.
pub(crate) fn to_prekey(
    suite: Suite,
    own: &ShareSecret,
    secret: &NegotiationSecret,
    binding: &Binding,
    prekey: &[u8],
) -> Result<(Vec<u8>, Secret), BadShare> {
    if suite == Suite::X25519MlKem768 {
        let randomness = secret.derive_for(xwing::TO_PREKEY, binding, prekey, b"");
        return xwing::encapsulate(prekey, &randomness);
    }
    Ok((Vec::new(), own.agree(prekey)?))
}
