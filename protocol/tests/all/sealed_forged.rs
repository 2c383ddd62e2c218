//! Messages that a holder of the key seals in another form than PROTOCOL.md 11 allows: each would open under a
//! lax reader, so that one message had many forms or said more than is authenticated.

use bitcoin::hashes::Hash;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use coset::cbor::Value;
use coset::iana::Algorithm;
use coset::{CoseEncrypt0, TaggedCborSerializable};
use hkdf::Hkdf;
use keyway_chain::{BlockRef, Height};
use keyway_protocol::message::Tag;
use keyway_protocol::sealing::{Sealed, SealedError, Stream, seal};
use sha2::Sha256;

use crate::sealing::{NEGOTIATION, STREAM, TAG, block, key, sealed};

pub const HEIGHT: u32 = 201;
pub const PLAINTEXT: &[u8] = b"charge 11 kW";

/// A definite, minimal CBOR head.
fn head(major: u8, value: u64) -> Vec<u8> {
    let major = major << 5;
    match value {
        0..=23 => vec![major | value as u8],
        24..=0xff => vec![major | 24, value as u8],
        0x100..=0xffff => [&[major | 25], &(value as u16).to_be_bytes()[..]].concat(),
        0x1_0000..=0xffff_ffff => [&[major | 26], &(value as u32).to_be_bytes()[..]].concat(),
        _ => [&[major | 27], &value.to_be_bytes()[..]].concat(),
    }
}

/// The same head with its value in 8 bytes, whatever it is.
fn long_head(major: u8, value: u64) -> Vec<u8> {
    [&[major << 5 | 27], &value.to_be_bytes()[..]].concat()
}

pub fn bytes(content: &[u8]) -> Vec<u8> {
    [&head(2, content.len() as u64)[..], content].concat()
}

pub fn uint(value: u64) -> Vec<u8> {
    head(0, value)
}

/// A negative label, −65537 and below.
pub fn label(number: i64) -> Vec<u8> {
    head(1, number.unsigned_abs() - 1)
}

pub type Entry = (Vec<u8>, Vec<u8>);

/// The header entries of a right message, in order.
pub fn entries() -> Vec<Entry> {
    let hash = block(HEIGHT).hash.to_byte_array();
    vec![
        (uint(1), uint(24)),
        (uint(4), bytes(NEGOTIATION.as_bytes())),
        (uint(5), bytes(&[0; 12])),
        (label(-65_537), uint(u64::from(HEIGHT))),
        (label(-65_538), bytes(&hash)),
        (label(-65_539), bytes(STREAM.as_bytes())),
        (label(-65_540), bytes(&TAG)),
    ]
}

fn flat(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|(label, value)| [&label[..], value].concat()).collect()
}

pub fn map(entries: &[Entry]) -> Vec<u8> {
    [head(5, entries.len() as u64), flat(entries)].concat()
}

/// The ciphertext under this protected header, really sealed.
pub fn encrypt(protected: &[u8]) -> Vec<u8> {
    let info = [&[0, 0, 0, 20][..], b"keyway/1 message key", &[0, 0, 0, 16], STREAM.as_bytes()].concat();
    let mut message_key = [0; 32];
    Hkdf::<Sha256>::from_prk(key().as_secret().expose()).unwrap().expand(&info, &mut message_key).unwrap();
    let aad = [&[0x83, 0x68][..], b"Encrypt0", &bytes(protected), &bytes(b"")].concat();
    let cipher = ChaCha20Poly1305::new(&message_key.into());
    cipher.encrypt(&[0; 12].into(), Payload { msg: PLAINTEXT, aad: &aad }).unwrap()
}

/// The message with this protected header, right in all else.
pub fn message(protected: &[u8]) -> Vec<u8> {
    [&[0xd0, 0x83][..], &bytes(protected), &[0xa0], &bytes(&encrypt(protected))].concat()
}

fn refusal(message: &[u8]) -> SealedError {
    Sealed::from_bytes(message).unwrap_err()
}

fn assert_header_refused(entries: &[Entry], what: &str) {
    assert_eq!(refusal(&message(&map(entries))), SealedError::Header, "{what}");
}

/// The form is written straight through; this shows that a general reader of COSE finds in it what the document says.
#[test]
fn a_general_reader_of_cose_finds_the_same_and_writes_the_same_bytes() {
    for (height, tagged) in
        [(0, false), (23, true), (24, false), (HEIGHT, true), (65_536, true), (u32::MAX, false)]
    {
        let block = BlockRef::new(Height::new(height), block(HEIGHT).hash);
        let tag = tagged.then(|| Tag::from_bytes(TAG));
        let mut stream = Stream::new(STREAM);
        let plaintext = vec![7; height as usize % 70_000];
        let sealed = seal(&mut stream, NEGOTIATION, block, tag, &key(), &plaintext, b"aad").unwrap();
        let cose = CoseEncrypt0::from_tagged_slice(sealed.as_bytes()).unwrap();
        let header = &cose.protected.header;
        assert_eq!(
            header.alg,
            Some(coset::RegisteredLabelWithPrivate::Assigned(Algorithm::ChaCha20Poly1305))
        );
        assert_eq!(header.key_id, NEGOTIATION.as_bytes());
        assert_eq!(header.iv, [0; 12]);
        assert_eq!(header.rest.first().unwrap().1, Value::from(height));
        assert_eq!(header.rest.len(), if tagged { 4 } else { 3 });
        assert_eq!(cose.clone().to_tagged_vec().unwrap(), sealed.as_bytes());
        assert_eq!(*sealed.open(&key(), b"aad").unwrap(), plaintext);
    }
}

#[test]
fn a_message_made_by_hand_after_the_document_is_the_one_that_is_sealed() {
    let by_hand = message(&map(&entries()));
    assert_eq!(by_hand, sealed(PLAINTEXT, b"").to_bytes());
    let opened = Sealed::from_bytes(&by_hand).unwrap().open(&key(), b"").unwrap();
    assert_eq!(*opened, PLAINTEXT);
}

#[test]
fn header_entries_in_another_order_are_refused() {
    for at in 1..entries().len() {
        let mut entries = entries();
        entries.swap(at - 1, at);
        assert_header_refused(&entries, "swapped");
    }
}

#[test]
fn header_entries_that_are_missing_or_there_twice_are_refused() {
    // The last entry, the tag, may be missing: only the peer's tag says whether it is due.
    for at in 0..entries().len() - 1 {
        let mut fewer = entries();
        fewer.remove(at);
        assert_header_refused(&fewer, "missing");
    }
    for at in 0..entries().len() {
        let mut more = entries();
        more.insert(at, entries().remove(at));
        assert_header_refused(&more, "twice");
    }
}

#[test]
fn header_entries_that_the_document_does_not_know_are_refused() {
    let nested_signature = [&[0x83][..], &bytes(b""), &[0xa0], &bytes(b"signature")].concat();
    let others = [
        (uint(2), vec![0x81, 0x01]),
        (uint(3), uint(0)),
        (uint(6), bytes(&[1])),
        (uint(7), nested_signature),
        (uint(0), uint(0)),
        (label(-65_541), uint(0)),
        (label(-1), uint(0)),
        ([&[0x61][..], b"x"].concat(), uint(0)),
    ];
    for other in others {
        for at in 0..=entries().len() {
            let mut more = entries();
            more.insert(at, other.clone());
            assert_header_refused(&more, "unknown");
        }
    }
}

#[test]
fn header_values_of_another_type_length_or_range_are_refused() {
    let id = NEGOTIATION.as_bytes();
    let wrong: [(usize, Vec<Vec<u8>>); 7] = [
        (0, vec![uint(1), uint(3), uint(25), label(-24), [&[0x62][..], b"24"].concat(), vec![0xf6]]),
        (1, vec![bytes(&id[1..]), bytes(&[id, &[0][..]].concat()), bytes(b""), vec![0xf6], uint(1)]),
        (2, vec![bytes(&[0; 11]), bytes(&[0; 13]), bytes(b""), bytes(&[1; 12]), uint(0)]),
        (
            3,
            vec![
                label(-1),
                uint(1 << 32),
                uint(u64::MAX),
                vec![0xf9, 0, 0],
                vec![0xc2, 0x41, 9],
                bytes(&[201]),
            ],
        ),
        (4, vec![bytes(&[0; 31]), bytes(&[0; 33]), vec![0xf6]]),
        (5, vec![bytes(&[0; 15]), bytes(&[0; 17]), vec![0x81, 0]]),
        (6, vec![bytes(&[0; 15]), bytes(&[0; 17]), bytes(b""), vec![0xf6], vec![0xf5]]),
    ];
    for (at, values) in wrong {
        for value in values {
            let mut entries = entries();
            entries[at].1 = value;
            assert_header_refused(&entries, "value");
        }
    }
}

#[test]
fn an_iv_that_is_more_than_a_counter_is_refused() {
    for at in 0..4 {
        let mut iv = [0; 12];
        iv[at] = 1;
        let mut entries = entries();
        entries[2].1 = bytes(&iv);
        assert_eq!(refusal(&message(&map(&entries))), SealedError::Header);
    }
}

#[test]
fn numbers_and_lengths_longer_than_they_need_be_are_refused() {
    for at in 0..entries().len() {
        let mut label = entries();
        label[at].0 = {
            let first = label[at].0[0];
            let value = if first == 0x3a { 65_533 + at as u64 } else { u64::from(first) };
            long_head(first >> 5, value)
        };
        assert_eq!(refusal(&message(&map(&label))), SealedError::Header, "label {at}");
        let mut value = entries();
        value[at].1 = match at {
            0 => long_head(0, 24),
            3 => long_head(0, u64::from(HEIGHT)),
            _ => {
                let content = if at == 1 || at == 4 { 2 } else { 1 };
                let content = value[at].1[content..].to_vec();
                [long_head(2, content.len() as u64), content].concat()
            }
        };
        assert_eq!(refusal(&message(&map(&value))), SealedError::Header, "value {at}");
    }
    let count = [long_head(5, entries().len() as u64), flat(&entries())].concat();
    assert_eq!(refusal(&message(&count)), SealedError::Header);
}

#[test]
fn parts_of_indefinite_length_are_refused() {
    let open_map = [&[0xbf][..], &flat(&entries()), &[0xff]].concat();
    assert_eq!(refusal(&message(&open_map)), SealedError::Header);
    let mut chunked = entries();
    chunked[1].1 = [&[0x5f][..], &bytes(NEGOTIATION.as_bytes()), &[0xff]].concat();
    assert_eq!(refusal(&message(&map(&chunked))), SealedError::Header);

    let protected = map(&entries());
    let ciphertext = encrypt(&protected);
    let [head_part, body] = [bytes(&protected), bytes(&ciphertext)];
    let open = |part: &[u8]| [&[0x5f][..], part, &[0xff]].concat();
    let frames = [
        [&[0xd0, 0x9f][..], &head_part, &[0xa0], &body, &[0xff]].concat(),
        [&[0xd0, 0x83][..], &head_part, &[0xbf, 0xff], &body].concat(),
        [&[0xd0, 0x83][..], &open(&head_part), &[0xa0], &body].concat(),
        [&[0xd0, 0x83][..], &head_part, &[0xa0], &open(&body)].concat(),
    ];
    for frame in frames {
        assert_eq!(refusal(&frame), SealedError::Header);
    }
}

#[test]
fn frames_with_longer_heads_another_tag_or_other_parts_are_refused() {
    let protected = map(&entries());
    let ciphertext = encrypt(&protected);
    let [head_part, body] = [bytes(&protected), bytes(&ciphertext)];
    let inside = [&[0x83][..], &head_part, &[0xa0], &body].concat();
    let longer = [
        [&[0xd8, 16][..], &inside].concat(),
        [&[0xd0][..], &long_head(4, 3), &head_part, &[0xa0], &body].concat(),
        [&[0xd0, 0x83][..], &long_head(2, protected.len() as u64), &protected, &[0xa0], &body].concat(),
        [&[0xd0, 0x83][..], &head_part, &long_head(5, 0), &body].concat(),
        [&[0xd0, 0x83][..], &head_part, &[0xa0], &long_head(2, ciphertext.len() as u64), &ciphertext]
            .concat(),
    ];
    for frame in longer {
        assert_eq!(refusal(&frame), SealedError::Header);
    }
    let other = [
        inside.clone(),
        [&[0xd1][..], &inside].concat(),
        [&[0xd8, 96][..], &inside].concat(),
        [&[0xd0, 0xd0][..], &inside].concat(),
        [&[0xd9, 0xd9, 0xf7, 0xd0][..], &inside].concat(),
        [&[0xd0, 0x82][..], &head_part, &[0xa0]].concat(),
        [&[0xd0, 0x84][..], &head_part, &[0xa0], &body, &body].concat(),
        [&[0xd0, 0x83][..], &protected, &[0xa0], &body].concat(),
        [&[0xd0, 0x83][..], &head_part, &[0x80], &body].concat(),
        [&[0xd0][..], &bytes(&inside)].concat(),
    ];
    for frame in other {
        assert_eq!(refusal(&frame), SealedError::NotCose);
    }
}

#[test]
fn a_message_without_its_ciphertext_is_refused() {
    let protected = map(&entries());
    for nothing in [0xf6, 0xf7, 0x60, 0x80] {
        let frame = [&[0xd0, 0x83][..], &bytes(&protected), &[0xa0, nothing]].concat();
        assert_eq!(refusal(&frame), SealedError::NotCose);
    }
}

#[test]
fn anything_in_the_unprotected_header_is_refused() {
    let protected = map(&entries());
    let body = bytes(&encrypt(&protected));
    let signature = [&[0x83][..], &bytes(b""), &[0xa0], &bytes(b"signature")].concat();
    let unprotected = [
        (uint(1), uint(24)),
        (uint(4), bytes(b"kid")),
        (uint(5), bytes(&[0; 12])),
        (uint(7), signature),
        (label(-65_537), uint(7)),
        (uint(99), uint(7)),
    ];
    for entry in unprotected {
        let frame = [&[0xd0, 0x83][..], &bytes(&protected), &map(&[entry]), &body].concat();
        assert_eq!(refusal(&frame), SealedError::Header);
    }
    // All of it there, and nothing protected.
    for empty in [&[][..], &[0xa0]] {
        let frame = [&[0xd0, 0x83][..], &bytes(empty), &protected, &body].concat();
        assert_eq!(refusal(&frame), SealedError::Header);
    }
}

#[test]
fn deeply_nested_items_do_not_exhaust_the_stack() {
    const DEPTH: usize = 200_000;
    let body = bytes(&[0; 16]);
    let frame = |protected: &[u8], unprotected: &[u8]| {
        [&[0xd0, 0x83][..], &bytes(protected), unprotected, &body].concat()
    };
    let arrays = [vec![0x81; DEPTH], vec![0]].concat();
    let tags = [vec![0xd0; DEPTH], vec![0]].concat();
    let maps = [[0xa1, 0x00].repeat(DEPTH), vec![0]].concat();
    let open_arrays = vec![0x9f; DEPTH];
    for nested in [&arrays, &tags, &maps, &open_arrays] {
        let header = [&[0xa1, 0x18, 99][..], nested].concat();
        assert!(Sealed::from_bytes(nested).is_err());
        assert!(Sealed::from_bytes(&frame(&header, &[0xa0])).is_err());
        assert!(Sealed::from_bytes(&frame(&[0xa0], &header)).is_err());
        assert!(Sealed::from_bytes(&frame(nested, nested)).is_err());
    }
}

#[test]
fn headers_nested_in_the_countersignatures_of_headers_do_not_exhaust_the_stack() {
    // Each protected header is a byte string, in which a parser begins to count its depth anew.
    const DEPTH: usize = 20_000;
    let (mut before, mut len) = (Vec::new(), 1);
    for _ in 0..DEPTH {
        let open = [&[0xa1, 0x07, 0x83][..], &head(2, len)].concat();
        len += open.len() as u64 + 3;
        before.push(open);
    }
    before.reverse();
    let header = [before.concat(), vec![0xa0], [0xa0, 0x41, 0].repeat(DEPTH)].concat();
    assert_eq!(header.len() as u64, len);
    let body = bytes(&[0; 16]);
    let protected = [&[0xd0, 0x83][..], &bytes(&header), &[0xa0], &body].concat();
    assert!(Sealed::from_bytes(&protected).is_err());
    let unprotected = [&[0xd0, 0x83][..], &bytes(&[0xa0]), &header, &body].concat();
    assert!(Sealed::from_bytes(&unprotected).is_err());
}
