//! Messages under session keys, as COSE_Encrypt0 (PROTOCOL.md 11).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use coset::cbor::Value;
use coset::{
    AsCborValue, CoseEncrypt0, CoseEncrypt0Builder, HeaderBuilder, Label, TaggedCborSerializable, cbor, iana,
};
use keyway_chain::{BlockRef, Height};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::kdf::expand;
use crate::message::Tag;
use crate::negotiation::NegotiationId;
use crate::ratchet::SessionKey;

const PREFIX: &str = "keyway-sealed:";
const LABEL_HEIGHT: i64 = -65_537;
const LABEL_BLOCK: i64 = -65_538;
const LABEL_STREAM: i64 = -65_539;
const LABEL_TAG: i64 = -65_540;
/// COSE_Encrypt0 (RFC 9052).
const CBOR_TAG: u64 = 16;
/// More than the longest protected header has, which is 162 bytes.
const MAX_PROTECTED_LEN: usize = 256;

/// One sender's messages between two starts of its process: 16 random bytes (PROTOCOL.md 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId([u8; 16]);

impl StreamId {
    /// From fresh random bytes, or from a message.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What stands in the clear on a sealed message, protected against change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Whose key it is under.
    pub negotiation: NegotiationId,
    /// The block whose session key it is under.
    pub block: BlockRef,
    /// The sender's stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub counter: u64,
    /// The initiator's confirmation, in the initiator's messages.
    pub tag: Option<Tag>,
}

/// A stream of messages: it hands out each counter once.
///
/// Not `Clone`: two copies would repeat a nonce.
#[derive(Debug)]
pub struct Stream {
    id: StreamId,
    next: u64,
}

impl Stream {
    /// `id` must be drawn at random at each start of the process.
    pub fn new(id: StreamId) -> Self {
        Self { id, next: 0 }
    }

    fn take(&mut self) -> Result<(StreamId, u64), SealError> {
        let counter = self.next;
        self.next = counter.checked_add(1).ok_or(SealError::Exhausted)?;
        Ok((self.id, counter))
    }
}

/// A message that could not be sealed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SealError {
    /// 2^64 - 1 messages in one stream.
    #[error("the stream has no counter left; restart it")]
    Exhausted,
    /// More than the cipher takes: 256 GiB.
    #[error("the message is too long for the cipher")]
    TooLong,
}

/// A sealed message: parsed, and not yet opened.
#[derive(Clone, Debug)]
pub struct Sealed {
    envelope: Envelope,
    cose: CoseEncrypt0,
}

/// Bytes that are no sealed message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SealedError {
    /// Another kind of text.
    #[error("not a sealed message: it must begin with `{PREFIX}`")]
    Prefix,
    /// Characters that base64url does not have.
    #[error("not a sealed message: it is not base64url after `{PREFIX}`")]
    Alphabet,
    /// Not a tagged COSE_Encrypt0 with its ciphertext, or cut short.
    #[error("not a sealed message: no whole COSE_Encrypt0 with tag 16")]
    NotCose,
    /// Not the headers of this protocol, or not in deterministic form.
    #[error("not a sealed message of this protocol: its header has other entries or another form")]
    Header,
}

/// A sealed message that does not open.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the message does not open: it was changed on the way, or sealed with another key or associated data"
)]
pub struct OpenError;

/// Seals under the session key of `block`.
///
/// # Errors
/// [`SealError`]; neither happens to messages that fit in memory.
pub fn seal(
    stream: &mut Stream,
    negotiation: NegotiationId,
    block: BlockRef,
    tag: Option<Tag>,
    key: &SessionKey,
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Sealed, SealError> {
    let (stream, counter) = stream.take()?;
    let envelope = Envelope { negotiation, block, stream, counter, tag };
    let nonce = nonce(counter);
    let cipher = cipher(key, stream);
    let cose = CoseEncrypt0Builder::new()
        .protected(header(&envelope))
        .try_create_ciphertext(plaintext, aad, |plaintext, aad| {
            let payload = Payload { msg: plaintext, aad };
            cipher.encrypt(&nonce.into(), payload).map_err(|_| SealError::TooLong)
        })?
        .build();
    Ok(Sealed { envelope, cose })
}

impl Sealed {
    /// What stands in the clear. Nothing of it is authenticated before [`Sealed::open`].
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Opens under the session key of the block that the envelope names.
    ///
    /// # Errors
    /// [`OpenError`] says nothing more: whatever differs, the cipher cannot tell.
    pub fn open(&self, key: &SessionKey, aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let nonce = nonce(self.envelope.counter);
        let cipher = cipher(key, self.envelope.stream);
        self.cose
            .decrypt_ciphertext(
                aad,
                || OpenError,
                |ciphertext, aad| {
                    let payload = Payload { msg: ciphertext, aad };
                    cipher.decrypt(&nonce.into(), payload).map_err(|_| OpenError)
                },
            )
            .map(Zeroizing::new)
    }

    /// The tagged COSE_Encrypt0.
    #[expect(clippy::expect_used, reason = "headers of integers and byte strings always encode")]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.cose.clone().to_tagged_vec().expect("integers and byte strings encode")
    }

    /// Reads [`Sealed::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`SealedError`]; the sender, or the way the message came, is at fault.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let cose = parse(bytes)?;
        let envelope = envelope(&cose).ok_or(SealedError::Header)?;
        let sealed = Self { envelope, cose };
        // One message, one form: what a reader accepts is what a writer writes.
        let mut plain = sealed.clone();
        plain.cose.protected.original_data = None;
        plain.cose.protected.header = header(&envelope);
        if plain.to_bytes() == bytes { Ok(sealed) } else { Err(SealedError::Header) }
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
}

impl FromStr for Sealed {
    type Err = SealedError;

    fn from_str(text: &str) -> Result<Self, SealedError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SealedError::Prefix)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealedError::Alphabet)?;
        Self::from_bytes(&bytes)
    }
}

fn cipher(key: &SessionKey, stream: StreamId) -> ChaCha20Poly1305 {
    let message_key = expand::<32>(&key.0, "message key", &[stream.as_bytes()]);
    ChaCha20Poly1305::new(message_key.expose().into())
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

fn header(envelope: &Envelope) -> coset::Header {
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ChaCha20Poly1305)
        .key_id(envelope.negotiation.as_bytes().to_vec())
        .iv(nonce(envelope.counter).to_vec())
        .value(LABEL_HEIGHT, Value::from(envelope.block.height.to_u32()))
        .value(LABEL_BLOCK, Value::Bytes(envelope.block.hash.as_byte_array().to_vec()))
        .value(LABEL_STREAM, Value::Bytes(envelope.stream.as_bytes().to_vec()));
    match envelope.tag {
        Some(tag) => header.value(LABEL_TAG, Value::Bytes(tag.as_bytes().to_vec())).build(),
        None => header.build(),
    }
}

/// A COSE_Encrypt0 with a ciphertext, no unprotected header and a protected one of bounded length.
///
/// All this is asked before `coset` sees the headers: it follows headers nested in countersignatures as deep as
/// they go, and a long enough message would exhaust the stack.
fn parse(bytes: &[u8]) -> Result<CoseEncrypt0, SealedError> {
    let mut rest = bytes;
    let value: Value = cbor::from_reader(&mut rest).map_err(|_| SealedError::NotCose)?;
    let (Value::Tag(CBOR_TAG, message), []) = (value, rest) else { return Err(SealedError::NotCose) };
    let parts = message.as_array().map_or(&[][..], Vec::as_slice);
    let [Value::Bytes(protected), Value::Map(unprotected), Value::Bytes(_)] = parts else {
        return Err(SealedError::NotCose);
    };
    if protected.len() > MAX_PROTECTED_LEN || !unprotected.is_empty() {
        return Err(SealedError::Header);
    }
    CoseEncrypt0::from_cbor_value(*message).map_err(|_| SealedError::Header)
}

fn envelope(cose: &CoseEncrypt0) -> Option<Envelope> {
    let header = &cose.protected.header;
    let entry = |label: i64| {
        header.rest.iter().find(|(found, _)| *found == Label::Int(label)).map(|(_, value)| value)
    };
    let bytes = |label| entry(label)?.as_bytes().map(Vec::as_slice);
    let height = u32::try_from(i128::from(entry(LABEL_HEIGHT)?.as_integer()?)).ok()?;
    let hash = BlockHash::from_byte_array(bytes(LABEL_BLOCK)?.try_into().ok()?);
    let (zeros, counter) = header.iv.split_first_chunk::<4>()?;
    let tag = match entry(LABEL_TAG) {
        None => None,
        Some(_) => Some(Tag::from_bytes(bytes(LABEL_TAG)?.try_into().ok()?)),
    };
    let envelope = Envelope {
        negotiation: NegotiationId::from_bytes(header.key_id[..].try_into().ok()?),
        block: BlockRef::new(Height::new(height), hash),
        stream: StreamId::from_bytes(bytes(LABEL_STREAM)?.try_into().ok()?),
        counter: u64::from_be_bytes(counter.try_into().ok()?),
        tag,
    };
    (*zeros == [0; 4]).then_some(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_before_a_counter_would_come_again() {
        let mut stream = Stream { id: StreamId::from_bytes([1; 16]), next: u64::MAX - 1 };
        assert_eq!(stream.take().map(|(_, counter)| counter), Ok(u64::MAX - 1));
        for _ in 0..3 {
            assert_eq!(stream.take(), Err(SealError::Exhausted));
        }
    }
}
