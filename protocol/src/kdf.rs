//! The hash and derivation functions of PROTOCOL.md 2, each with its label.

use hkdf::Hkdf;
use hmac::{Hmac, HmacReset, KeyInit, Mac};
use sha2::digest::FixedOutputReset;
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// `H(label; parts…)`. The label goes without its common prefix `keyway/1 `.
pub fn hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    feed(label, parts, |bytes| hasher.update(bytes));
    hasher.finalize().into()
}

/// `H(label; secret)`.
pub(crate) fn hash_secret(label: &str, secret: &[u8]) -> Secret {
    Secret::take(&mut hash(label, &[secret]))
}

/// `Expand(key, N, label; parts…)`.
#[expect(clippy::expect_used, reason = "both bounds hold by type, and a silent zero key would be worse")]
pub(crate) fn expand<const N: usize>(key: &Secret, label: &str, parts: &[&[u8]]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-Expand gives at most 255 blocks") };
    let mut info = Vec::with_capacity(128);
    feed(label, parts, |bytes| info.extend_from_slice(bytes));
    let hkdf = Hkdf::<Sha256>::from_prk(key.expose()).expect("a PRK of 32 bytes is long enough");
    Secret::fill_with(|okm| hkdf.expand(&info, okm).expect("at most 255 blocks are asked for"))
}

/// `Extract(salt, ikm)`.
pub(crate) fn extract(salt: &[u8], ikm: &[u8]) -> Secret {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    Secret::take(prk.as_mut())
}

/// `Extract(salt, ·)` with one salt for many inputs: HMAC's key is the salt, and is prepared once.
#[derive(Clone)]
pub(crate) struct Extractor(HmacReset<Sha256>);

impl Extractor {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    pub(crate) fn new(salt: &[u8]) -> Self {
        Self(HmacReset::new_from_slice(salt).expect("HMAC takes keys of every length"))
    }

    /// Replaces a secret by what is extracted from it.
    pub(crate) fn extract_in_place(&mut self, secret: &mut [u8; 32]) {
        Mac::update(&mut self.0, secret);
        self.0.finalize_into_reset(secret.into());
    }
}

/// HMAC-SHA-256.
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(crate) fn mac(key: &Secret, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn feed(label: &str, parts: &[&[u8]], mut sink: impl FnMut(&[u8])) {
    const PREFIX: &str = "keyway/1 ";
    sink(&length(PREFIX.len() + label.len()));
    sink(PREFIX.as_bytes());
    sink(label.as_bytes());
    for part in parts {
        sink(&length(part.len()));
        sink(part);
    }
}

/// Nothing that is hashed here comes near 4 GiB: messages are bounded by their transactions.
fn length(len: usize) -> [u8; 4] {
    debug_assert!(len <= u32::MAX as usize);
    (len as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_two_parts_changes_the_hash() {
        assert_ne!(hash("test", &[b"ab", b"c"]), hash("test", &[b"a", b"bc"]));
        assert_ne!(hash("test", &[b"ab"]), hash("testab", &[]));
    }

    #[test]
    fn hash_is_what_the_document_says() {
        let expected: [u8; 32] = Sha256::digest(b"\0\0\0\x0dkeyway/1 test\0\0\0\x01x").into();
        assert_eq!(hash("test", &[b"x"]), expected);
    }
}
