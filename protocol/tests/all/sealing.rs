//! Sealed messages between two who have a key, and those who meddle with them (PROTOCOL.md 11).

use std::collections::HashSet;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, Height};
use keyway_protocol::message::Tag;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet, SessionKey};
use keyway_protocol::sealing::{OpenError, Sealed, SealedError, Stream, StreamId, seal};
use proptest::prelude::*;

use crate::common::secret;

const FIRST: u32 = 200;
pub const NEGOTIATION: NegotiationId = NegotiationId::from_bytes([0x1d; 32]);
pub const STREAM: StreamId = StreamId::from_bytes([0x57; 16]);
pub const TAG: [u8; 16] = [0x7a; 16];

/// A chain whose blocks' hashes say nothing but their heights.
struct Blocks;

impl BestChain for Blocks {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        (height <= self.tip()).then(|| BlockHash::hash(&height.to_u32().to_be_bytes()))
    }

    fn tip(&self) -> Height {
        Height::new(FIRST + 10)
    }
}

pub fn block(height: u32) -> BlockRef {
    BlockRef::new(Height::new(height), Blocks.hash_at(Height::new(height)).unwrap())
}

/// The session key of a block and sender.
fn session(height: u32, sender: Role) -> SessionKey {
    let ratchet = Ratchet::from_parts(Height::new(FIRST), block(FIRST), secret(3));
    ratchet.session(&Blocks, block(height), sender).unwrap()
}

pub fn key() -> SessionKey {
    session(FIRST + 1, Role::Initiator)
}

pub fn sealed(plaintext: &[u8], aad: &[u8]) -> Sealed {
    let tag = Some(Tag::from_bytes(TAG));
    seal(&mut Stream::new(STREAM), NEGOTIATION, block(FIRST + 1), tag, &key(), plaintext, aad).unwrap()
}

#[test]
fn a_message_of_any_size_opens_as_it_was_sealed() {
    for size in [0, 1, 1 << 10, 1 << 20] {
        let plaintext: Vec<u8> = (0..size).map(|n: u32| (n * 7) as u8).collect();
        let sealed = sealed(&plaintext, b"aad");
        let read = Sealed::from_bytes(&sealed.to_bytes()).unwrap();
        assert_eq!(*read.open(&key(), b"aad").unwrap(), plaintext);
        assert_eq!(read.envelope(), sealed.envelope());
        let read: Sealed = format!(" {sealed}\n").parse().unwrap();
        assert_eq!(*read.open(&key(), b"aad").unwrap(), plaintext);
        assert_eq!(read.to_bytes(), sealed.to_bytes());
    }
}

#[test]
fn the_envelope_says_what_a_receiver_needs_and_the_initiators_tag_is_optional() {
    for tag in [None, Some(Tag::from_bytes(TAG))] {
        let mut stream = Stream::new(STREAM);
        let sealed = seal(&mut stream, NEGOTIATION, block(FIRST), tag, &key(), b"", b"").unwrap();
        let envelope = *Sealed::from_bytes(&sealed.to_bytes()).unwrap().envelope();
        assert_eq!((envelope.negotiation, envelope.block), (NEGOTIATION, block(FIRST)));
        assert_eq!((envelope.stream, envelope.counter, envelope.tag), (STREAM, 0, tag));
    }
}

#[test]
fn no_bit_of_a_sealed_message_can_be_changed() {
    let bytes = sealed(b"charge 11 kW", b"").to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(sealed) = Sealed::from_bytes(&changed) {
            assert_eq!(sealed.open(&key(), b"").unwrap_err(), OpenError, "bit {bit}");
        }
    }
}

#[test]
fn a_sealed_message_cut_or_lengthened_is_refused() {
    let bytes = sealed(b"charge 11 kW", b"").to_bytes();
    for len in 0..bytes.len() {
        assert_eq!(Sealed::from_bytes(&bytes[..len]).unwrap_err(), SealedError::NotCose, "{len}");
    }
    for more in [&[0][..], &[0xf6], &bytes] {
        let longer = [&bytes[..], more].concat();
        assert_eq!(Sealed::from_bytes(&longer).unwrap_err(), SealedError::NotCose);
    }
}

#[test]
fn other_associated_data_does_not_open() {
    let sealed = sealed(b"charge 11 kW", b"meter 7");
    for aad in [&b""[..], b"meter 8", b"meter 7 ", b"meter"] {
        assert_eq!(sealed.open(&key(), aad).unwrap_err(), OpenError);
    }
    assert!(sealed.open(&key(), b"meter 7").is_ok());
}

#[test]
fn the_key_of_the_other_direction_or_of_another_block_does_not_open() {
    let sealed = sealed(b"charge 11 kW", b"");
    let others = [(FIRST + 1, Role::Responder), (FIRST, Role::Initiator), (FIRST + 2, Role::Initiator)];
    for (height, sender) in others {
        assert_eq!(sealed.open(&session(height, sender), b"").unwrap_err(), OpenError);
    }
}

#[test]
fn ones_own_message_sent_back_does_not_open_as_the_peers() {
    // The car looks for messages of the charger, whose direction has another key.
    assert!(sealed(b"stop", b"").open(&session(FIRST + 1, Role::Responder), b"").is_err());
}

#[test]
fn what_stands_in_the_clear_cannot_be_moved_to_another_message() {
    let mut stream = Stream::new(STREAM);
    let seal = |plaintext: &[u8], stream: &mut Stream| {
        seal(stream, NEGOTIATION, block(FIRST + 1), None, &key(), plaintext, b"").unwrap().to_bytes()
    };
    let (first, second) = (seal(b"one", &mut stream), seal(b"two", &mut stream));
    let ciphertext = first.len() - 3 - 16;
    let mixed = [&first[..ciphertext], &second[ciphertext..]].concat();
    assert_eq!(Sealed::from_bytes(&mixed).unwrap().open(&key(), b"").unwrap_err(), OpenError);
}

#[test]
fn no_counter_comes_twice_in_a_stream_and_equal_messages_look_different() {
    let mut stream = Stream::new(STREAM);
    let mut seen = HashSet::new();
    for expected in 0..1_000 {
        let sealed = seal(&mut stream, NEGOTIATION, block(FIRST + 1), None, &key(), b"same", b"").unwrap();
        assert_eq!(sealed.envelope().counter, expected);
        let bytes = sealed.to_bytes();
        assert!(seen.insert(bytes[bytes.len() - 20..].to_vec()));
    }
}

#[test]
fn two_streams_share_no_message_key() {
    let other = StreamId::from_bytes([0x58; 16]);
    let seal = |id| {
        let tag = Some(Tag::from_bytes(TAG));
        let sealed = seal(&mut Stream::new(id), NEGOTIATION, block(FIRST + 1), tag, &key(), b"same", b"");
        let bytes = sealed.unwrap().to_bytes();
        bytes[bytes.len() - 20..bytes.len() - 16].to_vec()
    };
    // The same counter, hence the same nonce: only another key gives other bytes.
    assert_ne!(seal(STREAM), seal(other));
}

#[test]
fn text_of_another_kind_or_alphabet_is_refused() {
    let text = sealed(b"x", b"").to_string();
    let bare = text.strip_prefix("keyway-sealed:").unwrap();
    for other in ["", bare, "keyway-card:AAAA", "keyway-sealed", "Keyway-sealed:AAAA"] {
        assert_eq!(other.parse::<Sealed>().unwrap_err(), SealedError::Prefix);
    }
    let padded = format!("{text}=");
    let spaced = text.replacen(':', ": ", 1);
    for other in [&padded, &spaced, "keyway-sealed:A", "keyway-sealed:++++", "keyway-sealed:AB"] {
        assert_eq!(other.parse::<Sealed>().unwrap_err(), SealedError::Alphabet, "{other}");
    }
    assert_eq!("keyway-sealed:".parse::<Sealed>().unwrap_err(), SealedError::NotCose);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Sealed::from_bytes(&bytes).is_err());
        prop_assert!(Sealed::from_bytes(&[&[0xd0, 0x83], &bytes[..]].concat()).is_err());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*", rest in "[A-Za-z0-9_-]{0,300}") {
        for text in [format!("keyway-sealed:{rest}"), text] {
            prop_assert!(text.parse::<Sealed>().is_err());
        }
    }

    #[test]
    fn a_message_with_a_piece_replaced_by_anything_does_not_open(
        at in any::<prop::sample::Index>(), len in 0usize..40, piece in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let good = sealed(b"charge 11 kW", b"").to_bytes();
        let at = at.index(good.len());
        let end = (at + len).min(good.len());
        let mixed = [&good[..at], &piece, &good[end..]].concat();
        prop_assume!(mixed != good);
        let opened = Sealed::from_bytes(&mixed).ok().and_then(|sealed| sealed.open(&key(), b"").ok());
        prop_assert!(opened.is_none());
    }

    #[test]
    fn every_message_opens_for_whoever_has_its_key_and_associated_data(
        plaintext in prop::collection::vec(any::<u8>(), 0..2_000),
        aad in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let read = Sealed::from_bytes(&sealed(&plaintext, &aad).to_bytes()).unwrap();
        prop_assert_eq!(&*read.open(&key(), &aad).unwrap(), &plaintext);
    }
}
