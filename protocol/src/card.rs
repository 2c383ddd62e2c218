//! A party's public identity as one signed line of text (PROTOCOL.md 4).

use std::fmt;
use std::str::FromStr;

use bitcoin::secp256k1::{Message, schnorr};
use keyway_chain::{Chain, ChainId, Height};
use thiserror::Error;

use crate::authorship::context;
use crate::encode::{CutShort, Reader};
use crate::identity::{IdentitySecret, PartyKey, PartyRef, SealingSecret};
use crate::kdf::hash;
use crate::message::Carrier;
use crate::suite::Suite;
use crate::text::{self, TextError};
use crate::verified::{self, Scheme};

mod permanent;

pub use permanent::SignedPermanent;

const PREFIX: &str = "keyway-card:";
const VERSION: u8 = 1;
const MAX_LEN: usize = 65_536;
const MAX_ENTRIES: usize = 16;
const SIGNATURE_LEN: usize = 64;

/// A party's name: 1 to 32 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// Not a party's name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a name has 1 to 32 characters of A-Z a-z 0-9 . _ - and begins with a letter or digit")]
pub struct BadName;

impl FromStr for Name {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if first && name.len() <= 32 && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadName)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The part of a card that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permanent {
    /// What the party calls itself.
    pub name: Name,
    /// Where it is a party.
    pub chain: ChainId,
    /// Its identity on the chain.
    pub key: PartyKey,
    /// The X25519 key that messages to it are sealed to.
    pub sealing: [u8; 32],
}

impl Permanent {
    /// The permanent part of the party that holds these secrets.
    pub fn of(name: Name, chain: &Chain, identity: &IdentitySecret, sealing: &SealingSecret) -> Self {
        Self { name, chain: chain.id(), key: identity.party(), sealing: sealing.public() }
    }

    /// What signatures and transcripts name it by (PROTOCOL.md 4.1).
    pub fn digest(&self) -> [u8; 32] {
        hash("card permanent", &[&[&[VERSION], &self.to_bytes()[..]].concat()])
    }

    /// As a transcript needs it.
    pub fn party_ref(&self) -> PartyRef {
        PartyRef { key: self.key, card_digest: self.digest(), chain: self.chain }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let name = self.name.0.as_bytes();
        [
            &[u8::try_from(name.len()).unwrap_or(u8::MAX)],
            name,
            self.chain.as_bytes(),
            &self.key.to_bytes(),
            &self.sealing,
        ]
        .concat()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CardError> {
        let len = reader.u8()?;
        let name = reader.take(usize::from(len))?;
        let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        Ok(Self {
            name: name.ok_or(CardError::BadName)?,
            chain: ChainId::from_bytes(reader.array()?),
            key: PartyKey::from_slice(reader.take(33)?).map_err(|_| CardError::BadKey)?,
            sealing: reader.array()?,
        })
    }
}

/// The part of a card that its owner renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewable {
    /// Counts the versions of this card.
    pub serial: u32,
    /// The last height at which the card may be accepted.
    pub expiry: Height,
    /// Numbers of the suites that the party answers, the most wanted first.
    pub suites: Vec<u8>,
    /// Numbers of the carriers that the party answers, the most wanted first.
    pub carriers: Vec<u8>,
    /// Keys that offers can be made to before the party has answered.
    pub prekeys: Vec<Prekey>,
}

/// A key that an offer can be made to before the party has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prekey {
    /// The number of the suite that uses it.
    pub suite: u8,
    /// The last height at which offers may use it.
    pub last_height: Height,
    /// The suite's public key.
    pub key: Vec<u8>,
}

impl Renewable {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.serial.to_be_bytes());
        bytes.extend(self.expiry.to_u32().to_be_bytes());
        for list in [&self.suites, &self.carriers] {
            bytes.extend(u8::try_from(list.len()));
            bytes.extend(list);
        }
        bytes.extend(u8::try_from(self.prekeys.len()));
        for prekey in &self.prekeys {
            bytes.push(prekey.suite);
            bytes.extend(prekey.last_height.to_u32().to_be_bytes());
            bytes.extend(u16::try_from(prekey.key.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(&prekey.key);
        }
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CardError> {
        let serial = reader.u32()?;
        let expiry = Height::new(reader.u32()?);
        let suites = Self::read_list(reader)?;
        let carriers = Self::read_list(reader)?;
        let count = entries(reader.u8()?)?;
        let prekeys = (0..count).map(|_| Prekey::read(reader)).collect::<Result<_, _>>()?;
        Ok(Self { serial, expiry, suites, carriers, prekeys })
    }

    fn read_list(reader: &mut Reader<'_>) -> Result<Vec<u8>, CardError> {
        let count = entries(reader.u8()?)?;
        Ok(reader.take(count)?.to_vec())
    }

    fn check_counts(&self) -> Result<(), CardError> {
        let counts = [self.suites.len(), self.carriers.len(), self.prekeys.len()];
        let excess = counts.into_iter().find(|count| *count > MAX_ENTRIES);
        excess.map_or(Ok(()), |count| Err(CardError::TooManyEntries(count)))
    }
}

impl Prekey {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CardError> {
        let suite = reader.u8()?;
        let last_height = Height::new(reader.u32()?);
        let len = reader.u16()?;
        Ok(Self { suite, last_height, key: reader.take(usize::from(len))?.to_vec() })
    }
}

fn entries(count: u8) -> Result<usize, CardError> {
    let count = usize::from(count);
    if count <= MAX_ENTRIES { Ok(count) } else { Err(CardError::TooManyEntries(count)) }
}

/// A card whose form and signatures are right. Whether to accept it is [`Card::check`]'s answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    permanent: Permanent,
    permanent_signature: [u8; SIGNATURE_LEN],
    renewable: Renewable,
    renewable_signature: [u8; SIGNATURE_LEN],
}

/// Why a line of text is no card. Whoever passed it on, or wrote it, is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CardError {
    /// Another kind of text.
    #[error("not a card: it must begin with `{PREFIX}`")]
    Prefix,
    /// Characters that base64url does not have.
    #[error("not a card: it is not base64url after `{PREFIX}`")]
    Alphabet,
    /// Longer than any card.
    #[error("not a card: longer than {MAX_LEN} bytes")]
    TooLong,
    /// A character was lost or changed on the way.
    #[error("the card's checksum is wrong: a character was lost or changed; copy it again, whole")]
    Checksum,
    /// From a newer program.
    #[error("the card has version {0}, this program knows version {VERSION}; one of the two needs an update")]
    UnknownVersion(u8),
    /// The bytes end too early.
    #[error("the card is cut short")]
    CutShort,
    /// The bytes go on after the card's end.
    #[error("the card has {0} bytes too many")]
    TrailingBytes(usize),
    /// The name has forbidden characters or length.
    #[error("the card's name is not of the form that names have")]
    BadName,
    /// The identity key is no point of the curve.
    #[error("the card's identity key is invalid")]
    BadKey,
    /// A list beyond its limit.
    #[error("the card lists {0} entries where at most {MAX_ENTRIES} are allowed")]
    TooManyEntries(usize),
    /// Name, chain or keys are not what the identity key signed.
    #[error("the card was tampered with: the signature of its name, chain and keys is wrong")]
    PermanentSignature,
    /// Serial, expiry, suites, carriers or prekeys are not what the identity key signed.
    #[error("the card was tampered with: the signature of its serial, expiry and lists is wrong")]
    RenewableSignature,
}

impl From<TextError> for CardError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Prefix => Self::Prefix,
            TextError::Alphabet => Self::Alphabet,
            TextError::TooLong => Self::TooLong,
            TextError::CutShort => Self::CutShort,
            TextError::Checksum => Self::Checksum,
        }
    }
}

impl From<CutShort> for CardError {
    fn from(CutShort: CutShort) -> Self {
        CardError::CutShort
    }
}

impl Card {
    /// Whether a line of text means to be a card.
    pub fn is_meant_by(line: &str) -> bool {
        line.trim_start().starts_with(PREFIX)
    }

    /// Signs a card.
    ///
    /// # Errors
    /// [`CardError::TooManyEntries`] or [`CardError::TooLong`] if a list, or the card with its prekeys, is longer
    /// than any reader takes; [`CardError::BadKey`] if `identity` is not the key of `permanent`. All are the
    /// caller's faults.
    pub fn sign(
        permanent: Permanent,
        renewable: Renewable,
        identity: &IdentitySecret,
    ) -> Result<Self, CardError> {
        renewable.check_counts()?;
        if permanent.key != identity.party() {
            return Err(CardError::BadKey);
        }
        let digest = permanent.digest();
        let card = Self {
            permanent_signature: identity.sign_digest(digest).serialize(),
            renewable_signature: identity.sign_digest(renewable_digest(&digest, &renewable)).serialize(),
            permanent,
            renewable,
        };
        // A prekey too long for its length field makes the card too long as well.
        if card.to_bytes().len() > MAX_LEN { Err(CardError::TooLong) } else { Ok(card) }
    }

    /// The part that never changes.
    pub fn permanent(&self) -> &Permanent {
        &self.permanent
    }

    /// The part that is renewed.
    pub fn renewable(&self) -> &Renewable {
        &self.renewable
    }

    /// Whether the party says it answers this suite over this carrier.
    pub fn answers(&self, suite: Suite, carrier: Carrier) -> bool {
        self.renewable.suites.contains(&suite.number()) && self.renewable.carriers.contains(&carrier.number())
    }

    fn to_bytes(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            &self.permanent.to_bytes(),
            &self.permanent_signature,
            &self.renewable.to_bytes(),
            &self.renewable_signature,
        ]
        .concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CardError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(CardError::UnknownVersion(other)),
        }
        let card = Self {
            permanent: Permanent::read(&mut reader)?,
            permanent_signature: reader.array()?,
            renewable: Renewable::read(&mut reader)?,
            renewable_signature: reader.array()?,
        };
        match reader.remaining().len() {
            0 => card.verified(),
            more => Err(CardError::TrailingBytes(more)),
        }
    }

    fn verified(self) -> Result<Self, CardError> {
        let (key, digest) = (self.permanent.key, self.permanent.digest());
        if !is_signed(key, digest, &self.permanent_signature) {
            return Err(CardError::PermanentSignature);
        }
        if !is_signed(key, renewable_digest(&digest, &self.renewable), &self.renewable_signature) {
            return Err(CardError::RenewableSignature);
        }
        Ok(self)
    }
}

/// Whether a BIP340 signature is one of `digest` by the x coordinate of `key`.
pub(crate) fn is_signed(key: PartyKey, digest: [u8; 32], signature: &[u8; SIGNATURE_LEN]) -> bool {
    let (key, _) = key.to_public_key().x_only_public_key();
    verified::once(Scheme::Schnorr, &key.serialize(), &digest, signature, || {
        let parsed = schnorr::Signature::from_slice(signature);
        let message = Message::from_digest(digest);
        parsed.is_ok_and(|parsed| context().verify_schnorr(&parsed, &message, &key).is_ok())
    })
}

fn renewable_digest(permanent_digest: &[u8; 32], renewable: &Renewable) -> [u8; 32] {
    hash("card renewable", &[permanent_digest, &renewable.to_bytes()])
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::write(PREFIX, self.to_bytes()))
    }
}

impl FromStr for Card {
    type Err = CardError;

    fn from_str(line: &str) -> Result<Self, CardError> {
        Self::from_bytes(&text::read(PREFIX, MAX_LEN, line)?)
    }
}

/// Why a sound card is not accepted (PROTOCOL.md 4.2).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CardRefused {
    /// A party on another chain.
    #[error("the card is for chain {found}, this node is on {expected}")]
    ForeignChain {
        /// The reader's.
        expected: ChainId,
        /// The card's.
        found: ChainId,
    },
    /// Its time is over.
    #[error("the card expired at height {expiry}, the chain is at {tip}; ask its owner for a new one")]
    Expired {
        /// The last height at which it could be accepted.
        expiry: Height,
        /// The reader's tip.
        tip: Height,
    },
    /// The reader's own card.
    #[error("this is your own card")]
    Own,
    /// The name belongs to a peer with other keys.
    #[error("another peer is already called {0}; remove it first if this one shall take its place")]
    NameTaken(Name),
    /// The same identity key with another name or sealing key.
    #[error("the peer {0} has this identity key, but another name or sealing key than this card says")]
    OtherPermanentPart(Name),
    /// An old card brought back.
    #[error("the card has serial {found}, and serial {known} is already known: it is an old card")]
    Older {
        /// The serial of the accepted card.
        known: u32,
        /// The serial of this one.
        found: u32,
    },
    /// Two different cards with one serial.
    #[error("another card with the same serial {0} is already known; ask its owner for a new one")]
    SameSerial(u32),
}

impl Card {
    /// Whether to accept the card at `tip`, beside the cards accepted before.
    ///
    /// # Errors
    /// [`CardRefused`] says why not.
    pub fn check<'a>(
        &self,
        own: &Permanent,
        tip: Height,
        known: impl IntoIterator<Item = &'a Card>,
    ) -> Result<(), CardRefused> {
        let (mine, theirs) = (own.chain, self.permanent.chain);
        if mine != theirs {
            return Err(CardRefused::ForeignChain { expected: mine, found: theirs });
        }
        if self.permanent.key == own.key {
            return Err(CardRefused::Own);
        }
        if tip > self.renewable.expiry {
            return Err(CardRefused::Expired { expiry: self.renewable.expiry, tip });
        }
        known.into_iter().try_for_each(|card| self.check_beside(card))
    }

    fn check_beside(&self, known: &Card) -> Result<(), CardRefused> {
        let name = || known.permanent.name.clone();
        if known.permanent.key != self.permanent.key {
            let taken = known.permanent.name == self.permanent.name;
            return if taken { Err(CardRefused::NameTaken(name())) } else { Ok(()) };
        }
        if known.permanent != self.permanent {
            return Err(CardRefused::OtherPermanentPart(name()));
        }
        let (known_serial, found) = (known.renewable.serial, self.renewable.serial);
        match found.cmp(&known_serial) {
            std::cmp::Ordering::Less => Err(CardRefused::Older { known: known_serial, found }),
            std::cmp::Ordering::Equal if known != self => Err(CardRefused::SameSerial(found)),
            _ => Ok(()),
        }
    }
}
