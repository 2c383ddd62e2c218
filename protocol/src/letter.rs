//! Messages of the static carrier, sealed to the peer by HPKE (RFC 9180; PROTOCOL.md 7.4).

use bitcoin::OutPoint;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::rand_core::{TryCryptoRng, TryRng, utils};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng};
use keyway_chain::ChainId;
use thiserror::Error;

use crate::encode::outpoint_bytes;
use crate::identity::{Binding, NegotiationSecret, PartyKey, SealingSecret};
use crate::secret::Secret;

/// Bytes that sealing adds to a message.
pub const OVERHEAD: usize = 32 + 16;

/// Who writes to whom, in which transaction: what a letter is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Direction {
    /// The chain of both.
    pub chain: ChainId,
    /// Whom the transaction speaks for.
    pub author: PartyKey,
    /// Whom it pays.
    pub recipient: PartyKey,
    /// The coin that its input 0 spends.
    pub input0: OutPoint,
}

/// Nothing can be sealed to this key: it has small order, or is none. The card's owner is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("nothing can be sealed to the sealing key on the peer's card: it is of small order")]
pub struct BadSealingKey;

/// It does not open: it was changed, is bound to another transaction, or is not for this reader.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the sealed message does not open: it was changed, copied from elsewhere, or is for somebody else")]
pub struct NotForUs;

/// Seals to the sealing key of the recipient's card. The same input gives the same bytes.
///
/// # Errors
/// [`BadSealingKey`].
pub fn seal(
    direction: &Direction,
    to: &[u8; 32],
    message: &[u8],
    secret: &NegotiationSecret,
    binding: &Binding,
) -> Result<Vec<u8>, BadSealingKey> {
    seal_with(direction, to, message, ephemeral(direction, message, secret, binding))
}

/// What sealing draws: 32 bytes that open this one letter, and prove what it says (PROTOCOL.md 13.4).
pub fn ephemeral(
    direction: &Direction,
    message: &[u8],
    secret: &NegotiationSecret,
    binding: &Binding,
) -> Secret {
    secret.derive_for("hpke", binding, &outpoint_bytes(direction.input0), message)
}

/// Seals with what [`ephemeral`] gave. The letter that comes out is one that `to` opens to `message` and to nothing else:
/// the encapsulated key determines the shared secret, and that the plaintext.
///
/// # Errors
/// [`BadSealingKey`].
pub fn seal_with(
    direction: &Direction,
    to: &[u8; 32],
    message: &[u8],
    ephemeral: Secret,
) -> Result<Vec<u8>, BadSealingKey> {
    let aad = outpoint_bytes(direction.input0);
    let mut once = Once::new(ephemeral);
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to).map_err(|_| BadSealingKey)?;
    let sealed = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        &direction.info(),
        message,
        &aad,
        &mut once,
    );
    let (encapsulated, ciphertext) = sealed.map_err(|_| BadSealingKey)?;
    debug_assert!(!once.misdrawn, "HPKE draws 32 bytes once");
    if once.misdrawn {
        return Err(BadSealingKey);
    }
    Ok([&encapsulated.to_bytes()[..], &ciphertext].concat())
}

/// Opens what [`seal`] gave.
///
/// # Errors
/// [`NotForUs`].
pub fn open(direction: &Direction, own: &SealingSecret, sealed: &[u8]) -> Result<Vec<u8>, NotForUs> {
    let (encapsulated, ciphertext) = sealed.split_first_chunk::<32>().ok_or(NotForUs)?;
    let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(own.as_secret().expose());
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated);
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key.map_err(|_| NotForUs)?,
        &encapsulated.map_err(|_| NotForUs)?,
        &direction.info(),
        ciphertext,
        &outpoint_bytes(direction.input0),
    )
    .map_err(|_| NotForUs)
}

impl Direction {
    fn info(&self) -> Vec<u8> {
        let (author, recipient) = (self.author.to_bytes(), self.recipient.to_bytes());
        [&b"keyway/1 static"[..], self.chain.as_bytes(), &author, &recipient].concat()
    }
}

/// The derived secret in the place of HPKE's one draw of 32 random bytes.
struct Once {
    secret: Secret,
    /// Whether there was another draw, of another length: what came of it must not be used.
    misdrawn: bool,
    drawn: bool,
}

impl Once {
    fn new(secret: Secret) -> Self {
        Self { secret, misdrawn: false, drawn: false }
    }
}

impl TryRng for Once {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        if dst.len() == self.secret.expose().len() && !self.drawn {
            dst.copy_from_slice(self.secret.expose());
        } else {
            self.misdrawn = true;
        }
        self.drawn = true;
        Ok(())
    }
}

impl TryCryptoRng for Once {}

#[cfg(test)]
mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash;
    use keyway_chain::Chain;

    use super::*;
    use crate::identity::Seed;
    use crate::negotiation::NegotiationId;

    fn seed(byte: u8) -> Seed {
        let words = bip39::Mnemonic::from_entropy(&[byte; 16]).unwrap();
        Seed::derive(&words, &Chain::regtest()).unwrap()
    }

    fn direction() -> Direction {
        Direction {
            chain: Chain::regtest().id(),
            author: seed(1).identity.party(),
            recipient: seed(2).identity.party(),
            input0: OutPoint::new(Txid::from_byte_array([7; 32]), 1),
        }
    }

    fn sealed(message: &[u8]) -> Vec<u8> {
        let secret = NegotiationSecret::from_secret(Secret::fill_with(|bytes| bytes.fill(3)));
        let id = NegotiationId::from_bytes([4; 32]);
        let binding = Binding { id, anchor: None, recipient: direction().recipient };
        seal(&direction(), &seed(2).sealing.public(), message, &secret, &binding).unwrap()
    }

    #[test]
    fn a_letter_opens_for_whom_it_is_for_and_in_its_own_transaction_alone() {
        let (letter, own) = (sealed(b"share"), seed(2).sealing);
        assert_eq!(letter.len(), 5 + OVERHEAD);
        assert_eq!(open(&direction(), &own, &letter).unwrap(), b"share");
        assert_eq!(open(&direction(), &seed(3).sealing, &letter), Err(NotForUs));
        let elsewhere = [
            Direction { input0: OutPoint::new(direction().input0.txid, 2), ..direction() },
            Direction { author: seed(3).identity.party(), ..direction() },
            Direction { recipient: seed(3).identity.party(), ..direction() },
            Direction { chain: Chain::named("litecoin").unwrap().id(), ..direction() },
        ];
        for direction in elsewhere {
            assert_eq!(open(&direction, &own, &letter), Err(NotForUs));
        }
    }

    #[test]
    fn a_letter_cut_short_or_changed_in_any_byte_does_not_open() {
        let (letter, own) = (sealed(b"share"), seed(2).sealing);
        for at in 0..letter.len() {
            let mut changed = letter.clone();
            changed[at] ^= 1;
            assert_eq!(open(&direction(), &own, &changed), Err(NotForUs), "byte {at}");
            assert_eq!(open(&direction(), &own, &letter[..at]), Err(NotForUs), "{at} bytes");
        }
    }

    #[test]
    fn the_same_message_is_sealed_in_the_same_bytes_and_another_under_another_key() {
        assert_eq!(sealed(b"share"), sealed(b"share"));
        assert_ne!(sealed(b"share")[..32], sealed(b"shard")[..32], "the ephemeral key differs too");
    }

    #[test]
    fn nothing_is_sealed_to_a_key_of_small_order() {
        let secret = NegotiationSecret::from_secret(Secret::fill_with(|bytes| bytes.fill(3)));
        let id = NegotiationId::from_bytes([4; 32]);
        let binding = Binding { id, anchor: None, recipient: direction().recipient };
        assert_eq!(seal(&direction(), &[0; 32], b"share", &secret, &binding), Err(BadSealingKey));
    }
}
