//! Parties on the chain and the secrets they hold (PROTOCOL.md 3).

use std::fmt;

use bip39::Mnemonic;
use bitcoin::bip32::{ChildNumber, Xpriv};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{self, Keypair, PublicKey, Secp256k1, SecretKey};
use bitcoin::{CompressedPublicKey, NetworkKind, OutPoint, ScriptBuf};
use keyway_chain::{Chain, ChainId};
use zeroize::Zeroizing;

use crate::encode::outpoint_bytes;
use crate::kdf::{expand, extract};
use crate::negotiation::NegotiationId;
use crate::prekey::PrekeyChain;
use crate::secret::Secret;

/// The key that a party's coins are locked to: its identity on the chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartyKey(PublicKey);

impl PartyKey {
    /// From 33 bytes, compressed.
    ///
    /// # Errors
    /// If they are no point of the curve, or in another form.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, secp256k1::Error> {
        let bytes: &[u8; 33] = bytes.try_into().map_err(|_| secp256k1::Error::InvalidPublicKey)?;
        PublicKey::from_slice(bytes).map(Self)
    }

    /// Compressed, 33 bytes.
    pub fn to_bytes(self) -> [u8; 33] {
        self.0.serialize()
    }

    /// As the curve library's type.
    pub fn to_public_key(self) -> PublicKey {
        self.0
    }

    /// Whether this key made a signature, with low S, of a transaction's digest.
    pub fn has_signed(self, digest: [u8; 32], signature: &secp256k1::ecdsa::Signature) -> bool {
        let message = secp256k1::Message::from_digest(digest);
        crate::authorship::context().verify_ecdsa(&message, signature, &self.0).is_ok()
    }

    /// The P2WPKH script of its coins.
    pub fn script(self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.0).wpubkey_hash())
    }
}

impl From<PublicKey> for PartyKey {
    fn from(key: PublicKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for PartyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PartyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartyKey({self})")
    }
}

/// What a mnemonic gives on one chain: all that a device keeps, and nothing that gives the mnemonic.
#[derive(Debug)]
pub struct Seed {
    /// Signs for the identity, on the chain and on cards.
    pub identity: IdentitySecret,
    /// Opens what is sealed to the card.
    pub sealing: SealingSecret,
    /// Where the negotiations' secrets begin.
    pub chain_head: SecretChain,
    /// Where the prekeys begin.
    pub prekey_head: PrekeyChain,
}

impl Seed {
    /// PROTOCOL.md 3.1.
    ///
    /// # Errors
    /// With a probability of about 2^-127 a mnemonic has no valid key at a path; take another one.
    pub fn derive(mnemonic: &Mnemonic, chain: &Chain) -> Result<Self, bitcoin::bip32::Error> {
        let secp = Secp256k1::signing_only();
        let bip39_seed = Zeroizing::new(mnemonic.to_seed(""));
        // The network only changes how an extended key would be printed, and none ever is.
        let mut master = Xpriv::new_master(NetworkKind::Main, bip39_seed.as_ref())?;
        let coin = chain.coin_type();
        let mut identity = master.derive_priv(&secp, &path(&[84, coin, 0], &[0, 0])?)?;
        let mut keyway = master.derive_priv(&secp, &path(&[27_511, coin, 0], &[])?)?;
        let root = extract(b"keyway/1 root", &Zeroizing::new(keyway.private_key.secret_bytes())[..]);
        let chain_id = chain.id();
        let seed = Self {
            identity: IdentitySecret::new(identity.private_key),
            sealing: SealingSecret(expand(&root, "sealing key", &[chain_id.as_bytes()])),
            chain_head: SecretChain {
                index: 0,
                head: expand(&root, "negotiation chain", &[chain_id.as_bytes()]),
            },
            prekey_head: PrekeyChain::from_parts(0, expand(&root, "prekey chain", &[chain_id.as_bytes()])),
        };
        for key in [&mut master, &mut identity, &mut keyway] {
            key.private_key.non_secure_erase();
        }
        Ok(seed)
    }
}

fn path(hardened: &[u32], normal: &[u32]) -> Result<Vec<ChildNumber>, bitcoin::bip32::Error> {
    let hardened = hardened.iter().map(|&index| ChildNumber::from_hardened_idx(index));
    hardened.chain(normal.iter().map(|&index| ChildNumber::from_normal_idx(index))).collect()
}

/// The private half of a [`PartyKey`], and that key.
pub struct IdentitySecret {
    key: SecretKey,
    party: PartyKey,
}

impl IdentitySecret {
    fn new(key: SecretKey) -> Self {
        Self { key, party: PartyKey(key.public_key(signing_context())) }
    }

    /// From its 32 bytes, as a store keeps them.
    ///
    /// # Errors
    /// If they are no private key: the store is damaged.
    pub fn from_secret(bytes: &Secret) -> Result<Self, secp256k1::Error> {
        SecretKey::from_slice(bytes.expose()).map(Self::new)
    }

    /// Its 32 bytes, for the store.
    pub fn to_secret(&self) -> Secret {
        Secret::fill_with(|bytes| bytes.copy_from_slice(&self.key[..]))
    }

    /// The public half.
    pub fn party(&self) -> PartyKey {
        self.party
    }

    /// Signs a P2WPKH input's digest with SIGHASH_ALL; deterministic (RFC 6979), low S, low R.
    pub fn sign_input(&self, digest: bitcoin::SegwitV0Sighash) -> bitcoin::ecdsa::Signature {
        let message = secp256k1::Message::from(digest);
        bitcoin::ecdsa::Signature::sighash_all(signing_context().sign_ecdsa_low_r(&message, &self.key))
    }

    /// Signs an input that spends by a tapscript, all of the transaction (SIGHASH_DEFAULT); without auxiliary randomness.
    pub fn sign_tapscript(&self, digest: bitcoin::TapSighash) -> bitcoin::taproot::Signature {
        let signature = self.sign_digest(digest.to_byte_array());
        bitcoin::taproot::Signature { signature, sighash_type: bitcoin::TapSighashType::Default }
    }

    /// BIP340, without auxiliary randomness: the same card always has the same bytes.
    pub(crate) fn sign_digest(&self, digest: [u8; 32]) -> secp256k1::schnorr::Signature {
        let mut pair = Keypair::from_secret_key(signing_context(), &self.key);
        let message = secp256k1::Message::from_digest(digest);
        let signature = signing_context().sign_schnorr_with_aux_rand(&message, &pair, &[0; 32]);
        pair.non_secure_erase();
        signature
    }
}

fn signing_context() -> &'static Secp256k1<secp256k1::SignOnly> {
    static CONTEXT: std::sync::OnceLock<Secp256k1<secp256k1::SignOnly>> = std::sync::OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::signing_only)
}

impl Drop for IdentitySecret {
    fn drop(&mut self) {
        self.key.non_secure_erase();
    }
}

impl fmt::Debug for IdentitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<SECRET>")
    }
}

/// The private half of a card's sealing key.
#[derive(Debug)]
pub struct SealingSecret(Secret);

impl SealingSecret {
    /// From its 32 bytes, as a store keeps them.
    pub fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// Its 32 bytes, for the store.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }

    /// The public half, as it stands on the card.
    pub fn public(&self) -> [u8; 32] {
        let scalar = x25519_dalek::StaticSecret::from(*self.0.expose());
        x25519_dalek::PublicKey::from(&scalar).to_bytes()
    }
}

/// s(i) of PROTOCOL.md 3.2: the one-way chain from which each negotiation's secrets come.
#[derive(Debug)]
pub struct SecretChain {
    index: u32,
    head: Secret,
}

impl SecretChain {
    /// From what a store kept.
    pub fn from_parts(index: u32, head: Secret) -> Self {
        Self { index, head }
    }

    /// i, the index that the next negotiation takes.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// s(i), for the store.
    pub fn head(&self) -> &Secret {
        &self.head
    }

    /// Takes n(i) and moves on to s(i+1). The old head is gone: store both results before use.
    pub fn take(self) -> (NegotiationSecret, SecretChain) {
        let secret = NegotiationSecret(expand(&self.head, "negotiation", &[]));
        let head = expand(&self.head, "next", &[]);
        (secret, SecretChain { index: self.index.saturating_add(1), head })
    }
}

/// n(i): what all secrets of one negotiation are derived from.
#[derive(Debug)]
pub struct NegotiationSecret(Secret);

/// What a derived secret is bound to (PROTOCOL.md 3.2): the same bytes arise only for the same binding.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The negotiation.
    pub id: NegotiationId,
    /// The anchor, for the responder's secrets.
    pub anchor: Option<OutPoint>,
    /// Whom the message goes to.
    pub recipient: PartyKey,
}

impl NegotiationSecret {
    /// From what a store kept.
    pub fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// For the store.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }

    /// Derive(purpose) with empty aad and plaintext.
    pub(crate) fn derive(&self, purpose: &str, binding: &Binding) -> Secret {
        self.derive_for(purpose, binding, b"", b"")
    }

    /// Derive(purpose), of any length.
    pub(crate) fn derive_for<const N: usize>(
        &self,
        purpose: &str,
        binding: &Binding,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Secret<N> {
        let anchor = binding.anchor.map(outpoint_bytes);
        let plaintext = <sha2::Sha256 as sha2::Digest>::digest(plaintext);
        expand(
            &self.0,
            "derive",
            &[
                purpose.as_bytes(),
                binding.id.as_bytes(),
                anchor.as_ref().map_or(&[], |bytes| &bytes[..]),
                &binding.recipient.to_bytes(),
                aad,
                &plaintext,
            ],
        )
    }
}

/// The parts of a card that never change, as a transcript needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyRef {
    /// The identity key.
    pub key: PartyKey,
    /// The permanent digest of its card (PROTOCOL.md 4.1).
    pub card_digest: [u8; 32],
    /// The chain it is a party on.
    pub chain: ChainId,
}
