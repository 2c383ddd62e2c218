//! The one form a sealed message has, byte by byte.
//!
//! It is fixed but for the lengths of three items, so it is written and read straight through: a general reader of
//! CBOR costs more than the cipher does on a short message, and follows whatever a stranger nests. That what stands
//! here is a COSE_Encrypt0 is shown by a general library in the tests.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use coset::cbor::{self, Value};
use keyway_chain::{BlockRef, Height};

use super::{Envelope, SealedError, StreamId};
use crate::encode::Reader;
use crate::message::Tag;
use crate::negotiation::NegotiationId;

/// COSE_Encrypt0 (RFC 9052, 2).
const COSE_ENCRYPT0: u64 = 16;
/// Tag 16, an array of 3, and a byte string whose length takes one byte: the protected header has 126 to 152 bytes.
const FRONT: [u8; 3] = [0xd0, 0x83, 0x58];
/// What follows the protected header: the unprotected one, an empty map.
const UNPROTECTED: [u8; 1] = [0xa0];

/// Maps of 6 and 7 entries: without and with the initiator's tag.
const MAP_WITHOUT_TAG: u8 = 0xa6;
const MAP_WITH_TAG: u8 = 0xa7;
/// alg: ChaCha20/Poly1305; then kid, a byte string of 32.
const ALG_AND_KID: [u8; 6] = [0x01, 0x18, 0x18, 0x04, 0x58, 0x20];
/// IV, a byte string of 12, which begins with 4 zeros.
const IV: [u8; 6] = [0x05, 0x4c, 0, 0, 0, 0];
/// −65537, followed by an unsigned integer.
const HEIGHT: [u8; 5] = [0x3a, 0, 1, 0, 0];
/// −65538, a byte string of 32.
const BLOCK: [u8; 7] = [0x3a, 0, 1, 0, 1, 0x58, 0x20];
/// −65539, a byte string of 16.
const STREAM: [u8; 6] = [0x3a, 0, 1, 0, 2, 0x50];
/// −65540, a byte string of 16.
const TAG: [u8; 6] = [0x3a, 0, 1, 0, 3, 0x50];

/// Major types (RFC 8949, 3.1).
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;

/// The protected header's map.
pub(super) fn protected(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.push(if envelope.tag.is_some() { MAP_WITH_TAG } else { MAP_WITHOUT_TAG });
    out.extend_from_slice(&ALG_AND_KID);
    out.extend_from_slice(envelope.negotiation.as_bytes());
    out.extend_from_slice(&IV);
    out.extend_from_slice(&envelope.counter.to_be_bytes());
    out.extend_from_slice(&HEIGHT);
    write_head(UNSIGNED, u64::from(envelope.block.height.to_u32()), &mut out);
    out.extend_from_slice(&BLOCK);
    out.extend_from_slice(envelope.block.hash.as_byte_array());
    out.extend_from_slice(&STREAM);
    out.extend_from_slice(envelope.stream.as_bytes());
    if let Some(tag) = envelope.tag {
        out.extend_from_slice(&TAG);
        out.extend_from_slice(tag.as_bytes());
    }
    out
}

/// All that stands before a ciphertext of `len` bytes, with room for it.
pub(super) fn front(protected: &[u8], len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(protected.len() + len + 16);
    let [tag, array, _] = FRONT;
    out.extend_from_slice(&[tag, array]);
    write_head(BYTES, protected.len() as u64, &mut out);
    out.extend_from_slice(protected);
    out.extend_from_slice(&UNPROTECTED);
    write_head(BYTES, len as u64, &mut out);
    out
}

/// What the cipher authenticates beside the ciphertext (RFC 9052, 5.3).
pub(super) fn enc_structure(protected: &[u8], aad: &[u8]) -> Vec<u8> {
    const CONTEXT: &[u8] = b"\x83\x68Encrypt0";
    let mut out = Vec::with_capacity(CONTEXT.len() + protected.len() + aad.len() + 18);
    out.extend_from_slice(CONTEXT);
    for item in [protected, aad] {
        write_head(BYTES, item.len() as u64, &mut out);
        out.extend_from_slice(item);
    }
    out
}

/// A head in its shortest form (RFC 8949, 4.2.1).
fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let (additional, len) = match argument {
        0..=23 => (argument as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | additional);
    out.extend(argument.to_be_bytes().into_iter().skip(8 - len));
}

/// A whole message: what stands in the clear, and where the ciphertext begins. `None` if anything is in another form.
pub(super) fn read(bytes: &[u8]) -> Option<(Envelope, usize)> {
    let mut reader = Reader::new(bytes);
    let protected = take_protected(&mut reader)?;
    literal(&mut reader, &UNPROTECTED)?;
    let len = read_head(BYTES, &mut reader)?;
    let ciphertext = reader.remaining().len();
    let envelope = read_protected(protected)?;
    (len == ciphertext as u64).then_some((envelope, bytes.len() - ciphertext))
}

/// The protected header of a whole message.
pub(super) fn protected_of(message: &[u8]) -> Option<&[u8]> {
    take_protected(&mut Reader::new(message))
}

fn take_protected<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    literal(reader, &FRONT)?;
    let len = usize::from(reader.u8().ok()?);
    reader.take(len).ok()
}

fn read_protected(protected: &[u8]) -> Option<Envelope> {
    let mut reader = Reader::new(protected);
    let tagged = match reader.u8().ok()? {
        MAP_WITHOUT_TAG => false,
        MAP_WITH_TAG => true,
        _ => return None,
    };
    literal(&mut reader, &ALG_AND_KID)?;
    let negotiation = NegotiationId::from_bytes(reader.array().ok()?);
    literal(&mut reader, &IV)?;
    let counter = u64::from_be_bytes(reader.array().ok()?);
    literal(&mut reader, &HEIGHT)?;
    let height = Height::new(u32::try_from(read_head(UNSIGNED, &mut reader)?).ok()?);
    literal(&mut reader, &BLOCK)?;
    let block = BlockRef::new(height, BlockHash::from_byte_array(reader.array().ok()?));
    literal(&mut reader, &STREAM)?;
    let stream = StreamId::from_bytes(reader.array().ok()?);
    let tag = if tagged { Some(read_tag(&mut reader)?) } else { None };
    reader.remaining().is_empty().then_some(Envelope { negotiation, block, stream, counter, tag })
}

fn read_tag(reader: &mut Reader<'_>) -> Option<Tag> {
    literal(reader, &TAG)?;
    Some(Tag::from_bytes(reader.array().ok()?))
}

fn literal(reader: &mut Reader<'_>, expected: &[u8]) -> Option<()> {
    (reader.take(expected.len()).ok()? == expected).then_some(())
}

/// The argument of a head of this major type, if it has its shortest form.
fn read_head(major: u8, reader: &mut Reader<'_>) -> Option<u64> {
    let first = reader.u8().ok()?;
    let (argument, least) = match first & 0x1f {
        direct @ 0..=23 => (u64::from(direct), 0),
        24 => (u64::from(reader.u8().ok()?), 24),
        25 => (u64::from(reader.u16().ok()?), 0x100),
        26 => (u64::from(reader.u32().ok()?), 0x1_0000),
        27 => (u64::from_be_bytes(reader.array().ok()?), 0x1_0000_0000),
        _ => return None,
    };
    (first >> 5 == major && argument >= least).then_some(argument)
}

/// Why [`read`] refused: no COSE_Encrypt0 with its ciphertext at all, or one in another form.
pub(super) fn why_not(bytes: &[u8]) -> SealedError {
    let mut rest = bytes;
    let Ok(Value::Tag(COSE_ENCRYPT0, message)) = cbor::from_reader(&mut rest) else {
        return SealedError::NotCose;
    };
    let parts = message.as_array().map_or(&[][..], Vec::as_slice);
    match (parts, rest) {
        ([Value::Bytes(_), Value::Map(_), Value::Bytes(_)], []) => SealedError::Header,
        _ => SealedError::NotCose,
    }
}
