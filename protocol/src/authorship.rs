//! Who a transaction speaks for, checked by the reader itself (PROTOCOL.md 5).

use bitcoin::ecdsa;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, Secp256k1, VerifyOnly};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{Amount, OutPoint, Script, Transaction, Txid};
use thiserror::Error;

use crate::identity::PartyKey;
use crate::verified::{self, Scheme};

/// A transaction whose author is known. Only [`Authored::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Authored<'tx> {
    tx: &'tx Transaction,
    txid: Txid,
    author: PartyKey,
    input0: OutPoint,
}

/// Why a transaction speaks for nobody.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotAuthored {
    /// No input at all, or a coinbase.
    #[error("the transaction has no input that anybody signed")]
    NoInput,
    /// Input 0 is not of the form of a P2WPKH spend: empty scriptSig, two witness elements.
    #[error("input 0 is not a P2WPKH spend")]
    NotP2wpkh,
    /// The witness key is no point of the curve.
    #[error("input 0 carries an invalid key")]
    InvalidKey,
    /// Not strict DER with low S.
    #[error("an input carries a malformed signature")]
    MalformedSignature,
    /// The signature leaves parts of the transaction open.
    #[error(
        "an input is signed with {0}, which leaves parts of the transaction open; only SIGHASH_ALL speaks"
    )]
    OpenSighash(EcdsaSighashType),
    /// The signature is of another transaction, another amount or another key.
    #[error("its signature does not verify")]
    WrongSignature,
}

impl<'tx> Authored<'tx> {
    /// Checks the signature of input 0, given the amount of the coin it spends.
    ///
    /// Nothing else about the coin is needed: the signature commits to its outpoint, its amount
    /// and, by the script code, its key.
    ///
    /// # Errors
    /// [`NotAuthored`]: the transaction may be valid, but speaks for nobody.
    pub fn verify(tx: &'tx Transaction, amount: Amount) -> Result<Self, NotAuthored> {
        let input = tx.input.first().ok_or(NotAuthored::NoInput)?;
        if tx.is_coinbase() {
            return Err(NotAuthored::NoInput);
        }
        let mut witness = input.witness.iter();
        let (Some(sig), Some(key), None) = (witness.next(), witness.next(), witness.next()) else {
            return Err(NotAuthored::NotP2wpkh);
        };
        if !input.script_sig.is_empty() {
            return Err(NotAuthored::NotP2wpkh);
        }
        let author = PartyKey::from_slice(key).map_err(|_| NotAuthored::InvalidKey)?;
        let sig = read_signature(sig)?;
        let digest = SighashCache::new(tx)
            .p2wpkh_signature_hash(0, &author.script(), amount, EcdsaSighashType::All)
            .map_err(|_| NotAuthored::NotP2wpkh)?;
        verify_signature(digest.to_byte_array(), author, &sig)?;
        Ok(Self { tx, txid: tx.compute_txid(), author, input0: input.previous_output })
    }

    /// Checks that the author signed another input too, by a script that takes one signature, and so signed that
    /// script: `amount` is what that input spends (PROTOCOL.md 7.7).
    ///
    /// # Errors
    /// [`NotAuthored`]: what the script says is not the author's.
    pub fn verify_script(&self, input: usize, script: &Script, amount: Amount) -> Result<(), NotAuthored> {
        let witness = self.tx.input.get(input).map(|input| &input.witness).ok_or(NotAuthored::NoInput)?;
        let sig = read_signature(witness.nth(0).unwrap_or_default())?;
        let digest = SighashCache::new(self.tx)
            .p2wsh_signature_hash(input, script, amount, EcdsaSighashType::All)
            .map_err(|_| NotAuthored::NoInput)?;
        verify_signature(digest.to_byte_array(), self.author, &sig)
    }

    /// The transaction.
    pub fn tx(&self) -> &'tx Transaction {
        self.tx
    }

    /// Its txid, final because input 0's signature is in the witness and, once mined, the chain's.
    pub fn txid(&self) -> Txid {
        self.txid
    }

    /// Whom it speaks for.
    pub fn author(&self) -> PartyKey {
        self.author
    }

    /// The coin that the author's signature spends.
    pub fn input0(&self) -> OutPoint {
        self.input0
    }

    /// Its `vout`-th outpoint.
    pub fn outpoint(&self, vout: u32) -> OutPoint {
        OutPoint::new(self.txid, vout)
    }
}

/// Strict DER with low S, of the one kind that leaves nothing open.
fn read_signature(bytes: &[u8]) -> Result<ecdsa::Signature, NotAuthored> {
    let sig = ecdsa::Signature::from_slice(bytes).map_err(|_| NotAuthored::MalformedSignature)?;
    if sig.sighash_type != EcdsaSighashType::All {
        return Err(NotAuthored::OpenSighash(sig.sighash_type));
    }
    // libsecp256k1 refuses high S when it verifies; what is refused there is malformed by 5.2.
    let mut normalized = sig.signature;
    normalized.normalize_s();
    if normalized == sig.signature { Ok(sig) } else { Err(NotAuthored::MalformedSignature) }
}

fn verify_signature(digest: [u8; 32], author: PartyKey, sig: &ecdsa::Signature) -> Result<(), NotAuthored> {
    let compact = sig.signature.serialize_compact();
    let verifies = verified::once(Scheme::Ecdsa, &author.to_bytes(), &digest, &compact, || {
        let message = Message::from_digest(digest);
        context().verify_ecdsa(&message, &sig.signature, &author.to_public_key()).is_ok()
    });
    if verifies { Ok(()) } else { Err(NotAuthored::WrongSignature) }
}

/// One verification context for the process: making one costs more than a verification.
pub(crate) fn context() -> &'static Secp256k1<VerifyOnly> {
    static CONTEXT: std::sync::OnceLock<Secp256k1<VerifyOnly>> = std::sync::OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::verification_only)
}
