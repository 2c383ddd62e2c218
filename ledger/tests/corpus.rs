//! The fuzz target's seeds as tests, and where they come from.
#![cfg(test)]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, missing_docs)]

#[path = "../../protocol/tests/support/corpus.rs"]
mod corpora;
#[path = "../../fuzz/src/ledger_bytes.rs"]
mod ledger_bytes;

use bitcoin::block::Version;
use bitcoin::consensus::encode::serialize;
use bitcoin::constants::genesis_block;
use bitcoin::{Block, Network, OutPoint};
use serde_json::json;

use corpora::{check_seeds, replay};
use ledger_bytes::ledger_bytes;

#[test]
fn every_seed_of_ledger_bytes_is_read_as_promised() {
    replay("ledger_bytes", ledger_bytes);
}

#[test]
fn the_seeds_are_what_a_node_says() {
    let (genesis, chain) = (serialize(&genesis_block(Network::Regtest)), serialize(&chained()));
    let coin = json!({ "value": 1.5, "scriptPubKey": { "hex": "0014" } });
    let unspent = json!({ "bestblock": "00".repeat(32), "confirmations": 3, "coinbase": false,
        "value": 0.00000001, "scriptPubKey": { "hex": "0014" } });
    let (id, zeros) = (json!(0), "00".repeat(32));
    let spent = json!({ "vin": [{ "txid": zeros, "vout": u32::MAX, "prevout": coin }] });
    let info = json!({ "chain": "regtest", "blocks": 1, "headers": 1, "bestblockhash": zeros,
        "initialblockdownload": false, "signet_challenge": "51" });
    let pool = json!({ "mempoolminfee": 0.00001, "minrelaytxfee": 1e-5, "maxdatacarriersize": 83 });
    let answer = |result| json!({ "id": id, "result": result, "error": null });
    let refusal = json!({ "id": 0, "result": null, "error": { "code": -26, "message": "dust\u{7}" } });
    let said = |json: serde_json::Value| [&[1], json.to_string().as_bytes()].concat();
    check_seeds(
        "ledger_bytes",
        &[
            ("block-of-one", block(&[[0, 0, 0]], &genesis)),
            ("block-cut-short", block(&[[0, 0, 0]], &genesis[..200])),
            ("block-with-a-tail", block(&[[0, 0, 0]], &[&genesis[..], &[0]].concat())),
            ("block-of-a-chain", block(&[[0, 0, 0], [2, 0, 2], [1, 0, 1]], &chain)),
            ("answer-coin", said(answer(unspent))),
            ("answer-spent", said(answer(spent))),
            ("answer-chain", said(answer(info))),
            ("answer-pool", said(answer(pool))),
            ("answer-accepted", said(answer(json!([{ "allowed": false, "reject-reason": "dust" }])))),
            ("answer-refusal", said(refusal.clone())),
            ("answers", said(json!([answer(json!("00")), { "id": 1, "result": 7, "error": null }]))),
        ],
    );
}

fn block(choices: &[[u8; 3]], block: &[u8]) -> Vec<u8> {
    [&[0, choices.len() as u8], &choices.concat()[..], block].concat()
}

/// Three transactions, each spending the one before it.
fn chained() -> Block {
    let mut block = genesis_block(Network::Regtest);
    block.header.version = Version::TWO;
    for _ in 0..2 {
        let before = block.txdata.last().unwrap();
        let mut next = before.clone();
        next.input[0].previous_output = OutPoint::new(before.compute_txid(), 0);
        next.input[0].witness.push([1; 71]);
        block.txdata.push(next);
    }
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    block
}
