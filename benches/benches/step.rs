//! What one block costs 100,000 live keys.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keyway_benches::{BASELINE, Blocks, Group, filled};
use keyway_protocol::ratchet::{Ratchet, Steps, WINDOW};
use sha2::block_api::compress256;

const KEYS: u64 = 100_000;
/// The keys' oldest block; the tip lies so that the next one is due.
const OLDEST: u32 = 1_000;

fn ratchets() -> Vec<Ratchet> {
    let oldest = Blocks::at(OLDEST);
    (0..KEYS).map(|n| Ratchet::from_parts(oldest.height, oldest, filled(n as u8))).collect()
}

/// A step is HMAC-SHA-256 of 32 bytes: with the block's hash prepared as its key, two blocks of SHA-256.
fn bare(chain_keys: &mut [[u8; 32]]) {
    let (inner, outer) = (black_box([1; 8]), black_box([2; 8]));
    for key in chain_keys {
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        let mut state = inner;
        compress256(&mut state, &[block]);
        put(&state, &mut block);
        let mut state = outer;
        compress256(&mut state, &[block]);
        put(&state, key);
    }
}

fn put(state: &[u32; 8], out: &mut [u8]) {
    for (word, out) in state.iter().zip(out.chunks_exact_mut(4)) {
        out.copy_from_slice(&word.to_be_bytes());
    }
}

fn step(c: &mut Criterion) {
    let chain = Blocks { tip: OLDEST + WINDOW };
    let mut group = Group::new(c, "step: one block, 100,000 keys");
    group.bench(BASELINE, |b| {
        b.iter_batched_ref(|| vec![[7; 32]; KEYS as usize], |keys| bare(keys), BatchSize::LargeInput);
    });
    group.bench("keyway", |b| {
        b.iter_batched_ref(
            ratchets,
            |ratchets| {
                let mut steps = Steps::over(&chain);
                for ratchet in ratchets {
                    assert!(steps.advance(ratchet).expect("the chain is whole"));
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.run();
}

criterion_group!(benches, step);
criterion_main!(benches);
