//! X-Wing: X25519 and ML-KEM-768 as one key encapsulation (draft-connolly-cfrg-xwing-kem).
//!
//! A share's X25519 part of small order is refused on both sides, as x25519's own are: the key would then rest on
//! ML-KEM alone.

use curve25519_dalek::MontgomeryPoint;
use x_wing::{
    CIPHERTEXT_SIZE, DecapsulationKeyRejectNonContrib, Decapsulator, ENCAPSULATION_KEY_SIZE,
    ENCAPSULATION_RANDOMNESS_SIZE, EncapsulationKey, KeyExport, TryDecapsulate,
};
use zeroize::Zeroize;

use super::{BadShare, Suite};
use crate::secret::Secret;

pub(super) const KEY_LEN: usize = ENCAPSULATION_KEY_SIZE;
pub(super) const CIPHERTEXT_LEN: usize = CIPHERTEXT_SIZE;

/// What the initiator's decapsulation key is derived for.
pub(super) const PURPOSE: &str = "x-wing share";

/// What the responder's encapsulation takes for randomness.
pub(super) const ENCAPSULATION: &str = "x-wing encapsulation";

/// What the initiator's encapsulation to a prekey takes for randomness.
pub(super) const TO_PREKEY: &str = "x-wing to prekey";

/// A decapsulation key; it wipes itself.
pub(crate) struct Private(Box<DecapsulationKeyRejectNonContrib>);

impl Private {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(Box::new(DecapsulationKeyRejectNonContrib::from(*secret.expose())))
    }

    pub(super) fn public(&self) -> Vec<u8> {
        self.0.encapsulation_key().to_bytes().to_vec()
    }

    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret, BadShare> {
        let ciphertext = ciphertext.try_into().map_err(|_| length(CIPHERTEXT_LEN, ciphertext.len()))?;
        let mut shared = self.0.try_decapsulate(&ciphertext).map_err(|_| BadShare::SmallOrder)?;
        Ok(Secret::take(shared.as_mut()))
    }
}

/// The ciphertext for `key`, and the secret in it.
pub(super) fn encapsulate(
    key: &[u8],
    randomness: &Secret<ENCAPSULATION_RANDOMNESS_SIZE>,
) -> Result<(Vec<u8>, Secret), BadShare> {
    let (_, point) =
        key.split_last_chunk().filter(|_| key.len() == KEY_LEN).ok_or(length(KEY_LEN, key.len()))?;
    if is_of_small_order(*point) {
        return Err(BadShare::SmallOrder);
    }
    let key = EncapsulationKey::try_from(key).map_err(|_| BadShare::NoKey(Suite::X25519MlKem768))?;
    let mut randomness = (*randomness.expose()).into();
    let (ciphertext, mut shared) = key.encapsulate_deterministic(&randomness);
    randomness.zeroize();
    Ok((ciphertext.to_vec(), Secret::take(shared.as_mut())))
}

/// Whether X25519 with this point gives everybody the same secret. The points of small order are those that eight times
/// is the neutral element, on the curve and on its twist.
fn is_of_small_order(point: [u8; 32]) -> bool {
    let eight = [true, false, false, false];
    MontgomeryPoint(point).mul_bits_be(eight.into_iter()) == MontgomeryPoint([0; 32])
}

fn length(expected: usize, found: usize) -> BadShare {
    BadShare::Length { suite: Suite::X25519MlKem768, expected, found }
}

#[cfg(test)]
mod tests {
    use bitcoin::hex::FromHex;

    use super::*;

    /// The draft's own vectors, one value per line: `name hex`.
    const VECTORS: &str = include_str!("../../../vectors/x-wing-draft.txt");

    fn values(name: &str) -> impl Iterator<Item = Vec<u8>> {
        let lines = VECTORS.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.map(|hex| Vec::from_hex(hex).unwrap())
    }

    #[test]
    fn the_vectors_of_the_draft_come_out() {
        let randomness = values("eseed").map(|bytes| Secret::from_slice(&bytes).unwrap());
        let cases: Vec<_> =
            values("sk").zip(values("pk")).zip(randomness).zip(values("ct").zip(values("ss"))).collect();
        assert_eq!(cases.len(), 3);
        for (((private, public), randomness), (ciphertext, shared)) in cases {
            let private = Private::new(&Secret::from_slice(&private).unwrap());
            assert_eq!(private.public(), public);
            let (made, secret) = encapsulate(&public, &randomness).unwrap();
            assert_eq!((&made, &secret.expose()[..]), (&ciphertext, &shared[..]));
            assert_eq!(private.decapsulate(&ciphertext).unwrap().expose()[..], shared[..]);
        }
    }

    #[test]
    fn a_key_whose_numbers_are_not_below_the_modulus_is_no_key() {
        let randomness = Secret::fill_with(|bytes| bytes.fill(7));
        let mut public = Private::new(&Secret::fill_with(|bytes| bytes.fill(1))).public();
        // The first coefficient, twelve bits, becomes 4095.
        (public[0], public[1]) = (0xff, public[1] | 0x0f);
        let refused = encapsulate(&public, &randomness).unwrap_err();
        assert_eq!(refused, BadShare::NoKey(Suite::X25519MlKem768));
    }
}
