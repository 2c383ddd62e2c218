//! The hash and derivation functions of PROTOCOL.md 2, each with its label.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

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

/// `Extract(salt, ·)` of secrets of 32 bytes, with one salt for many of them: HMAC-SHA-256 (RFC 2104) whose key, the salt, is
/// prepared once.
///
/// Put together from the library's compression function, two calls a secret: its interface for messages of any length takes more
/// time around them than in them (decision 91). A test compares the two.
#[derive(Clone)]
pub(crate) struct Extractor {
    inner: [u32; 8],
    outer: [u32; 8],
}

/// Where an [`Extractor`] works; it wipes itself.
pub(crate) struct Scratch {
    block: Zeroizing<[u8; BLOCK]>,
    state: Zeroizing<[u32; 8]>,
}

const BLOCK: usize = 64;

/// SHA-256 before the first block (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

impl Scratch {
    pub(crate) fn new() -> Self {
        // Behind 32 bytes, and a block before them, always the same: the end mark, and how many bits there are.
        let mut block = [0; BLOCK];
        block[32] = 0x80;
        [block[BLOCK - 2], block[BLOCK - 1]] = (8 * (BLOCK as u16 + 32)).to_be_bytes();
        Self { block: Zeroizing::new(block), state: Zeroizing::new(START) }
    }

    /// The 32 bytes in place.
    fn bytes(block: &mut [u8; BLOCK]) -> &mut [u8] {
        &mut block[..32]
    }

    /// SHA-256 of a block that left `before`, and of the 32 bytes in place behind it.
    fn hash(&mut self, before: &[u32; 8]) -> &[u32; 8] {
        *self.state = *before;
        compress256(&mut self.state, std::slice::from_ref(&*self.block));
        &self.state
    }
}

fn put(state: &[u32; 8], bytes: &mut [u8]) {
    for (word, bytes) in state.iter().zip(bytes.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
}

impl Extractor {
    pub(crate) fn new(salt: &[u8; 32]) -> Self {
        let after = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
            let mut state = START;
            compress256(&mut state, &[block]);
            state
        };
        Self { inner: after(0x36), outer: after(0x5c) }
    }

    /// Replaces a secret by what is extracted from it.
    #[inline]
    pub(crate) fn extract_in_place(&self, secret: &mut [u8; 32], scratch: &mut Scratch) {
        Scratch::bytes(&mut scratch.block).copy_from_slice(secret);
        scratch.hash(&self.inner);
        put(&scratch.state, Scratch::bytes(&mut scratch.block));
        put(scratch.hash(&self.outer), secret);
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_extracted_from_many_secrets_is_what_hkdf_extracts_from_each(
            salt: [u8; 32],
            secrets in prop::collection::vec(any::<[u8; 32]>(), 1..4),
        ) {
            let (extractor, mut scratch) = (Extractor::new(&salt), Scratch::new());
            for mut secret in secrets {
                let expected = extract(&salt, &secret);
                extractor.extract_in_place(&mut secret, &mut scratch);
                prop_assert_eq!(&secret, expected.expose());
            }
        }
    }

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
