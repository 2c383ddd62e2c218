//! Signatures that verified before: no reader pays for one twice.
//!
//! What the chain says is computed from the same transactions again and again, and a signature that verified once
//! verifies for ever. An entry is the hash of all that was verified, so that it speaks for nothing else.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// 2 MiB of hashes; then all are forgotten.
const MOST: usize = 1 << 16;

/// What was verified: the lengths of its parts are fixed by the scheme.
type Entry = [u8; 32];

/// The rule by which a signature is verified.
#[derive(Clone, Copy)]
pub(crate) enum Scheme {
    /// ECDSA with SIGHASH_ALL, the key compressed.
    Ecdsa,
    /// BIP340, the key by its x coordinate.
    Schnorr,
}

/// Whether `signature` is one of `digest` by `key`: known, or by `verify` and known from now on.
pub(crate) fn once(
    scheme: Scheme,
    key: &[u8],
    digest: &[u8; 32],
    signature: &[u8; 64],
    verify: impl FnOnce() -> bool,
) -> bool {
    static KNOWN: LazyLock<Mutex<HashSet<Entry>>> = LazyLock::new(Mutex::default);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let parts = [&[scheme as u8], key, &digest[..], &signature[..]];
    let entry: Entry =
        parts.into_iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into();
    if known().contains(&entry) {
        return true;
    }
    let verified = verify();
    if verified {
        let mut known = known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(entry);
    }
    verified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_that_verified_speaks_for_nothing_else() {
        let (key, digest, signature) = ([2; 33], [3; 32], [4; 64]);
        assert!(once(Scheme::Ecdsa, &key, &digest, &signature, || true));
        assert!(once(Scheme::Ecdsa, &key, &digest, &signature, || false), "it is known");
        assert!(!once(Scheme::Ecdsa, &[5; 33], &digest, &signature, || false), "another key");
        assert!(!once(Scheme::Ecdsa, &key, &[5; 32], &signature, || false), "another digest");
        assert!(!once(Scheme::Ecdsa, &key, &digest, &[5; 64], || false), "another signature");
        assert!(!once(Scheme::Schnorr, &key, &digest, &signature, || false), "another scheme");
    }

    #[test]
    fn a_signature_that_did_not_verify_is_verified_again() {
        let (key, digest, signature) = ([6; 32], [7; 32], [8; 64]);
        assert!(!once(Scheme::Schnorr, &key, &digest, &signature, || false));
        assert!(once(Scheme::Schnorr, &key, &digest, &signature, || true));
    }
}
