//! Locked by SHA-256 of t: as a miniscript descriptor, so that any wallet that knows miniscript can read it.

use std::str::FromStr;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{PublicKey, ScriptBuf, Witness, ecdsa};
use keyway_protocol::identity::IdentitySecret;
use keyway_protocol::secret::Secret;
use miniscript::{Descriptor, Satisfier};

use super::{Ends, Opening, Spend};

/// Witness bytes to collect: counts and lengths, t, a signature of at most 72 bytes, the script.
pub(super) const COLLECTING: u64 = 1 + 33 + 73 + 1 + SCRIPT_BYTES;
/// To take back: a signature, an empty item, the script.
pub(super) const RETURNING: u64 = 1 + 73 + 1 + 1 + SCRIPT_BYTES;
/// Most bytes of the script: a timeout takes at most four.
const SCRIPT_BYTES: u64 = 118;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HashLock {
    hash: sha256::Hash,
    pub(super) descriptor: Descriptor<PublicKey>,
    script: ScriptBuf,
}

impl HashLock {
    /// `None` if the timeout is none.
    pub(super) fn new(ends: &Ends, hash: [u8; 32]) -> Option<Self> {
        let hash = sha256::Hash::from_byte_array(hash);
        let Ends { responder, initiator, timeout } = ends;
        let text =
            format!("wsh(andor(pk({responder}),sha256({hash}),and_v(v:pk({initiator}),after({timeout}))))");
        let descriptor = Descriptor::<PublicKey>::from_str(&text).ok()?;
        let script = descriptor.explicit_script().ok()?;
        Some(Self { hash, descriptor, script })
    }

    pub(super) fn script_pubkey(&self) -> ScriptBuf {
        self.descriptor.script_pubkey()
    }

    pub(super) fn script(&self) -> &ScriptBuf {
        &self.script
    }

    pub(super) fn collect(&self, spend: Spend<'_>, key: &IdentitySecret, t: &Secret) -> Option<Witness> {
        self.satisfy(spend, key, Some((self.hash, *t.expose())), None)
    }

    pub(super) fn take_back(&self, spend: Spend<'_>, key: &IdentitySecret) -> Option<Witness> {
        self.satisfy(spend, key, None, Some(spend.tx.lock_time))
    }

    fn satisfy(
        &self,
        spend: Spend<'_>,
        key: &IdentitySecret,
        secret: Option<(sha256::Hash, [u8; 32])>,
        after: Option<LockTime>,
    ) -> Option<Witness> {
        let amount = spend.spent.get(spend.input)?.value;
        let mut cache = SighashCache::new(spend.tx);
        let digest = cache.p2wsh_signature_hash(spend.input, &self.script, amount, EcdsaSighashType::All);
        let key_and_signature = (PublicKey::new(key.party().to_public_key()), key.sign_input(digest.ok()?));
        let opener = Opener { key_and_signature, secret, after };
        let (stack, _) = self.descriptor.get_satisfaction(opener).ok()?;
        Some(Witness::from_slice(&stack))
    }
}

pub(super) fn opening(witness: &Witness) -> Opening {
    let t = witness.nth(0).and_then(|first| <[u8; 32]>::try_from(first).ok());
    t.map_or(Opening::Returned, Opening::Collected)
}

struct Opener {
    key_and_signature: (PublicKey, ecdsa::Signature),
    secret: Option<(sha256::Hash, [u8; 32])>,
    after: Option<LockTime>,
}

impl Satisfier<PublicKey> for Opener {
    fn lookup_ecdsa_sig(&self, key: &PublicKey) -> Option<ecdsa::Signature> {
        let (own, signature) = self.key_and_signature;
        (*key == own).then_some(signature)
    }

    fn lookup_sha256(&self, hash: &sha256::Hash) -> Option<[u8; 32]> {
        self.secret.filter(|(known, _)| known == hash).map(|(_, secret)| secret)
    }

    fn check_after(&self, wanted: LockTime) -> bool {
        self.after.is_some_and(|after| wanted.is_implied_by(after))
    }
}
