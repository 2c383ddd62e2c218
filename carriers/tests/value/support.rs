//! Parties with keys, and transactions that they really sign. Shared with the fuzz targets.

use std::sync::OnceLock;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxIn, TxOut, Txid, Witness, ecdsa};
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;

/// What every coin that a test spends in input 0 holds.
const SPENT: Amount = Amount::from_sat(10_000_000);

/// Somebody who can sign.
pub struct Party {
    secret: SecretKey,
    pub key: PartyKey,
}

impl Party {
    /// Its signature of a transaction's digest.
    pub fn sign(&self, digest: [u8; 32]) -> ecdsa::Signature {
        ecdsa::Signature::sighash_all(secp().sign_ecdsa(&Message::from_digest(digest), &self.secret))
    }
}

/// The n-th party, the same in every run.
pub fn party(n: u8) -> Party {
    let secret = SecretKey::from_slice(&[n + 1; 32]).unwrap();
    Party { secret, key: PartyKey::from(secret.public_key(secp())) }
}

/// The n-th coin that somebody owns.
pub fn coin(n: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([n; 32]), u32::from(n))
}

/// An output of that amount to that party.
pub fn pay(to: &Party, sat: u64) -> TxOut {
    TxOut { value: Amount::from_sat(sat), script_pubkey: to.key.script() }
}

/// A transaction of version 2 that spends these coins and that nobody signed.
pub fn transaction(inputs: &[(OutPoint, Sequence)], output: Vec<TxOut>) -> Transaction {
    let input = |&(previous_output, sequence)| TxIn { previous_output, sequence, ..TxIn::default() };
    let input = inputs.iter().map(input).collect();
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

/// The transaction with input 0 signed by `author`, whatever it may have carried there.
pub fn signed(mut tx: Transaction, author: &Party) -> Transaction {
    let digest = SighashCache::new(&tx)
        .p2wpkh_signature_hash(0, &author.key.script(), SPENT, EcdsaSighashType::All)
        .unwrap();
    tx.input[0].witness = Witness::p2wpkh(&author.sign(digest.to_byte_array()), &author.key.to_public_key());
    tx
}

/// What [`signed`] signed, its authorship checked.
pub fn authored(tx: &Transaction) -> Authored<'_> {
    Authored::verify(tx, SPENT).unwrap()
}

fn secp() -> &'static Secp256k1<All> {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new)
}
