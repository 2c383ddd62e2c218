//! X25519 of RFC 7748.

use x25519_dalek::{PublicKey, StaticSecret};

use super::{BadShare, Suite};
use crate::secret::Secret;

pub(super) const SHARE_LEN: usize = 32;

/// What a share's secret is derived for.
pub(super) const PURPOSE: &str = "x25519 share";

/// One side's private key, and its share.
pub(crate) struct Private {
    scalar: StaticSecret,
    share: PublicKey,
}

impl Private {
    pub(super) fn new(secret: &Secret) -> Self {
        let scalar = StaticSecret::from(*secret.expose());
        let share = PublicKey::from(&scalar);
        Self { scalar, share }
    }

    pub(super) fn public(&self) -> [u8; SHARE_LEN] {
        self.share.to_bytes()
    }

    pub(super) fn agree(&self, theirs: &[u8]) -> Result<Secret, BadShare> {
        let bytes: [u8; SHARE_LEN] = theirs.try_into().map_err(|_| BadShare::Length {
            suite: Suite::X25519,
            expected: SHARE_LEN,
            found: theirs.len(),
        })?;
        let theirs = PublicKey::from(bytes);
        if theirs == self.share {
            return Err(BadShare::Reflected);
        }
        let shared = self.scalar.diffie_hellman(&theirs);
        if !shared.was_contributory() {
            return Err(BadShare::SmallOrder);
        }
        Ok(Secret::fill_with(|secret| secret.copy_from_slice(shared.as_bytes())))
    }
}
