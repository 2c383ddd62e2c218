//! A negotiation of each suite, both sides, beside its bare primitives, with its signatures, and beside a handshake of Noise.

#[path = "../../protocol/src/suite/rfc7919.rs"]
mod rfc7919;

use std::hint::black_box;

use bitcoin::secp256k1::{All, Message, PublicKey as EcdsaKey, Secp256k1, SecretKey, ecdsa::Signature};
use criterion::{Criterion, criterion_group, criterion_main};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use keyway_benches::{BASELINE, Group, Side, negotiate};
use keyway_protocol::suite::Suite;
use x_wing::{DecapsulationKeyRejectNonContrib, Decapsulator, EncapsulationKey, KeyExport, TryDecapsulate};
use x25519_dalek::{PublicKey, StaticSecret};

/// Both sides of the bare agreement that a suite rests on.
enum Bare {
    X25519,
    XWing,
    Ffdhe(BoxedMontyParams),
}

impl Bare {
    fn of(suite: Suite) -> Self {
        let prime = match suite {
            Suite::X25519 => return Self::X25519,
            Suite::X25519MlKem768 => return Self::XWing,
            Suite::Ffdhe2048 => rfc7919::FFDHE2048,
            Suite::Ffdhe3072 => rfc7919::FFDHE3072,
            _ => rfc7919::FFDHE4096,
        };
        let prime = BoxedUint::from_be_hex(prime, 4 * prime.len() as u32).into_option().expect("digits");
        Self::Ffdhe(BoxedMontyParams::new_vartime(Odd::new(prime).into_option().expect("a prime")))
    }

    fn agree(&self) -> bool {
        match self {
            Self::X25519 => {
                let secret = |byte| StaticSecret::from(black_box([byte; 32]));
                let (a, b) = (secret(1), secret(2));
                let (share_a, share_b) = (PublicKey::from(&a), PublicKey::from(&b));
                let (ours, theirs) = (a.diffie_hellman(&share_b), b.diffie_hellman(&share_a));
                ours.was_contributory() && ours.as_bytes() == theirs.as_bytes()
            }
            Self::XWing => {
                let key = DecapsulationKeyRejectNonContrib::from(black_box([1; 32]));
                let public = key.encapsulation_key().to_bytes();
                let public = EncapsulationKey::try_from(&public[..]).expect("a key");
                let (ciphertext, theirs) = public.encapsulate_deterministic(&black_box([2; 64]).into());
                let ours = key.try_decapsulate(&ciphertext).expect("it contributes");
                ours.as_slice() == theirs.as_slice()
            }
            Self::Ffdhe(modulus) => {
                let exponent =
                    |byte| BoxedUint::from_be_slice(&black_box([byte; 64]), 512).expect("64 bytes");
                let two = BoxedUint::from(2u8).resize(modulus.modulus().bits_precision());
                let power = |base, exponent| BoxedMontyForm::new(base, modulus).pow(exponent).retrieve();
                let (a, b) = (exponent(1), exponent(2));
                let (share_a, share_b) = (power(two.clone(), &a), power(two, &b));
                power(share_b, &a) == power(share_a, &b)
            }
        }
    }
}

/// The signatures of a negotiation: it signs two transactions and verifies two.
struct Signatures {
    secp: Secp256k1<All>,
    secret: SecretKey,
    public: EcdsaKey,
    digest: Message,
    signature: Signature,
}

impl Signatures {
    fn new() -> Self {
        let secp = Secp256k1::new();
        let secret = SecretKey::from_slice(&[3; 32]).expect("a key");
        let (public, digest) = (secret.public_key(&secp), Message::from_digest([4; 32]));
        let signature = secp.sign_ecdsa(&digest, &secret);
        Self { secp, secret, public, digest, signature }
    }

    fn make_and_verify(&self) {
        for _ in 0..2 {
            black_box(self.secp.sign_ecdsa(black_box(&self.digest), &self.secret));
            self.secp
                .verify_ecdsa(black_box(&self.digest), &self.signature, &self.public)
                .expect("it verifies");
        }
    }
}

/// The pattern in which both know the other's key beforehand, as owners of cards do.
fn noise_kk(initiator: &[u8; 32], responder: &[u8; 32]) -> Vec<u8> {
    let public = |secret: &[u8; 32]| PublicKey::from(&StaticSecret::from(*secret)).to_bytes();
    let builder = || snow::Builder::new("Noise_KK_25519_ChaChaPoly_SHA256".parse().expect("a pattern"));
    let (ours, theirs) = (public(initiator), public(responder));
    let side = |own, other| builder().local_private_key(own).and_then(|b| b.remote_public_key(other));
    let mut alice = side(initiator, &theirs).and_then(snow::Builder::build_initiator).expect("keys");
    let mut bob = side(responder, &ours).and_then(snow::Builder::build_responder).expect("keys");
    let (mut wire, mut payload) = ([0; 128], [0; 128]);
    let len = alice.write_message(&[], &mut wire).expect("first message");
    bob.read_message(&wire[..len], &mut payload).expect("first message");
    let len = bob.write_message(&[], &mut wire).expect("second message");
    alice.read_message(&wire[..len], &mut payload).expect("second message");
    alice.get_handshake_hash().to_vec()
}

fn negotiation(c: &mut Criterion) {
    let (car, charger) = (Side::new("car", 1), Side::new("charger", 2));
    let signatures = Signatures::new();
    let suites = [Suite::X25519, Suite::X25519MlKem768, Suite::Ffdhe2048, Suite::Ffdhe3072, Suite::Ffdhe4096];
    for suite in suites {
        let (ours, theirs) = negotiate(&car, &charger, suite);
        assert_eq!(ours.fingerprint(), theirs.fingerprint());
        let bare = Bare::of(suite);
        assert!(bare.agree());

        let mut group = Group::new(c, format!("negotiation: {suite}, both sides"));
        group.bench(BASELINE, |b| b.iter(|| bare.agree()));
        group.bench("keyway", |b| b.iter(|| negotiate(black_box(&car), &charger, suite)));
        group.bench("keyway, with two signatures made and verified", |b| {
            b.iter(|| {
                signatures.make_and_verify();
                negotiate(black_box(&car), &charger, suite)
            });
        });
        if suite == Suite::X25519 {
            group.bench("Noise KK (two signatures' worth of authentication included)", |b| {
                b.iter(|| noise_kk(black_box(&[1; 32]), &[2; 32]));
            });
        }
        group.run();
    }
}

criterion_group!(benches, negotiation);
criterion_main!(benches);
