//! Encryption of what the store keeps secret.
//!
//! A random data key encrypts every secret (XChaCha20-Poly1305, the secret's name as associated data);
//! the data key itself is wrapped under a key from the passphrase (Argon2id) or the key file, or, for
//! demonstrations only, under nothing.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use keyway_protocol::secret::Secret;
use zeroize::Zeroizing;

use crate::error::{NodeError, StoreError};
use crate::outside::Outside;

const NONCE_LEN: usize = 24;
const SALT_LEN: usize = 16;

/// RFC 9106's second recommended choice, with one lane: 64 MiB, three passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// What opens a store.
pub enum Unlock {
    /// A passphrase, stretched by Argon2id.
    Passphrase(Zeroizing<String>),
    /// The contents of a key file: at least 32 bytes of randomness.
    KeyFile(Zeroizing<Vec<u8>>),
    /// Nothing: whoever has the file has the secrets. For demonstrations.
    Insecure,
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Unlock {
    /// What to call it in messages.
    pub fn name(&self) -> &'static str {
        match self.mode() {
            Mode::Passphrase => "a passphrase",
            Mode::KeyFile => "a key file",
            Mode::Insecure => "no passphrase",
        }
    }

    fn mode(&self) -> Mode {
        match self {
            Self::Passphrase(_) => Mode::Passphrase,
            Self::KeyFile(_) => Mode::KeyFile,
            Self::Insecure => Mode::Insecure,
        }
    }

    fn wrapping_key(&self, salt: &[u8; SALT_LEN], memory_kib: u32, passes: u32) -> Option<Secret> {
        let (input, memory_kib, passes): (&[u8], _, _) = match self {
            Self::Passphrase(passphrase) => (passphrase.as_bytes(), memory_kib, passes),
            // A key file is random already: stretching would add nothing.
            Self::KeyFile(bytes) => (bytes, 8, 1),
            Self::Insecure => (b"", 8, 1),
        };
        let params = Params::new(memory_kib, passes, 1, Some(32)).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut done = false;
        let key = Secret::fill_with(|key| done = argon2.hash_password_into(input, salt, key).is_ok());
        done.then_some(key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    Insecure = 0,
    Passphrase = 1,
    KeyFile = 2,
}

/// How a store is opened, without what opens it: one row of the store.
#[derive(Debug)]
pub(super) struct Lock {
    mode: Mode,
    memory_kib: u32,
    passes: u32,
    salt: [u8; SALT_LEN],
    wrapped: Vec<u8>,
}

/// The open vault: holds the data key.
#[derive(Debug)]
pub(super) struct Vault {
    key: Secret,
    outside: Outside,
}

const LOCK_NAME: &str = "data key";
const MAX_MEMORY_KIB: u32 = 4 * 1024 * 1024;

impl Lock {
    /// A fresh vault, and the lock that opens it again.
    pub(super) fn create(unlock: &Unlock, outside: &Outside) -> Result<(Self, Vault), NodeError> {
        let vault = Vault { key: outside.secret()?, outside: outside.clone() };
        let mut lock = Self {
            mode: unlock.mode(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: outside.bytes()?,
            wrapped: Vec::new(),
        };
        let key = unlock.wrapping_key(&lock.salt, lock.memory_kib, lock.passes);
        let key = key.ok_or(StoreError::WrongUnlock(unlock.name()))?;
        let wrapping = Vault { key, outside: outside.clone() };
        lock.wrapped = wrapping.seal(LOCK_NAME, vault.key.expose())?;
        Ok((lock, vault))
    }

    /// Opens the vault.
    pub(super) fn open(&self, unlock: &Unlock, outside: &Outside) -> Result<Vault, NodeError> {
        if self.mode != unlock.mode() {
            return Err(StoreError::OtherUnlock { given: unlock.name(), wanted: self.mode.name() }.into());
        }
        let wrong = || NodeError::Store(StoreError::WrongUnlock(self.mode.noun()));
        let key = unlock.wrapping_key(&self.salt, self.memory_kib, self.passes).ok_or_else(wrong)?;
        let wrapping = Vault { key, outside: outside.clone() };
        let data_key = wrapping.open(LOCK_NAME, &self.wrapped).ok_or_else(wrong)?;
        Ok(Vault { key: Secret::from_slice(&data_key).ok_or_else(wrong)?, ..wrapping })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let numbers = [self.memory_kib.to_be_bytes(), self.passes.to_be_bytes()].concat();
        [&[self.mode as u8], &numbers[..], &self.salt, &self.wrapped].concat()
    }

    /// `None` if the row is damaged.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&mode, rest) = bytes.split_first()?;
        let (memory, rest) = rest.split_first_chunk()?;
        let (passes, rest) = rest.split_first_chunk()?;
        let (salt, wrapped) = rest.split_first_chunk()?;
        let mode =
            [Mode::Insecure, Mode::Passphrase, Mode::KeyFile].into_iter().find(|m| *m as u8 == mode)?;
        let (memory_kib, passes) = (u32::from_be_bytes(*memory), u32::from_be_bytes(*passes));
        // A damaged row must not make Argon2 take all memory.
        let sane = memory_kib <= MAX_MEMORY_KIB && passes <= 100;
        sane.then(|| Self { mode, memory_kib, passes, salt: *salt, wrapped: wrapped.to_vec() })
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Insecure => "no passphrase",
            Self::Passphrase => "a passphrase",
            Self::KeyFile => "a key file",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::KeyFile | Self::Insecure => "key file",
        }
    }
}

impl Vault {
    /// Encrypts a secret for the row of that name.
    pub(super) fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, NodeError> {
        let nonce: [u8; NONCE_LEN] = self.outside.bytes()?;
        let payload = Payload { msg: secret, aad: name.as_bytes() };
        // Only messages of 256 GiB and more fail.
        let sealed = self.cipher().encrypt(&nonce.into(), payload).unwrap_or_default();
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts the row of that name; `None` if it is damaged or another row's.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg: ciphertext, aad: name.as_bytes() };
        self.cipher().decrypt(&(*nonce).into(), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose().into())
    }
}
