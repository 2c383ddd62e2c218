//! One party's word for another, signed and dated (PROTOCOL.md 4.3).
//!
//! An operator introduces each car of a fleet once; whoever trusts the operator's introductions then deals with
//! all of them. Introductions stand outside the card, so that a card needs no change when one is made or withdrawn.

use std::fmt;
use std::str::FromStr;

use bitcoin::secp256k1::{Message, schnorr};
use keyway_chain::{ChainId, Height};
use thiserror::Error;

use crate::authorship::context;
use crate::card::Permanent;
use crate::encode::{CutShort, Reader};
use crate::identity::{IdentitySecret, PartyKey};
use crate::kdf::hash;
use crate::text::{self, TextError};

const PREFIX: &str = "keyway-introduction:";
const VERSION: u8 = 1;
const SIGNATURE_LEN: usize = 64;
/// Every introduction has this many bytes.
const LEN: usize = 1 + 32 + 33 + 32 + 4 + 4 + SIGNATURE_LEN;

/// An introduction whose form and signature are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    chain: ChainId,
    introducer: PartyKey,
    subject: [u8; 32],
    serial: u32,
    expiry: Height,
    signature: [u8; SIGNATURE_LEN],
}

/// Why a line of text is no introduction. Whoever passed it on, or wrote it, is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IntroductionError {
    /// Another kind of text.
    #[error("not an introduction: it must begin with `{PREFIX}`")]
    Prefix,
    /// Characters that base64url does not have.
    #[error("not an introduction: it is not base64url after `{PREFIX}`")]
    Alphabet,
    /// Another length than introductions have.
    #[error("not an introduction: it has another length")]
    Length,
    /// A character was lost or changed on the way.
    #[error("the introduction's checksum is wrong: a character was lost or changed; copy it again, whole")]
    Checksum,
    /// From a newer program.
    #[error(
        "the introduction has version {0}, this program knows version {VERSION}; one of the two needs an update"
    )]
    UnknownVersion(u8),
    /// The introducer's key is no point of the curve.
    #[error("the introducer's key is invalid")]
    BadKey,
    /// It is not what the introducer signed.
    #[error("the introduction was tampered with: its signature is wrong")]
    Signature,
}

impl From<TextError> for IntroductionError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Prefix => Self::Prefix,
            TextError::Alphabet => Self::Alphabet,
            TextError::TooLong | TextError::CutShort => Self::Length,
            TextError::Checksum => Self::Checksum,
        }
    }
}

impl From<CutShort> for IntroductionError {
    fn from(CutShort: CutShort) -> Self {
        Self::Length
    }
}

impl Introduction {
    /// Whether a line of text means to be an introduction.
    pub fn is_meant_by(line: &str) -> bool {
        line.trim_start().starts_with(PREFIX)
    }

    /// Signs that `subject` is who its card says, up to and including height `expiry`. Of several introductions of
    /// one party by one introducer the highest serial counts.
    pub fn sign(subject: &Permanent, serial: u32, expiry: Height, introducer: &IdentitySecret) -> Self {
        let mut introduction = Self {
            chain: subject.chain,
            introducer: introducer.party(),
            subject: subject.digest(),
            serial,
            expiry,
            signature: [0; SIGNATURE_LEN],
        };
        introduction.signature = introducer.sign_digest(introduction.digest()).serialize();
        introduction
    }

    /// Signs that earlier introductions of `subject`, those of a lower serial, no longer hold: an introduction
    /// that was over before the chain began.
    pub fn withdraw(subject: &Permanent, serial: u32, introducer: &IdentitySecret) -> Self {
        Self::sign(subject, serial, Height::GENESIS, introducer)
    }

    /// Where both are parties.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Who introduces.
    pub fn introducer(&self) -> PartyKey {
        self.introducer
    }

    /// Whom, by the digest of its card's permanent part.
    pub fn subject(&self) -> &[u8; 32] {
        &self.subject
    }

    /// Which of the introducer's words about this party it is.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The last height at which it holds.
    pub fn expiry(&self) -> Height {
        self.expiry
    }

    /// Whether it takes an earlier introduction back.
    pub fn is_withdrawal(&self) -> bool {
        self.expiry == Height::GENESIS
    }

    /// Whether it holds at `tip`.
    pub fn holds(&self, tip: Height) -> bool {
        !self.is_withdrawal() && tip <= self.expiry
    }

    /// Whether it counts instead of `other`, both being of the same party by the same introducer: the higher
    /// serial does, and of two with one serial the one that ends first.
    pub fn replaces(&self, other: &Self) -> bool {
        (self.serial, other.expiry) > (other.serial, self.expiry)
    }

    fn signed_bytes(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            self.chain.as_bytes(),
            &self.introducer.to_bytes(),
            &self.subject,
            &self.serial.to_be_bytes(),
            &self.expiry.to_u32().to_be_bytes(),
        ]
        .concat()
    }

    fn digest(&self) -> [u8; 32] {
        hash("introduction", &[&self.signed_bytes()])
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, IntroductionError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(IntroductionError::UnknownVersion(other)),
        }
        let introduction = Self {
            chain: ChainId::from_bytes(reader.array()?),
            introducer: PartyKey::from_slice(reader.take(33)?).map_err(|_| IntroductionError::BadKey)?,
            subject: reader.array()?,
            serial: reader.u32()?,
            expiry: Height::new(reader.u32()?),
            signature: reader.array()?,
        };
        if reader.remaining().is_empty() { introduction.verified() } else { Err(IntroductionError::Length) }
    }

    fn verified(self) -> Result<Self, IntroductionError> {
        let (key, _) = self.introducer.to_public_key().x_only_public_key();
        let signature =
            schnorr::Signature::from_slice(&self.signature).map_err(|_| IntroductionError::Signature)?;
        let verified = context().verify_schnorr(&signature, &Message::from_digest(self.digest()), &key);
        verified.map(|()| self).map_err(|_| IntroductionError::Signature)
    }
}

impl fmt::Display for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::write(PREFIX, [&self.signed_bytes()[..], &self.signature].concat()))
    }
}

impl FromStr for Introduction {
    type Err = IntroductionError;

    fn from_str(line: &str) -> Result<Self, IntroductionError> {
        Self::from_bytes(&text::read(PREFIX, LEN, line)?)
    }
}
