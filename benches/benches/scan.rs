//! From a block's arrival to the transactions that matter, 100,000 scripts watched.

use std::hint::black_box;
use std::ops::ControlFlow;

use bitcoin::consensus::deserialize;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::{Block, PubkeyHash, ScriptBuf, ScriptHash, WPubkeyHash};
use bitcoin_slices::{Visit, Visitor, bsl};
use criterion::{Criterion, criterion_group, criterion_main};
use keyway_benches::{BASELINE, Group, real_block};
use keyway_ledger::{Watch, scan};
use silentpayments::receiving::{Label, Receiver};
use silentpayments::utils::OutPoint;
use silentpayments::utils::receiving::{calculate_ecdh_shared_secret, calculate_tweak_data};
use silentpayments::{Network, SpVersion};

const WATCHED: u32 = 100_000;

/// Walks over a block and looks at nothing but the lengths.
#[derive(Default)]
struct Walk {
    seen: usize,
}

impl Visitor for Walk {
    fn visit_tx_in(&mut self, _: usize, input: &bsl::TxIn) -> ControlFlow<()> {
        self.seen += input.prevout().as_ref().len();
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, _: usize, output: &bsl::TxOut) -> ControlFlow<()> {
        self.seen += output.script_pubkey().len();
        ControlFlow::Continue(())
    }
}

/// A script of nobody in particular.
type Kind = fn([u8; 20]) -> ScriptBuf;

/// What parties have.
const P2WPKH: Kind = |hash| ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(hash));
/// What most outputs of the block that was measured have: where nothing of an output's length is watched, it is not looked up.
const P2PKH: Kind = |hash| ScriptBuf::new_p2pkh(&PubkeyHash::from_byte_array(hash));
const P2SH: Kind = |hash| ScriptBuf::new_p2sh(&ScriptHash::from_byte_array(hash));

fn watch(kinds: &[Kind]) -> Watch {
    let mut watch = Watch::new();
    for (n, kind) in (0..WATCHED).zip(kinds.iter().cycle()) {
        let hash = hash160::Hash::hash(&n.to_be_bytes()).to_byte_array();
        watch.add_script(kind(hash));
    }
    watch
}

fn block(c: &mut Criterion) {
    let Some(block) = real_block() else { return };
    let (watch, all_lengths) = (watch(&[P2WPKH]), watch(&[P2WPKH, P2PKH, P2SH]));
    let found = scan(&block, &all_lengths).expect("a block");
    assert!(found.hits.is_empty(), "the block pays none of the scripts made up here");

    let mut group = Group::new(c, "scan: a block, 100,000 watched scripts");
    group.bench(BASELINE, |b| {
        b.iter(|| {
            let mut walk = Walk::default();
            bsl::Block::visit(black_box(&block), &mut walk).expect("a block");
            walk.seen
        });
    });
    group.bench("keyway", |b| b.iter(|| scan(black_box(&block), &watch)));
    group.bench("keyway, every output looked up", |b| b.iter(|| scan(black_box(&block), &all_lengths)));
    group.bench("parsing it whole", |b| b.iter(|| deserialize::<Block>(black_box(&block))));
    group.run();

    let transactions = found.transactions;
    // What BIP352 asks of a receiver for every transaction that may pay it, here with one input and two outputs.
    let one = SilentPayment::new();
    let mut group = Group::new(c, "scan: a block's transactions, one by one");
    group.bench(BASELINE, |b| b.iter(|| scan(black_box(&block), &watch)));
    group.bench("BIP352, as many transactions", |b| {
        b.iter(|| (0..transactions).filter(|_| one.scan()).count());
    });
    group.run();
}

/// A transaction that does not pay the receiver who scans it: nearly all do not.
struct SilentPayment {
    receiver: Receiver,
    scan: SecretKey,
    input: PublicKey,
    outpoint: OutPoint,
    outputs: [bitcoin::secp256k1::XOnlyPublicKey; 2],
}

impl SilentPayment {
    fn new() -> Self {
        let secp = Secp256k1::new();
        let secret = |byte| SecretKey::from_slice(&[byte; 32]).expect("a key");
        let public = |byte| PublicKey::from_secret_key(&secp, &secret(byte));
        let label = Label::new(secret(1), 0);
        let receiver = Receiver::new(SpVersion::ZERO, public(1), public(2), label, Network::Mainnet);
        Self {
            receiver: receiver.expect("keys make a receiver"),
            scan: secret(1),
            input: public(3),
            outpoint: OutPoint::from_txid_bytes_and_vout([4; 32], 0),
            outputs: [public(5).x_only_public_key().0, public(6).x_only_public_key().0],
        }
    }

    fn scan(&self) -> bool {
        let tweak = calculate_tweak_data(&[&self.input], &[self.outpoint]).expect("one input");
        let shared = calculate_ecdh_shared_secret(black_box(&tweak), &self.scan);
        !self.receiver.scan_transaction(&shared, &self.outputs).expect("it scans").is_empty()
    }
}

criterion_group!(benches, block);
criterion_main!(benches);
