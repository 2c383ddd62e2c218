//! A few keys, made once.

use std::sync::LazyLock;

use bitcoin::secp256k1::{All, Keypair, Secp256k1, SecretKey};

pub static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| (1..=6).map(Key::new).collect());

pub struct Key {
    pub secret: SecretKey,
    pub pair: Keypair,
}

/// How a key is written.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Compressed,
    Uncompressed,
    /// Uncompressed with the parity that a compressed one has; valid, though nobody writes it.
    Hybrid,
    /// The x coordinate alone.
    XOnly,
}

impl Key {
    fn new(number: u8) -> Self {
        let secret = SecretKey::from_slice(&[number; 32]).unwrap();
        Self { secret, pair: Keypair::from_secret_key(&SECP, &secret) }
    }

    pub fn written(&self, form: Form) -> Vec<u8> {
        let key = self.pair.public_key();
        match form {
            Form::Compressed => key.serialize().to_vec(),
            Form::Uncompressed => key.serialize_uncompressed().to_vec(),
            Form::Hybrid => {
                let mut bytes = key.serialize_uncompressed().to_vec();
                bytes[0] = 6 | (bytes[64] & 1);
                bytes
            }
            Form::XOnly => self.pair.x_only_public_key().0.serialize().to_vec(),
        }
    }
}
