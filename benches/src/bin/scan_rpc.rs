//! Following a node's chain over JSON-RPC, beside fetching and parsing the same blocks and nothing else.
//! Usage: scan_rpc [blocks]

use std::time::Instant;

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Block, ScriptBuf};
use keyway_benches::fleet::Shop;
use keyway_benches::outpoint;
use keyway_chain::{BlockRef, Height};
use keyway_ledger::testnode::{Kind, TestNode};
use keyway_ledger::{Ledger, Next, Watch};
use serde_json::{Value, json};

/// Each way is measured so many times, in turns.
const ROUNDS: usize = 5;
/// Transactions in each block.
const TRANSACTIONS: u32 = 20;

fn main() {
    let blocks = std::env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(1_000);
    for kind in Kind::ALL {
        if let Some(node) = TestNode::start(kind) {
            measure(&node, blocks);
        }
    }
}

fn measure(node: &TestNode, blocks: u32) {
    let mut shop = Shop::open(node, TRANSACTIONS);
    let first = node.tip();
    eprintln!("{:?}: {blocks} blocks of {TRANSACTIONS} transactions", node.kind());
    (0..blocks).for_each(|_| shop.trade(node));
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(timed(|| fetch(node, first, blocks)));
        ours.push(timed(|| follow(node, first, blocks)));
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("scan-rpc: {blocks} blocks of {TRANSACTIONS} transactions, {:?}", node.kind());
    println!("  fetched and parsed   {:.2} ms a block", bare * 1e3 / f64::from(blocks));
    println!(
        "  followed             {:.2} ms a block; ratio {:.2}",
        ours * 1e3 / f64::from(blocks),
        ours / bare
    );
}

/// The baseline: two questions a block, and its transactions.
fn fetch(node: &TestNode, first: BlockRef, blocks: u32) {
    let mut transactions = 0;
    for height in first.height.to_u32() + 1..=first.height.to_u32() + blocks {
        let hash: Value = node.call("getblockhash", &[json!(height)]);
        let hex: String = node.call("getblock", &[hash, json!(0)]);
        transactions += deserialize_hex::<Block>(&hex).expect("a block").txdata.len();
    }
    assert_eq!(transactions, (blocks * (TRANSACTIONS + 1)) as usize);
}

/// As a party does.
fn follow(node: &TestNode, first: BlockRef, blocks: u32) {
    let (ledger, mut at) = (node.ledger(), first);
    let mut watch = Watch::new();
    watch.add_script(ScriptBuf::from_bytes(vec![0x52]));
    for n in 0..100 {
        watch.add_outpoint(outpoint(n));
    }
    while let Next::Connect(connected) = ledger.next(at, &watch).expect("it answers") {
        at = connected.at;
    }
    assert_eq!(at.height, Height::new(first.height.to_u32() + blocks));
}

fn timed(run: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    run();
    begun.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
