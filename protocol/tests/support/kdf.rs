//! PROTOCOL.md 2 once more, for the intermediate values that the crate keeps to itself.

use hkdf::Hkdf;
use sha2::Sha256;

/// `Expand(key, label; parts…)`.
pub fn expand(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let label = format!("keyway/1 {label}");
    let prefixed = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let parts: Vec<u8> = parts.iter().flat_map(|part| prefixed(part)).collect();
    let info = [prefixed(label.as_bytes()), parts].concat();
    let mut okm = [0; 32];
    Hkdf::<Sha256>::from_prk(key).unwrap().expand(&info, &mut okm).unwrap();
    okm
}

/// `Extract(salt, ikm)`.
pub fn extract(salt: &[u8], ikm: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), ikm).0.into()
}
