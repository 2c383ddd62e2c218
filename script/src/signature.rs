//! Signatures and keys: their encodings, and whether one verifies under the other.

use std::sync::LazyLock;

use bitcoin::secp256k1::ecdsa::Signature;
use bitcoin::secp256k1::{Message, PublicKey, Secp256k1, VerifyOnly, XOnlyPublicKey, schnorr};

use crate::{Flags, ScriptError};

/// For verification only; needs no randomisation.
pub(crate) static SECP: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Whether an ECDSA signature, with its last byte, is written as the rules ask. An empty one always is: it is how a
/// script is given a signature that does not verify.
pub fn check_signature_encoding(signature: &[u8], flags: Flags) -> Result<(), ScriptError> {
    let Some((hash_type, der)) = signature.split_last() else { return Ok(()) };
    let strict = [Flags::DERSIG, Flags::LOW_S, Flags::STRICTENC];
    if strict.iter().any(|flag| flags.has(*flag)) && !is_strict_der(signature) {
        return Err(ScriptError::SigDer);
    }
    if flags.has(Flags::LOW_S) && !is_low_s(der) {
        return Err(ScriptError::SigHighS);
    }
    if flags.has(Flags::STRICTENC) && !matches!(hash_type & !0x80, 1..=3) {
        return Err(ScriptError::SigHashtype);
    }
    Ok(())
}

/// Whether a key is written as the rules ask; `witness` says that it stands in a witness of version 0.
pub fn check_key_encoding(key: &[u8], flags: Flags, witness: bool) -> Result<(), ScriptError> {
    let compressed = matches!(key, [2 | 3, rest @ ..] if rest.len() == 32);
    let uncompressed = matches!(key, [4, rest @ ..] if rest.len() == 64);
    if flags.has(Flags::STRICTENC) && !compressed && !uncompressed {
        return Err(ScriptError::PubkeyType);
    }
    if flags.has(Flags::WITNESS_PUBKEYTYPE) && witness && !compressed {
        return Err(ScriptError::WitnessPubkeyType);
    }
    Ok(())
}

/// Whether the signature, without its last byte, verifies. DER is read as laxly as before BIP66, and a high S is
/// taken for its low twin: what is stricter is for the rules to ask.
pub fn verify_ecdsa(signature: &[u8], key: &[u8], hash: [u8; 32]) -> bool {
    let (Ok(key), Ok(mut signature)) = (PublicKey::from_slice(key), Signature::from_der_lax(signature))
    else {
        return false;
    };
    signature.normalize_s();
    SECP.verify_ecdsa(&Message::from_digest(hash), &signature, &key).is_ok()
}

/// Whether the signature of 64 bytes verifies under a key of 32.
pub fn verify_schnorr(signature: &[u8], key: &[u8], hash: [u8; 32]) -> bool {
    let (Ok(key), Ok(signature)) =
        (XOnlyPublicKey::from_slice(key), schnorr::Signature::from_slice(signature))
    else {
        return false;
    };
    SECP.verify_schnorr(&signature, &Message::from_digest(hash), &key).is_ok()
}

fn is_low_s(der: &[u8]) -> bool {
    let Ok(signature) = Signature::from_der_lax(der) else { return false };
    let mut normalized = signature;
    normalized.normalize_s();
    normalized == signature
}

/// BIP66: `30 length 02 length R 02 length S kind`, with R and S positive and no byte too long.
fn is_strict_der(signature: &[u8]) -> bool {
    if !(9..=73).contains(&signature.len()) {
        return false;
    }
    let [0x30, length, body @ .., _kind] = signature else { return false };
    let Some((r, rest)) = split_integer(body) else { return false };
    let Some((s, rest)) = split_integer(rest) else { return false };
    usize::from(*length) == body.len() && rest.is_empty() && is_der_integer(r) && is_der_integer(s)
}

/// The content of the integer at the start, and what follows it.
fn split_integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x02, length, rest @ ..] = bytes else { return None };
    rest.split_at_checked(usize::from(*length))
}

fn is_der_integer(content: &[u8]) -> bool {
    match content {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => false,
        [..] => true,
    }
}
