//! The key schedule as a stranger writes it from PROTOCOL.md 2 and 8, for secrets of his own guessing.

use hkdf::Hkdf;
use keyway_protocol::secret::Secret;
use sha2::{Digest, Sha256};

/// mk from a shared secret.
pub fn mk_from_shared(transcript: &[u8; 32], shared: &[u8]) -> Secret {
    let (prk, _) = Hkdf::<Sha256>::extract(Some(transcript), shared);
    mk_from_prk(prk.as_ref())
}

/// mk from prk.
pub fn mk_from_prk(prk: &[u8]) -> Secret {
    expand(prk, "keyway/1 master key", &[])
}

/// What the secret that opened a payment gives: itself, its hash, and what each label of the first secret makes of it.
pub fn from_payment_secret(t: &[u8; 32]) -> Vec<[u8; 32]> {
    let labels =
        ["keyway/1 payment secret", "keyway/1 key secret", "keyway/1 first secret", "keyway/1 master key"];
    let expanded = labels.map(|label| *expand(t, label, &[]).expose());
    let (extracted, _) = Hkdf::<Sha256>::extract(None, t);
    let hashes = [Sha256::digest(t).into(), extracted.into()];
    [*t].into_iter().chain(hashes).chain(expanded).collect()
}

/// HKDF-Expand to 32 bytes with LP(label) ‖ LP(x1) ‖ … as its info.
pub fn expand(key: &[u8], label: &str, parts: &[&[u8]]) -> Secret {
    let info: Vec<u8> = std::iter::once(label.as_bytes())
        .chain(parts.iter().copied())
        .flat_map(|part| [&(part.len() as u32).to_be_bytes()[..], part].concat())
        .collect();
    Secret::fill_with(|okm| {
        // Keys of 32 bytes and outputs of 32 are within the bounds of RFC 5869.
        let _ = Hkdf::<Sha256>::from_prk(key).map(|hkdf| hkdf.expand(&info, okm));
    })
}
