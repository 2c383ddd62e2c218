//! A payment that the responder collects by publishing t, and that goes back after a timeout (PROTOCOL.md 7.5): as a
//! miniscript descriptor, so that any wallet that knows miniscript can read it.

use std::str::FromStr;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, PublicKey, ScriptBuf, TxIn, TxOut, Weight, Witness, ecdsa};
use keyway_chain::Height;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::secret::Secret;
use miniscript::{Descriptor, Satisfier};
use thiserror::Error;

/// Witness bytes to collect: counts and lengths, t, a signature of at most 72 bytes, the script.
const COLLECTING: u64 = 1 + 33 + 73 + 1 + SCRIPT_BYTES;
/// To take back: a signature, an empty item, the script.
const RETURNING: u64 = 1 + 73 + 1 + 1 + SCRIPT_BYTES;
/// Most bytes of the script: a timeout takes at most four.
const SCRIPT_BYTES: u64 = 118;
/// Outpoint, empty scriptSig, sequence number.
const INPUT: u64 = 4 * (36 + 1 + 4);

/// Whom a payment is locked to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    hash: sha256::Hash,
    descriptor: Descriptor<PublicKey>,
    script: ScriptBuf,
}

/// No such lock can be made; the timeout is no height. The caller is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a payment cannot be locked until height {0}")]
pub struct ImpossibleTimeout(Height);

/// How a lock was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// By the responder, with t.
    Collected([u8; 32]),
    /// By the initiator, after the timeout.
    Returned,
}

impl Lock {
    /// `payment_hash` is SHA-256 of t.
    ///
    /// # Errors
    /// [`ImpossibleTimeout`].
    pub fn new(
        responder: PartyKey,
        initiator: PartyKey,
        payment_hash: [u8; 32],
        timeout: Height,
    ) -> Result<Self, ImpossibleTimeout> {
        let hash = sha256::Hash::from_byte_array(payment_hash);
        let text =
            format!("wsh(andor(pk({responder}),sha256({hash}),and_v(v:pk({initiator}),after({timeout}))))");
        let descriptor = Descriptor::<PublicKey>::from_str(&text).map_err(|_| ImpossibleTimeout(timeout))?;
        let script = descriptor.explicit_script().map_err(|_| ImpossibleTimeout(timeout))?;
        let is_height = LockTime::from_height(timeout.to_u32()).is_ok();
        if is_height { Ok(Self { hash, descriptor, script }) } else { Err(ImpossibleTimeout(timeout)) }
    }

    /// The output that holds `amount` so.
    pub fn output(&self, amount: Amount) -> TxOut {
        TxOut { value: amount, script_pubkey: self.descriptor.script_pubkey() }
    }

    /// The script whose hash the output holds, which a signature covers.
    pub fn script(&self) -> &ScriptBuf {
        &self.script
    }

    /// As text.
    pub fn descriptor(&self) -> String {
        self.descriptor.to_string()
    }

    /// The responder's witness; `None` if t is not the lock's, or the key not the responder's.
    pub fn collect(&self, key: PartyKey, signature: ecdsa::Signature, t: &Secret) -> Option<Witness> {
        if sha256::Hash::hash(t.expose()) != self.hash {
            return None;
        }
        self.satisfy(&Opener { key, signature, secret: Some((self.hash, *t.expose())), after: None })
    }

    /// The initiator's witness, in a transaction of that nLockTime; `None` if that is too early, or the key another's.
    pub fn take_back(&self, key: PartyKey, signature: ecdsa::Signature, at: LockTime) -> Option<Witness> {
        self.satisfy(&Opener { key, signature, secret: None, after: Some(at) })
    }

    fn satisfy(&self, opener: &Opener) -> Option<Witness> {
        let (stack, _) = self.descriptor.get_satisfaction(opener).ok()?;
        Some(Witness::from_slice(&stack))
    }
}

/// How the input that spends a lock opened it, by its witness alone; of a transaction in a block it is true.
pub fn opening(input: &TxIn) -> Opening {
    let t = input.witness.nth(0).and_then(|first| <[u8; 32]>::try_from(first).ok());
    t.map_or(Opening::Returned, Opening::Collected)
}

/// Weight of an input that collects.
pub const fn collecting_weight() -> Weight {
    Weight::from_wu(INPUT + COLLECTING)
}

/// Weight of an input that takes back.
pub const fn returning_weight() -> Weight {
    Weight::from_wu(INPUT + RETURNING)
}

struct Opener {
    key: PartyKey,
    signature: ecdsa::Signature,
    secret: Option<(sha256::Hash, [u8; 32])>,
    after: Option<LockTime>,
}

impl Satisfier<PublicKey> for Opener {
    fn lookup_ecdsa_sig(&self, key: &PublicKey) -> Option<ecdsa::Signature> {
        (key.inner == self.key.to_public_key()).then_some(self.signature)
    }

    fn lookup_sha256(&self, hash: &sha256::Hash) -> Option<[u8; 32]> {
        self.secret.filter(|(known, _)| known == hash).map(|(_, secret)| secret)
    }

    fn check_after(&self, wanted: LockTime) -> bool {
        self.after.is_some_and(|after| wanted.is_implied_by(after))
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};

    use super::*;

    const T: [u8; 32] = [5; 32];

    fn key(byte: u8) -> (PartyKey, ecdsa::Signature) {
        let secp = Secp256k1::new();
        let secret = SecretKey::from_slice(&[byte; 32]).unwrap();
        let signature = secp.sign_ecdsa(&Message::from_digest([9; 32]), &secret);
        (secret.public_key(&secp).into(), ecdsa::Signature::sighash_all(signature))
    }

    fn lock() -> Lock {
        let hash = sha256::Hash::hash(&T).to_byte_array();
        Lock::new(key(1).0, key(2).0, hash, Height::new(499_999_999)).unwrap()
    }

    fn t() -> Secret {
        Secret::from_slice(&T).unwrap()
    }

    fn input(witness: Witness) -> TxIn {
        TxIn { witness, ..TxIn::default() }
    }

    #[test]
    fn each_side_has_its_own_way_and_neither_has_the_others() {
        let (lock, (responder, by_responder), (initiator, by_initiator)) = (lock(), key(1), key(2));
        let at = |height| LockTime::from_height(height).unwrap();
        let collected = lock.collect(responder, by_responder, &t()).unwrap();
        assert_eq!(opening(&input(collected)), Opening::Collected(T));
        let back = lock.take_back(initiator, by_initiator, at(499_999_999)).unwrap();
        assert_eq!(opening(&input(back)), Opening::Returned);

        let wrong = Secret::from_slice(&[6; 32]).unwrap();
        assert_eq!(lock.collect(initiator, by_initiator, &t()), None);
        assert_eq!(lock.take_back(responder, by_responder, at(499_999_999)), None);
        assert_eq!(lock.take_back(initiator, by_initiator, at(499_999_998)), None);
        // The secret is the satisfier's to offer: another than the hash's is not even tried by consensus.
        assert_ne!(
            lock.collect(responder, by_responder, &wrong),
            lock.collect(responder, by_responder, &t())
        );
    }

    #[test]
    fn inputs_weigh_at_most_what_is_said() {
        let (lock, (responder, by_responder), (initiator, by_initiator)) = (lock(), key(1), key(2));
        let weight = |witness: Witness| input(witness).segwit_weight();
        let collected = weight(lock.collect(responder, by_responder, &t()).unwrap());
        let at = LockTime::from_height(499_999_999).unwrap();
        let back = weight(lock.take_back(initiator, by_initiator, at).unwrap());
        for (is, said) in [(collected, collecting_weight()), (back, returning_weight())] {
            assert!(is <= said && said.to_wu() - is.to_wu() <= 3, "{is} of {said}");
        }
    }

    #[test]
    fn a_time_is_no_timeout() {
        assert!(Lock::new(key(1).0, key(2).0, [0; 32], Height::new(500_000_000)).is_err());
        assert!(Lock::new(key(1).0, key(2).0, [0; 32], Height::new(0)).is_err());
    }

    #[test]
    fn the_descriptor_is_what_the_document_says() {
        assert!(lock().descriptor().starts_with("wsh(andor(pk("), "{}", lock().descriptor());
        assert!(lock().output(Amount::from_sat(1)).script_pubkey.is_p2wsh());
    }
}
