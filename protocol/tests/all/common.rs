//! Parties, cards, coins and transactions that are really signed.

use std::sync::LazyLock;

use bip39::Mnemonic;
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use bitcoin::sighash::SighashCache;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, EcdsaSighashType, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, ecdsa,
};
use keyway_chain::{Chain, Height};
use keyway_protocol::card::{Card, Permanent, Renewable};
use keyway_protocol::identity::{PartyKey, PartyRef, Seed};
use keyway_protocol::secret::Secret;

pub static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Somebody who takes part: an identity, and what stands on its card.
pub struct Party {
    pub seed: Seed,
    pub permanent: Permanent,
}

/// The initiator of most tests: it pays to be charged.
pub fn car() -> &'static Party {
    static CAR: LazyLock<Party> = LazyLock::new(|| party("car", 1, &Chain::regtest()));
    &CAR
}

/// The responder of most tests.
pub fn charger() -> &'static Party {
    static CHARGER: LazyLock<Party> = LazyLock::new(|| party("charger", 2, &Chain::regtest()));
    &CHARGER
}

/// Has an identity and a card as everybody else, and wishes the others ill.
pub fn mallory() -> &'static Party {
    static MALLORY: LazyLock<Party> = LazyLock::new(|| party("mallory", 3, &Chain::regtest()));
    &MALLORY
}

pub fn party(name: &str, entropy: u8, chain: &Chain) -> Party {
    let seed = Seed::derive(&mnemonic(entropy), chain).unwrap();
    let permanent = Permanent::of(name.parse().unwrap(), chain, &seed.identity, &seed.sealing);
    Party { seed, permanent }
}

pub fn mnemonic(entropy: u8) -> Mnemonic {
    Mnemonic::from_entropy(&[entropy; 16]).unwrap()
}

impl Party {
    pub fn key(&self) -> PartyKey {
        self.permanent.key
    }

    pub fn party_ref(&self) -> PartyRef {
        self.permanent.party_ref()
    }

    /// The private key as the curve library's type: attackers sign in ways that the protocol does not offer.
    pub fn secret_key(&self) -> SecretKey {
        SecretKey::from_slice(self.seed.identity.to_secret().expose()).unwrap()
    }

    pub fn card(&self, renewable: Renewable) -> Card {
        Card::sign(self.permanent.clone(), renewable, &self.seed.identity).unwrap()
    }

    /// Signs input `index`, which spends a P2WPKH coin of this party of that amount.
    pub fn sign(&self, tx: &mut Transaction, index: usize, amount: Amount, sighash: EcdsaSighashType) {
        let signature = self.signature(tx, index, amount, sighash);
        let signature = ecdsa::Signature { signature, sighash_type: sighash };
        tx.input[index].witness = Witness::p2wpkh(&signature, &self.key().to_public_key());
    }

    pub fn signature(
        &self,
        tx: &Transaction,
        index: usize,
        amount: Amount,
        sighash: EcdsaSighashType,
    ) -> bitcoin::secp256k1::ecdsa::Signature {
        let mut cache = SighashCache::new(tx);
        let digest = cache.p2wpkh_signature_hash(index, &self.key().script(), amount, sighash).unwrap();
        SECP.sign_ecdsa(&Message::from_digest(digest.to_byte_array()), &self.secret_key())
    }
}

/// What a card says that is valid for long and answers what this version knows.
pub fn renewable(serial: u32) -> Renewable {
    Renewable { serial, expiry: Height::new(1_000), suites: vec![1], carriers: vec![1], prekeys: vec![] }
}

/// The `n`-th coin that somebody owns.
pub fn coin(n: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([n; 32]), u32::from(n))
}

/// An unsigned transaction that spends these coins and pays `outputs` amounts to `script`.
pub fn unsigned(coins: &[OutPoint], script: &ScriptBuf, amounts: &[u64]) -> Transaction {
    let input = coins.iter().map(|coin| TxIn {
        previous_output: *coin,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..TxIn::default()
    });
    let output = amounts
        .iter()
        .map(|amount| TxOut { value: Amount::from_sat(*amount), script_pubkey: script.clone() });
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: input.collect(),
        output: output.collect(),
    }
}

/// A secret of 32 equal bytes.
pub fn secret(byte: u8) -> Secret {
    Secret::fill_with(|bytes| bytes.fill(byte))
}
