//! A negotiation, both sides, beside its bare primitives, its signatures and a handshake of Noise.

use std::hint::black_box;

use bitcoin::secp256k1::{Message, Secp256k1};
use criterion::{Criterion, criterion_group, criterion_main};
use keyway_benches::{BASELINE, Side, context, outpoint};
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Draft, Received};
use keyway_protocol::suite::Suite;
use x25519_dalek::{PublicKey, StaticSecret};

/// Offer, answer and confirmation, as bytes in between.
fn negotiate(initiator: &Side, responder: &Side, suite: Suite) -> (Agreed, Agreed) {
    let context = context(initiator, responder, Carrier::Value);
    let anchor = outpoint(7);
    let draft = Draft::new(context, suite, AnswerForm::Sequences, &initiator.secret);
    let offer = Offer::from_bytes(Carrier::Value, &draft.offer().to_bytes()).expect("an offer");
    let received = Received::new(context, offer, anchor);
    let (answer, theirs) = received.answer(&responder.secret).expect("a good share");
    let answer = Answer::from_bytes(Carrier::Value, &answer.to_bytes()).expect("an answer");
    let ours = draft.mined(anchor.txid).handle(&answer, &initiator.secret).expect("the same key");
    (ours, theirs)
}

fn bare_x25519() -> ([u8; 32], [u8; 32]) {
    let (a, b) = (StaticSecret::from(black_box([1; 32])), StaticSecret::from(black_box([2; 32])));
    let (share_a, share_b) = (PublicKey::from(&a), PublicKey::from(&b));
    let (ours, theirs) = (a.diffie_hellman(&share_b), b.diffie_hellman(&share_a));
    assert!(ours.was_contributory() && theirs.was_contributory());
    (ours.to_bytes(), theirs.to_bytes())
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
    let (ours, theirs) = negotiate(&car, &charger, Suite::X25519);
    assert_eq!(ours.fingerprint(), theirs.fingerprint());

    let mut group = c.benchmark_group("negotiation: x25519, both sides");
    group.bench_function(BASELINE, |b| b.iter(bare_x25519));
    group.bench_function("keyway", |b| b.iter(|| negotiate(black_box(&car), &charger, Suite::X25519)));
    let (k, l) = ([1; 32], [2; 32]);
    group.bench_function("Noise KK (two signatures' worth of authentication included)", |b| {
        b.iter(|| noise_kk(black_box(&k), &l));
    });
    group.finish();

    // A negotiation signs two transactions and verifies two.
    let secp = Secp256k1::new();
    let secret = bitcoin::secp256k1::SecretKey::from_slice(&[3; 32]).expect("a key");
    let public = secret.public_key(&secp);
    let digest = Message::from_digest([4; 32]);
    let signature = secp.sign_ecdsa(&digest, &secret);
    let mut group = c.benchmark_group("negotiation: its two signatures, made and verified");
    group.bench_function(BASELINE, |b| b.iter(|| negotiate(black_box(&car), &charger, Suite::X25519)));
    group.bench_function("signatures", |b| {
        b.iter(|| {
            for _ in 0..2 {
                black_box(secp.sign_ecdsa(black_box(&digest), &secret));
                secp.verify_ecdsa(black_box(&digest), &signature, &public).expect("it verifies");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, negotiation);
criterion_main!(benches);
