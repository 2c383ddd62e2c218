//! Parties from mnemonics, and the transactions that they sign.

use bip39::Mnemonic;
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::sighash::SighashCache;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, EcdsaSighashType, OutPoint, Script, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
};
use keyway_carriers::script::envelope;
use keyway_carriers::script::liveness::{self, Liveness};
use keyway_chain::{Chain, Height};
use keyway_protocol::card::{Card, Permanent, Renewable};
use keyway_protocol::identity::{IdentitySecret, NegotiationSecret, PartyKey, Seed};
use keyway_protocol::prekey::PrekeySecret;

/// One side of a negotiation.
pub struct Party {
    pub mnemonic: Mnemonic,
    /// Which of its negotiation secrets it takes.
    pub index: u32,
    pub permanent: Permanent,
    pub card: Card,
    pub n: NegotiationSecret,
    /// q(0).
    pub prekeys: PrekeySecret,
    identity: IdentitySecret,
}

impl Party {
    pub fn new(name: &str, mnemonic: &str, chain: &Chain, index: u32) -> Self {
        let mnemonic: Mnemonic = mnemonic.parse().unwrap();
        let Seed { identity, sealing, mut chain_head, prekey_head } = Seed::derive(&mnemonic, chain).unwrap();
        for _ in 0..index {
            chain_head = chain_head.take().1;
        }
        let permanent = Permanent::of(name.parse().unwrap(), chain, &identity, &sealing);
        let renewable = Renewable {
            serial: 0,
            expiry: Height::new(100_000),
            suites: vec![1],
            carriers: vec![1],
            prekeys: vec![],
        };
        let card = Card::sign(permanent.clone(), renewable, &identity).unwrap();
        Self {
            mnemonic,
            index,
            permanent,
            card,
            n: chain_head.take().0,
            prekeys: prekey_head.take().0,
            identity,
        }
    }

    pub fn key(&self) -> PartyKey {
        self.permanent.key
    }

    /// An output to this party.
    pub fn pay(&self, sat: u64) -> TxOut {
        TxOut { value: Amount::from_sat(sat), script_pubkey: self.key().script() }
    }

    /// What shows an envelope of that amount in an input, signed by this party.
    pub fn show(&self, tx: &Transaction, input: usize, script: &Script, amount: Amount) -> Witness {
        let digest =
            SighashCache::new(tx).p2wsh_signature_hash(input, script, amount, EcdsaSighashType::All).unwrap();
        envelope::witness(script, &self.identity.sign_input(digest))
    }

    /// What spends a liveness coin of that amount in an input, signed by this party.
    pub fn open(&self, tx: &Transaction, input: usize, names: &Liveness, amount: Amount) -> Witness {
        let (script, all) = (names.script(), EcdsaSighashType::All);
        let digest = SighashCache::new(tx).p2wsh_signature_hash(input, &script, amount, all).unwrap();
        liveness::witness(&script, &self.identity.sign_input(digest))
    }

    /// Signs every input; all spend coins of this party, of these amounts.
    pub fn sign(&self, tx: &mut Transaction, amounts: &[Amount]) {
        let (script, key) = (self.key().script(), self.key().to_public_key());
        for (index, amount) in amounts.iter().enumerate() {
            let digest = SighashCache::new(&*tx)
                .p2wpkh_signature_hash(index, &script, *amount, EcdsaSighashType::All)
                .unwrap();
            tx.input[index].witness = Witness::p2wpkh(&self.identity.sign_input(digest), &key);
        }
    }
}

/// An unsigned transaction of version 2.
pub fn transaction(inputs: &[(OutPoint, Sequence)], output: Vec<TxOut>) -> Transaction {
    let input = |&(previous_output, sequence)| TxIn { previous_output, sequence, ..TxIn::default() };
    let input = inputs.iter().map(input).collect();
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

/// The `n`-th coin that somebody owns.
pub fn coin(n: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([n; 32]), u32::from(n))
}
