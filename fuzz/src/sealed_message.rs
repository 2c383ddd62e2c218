//! Texts and bytes that may be sealed messages, and sealed messages that were changed on the way.
//!
//! Input: kind (u8). Of kind 0 (modulo 3) the rest is the text, of kind 1 the message's bytes. Of kind 2: negotiation id
//! (32), height (u32), block hash (32), stream id (16), whether the initiator's tag is there (u8, odd is yes), the tag
//! (16), lengths of associated data and plaintext (u8 each), these two, and changes of 3 bytes: where (u16) and what is
//! xored (u8).

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, Height};
use keyway_protocol::message::Tag;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet, SessionKey};
use keyway_protocol::sealing::{Envelope, Sealed, Stream, StreamId, seal};

use crate::common::secret;

/// Reads what these bytes describe and holds the reader to its promises.
pub fn sealed_message(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 3 {
        0 => read_text(&String::from_utf8_lossy(data)),
        1 => read_bytes(data),
        _ => drop(read_changed(data)),
    }
}

/// The key that every message here is sealed under.
pub fn key() -> SessionKey {
    let first = BlockRef::new(Height::new(200), BlockHash::from_byte_array([2; 32]));
    let ratchet = Ratchet::from_parts(first.height, first, secret(3));
    ratchet.session(&OneBlock(first), first, Role::Initiator).unwrap()
}

struct OneBlock(BlockRef);

impl BestChain for OneBlock {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        (height == self.0.height).then_some(self.0.hash)
    }

    fn tip(&self) -> Height {
        self.0.height
    }
}

fn read_text(text: &str) {
    match text.parse::<Sealed>() {
        Ok(sealed) => assert_eq!(sealed.to_string(), text.trim()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A message has one form, and no fuzzer seals: what opens is what would be sealed.
fn read_bytes(bytes: &[u8]) {
    let sealed = match Sealed::from_bytes(bytes) {
        Ok(sealed) => sealed,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(sealed.to_bytes(), bytes);
    if let Ok(plaintext) = sealed.open(&key(), b"") {
        assert_eq!(sealed_with(sealed.envelope(), &plaintext, b"").to_bytes(), bytes);
    }
}

fn read_changed(mut data: &[u8]) -> Option<()> {
    let envelope = Envelope {
        negotiation: NegotiationId::from_bytes(take(&mut data)?),
        block: BlockRef::new(
            Height::new(u32::from_be_bytes(take(&mut data)?)),
            BlockHash::from_byte_array(take(&mut data)?),
        ),
        stream: StreamId::from_bytes(take(&mut data)?),
        counter: 0,
        tag: {
            let [there] = take(&mut data)?;
            let tag = Tag::from_bytes(take(&mut data)?);
            (there % 2 == 1).then_some(tag)
        },
    };
    let [aad, plaintext] = take(&mut data)?;
    let (aad, rest) = data.split_at_checked(usize::from(aad))?;
    let (plaintext, changes) = rest.split_at_checked(usize::from(plaintext))?;
    let written = sealed_with(&envelope, plaintext, aad).to_bytes();
    let mut changed = written.clone();
    change(&mut changed, changes);
    let read = Sealed::from_bytes(&changed).ok();
    if changed == written {
        let read = read.unwrap();
        assert_eq!(*read.envelope(), envelope);
        assert_eq!(*read.open(&key(), aad).unwrap(), plaintext);
    } else if let Some(read) = read {
        assert!(read.open(&key(), aad).is_err());
    }
    Some(())
}

/// Streams begin at 0, and so do the messages here.
fn sealed_with(envelope: &Envelope, plaintext: &[u8], aad: &[u8]) -> Sealed {
    let Envelope { negotiation, block, stream, tag, .. } = *envelope;
    seal(&mut Stream::new(stream), negotiation, block, tag, &key(), plaintext, aad).unwrap()
}

fn change(bytes: &mut [u8], mut changes: &[u8]) -> Option<()> {
    loop {
        let place = usize::from(u16::from_be_bytes(take(&mut changes)?)) % bytes.len();
        let [xored] = take(&mut changes)?;
        bytes[place] ^= xored;
    }
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}
