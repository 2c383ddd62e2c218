//! The part of a card that never changes, with its signature: all of a card that others than its peers need.

use super::{Card, CardError, Permanent, SIGNATURE_LEN, VERSION, is_signed};
use crate::encode::Reader;

/// A permanent part that its owner signed. Only what verifies is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPermanent {
    permanent: Permanent,
    signature: [u8; SIGNATURE_LEN],
}

impl SignedPermanent {
    /// What was signed.
    pub fn permanent(&self) -> &Permanent {
        &self.permanent
    }

    /// How a card begins: version ‖ permanent ‖ signature.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[VERSION][..], &self.permanent.to_bytes(), &self.signature].concat()
    }

    /// Reads [`SignedPermanent::to_bytes`] back, to the last byte.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CardError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(CardError::UnknownVersion(other)),
        }
        let (permanent, signature) = (Permanent::read(&mut reader)?, reader.array()?);
        match reader.remaining().len() {
            0 if is_signed(permanent.key, permanent.digest(), &signature) => {
                Ok(Self { permanent, signature })
            }
            0 => Err(CardError::PermanentSignature),
            more => Err(CardError::TrailingBytes(more)),
        }
    }
}

impl Card {
    /// The card without what its owner renews.
    pub fn signed_permanent(&self) -> SignedPermanent {
        SignedPermanent { permanent: self.permanent.clone(), signature: self.permanent_signature }
    }
}
