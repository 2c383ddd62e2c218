//! What the benchmarks share: two parties, a block of a real chain, and the names of the pairs that are compared.

pub mod fleet;

use std::path::PathBuf;
use std::time::Duration;

use bip39::Mnemonic;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};
use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::card::Permanent;
use keyway_protocol::identity::{NegotiationSecret, Seed};
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::Suite;

/// Names the measured function of a group that the group's others are compared with.
pub const BASELINE: &str = "baseline";

/// Odd, so that one of the ratios is the median.
const ROUNDS: usize = 7;

/// Functions that are measured beside each other, the baseline among them.
///
/// A machine's speed drifts within seconds, by more than some of the differences that are looked for. So all functions are
/// measured in turn, a second each, in several rounds; what is told is the median of the rounds' ratios.
pub struct Group<'a, 'b> {
    group: BenchmarkGroup<'a, WallTime>,
    functions: Vec<(&'static str, Box<dyn FnMut(&mut Bencher<'_>) + 'b>)>,
}

impl<'a, 'b> Group<'a, 'b> {
    pub fn new(c: &'a mut Criterion, name: impl Into<String>) -> Self {
        let mut group = c.benchmark_group(name);
        group
            .warm_up_time(Duration::from_millis(250))
            .measurement_time(Duration::from_secs(1))
            .sample_size(10);
        Self { group, functions: Vec::new() }
    }

    /// One more to measure.
    pub fn bench(&mut self, name: &'static str, function: impl FnMut(&mut Bencher<'_>) + 'b) -> &mut Self {
        self.functions.push((name, Box::new(function)));
        self
    }

    /// Measures them all.
    pub fn run(mut self) {
        for round in 0..ROUNDS {
            for (name, function) in &mut self.functions {
                self.group.bench_function(BenchmarkId::new(*name, round), function);
            }
        }
        self.group.finish();
    }
}

/// Everything about one side of a negotiation.
pub struct Side {
    permanent: Permanent,
    secret: NegotiationSecret,
}

impl Side {
    pub fn new(name: &str, entropy: u8) -> Self {
        let chain = Chain::regtest();
        let mnemonic = Mnemonic::from_entropy(&[entropy; 16]).expect("16 bytes are entropy");
        let seed = Seed::derive(&mnemonic, &chain).expect("a mnemonic gives a seed");
        let name = name.parse().expect("a name");
        let permanent = Permanent::of(name, &chain, &seed.identity, &seed.sealing);
        let secret = NegotiationSecret::from_secret(filled(entropy));
        Self { permanent, secret }
    }
}

/// Offer, answer and confirmation, as bytes in between: `x25519` in amounts, the others beside the payment.
pub fn negotiate(initiator: &Side, responder: &Side, suite: Suite) -> (Agreed, Agreed) {
    let carrier = if suite == Suite::X25519 { Carrier::Value } else { Carrier::Static };
    let context = context(initiator, responder, carrier);
    let anchor = outpoint(7);
    let draft = match carrier {
        Carrier::Value => Draft::new(context, suite, AnswerForm::Sequences, &initiator.secret),
        _ => Draft::dated(context, suite, 0, &initiator.secret),
    };
    let offer = Offer::from_bytes(carrier, &draft.offer().to_bytes()).expect("an offer");
    let received = Received::new(context, offer, anchor);
    let (answer, theirs) = received.answer(&responder.secret).expect("a good share");
    let answer = Answer::from_bytes(carrier, &answer.to_bytes()).expect("an answer");
    let ours = draft.mined(anchor.txid).handle(&answer).expect("the same key");
    (ours, theirs)
}

fn context(initiator: &Side, responder: &Side, carrier: Carrier) -> Context {
    Context {
        initiator: initiator.permanent.party_ref(),
        responder: responder.permanent.party_ref(),
        input0: outpoint(1),
        carrier,
    }
}

pub fn outpoint(n: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([n; 32]), 0)
}

pub fn filled(byte: u8) -> Secret {
    Secret::fill_with(|secret| secret.fill(byte))
}

/// A chain of blocks whose hashes are their heights.
pub struct Blocks {
    pub tip: u32,
}

impl Blocks {
    pub fn at(height: u32) -> BlockRef {
        let mut hash = [0x5a; 32];
        hash[..4].copy_from_slice(&height.to_be_bytes());
        BlockRef::new(Height::new(height), BlockHash::from_byte_array(hash))
    }
}

impl BestChain for Blocks {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        (height.to_u32() <= self.tip).then(|| Self::at(height.to_u32()).hash)
    }

    fn tip(&self) -> Height {
        Height::new(self.tip)
    }
}

/// A serialized block of the main chain, if there is one to measure with: the file that KEYWAY_BLOCK names.
///
/// Bitcoin's block 413567 was measured for the README (999,887 bytes, 1,557 transactions, 3,581 outputs).
pub fn real_block() -> Option<Vec<u8>> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/block413567.raw"));
    let path = std::env::var_os("KEYWAY_BLOCK").map_or(beside, PathBuf::from);
    match std::fs::read(&path) {
        Ok(block) => Some(block),
        Err(error) => {
            eprintln!("skipped: no block to walk over ({}: {error}); KEYWAY_BLOCK names one", path.display());
            None
        }
    }
}
