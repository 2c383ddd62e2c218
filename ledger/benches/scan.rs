//! How long a real block takes from its bytes to the transactions that matter, as ratios.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bitcoin::{Block, OutPoint, ScriptBuf, Txid, hashes::Hash};
use bitcoin_slices::{Parse, bsl};
use keyway_ledger::{Watch, scan};

const WATCHED: u32 = 100_000;
const ROUNDS: usize = 1_000;

fn main() {
    let shared = std::env::var_os("KEYWAY_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let Ok(block) = std::fs::read(shared.join("data/block413567.raw")) else {
        println!("skipped: no data/block413567.raw under {}", shared.display());
        return;
    };
    let (scripts, both) = (watch(false), watch(true));
    let set: std::collections::HashSet<ScriptBuf> = (0..WATCHED).map(script).collect();
    let walk = fastest(|| bsl::Block::parse(black_box(&block)).unwrap());
    let scripts = fastest(|| scan(black_box(&block), &scripts).unwrap());
    let both = fastest(|| scan(black_box(&block), &both).unwrap());
    let parse = fastest(|| bitcoin::consensus::deserialize::<Block>(black_box(&block)).unwrap());
    let naive = fastest(|| {
        let block: Block = bitcoin::consensus::deserialize(black_box(&block)).unwrap();
        let outputs = block.txdata.iter().flat_map(|tx| &tx.output);
        outputs.filter(|out| set.contains(&out.script_pubkey)).count()
    });
    println!("walk without look-ups            {walk:>10.1?}");
    println!("scan, 100,000 scripts            {scripts:>10.1?}  {:.2} of the walk", ratio(scripts, walk));
    println!("scan, as many outpoints besides  {both:>10.1?}  {:.2} of the walk", ratio(both, walk));
    println!("parse whole                      {parse:>10.1?}  {:.1} scans", ratio(parse, scripts));
    println!("parse whole and look up          {naive:>10.1?}  {:.1} scans", ratio(naive, scripts));
}

fn script(i: u32) -> ScriptBuf {
    let hash = bitcoin::hashes::hash160::Hash::hash(&i.to_le_bytes());
    ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(hash))
}

fn watch(outpoints: bool) -> Watch {
    let mut watch = Watch::new();
    for i in 0..WATCHED {
        watch.add_script(script(i));
        if outpoints {
            watch.add_outpoint(OutPoint::new(Txid::hash(&i.to_le_bytes()), i));
        }
    }
    watch
}

/// The fastest of many rounds: what else runs on the machine only ever adds.
fn fastest<T>(mut job: impl FnMut() -> T) -> Duration {
    let round = |_| {
        let start = Instant::now();
        black_box(job());
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
