//! A handshake of Rosenpass beside a negotiation of the hybrid suite: both give a key that a quantum computer does not.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use keyway_benches::{BASELINE, Group, Side, negotiate};
use keyway_protocol::suite::Suite;
use rosenpass::pqkem::{KEM, StaticKEM};
use rosenpass::protocol::{CryptoServer, HandleMsgResult, MsgBuf, PeerPtr, SPk, SSk};

/// Two parties that know each other's public key, as owners of cards do.
struct Pair {
    initiator: CryptoServer,
    responder: CryptoServer,
}

const OTHER: PeerPtr = PeerPtr(0);

impl Pair {
    fn new() -> Self {
        rosenpass::sodium::sodium_init().expect("libsodium starts");
        let key = || {
            let (mut secret, mut public) = (SSk::zero(), SPk::zero());
            StaticKEM::keygen(secret.secret_mut(), public.secret_mut()).expect("a pair of keys");
            (secret, public)
        };
        let ((ours, our_public), (theirs, their_public)) = (key(), key());
        let mut initiator = CryptoServer::new(ours, our_public.clone());
        let mut responder = CryptoServer::new(theirs, their_public.clone());
        initiator.add_peer(None, their_public).expect("a peer");
        responder.add_peer(None, our_public).expect("a peer");
        Self { initiator, responder }
    }

    /// Hello, its answer, confirmation, and what ends the handshake; whether both have the same key.
    fn handshake(&mut self) -> bool {
        let Self { initiator, responder } = self;
        let (mut message, mut reply) = (MsgBuf::zero(), MsgBuf::zero());
        let mut len = Some(initiator.initiate_handshake(OTHER, &mut *message).expect("the first message"));
        let (mut to, mut from) = (responder, initiator);
        while let Some(received) = len {
            let handled = to.handle_msg(&message[..received], &mut *reply);
            let HandleMsgResult { resp, .. } = handled.expect("the other's message");
            len = resp;
            (to, from) = (from, to);
            std::mem::swap(&mut message, &mut reply);
        }
        to.osk(OTHER).expect("a key").secret() == from.osk(OTHER).expect("a key").secret()
    }
}

fn rosenpass(c: &mut Criterion) {
    let (car, charger) = (Side::new("car", 1), Side::new("charger", 2));
    let mut pair = Pair::new();
    assert!(pair.handshake());

    let mut group = Group::new(c, "handshake: with and without the chain, both sides");
    group.bench(BASELINE, |b| b.iter(|| negotiate(black_box(&car), &charger, Suite::X25519MlKem768)));
    group.bench("Rosenpass", |b| b.iter(|| pair.handshake()));
    group.run();
}

criterion_group!(benches, rosenpass);
criterion_main!(benches);
