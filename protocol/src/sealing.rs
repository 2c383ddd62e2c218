//! Messages under session keys, as COSE_Encrypt0 (PROTOCOL.md 11).

mod form;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, AeadInOut, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use keyway_chain::BlockRef;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::kdf::expand;
use crate::message::Tag;
use crate::negotiation::NegotiationId;
use crate::ratchet::SessionKey;

const PREFIX: &str = "keyway-sealed:";
/// Bytes by which a ciphertext is longer than its plaintext.
const TAG_LEN: usize = 16;

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
    bytes: Vec<u8>,
    /// Where in `bytes` the ciphertext begins; it goes on to the end.
    ciphertext: usize,
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
    let protected = form::protected(&envelope);
    let aad = form::enc_structure(&protected, aad);
    let mut bytes = form::front(&protected, plaintext.len() + TAG_LEN);
    let ciphertext = bytes.len();
    bytes.extend_from_slice(plaintext);
    let (_, body) = bytes.split_at_mut(ciphertext);
    let tag = cipher(key, stream)
        .encrypt_inout_detached(&nonce(counter).into(), &aad, body.into())
        .map_err(|_| SealError::TooLong)?;
    bytes.extend_from_slice(&tag);
    Ok(Sealed { envelope, bytes, ciphertext })
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
        let (front, ciphertext) = self.bytes.split_at_checked(self.ciphertext).ok_or(OpenError)?;
        let protected = form::protected_of(front).ok_or(OpenError)?;
        let nonce = nonce(self.envelope.counter);
        let payload = Payload { msg: ciphertext, aad: &form::enc_structure(protected, aad) };
        let plaintext = cipher(key, self.envelope.stream).decrypt(&nonce.into(), payload);
        plaintext.map(Zeroizing::new).map_err(|_| OpenError)
    }

    /// The tagged COSE_Encrypt0.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Reads [`Sealed::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`SealedError`]; the sender, or the way the message came, is at fault.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        Self::from_vec(bytes.to_vec())
    }

    /// The same without copying a long message.
    ///
    /// # Errors
    /// As [`Sealed::from_bytes`].
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self, SealedError> {
        match form::read(&bytes) {
            Some((envelope, ciphertext)) => Ok(Self { envelope, bytes, ciphertext }),
            None => Err(form::why_not(&bytes)),
        }
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

impl FromStr for Sealed {
    type Err = SealedError;

    fn from_str(text: &str) -> Result<Self, SealedError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SealedError::Prefix)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealedError::Alphabet)?;
        Self::from_vec(bytes)
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
