//! Signed bytes as one line of text: a prefix, then base64url of the bytes and a checksum (PROTOCOL.md 4.1).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const CHECKSUM_LEN: usize = 4;

/// Why a line is not of that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    Prefix,
    Alphabet,
    TooLong,
    CutShort,
    Checksum,
}

/// The one line of these bytes.
pub(crate) fn write(prefix: &str, mut bytes: Vec<u8>) -> String {
    bytes.extend(checksum(&bytes));
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The bytes of a line, at most `most` of them. White space around the line is no part of it.
pub(crate) fn read(prefix: &str, most: usize, text: &str) -> Result<Vec<u8>, TextError> {
    let encoded = text.trim().strip_prefix(prefix).ok_or(TextError::Prefix)?;
    if encoded.len() / 4 * 3 > most + CHECKSUM_LEN {
        return Err(TextError::TooLong);
    }
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TextError::Alphabet)?;
    let (body, sum) = bytes.split_last_chunk().ok_or(TextError::CutShort)?;
    if *sum != checksum(body) {
        return Err(TextError::Checksum);
    }
    bytes.truncate(bytes.len() - CHECKSUM_LEN);
    Ok(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(bytes));
    [a, b, c, d]
}
