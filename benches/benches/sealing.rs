//! Sealing and opening beside the cipher alone, with associated data as long as what COSE authenticates: unless they end with
//! a block of 64 bytes, the cipher's implementation takes a slower path through the message behind them.

use std::hint::black_box;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keyway_benches::{BASELINE, Blocks, Group, filled};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{Ratchet, SessionKey};
use keyway_protocol::sealing::{Sealed, Stream, StreamId, seal};

const BLOCK: u32 = 1_000;
const TAG: usize = 16;

fn session() -> SessionKey {
    let block = Blocks::at(BLOCK);
    let ratchet = Ratchet::from_parts(block.height, block, filled(9));
    ratchet.session(&Blocks { tip: BLOCK }, block, Role::Responder).expect("its own block")
}

fn sealing(c: &mut Criterion) {
    let (session, negotiation) = (session(), NegotiationId::from_bytes([1; 32]));
    let cipher = ChaCha20Poly1305::new(&[8; 32].into());
    for (name, len) in [("1 KiB", 1 << 10), ("1 MiB", 1 << 20)] {
        let plaintext = vec![0x42; len];
        let mut stream = Stream::new(StreamId::from_bytes([2; 16]));
        let mut sealed = || {
            seal(&mut stream, negotiation, Blocks::at(BLOCK), None, &session, black_box(&plaintext), b"")
                .expect("it seals")
        };
        let bytes = sealed().to_bytes();
        let aad = vec![7; bytes.len() - len - TAG];
        let encrypt = || {
            let payload = Payload { msg: black_box(&plaintext[..]), aad: &aad };
            cipher.encrypt(&[0; 12].into(), payload).expect("it encrypts")
        };
        let bare = encrypt();

        let mut group = Group::new(c, format!("sealing: {name}"));
        group.bench(BASELINE, |b| b.iter_with_large_drop(encrypt));
        group.bench("keyway", |b| b.iter_with_large_drop(&mut sealed));
        group.run();

        let mut group = Group::new(c, format!("opening: {name}"));
        group.bench(BASELINE, |b| {
            b.iter_batched(
                || bare.clone(),
                |bare| {
                    let plaintext = cipher.decrypt(&[0; 12].into(), Payload { msg: &bare, aad: &aad });
                    (plaintext.expect("it decrypts"), bare)
                },
                BatchSize::LargeInput,
            );
        });
        group.bench("keyway", |b| {
            b.iter_batched(
                || bytes.clone(),
                |bytes| {
                    let sealed = Sealed::from_vec(bytes).expect("a message");
                    let plaintext = sealed.open(&session, b"").expect("it opens");
                    (plaintext, sealed)
                },
                BatchSize::LargeInput,
            );
        });
        group.run();
    }
}

criterion_group!(benches, sealing);
criterion_main!(benches);
