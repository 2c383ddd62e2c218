//! Offers and answers, as bytes (PROTOCOL.md 6).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::suite::{BadShare, Suite};

/// How a message rides in a transaction, as the transcript names it (PROTOCOL.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Carrier {
    /// In the amounts of the payment's outputs.
    Value,
}

impl Carrier {
    /// Every carrier.
    pub const ALL: [Carrier; 1] = [Carrier::Value];

    /// Its number in cards and transcripts.
    pub const fn number(self) -> u8 {
        match self {
            Carrier::Value => 1,
        }
    }

    /// The carrier of that number, if known.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|carrier| carrier.number() == number)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Carrier::Value => "value",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No carrier of that name is known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no carrier is called `{0}`; known are: value")]
pub struct UnknownCarrier(String);

impl FromStr for Carrier {
    type Err = UnknownCarrier;

    fn from_str(name: &str) -> Result<Self, UnknownCarrier> {
        let found = Self::ALL.into_iter().find(|carrier| carrier.name() == name);
        found.ok_or_else(|| UnknownCarrier(name.to_owned()))
    }
}

/// Where the initiator wants the answer to ride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AnswerForm {
    /// In the sequence numbers of the inputs that collect the offer's coins: costs nothing.
    #[default]
    Sequences,
    /// In amounts paid back, as in the paper.
    Amounts,
}

/// The first message: the initiator's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    suite: Suite,
    form: AnswerForm,
    share: Vec<u8>,
}

/// The second message: the responder's share and tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    suite: Suite,
    share: Vec<u8>,
    tag: Tag,
}

/// A confirmation tag (PROTOCOL.md 8). Public; compare it with [`Tag::matches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub(crate) [u8; Tag::LEN]);

/// Bytes that are no message of this protocol; their author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadMessage {
    /// There is not a single byte.
    #[error("an empty message")]
    Empty,
    /// The head names something other than what was awaited here.
    #[error("head byte {0:#04x} is not that of {1}")]
    Kind(u8, &'static str),
    /// The suite is not known to this version.
    #[error("suite number {0} is unknown to this version; the peer's may be newer")]
    UnknownSuite(u8),
    /// An answer of another suite than its offer.
    #[error("an answer in suite {found} to an offer in suite {expected}")]
    OtherSuite {
        /// The offer's.
        expected: Suite,
        /// The answer's.
        found: Suite,
    },
    /// The length does not fit the suite.
    #[error("{found} bytes, where a message of {suite} has {expected}")]
    Length {
        /// The suite.
        suite: Suite,
        /// What it asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
}

const ANSWER: u8 = 0b1000_0000;
const IN_AMOUNTS: u8 = 0b0100_0000;
const SUITE: u8 = 0b0011_1111;

impl Offer {
    /// Bytes of an offer of `suite`.
    pub const fn len_of(suite: Suite) -> usize {
        1 + suite.offer_share_len()
    }

    pub(crate) fn new(suite: Suite, form: AnswerForm, share: Vec<u8>) -> Self {
        Self { suite, form, share }
    }

    /// Its key agreement.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Where the answer shall ride.
    pub fn form(&self) -> AnswerForm {
        self.form
    }

    /// Share A.
    pub fn share(&self) -> &[u8] {
        &self.share
    }

    /// PROTOCOL.md 6.2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let form = match self.form {
            AnswerForm::Sequences => 0,
            AnswerForm::Amounts => IN_AMOUNTS,
        };
        [&[form | self.suite.number()], &self.share[..]].concat()
    }

    /// Reads [`Offer::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadMessage> {
        let (&head, share) = bytes.split_first().ok_or(BadMessage::Empty)?;
        if head & ANSWER != 0 {
            return Err(BadMessage::Kind(head, "an offer"));
        }
        let suite = suite_of(head)?;
        check_length(suite, Self::len_of(suite), bytes.len())?;
        let form = if head & IN_AMOUNTS == 0 { AnswerForm::Sequences } else { AnswerForm::Amounts };
        Ok(Self { suite, form, share: share.to_vec() })
    }
}

impl Answer {
    /// Bytes of an answer of `suite`.
    pub const fn len_of(suite: Suite) -> usize {
        1 + suite.answer_share_len() + Tag::LEN
    }

    pub(crate) fn new(suite: Suite, share: Vec<u8>, tag: Tag) -> Self {
        Self { suite, share, tag }
    }

    /// Its key agreement: the offer's.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Share B.
    pub fn share(&self) -> &[u8] {
        &self.share
    }

    /// The responder's confirmation.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// PROTOCOL.md 6.3.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.without_tag(), self.tag.0.to_vec()].concat()
    }

    /// What the transcript holds of it: the tag is made over the transcript.
    pub(crate) fn without_tag(&self) -> Vec<u8> {
        without_tag(self.suite, &self.share)
    }

    /// Reads [`Answer::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadMessage> {
        let (&head, rest) = bytes.split_first().ok_or(BadMessage::Empty)?;
        if head & ANSWER == 0 || head & IN_AMOUNTS != 0 {
            return Err(BadMessage::Kind(head, "an answer"));
        }
        let suite = suite_of(head)?;
        check_length(suite, Self::len_of(suite), bytes.len())?;
        let (share, tag) = rest.split_last_chunk().ok_or(BadMessage::Empty)?;
        Ok(Self { suite, share: share.to_vec(), tag: Tag(*tag) })
    }
}

pub(crate) fn without_tag(suite: Suite, share: &[u8]) -> Vec<u8> {
    [&[ANSWER | suite.number()], share].concat()
}

fn suite_of(head: u8) -> Result<Suite, BadMessage> {
    let number = head & SUITE;
    Suite::from_number(number).ok_or(BadMessage::UnknownSuite(number))
}

fn check_length(suite: Suite, expected: usize, found: usize) -> Result<(), BadMessage> {
    if expected == found { Ok(()) } else { Err(BadMessage::Length { suite, expected, found }) }
}

impl Tag {
    /// Bytes of a tag.
    pub const LEN: usize = 16;

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// From its bytes, as a message carries them.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// In constant time: a tag that almost matches must not show how far it does.
    pub fn matches(&self, other: &Tag) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
    }
}

/// A message that does not lead to a key; its author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Not of the form it must have.
    #[error(transparent)]
    Message(#[from] BadMessage),
    /// Its share must not be used.
    #[error(transparent)]
    Share(#[from] BadShare),
    /// The responder's tag is not that of this transcript.
    #[error("the responder's tag is wrong: it saw another offer, other identities, or has another key")]
    WrongTag,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_written() {
        for form in [AnswerForm::Sequences, AnswerForm::Amounts] {
            let offer = Offer::new(Suite::X25519, form, vec![9; 32]);
            assert_eq!(offer.to_bytes().len(), Offer::len_of(Suite::X25519));
            assert_eq!(Offer::from_bytes(&offer.to_bytes()), Ok(offer));
        }
        let answer = Answer::new(Suite::X25519, vec![5; 32], Tag([3; 16]));
        assert_eq!(answer.to_bytes().len(), Answer::len_of(Suite::X25519));
        assert_eq!(Answer::from_bytes(&answer.to_bytes()), Ok(answer));
    }

    #[test]
    fn an_offer_is_never_read_as_an_answer_nor_an_answer_as_an_offer() {
        let offer = Offer::new(Suite::X25519, AnswerForm::Amounts, vec![9; 32]).to_bytes();
        let answer = Answer::new(Suite::X25519, vec![5; 32], Tag([3; 16])).to_bytes();
        assert!(matches!(Answer::from_bytes(&offer), Err(BadMessage::Kind(..))));
        assert!(matches!(Offer::from_bytes(&answer), Err(BadMessage::Kind(..))));
    }

    #[test]
    fn every_other_length_and_every_unknown_suite_is_refused() {
        let offer = Offer::new(Suite::X25519, AnswerForm::Sequences, vec![9; 32]).to_bytes();
        for cut in 0..offer.len() {
            assert!(Offer::from_bytes(&offer[..cut]).is_err());
        }
        assert!(Offer::from_bytes(&[&offer[..], &[0]].concat()).is_err());
        for number in (0..64).filter(|&number| Suite::from_number(number).is_none()) {
            let mut other = offer.clone();
            other[0] = number;
            assert_eq!(Offer::from_bytes(&other), Err(BadMessage::UnknownSuite(number)));
        }
    }
}
