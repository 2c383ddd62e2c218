//! The signature under a backup (PROTOCOL.md 3.5): what its text says is the node's to know.

use bitcoin::secp256k1::{Message, Secp256k1, VerifyOnly, schnorr};

use crate::identity::{IdentitySecret, PartyKey};
use crate::kdf::hash;

/// Bytes of the signature.
pub const SIGNATURE_LEN: usize = 64;

/// The identity's BIP340 signature of a backup's body.
pub fn sign(body: &[u8], identity: &IdentitySecret) -> [u8; SIGNATURE_LEN] {
    identity.sign_digest(hash("backup", &[body])).serialize()
}

/// Whether `by` signed this body.
pub fn is_signed(body: &[u8], signature: &[u8; SIGNATURE_LEN], by: PartyKey) -> bool {
    static CONTEXT: std::sync::OnceLock<Secp256k1<VerifyOnly>> = std::sync::OnceLock::new();
    let (key, _) = by.to_public_key().x_only_public_key();
    let digest = Message::from_digest(hash("backup", &[body]));
    schnorr::Signature::from_slice(signature).is_ok_and(|signature| {
        let context = CONTEXT.get_or_init(Secp256k1::verification_only);
        context.verify_schnorr(&signature, &digest, &key).is_ok()
    })
}
