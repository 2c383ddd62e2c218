//! Keys that an offer is made to before the party has answered (PROTOCOL.md 3.3), and the first secret that comes of
//! it (8.1).

use std::fmt;

use bitcoin::hex::DisplayHex;
use sha2::{Digest, Sha256};

use crate::encode::outpoint_bytes;
use crate::identity::{Binding, NegotiationSecret};
use crate::kdf::{expand, extract, hash};
use crate::letter::Direction;
use crate::message::{Offer, Terms};
use crate::secret::Secret;
use crate::suite::{BadShare, Power, ShareSecret, Suite, to_prekey};

/// Names a prekey in an offer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrekeyId([u8; Self::LEN]);

impl PrekeyId {
    /// Bytes of an id.
    pub const LEN: usize = 4;

    /// The id of a prekey.
    pub fn of(suite: u8, key: &[u8]) -> Self {
        let [a, b, c, d, ..] = hash("prekey", &[&[suite], key]);
        Self([a, b, c, d])
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for PrekeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hex().fmt(f)
    }
}

impl fmt::Debug for PrekeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrekeyId({self})")
    }
}

/// p(j): the one-way chain from which the prekeys come, apart from that of the negotiations.
#[derive(Debug)]
pub struct PrekeyChain {
    index: u32,
    head: Secret,
}

impl PrekeyChain {
    /// From what a store kept.
    pub fn from_parts(index: u32, head: Secret) -> Self {
        Self { index, head }
    }

    /// j, the index that the next generation takes.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// p(j), for the store.
    pub fn head(&self) -> &Secret {
        &self.head
    }

    /// Takes q(j) and moves on to p(j+1).
    pub fn take(self) -> (PrekeySecret, PrekeyChain) {
        let secret = PrekeySecret(expand(&self.head, "prekeys", &[]));
        let head = expand(&self.head, "next prekeys", &[]);
        (secret, PrekeyChain { index: self.index.saturating_add(1), head })
    }
}

/// q(j): the private halves of one generation of prekeys, one for each suite.
#[derive(Debug)]
pub struct PrekeySecret(Secret);

impl PrekeySecret {
    /// From what a store kept.
    pub fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// For the store.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }

    /// The public half for `suite`, as it stands on the card.
    pub fn public(&self, suite: Suite) -> Vec<u8> {
        self.private(suite).public()
    }

    fn private(&self, suite: Suite) -> ShareSecret {
        ShareSecret::of_prekey(suite, &self.0)
    }
}

/// What t opens, told without telling t.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// SHA-256 of t (PROTOCOL.md 7.5).
    Hash([u8; 32]),
    /// Share A to the power of t, for OP_EXPONENT (PROTOCOL.md 7.6).
    Power(Power),
}

impl Condition {
    /// Whether this is the t.
    pub fn is_met_by(&self, t: &Secret) -> bool {
        match self {
            Self::Hash(hash) => <[u8; 32]>::from(Sha256::digest(t.expose())) == *hash,
            Self::Power(power) => power.is_of(t),
        }
    }
}

/// What both sides have before the responder answers: it opens the payment, and is one half of what mk rests on.
#[derive(Debug)]
pub struct FirstSecret(Secret);

impl FirstSecret {
    /// The initiator's side: the secret, and the ciphertext that the offer carries.
    pub(crate) fn send(
        direction: &Direction,
        suite: Suite,
        prekey: &[u8],
        own: &ShareSecret,
        secret: &NegotiationSecret,
        binding: &Binding,
    ) -> Result<(Self, Vec<u8>), BadShare> {
        let (ciphertext, raw) = to_prekey(suite, own, secret, binding, prekey)?;
        Ok((Self::bind(direction, suite, prekey, &own.public(), &ciphertext, &raw), ciphertext))
    }

    /// The responder's side; `direction` is from the initiator to itself.
    ///
    /// # Errors
    /// [`BadShare`]: the offer's share or ciphertext must not be used.
    pub fn receive(direction: &Direction, offer: &Offer, prekey: &PrekeySecret) -> Result<Self, BadShare> {
        let suite = offer.suite();
        let ciphertext = match offer.terms() {
            Terms::Dynamic { ciphertext, .. } => &ciphertext[..],
            _ => &[],
        };
        let private = prekey.private(suite);
        let theirs = if suite.prekey_ciphertext_len() == 0 { offer.share() } else { ciphertext };
        let raw = private.agree(theirs)?;
        Ok(Self::bind(direction, suite, &private.public(), offer.share(), ciphertext, &raw))
    }

    /// Bound to all that names this one offer: a secret that did not name its offer's coin could be had from the
    /// responder by copying the offer.
    fn bind(
        direction: &Direction,
        suite: Suite,
        prekey: &[u8],
        share: &[u8],
        ciphertext: &[u8],
        raw: &Secret,
    ) -> Self {
        let bound = hash(
            "first secret",
            &[
                direction.chain.as_bytes(),
                &[suite.number()],
                &direction.author.to_bytes(),
                &direction.recipient.to_bytes(),
                prekey,
                share,
                ciphertext,
                &outpoint_bytes(direction.input0),
            ],
        );
        Self(extract(&bound, raw.expose()))
    }

    /// t: published to collect the payment. It says nothing of what the first secret contributes to mk.
    pub fn payment_secret(&self) -> Secret {
        expand(&self.0, "payment secret", &[])
    }

    /// What the offer's payment is locked to: by OP_EXPONENT where share A is a number that has powers, else by a hash.
    ///
    /// # Errors
    /// [`BadShare`]: the offer's share must not be used.
    pub fn condition(&self, offer: &Offer) -> Result<Condition, BadShare> {
        let t = self.payment_secret();
        if offer.suite().locks_by_exponent() {
            Power::new(offer.suite(), offer.share(), &t).map(Condition::Power)
        } else {
            Ok(Condition::Hash(Sha256::digest(t.expose()).into()))
        }
    }

    /// What of it goes into the key.
    pub(crate) fn contribution(&self) -> Secret {
        expand(&self.0, "key secret", &[])
    }
}
