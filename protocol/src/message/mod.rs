//! Offers and answers, as bytes (PROTOCOL.md 6).

mod paper;

use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::Hash;
use keyway_chain::Height;
use thiserror::Error;

use crate::encode::{CutShort, Reader};
use crate::prekey::PrekeyId;
use crate::suite::{BadGroup, BadShare, GroupLen, Numbers, Published, Suite};

/// How a message rides in a transaction, as the transcript names it (PROTOCOL.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Carrier {
    /// In the amounts of the payment's outputs.
    Value,
    /// Beside the payment in a data output, sealed to the peer.
    Static,
    /// Beside a payment that is locked to the proof of having understood the offer.
    Dynamic,
}

impl Carrier {
    /// Every carrier.
    pub const ALL: [Carrier; 3] = [Carrier::Value, Carrier::Static, Carrier::Dynamic];

    /// Its number in cards and transcripts.
    pub const fn number(self) -> u8 {
        match self {
            Carrier::Value => 1,
            Carrier::Static => 2,
            Carrier::Dynamic => 3,
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
            Carrier::Static => "static",
            Carrier::Dynamic => "dynamic",
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
#[error("no carrier is called `{0}`; known are: value, static, dynamic")]
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

/// What an offer says beside its suite and share: that depends on how it rides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    /// In amounts: where the answer shall ride.
    Value(AnswerForm),
    /// Sealed beside the payment.
    Static {
        /// nLockTime of its transaction.
        timestamp: u32,
    },
    /// Made to a prekey, the payment locked.
    Dynamic {
        /// Which prekey of the responder.
        prekey: PrekeyId,
        /// The height after which the payment can go back.
        timeout: Height,
        /// What the suite encapsulated to the prekey; empty where share A serves.
        ciphertext: Vec<u8>,
    },
}

impl Terms {
    /// The carrier whose terms these are.
    pub const fn carrier(&self) -> Carrier {
        match self {
            Terms::Value(_) => Carrier::Value,
            Terms::Static { .. } => Carrier::Static,
            Terms::Dynamic { .. } => Carrier::Dynamic,
        }
    }
}

/// The group that an offer brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// None: the suite says it.
    Nothing,
    /// The numbers themselves.
    Numbers(Numbers),
    /// The transaction that holds them.
    Published(Published),
}

impl Brought {
    /// Names its numbers ([`Numbers::digest`]).
    pub fn digest(&self) -> Option<[u8; 32]> {
        match self {
            Self::Nothing => None,
            Self::Numbers(numbers) => Some(numbers.digest()),
            Self::Published(published) => Some(published.digest),
        }
    }

    /// g and p as the paper's layout has them; of published numbers the reference stands in the place of p.
    fn fields(&self) -> (&[u8], Vec<u8>) {
        match self {
            Self::Nothing => (&[], Vec::new()),
            Self::Numbers(numbers) => (numbers.generator(), numbers.modulus().to_vec()),
            Self::Published(Published { txid, digest }) => {
                (&[], [txid.as_byte_array(), &digest[..]].concat())
            }
        }
    }
}

/// The first message: the initiator's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    suite: Suite,
    terms: Terms,
    group: Brought,
    share: Vec<u8>,
}

/// The second message: the responder's share and tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    suite: Suite,
    terms: AnswerTerms,
    share: Vec<u8>,
    tag: Tag,
}

/// What an answer says beside suite, share and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerTerms {
    /// Nothing.
    Value,
    /// When it was written.
    Static {
        /// nLockTime of its transaction.
        timestamp: u32,
    },
    /// Nothing, not even its suite: the offer says it.
    Dynamic,
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
    /// A group of its own, in a suite whose group is fixed.
    #[error("a message of {0} brings a group of its own, and the suite's is fixed")]
    Group(Suite),
    /// The numbers of the group that it brings are none.
    #[error("a message of {0} brings a group that is none: {1}")]
    BadGroup(Suite, BadGroup),
    /// What it brings has another length than such a group's.
    #[error("a message of {0} announces a group of a length that it cannot have")]
    GroupLength(Suite),
    /// A suite that brings its group, over a carrier that has no place for it.
    #[error("a message of {suite} over the {carrier} carrier, which has no place for its group")]
    NotOver {
        /// The suite.
        suite: Suite,
        /// The carrier.
        carrier: Carrier,
    },
    /// A form that this version does not know.
    #[error("form {0} of an offer to a prekey is unknown to this version; the peer's may be newer")]
    UnknownForm(u8),
    /// A length that the message itself announces does not fit its suite, or its bytes.
    #[error("the message announces a share of {0} bytes and has no such share")]
    Announced(u32),
    /// A length that no suite's message has.
    #[error("{0} bytes, which no suite's message has")]
    NoSuchLength(usize),
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

/// Head, prekey id and timeout.
const DYNAMIC_FRAME: usize = 1 + PrekeyId::LEN + 4;

impl Offer {
    /// Bytes of an offer of `suite` over `carrier`, without a group.
    pub const fn len_of(suite: Suite, carrier: Carrier) -> usize {
        match carrier {
            Carrier::Value => 1 + suite.offer_share_len(),
            Carrier::Static => paper::OFFER_FRAME + suite.offer_share_len(),
            Carrier::Dynamic => DYNAMIC_FRAME + suite.offer_share_len() + suite.prekey_ciphertext_len(),
        }
    }

    /// Bytes of an offer of `suite` over the static carrier that brings such a group.
    pub const fn len_with(suite: Suite, group: GroupLen) -> usize {
        let brought = match suite {
            Suite::FfdhPublished => Published::LEN,
            _ => group.modulus + group.generator,
        };
        paper::OFFER_FRAME + group.modulus + brought
    }

    pub(crate) fn new(suite: Suite, terms: Terms, share: Vec<u8>) -> Self {
        Self { suite, terms, group: Brought::Nothing, share }
    }

    pub(crate) fn bringing(self, group: Brought) -> Self {
        Self { group, ..self }
    }

    /// The group that it brings.
    pub fn group(&self) -> &Brought {
        &self.group
    }

    /// Its key agreement.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// How it rides.
    pub fn carrier(&self) -> Carrier {
        self.terms.carrier()
    }

    /// What it says beside suite and share.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where the answer shall ride, as far as there is a choice.
    pub fn form(&self) -> AnswerForm {
        match self.terms {
            Terms::Value(form) => form,
            _ => AnswerForm::default(),
        }
    }

    /// Share A.
    pub fn share(&self) -> &[u8] {
        &self.share
    }

    /// PROTOCOL.md 6.2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let number = self.suite.number();
        match &self.terms {
            Terms::Value(AnswerForm::Sequences) => [&[number], &self.share[..]].concat(),
            Terms::Value(AnswerForm::Amounts) => [&[IN_AMOUNTS | number], &self.share[..]].concat(),
            Terms::Static { timestamp } => paper::message_a(&self.share, &self.group, *timestamp, number),
            Terms::Dynamic { prekey, timeout, ciphertext } => {
                let timeout = timeout.to_u32().to_be_bytes();
                [&[number], &prekey.as_bytes()[..], &timeout, &self.share, ciphertext].concat()
            }
        }
    }

    /// Reads [`Offer::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong.
    pub fn from_bytes(carrier: Carrier, bytes: &[u8]) -> Result<Self, BadMessage> {
        match carrier {
            Carrier::Value => Self::read_short(bytes),
            Carrier::Static => paper::read_a(bytes),
            Carrier::Dynamic => Self::read_to_prekey(bytes),
        }
    }

    fn read_short(bytes: &[u8]) -> Result<Self, BadMessage> {
        let (head, share) = split_head(bytes)?;
        let suite = suite_over(head, Carrier::Value)?;
        check_length(suite, Self::len_of(suite, Carrier::Value), bytes.len())?;
        let form = if head & IN_AMOUNTS == 0 { AnswerForm::Sequences } else { AnswerForm::Amounts };
        Ok(Self::new(suite, Terms::Value(form), share.to_vec()))
    }

    fn read_to_prekey(bytes: &[u8]) -> Result<Self, BadMessage> {
        let (head, _) = split_head(bytes)?;
        if head & IN_AMOUNTS != 0 {
            return Err(BadMessage::UnknownForm(1));
        }
        let suite = suite_over(head, Carrier::Dynamic)?;
        let expected = Self::len_of(suite, Carrier::Dynamic);
        let length = BadMessage::Length { suite, expected, found: bytes.len() };
        check_length(suite, expected, bytes.len())?;
        let mut reader = Reader::new(bytes);
        let mut read = || {
            reader.u8()?;
            let prekey = PrekeyId::from_bytes(reader.array()?);
            let timeout = Height::new(reader.u32()?);
            let share = reader.take(suite.offer_share_len())?.to_vec();
            let ciphertext = reader.remaining().to_vec();
            Ok(Self::new(suite, Terms::Dynamic { prekey, timeout, ciphertext }, share))
        };
        read().map_err(|CutShort| length)
    }
}

impl Answer {
    /// Bytes of an answer of `suite` over the static carrier in such a group.
    pub const fn len_in(group: GroupLen) -> usize {
        paper::ANSWER_FRAME + group.modulus + Tag::LEN
    }

    /// Bytes of an answer of `suite` over `carrier`; of a suite that brings its group, without the share.
    pub const fn len_of(suite: Suite, carrier: Carrier) -> usize {
        let frame = match carrier {
            Carrier::Value => 1,
            Carrier::Static => paper::ANSWER_FRAME,
            Carrier::Dynamic => 0,
        };
        frame + suite.answer_share_len() + Tag::LEN
    }

    pub(crate) fn new(suite: Suite, terms: AnswerTerms, share: Vec<u8>, tag: Tag) -> Self {
        Self { suite, terms, share, tag }
    }

    /// Its key agreement: the offer's.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What it says beside suite, share and tag.
    pub fn terms(&self) -> AnswerTerms {
        self.terms
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
        without_tag(self.suite, self.terms, &self.share)
    }

    /// Reads [`Answer::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong.
    pub fn from_bytes(carrier: Carrier, bytes: &[u8]) -> Result<Self, BadMessage> {
        match carrier {
            Carrier::Value => Self::read_short(bytes),
            Carrier::Static => paper::read_b(bytes),
            Carrier::Dynamic => Self::read_bare(bytes),
        }
    }

    fn read_short(bytes: &[u8]) -> Result<Self, BadMessage> {
        let (&head, rest) = bytes.split_first().ok_or(BadMessage::Empty)?;
        let suite = answered_suite(head)?;
        if !suite.rides_over(Carrier::Value) {
            return Err(BadMessage::NotOver { suite, carrier: Carrier::Value });
        }
        check_length(suite, Self::len_of(suite, Carrier::Value), bytes.len())?;
        Self::split_tag(suite, AnswerTerms::Value, rest)
    }

    fn read_bare(bytes: &[u8]) -> Result<Self, BadMessage> {
        let fits = |suite: &Suite| {
            suite.rides_over(Carrier::Dynamic) && Self::len_of(*suite, Carrier::Dynamic) == bytes.len()
        };
        let suite = Suite::ALL.into_iter().find(fits).ok_or(BadMessage::NoSuchLength(bytes.len()))?;
        Self::split_tag(suite, AnswerTerms::Dynamic, bytes)
    }

    fn split_tag(suite: Suite, terms: AnswerTerms, bytes: &[u8]) -> Result<Self, BadMessage> {
        let (share, tag) = bytes.split_last_chunk().ok_or(BadMessage::Empty)?;
        Ok(Self { suite, terms, share: share.to_vec(), tag: Tag(*tag) })
    }
}

pub(crate) fn without_tag(suite: Suite, terms: AnswerTerms, share: &[u8]) -> Vec<u8> {
    let head = ANSWER | suite.number();
    match terms {
        AnswerTerms::Value => [&[head], share].concat(),
        AnswerTerms::Static { timestamp } => paper::message_b(share, timestamp, head),
        AnswerTerms::Dynamic => share.to_vec(),
    }
}

/// The first byte, which is none of an answer's.
fn split_head(bytes: &[u8]) -> Result<(u8, &[u8]), BadMessage> {
    let (&head, rest) = bytes.split_first().ok_or(BadMessage::Empty)?;
    if head & ANSWER == 0 { Ok((head, rest)) } else { Err(BadMessage::Kind(head, "an offer")) }
}

fn answered_suite(head: u8) -> Result<Suite, BadMessage> {
    if head & ANSWER == 0 || head & IN_AMOUNTS != 0 {
        return Err(BadMessage::Kind(head, "an answer"));
    }
    suite_of(head)
}

fn suite_of(head: u8) -> Result<Suite, BadMessage> {
    let number = head & SUITE;
    Suite::from_number(number).ok_or(BadMessage::UnknownSuite(number))
}

/// Over the static carrier every suite has its place.
fn suite_over(head: u8, carrier: Carrier) -> Result<Suite, BadMessage> {
    let suite = suite_of(head)?;
    if suite.rides_over(carrier) { Ok(suite) } else { Err(BadMessage::NotOver { suite, carrier }) }
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
    /// The group that the offer brings must not be used.
    #[error("the offer's group must not be used: {0}")]
    Group(#[from] BadGroup),
    /// An offer to a prekey, and the prekey's secret is not at hand.
    #[error("the offer was made to a prekey whose secret is not at hand")]
    NoFirstSecret,
    /// The responder's tag is not that of this transcript.
    #[error("the responder's tag is wrong: it saw another offer, other identities, or has another key")]
    WrongTag,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(suite: Suite, terms: Terms) -> Offer {
        Offer::new(suite, terms, vec![9; suite.offer_share_len()])
    }

    fn offers(suite: Suite) -> [Offer; 4] {
        let prekey = PrekeyId::from_bytes([1, 2, 3, 4]);
        let ciphertext = vec![7; suite.prekey_ciphertext_len()];
        [
            Terms::Value(AnswerForm::Sequences),
            Terms::Value(AnswerForm::Amounts),
            Terms::Static { timestamp: 840_000 },
            Terms::Dynamic { prekey, timeout: Height::new(900), ciphertext },
        ]
        .map(|terms| offer(suite, terms))
    }

    fn answers(suite: Suite) -> [(Carrier, Answer); 3] {
        let answer = |terms| Answer::new(suite, terms, vec![5; suite.answer_share_len()], Tag([3; 16]));
        [
            (Carrier::Value, answer(AnswerTerms::Value)),
            (Carrier::Static, answer(AnswerTerms::Static { timestamp: 840_001 })),
            (Carrier::Dynamic, answer(AnswerTerms::Dynamic)),
        ]
    }

    #[test]
    fn messages_come_back_as_they_were_written() {
        for suite in Suite::USUAL {
            for offer in offers(suite) {
                assert_eq!(offer.to_bytes().len(), Offer::len_of(suite, offer.carrier()));
                assert_eq!(Offer::from_bytes(offer.carrier(), &offer.to_bytes()), Ok(offer));
            }
            for (carrier, answer) in answers(suite) {
                assert_eq!(answer.to_bytes().len(), Answer::len_of(suite, carrier));
                assert_eq!(Answer::from_bytes(carrier, &answer.to_bytes()), Ok(answer));
            }
        }
    }

    #[test]
    fn offers_to_a_prekey_and_their_answers_are_as_short_as_they_can_be() {
        assert_eq!(Offer::len_of(Suite::X25519, Carrier::Dynamic), 41);
        assert_eq!(Answer::len_of(Suite::X25519, Carrier::Dynamic), 48);
    }

    #[test]
    fn an_offer_is_never_read_as_an_answer_nor_an_answer_as_an_offer() {
        for suite in Suite::USUAL {
            for offer in offers(suite) {
                assert!(Answer::from_bytes(offer.carrier(), &offer.to_bytes()).is_err());
            }
            // Over the dynamic carrier an answer has no head; nobody looks for one but at its place.
            for (carrier, answer) in &answers(suite)[..2] {
                assert!(matches!(
                    Offer::from_bytes(*carrier, &answer.to_bytes()),
                    Err(BadMessage::Kind(..) | BadMessage::UnknownSuite(_) | BadMessage::Group(_))
                ));
            }
        }
    }

    #[test]
    fn every_other_length_and_every_unknown_suite_is_refused() {
        for offer in offers(Suite::X25519) {
            let (carrier, bytes) = (offer.carrier(), offer.to_bytes());
            for cut in 0..bytes.len() {
                assert!(Offer::from_bytes(carrier, &bytes[..cut]).is_err());
            }
            assert!(Offer::from_bytes(carrier, &[&bytes[..], &[0]].concat()).is_err());
            let head = if carrier == Carrier::Static { bytes.len() - 1 } else { 0 };
            for number in (0..64).filter(|&number| Suite::from_number(number).is_none()) {
                let mut other = bytes.clone();
                other[head] = number;
                assert_eq!(Offer::from_bytes(carrier, &other), Err(BadMessage::UnknownSuite(number)));
            }
        }
    }

    #[test]
    fn an_offer_to_a_prekey_in_a_form_of_later_versions_is_refused() {
        let mut bytes = offers(Suite::X25519)[3].to_bytes();
        bytes[0] |= IN_AMOUNTS;
        assert_eq!(Offer::from_bytes(Carrier::Dynamic, &bytes), Err(BadMessage::UnknownForm(1)));
    }
}
