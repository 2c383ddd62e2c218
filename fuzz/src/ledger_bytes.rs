//! What a node says: blocks, and answers in JSON.
//!
//! Input: kind (u8). Of an even kind follow what is watched, as a count (u8) and so many choices of a transaction (u8), an
//! input or output of it (u8) and what of it (u8); the rest is a block. Of an odd kind the rest is an answer.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::consensus::encode::deserialize;
use bitcoin::{Block, OutPoint, Transaction, TxIn};
use keyway_chain::Chain;
use keyway_ledger::rpc::hostile;
use keyway_ledger::{Hit, Watch, scan};

const LONGEST: usize = 4_000_000;

/// Reads what these bytes describe and holds the reader to its promises.
pub fn ledger_bytes(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    if kind % 2 == 1 {
        return hostile::answer(data);
    }
    let Some((&count, data)) = data.split_first() else { return };
    let Some((choices, block)) = data.split_at_checked(3 * usize::from(count)) else { return };
    let whole = deserialize::<Block>(block).ok();
    let watch = whole.as_ref().map_or_else(Watch::new, |whole| watched(whole, choices));
    read_block(block, whole.as_ref(), &watch);
}

/// What is found without parsing the rest is what a parser of everything finds, and is taken from a node only if it is
/// the header's.
fn read_block(bytes: &[u8], whole: Option<&Block>, watch: &Watch) {
    let scanned = scan(bytes, watch);
    if let Some(whole) = whole.filter(|_| bytes.len() <= LONGEST) {
        let scanned = scanned.as_ref().expect("a block is one");
        assert_eq!(scanned.header, whole.header);
        assert_eq!(scanned.transactions as usize, whole.txdata.len());
        assert_eq!(scanned.hits, hits_by_parsing(whole, watch));
    }
    let read = hostile::block(bytes, watch, &Chain::regtest());
    match (read, scanned) {
        (Ok(read), scanned) => {
            assert_eq!(Ok(&read), scanned.as_ref());
            assert!(whole.is_none_or(Block::check_merkle_root));
        }
        (Err(why), _) => assert!(!why.is_empty()),
    }
}

fn watched(block: &Block, choices: &[u8]) -> Watch {
    let mut watch = Watch::new();
    for choice in choices.chunks_exact(3) {
        let [tx, place, what] = [0, 1, 2].map(|n| usize::from(choice[n]));
        let Some(tx) = block.txdata.get(tx % block.txdata.len().max(1)) else { continue };
        watch_part(&mut watch, tx, place, what);
    }
    watch
}

fn watch_part(watch: &mut Watch, tx: &Transaction, place: usize, what: usize) {
    let output = place % tx.output.len().max(1);
    let input = place % tx.input.len().max(1);
    match (what % 3, tx.output.get(output), tx.input.get(input)) {
        (0, Some(output), _) => watch.add_script(output.script_pubkey.clone()),
        (2, _, Some(input)) => watch.add_outpoint(input.previous_output),
        _ => watch.add_outpoint(OutPoint::new(tx.compute_txid(), output as u32)),
    };
}

/// Contract 3, word by word, on a block parsed whole.
fn hits_by_parsing(block: &Block, watch: &Watch) -> Vec<Hit> {
    let mut fresh = HashSet::new();
    let mut hits = Vec::new();
    for (position, tx) in (0..).zip(&block.txdata) {
        let txid = tx.compute_txid();
        let spends = |input: &TxIn| {
            watch.has_outpoint(&input.previous_output) || fresh.contains(&input.previous_output)
        };
        let spends = tx.input.iter().any(spends);
        let outputs = (0..).zip(&tx.output).filter(|(_, output)| watch.has_script(&output.script_pubkey));
        let paid: Vec<OutPoint> = outputs.map(|(vout, _)| OutPoint::new(txid, vout)).collect();
        if spends || !paid.is_empty() {
            hits.push(Hit { position, txid, tx: Arc::new(tx.clone()), input_zero: None });
        }
        fresh.extend(paid);
    }
    hits
}
