//! Scanning a block's bytes finds what a whole parse finds, and bytes from outside do no harm.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "these are tests: they fail by panicking")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::constants::genesis_block;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng, random};
use bitcoin::{
    Amount, Block, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
    transaction,
};
use keyway_ledger::{Hit, Watch, scan};
use proptest::prelude::*;

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

/// Where the whole parse succeeds the scan finds the same; where it fails, so does the scan.
fn compare(bytes: &[u8], watch: &Watch) {
    let scanned = scan(bytes, watch);
    match (deserialize::<Block>(bytes), scanned) {
        (Ok(block), Ok(scanned)) => {
            assert_eq!(scanned.header, block.header);
            assert_eq!(scanned.transactions as usize, block.txdata.len());
            assert_eq!(scanned.hits, hits_by_parsing(&block, watch));
        }
        (Ok(_), Err(e)) => panic!("{e}"),
        (Err(e), Ok(scanned)) => panic!("not a block ({e}), yet {scanned:?}"),
        (Err(_), Err(_)) => {}
    }
}

fn real_block() -> Option<Vec<u8>> {
    let shared = std::env::var_os("KEYWAY_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = shared.join("data/block413567.raw");
    let block = std::fs::read(&path).ok();
    if block.is_none() {
        println!("skipped: no real block at {}", path.display());
    }
    block
}

fn rng() -> StdRng {
    let seed = random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// Watches some of a block's scripts and spent outpoints.
fn watch_some(block: &Block, rng: &mut StdRng, one_in: u32) -> Watch {
    let mut watch = Watch::new();
    for tx in &block.txdata {
        for output in &tx.output {
            if rng.gen_ratio(1, one_in) {
                watch.add_script(output.script_pubkey.clone());
            }
        }
        for input in &tx.input {
            if rng.gen_ratio(1, one_in) {
                watch.add_outpoint(input.previous_output);
            }
        }
    }
    watch
}

#[test]
fn in_a_real_block_scanning_finds_what_parsing_finds() {
    let Some(bytes) = real_block() else { return };
    let block: Block = deserialize(&bytes).unwrap();
    let mut rng = rng();
    assert_eq!(scan(&bytes, &Watch::new()).unwrap().hits, []);
    for one_in in [1, 3, 30, 300, 3_000] {
        let watch = watch_some(&block, &mut rng, one_in);
        let scanned = scan(&bytes, &watch).unwrap();
        println!("one in {one_in}: {watch:?}, {} hits", scanned.hits.len());
        assert_eq!((scanned.header, scanned.transactions), (block.header, 1_557));
        assert_eq!(scanned.hits, hits_by_parsing(&block, &watch));
        assert!(one_in > 1 || scanned.hits.len() == 1_557);
    }
}

#[test]
fn a_real_block_cut_or_damaged_anywhere_never_makes_a_wrong_hit() {
    let Some(bytes) = real_block() else { return };
    let block: Block = deserialize(&bytes).unwrap();
    let mut rng = rng();
    let watch = watch_some(&block, &mut rng, 10);
    for _ in 0..40 {
        let cut = rng.gen_range(0..bytes.len());
        scan(&bytes[..cut], &watch).expect_err("it is cut");
        let mut damaged = bytes.clone();
        for _ in 0..rng.gen_range(1..4) {
            let place = rng.gen_range(0..bytes.len());
            damaged[place] ^= 1 << rng.gen_range(0..8);
        }
        compare(&damaged, &watch);
    }
    let longer = [&bytes[..], &[0]].concat();
    scan(&longer, &watch).expect_err("something follows it");
}

#[test]
fn more_bytes_than_a_block_can_have_are_refused_unread() {
    let error = scan(&vec![0; 4_000_001], &Watch::new()).unwrap_err();
    assert!(error.to_string().contains("4000001 bytes"), "{error}");
}

#[test]
fn what_is_no_longer_watched_is_no_hit() {
    let block = genesis_block(Network::Regtest);
    let script = block.txdata[0].output[0].script_pubkey.clone();
    let mut watch = Watch::new();
    assert!(watch.add_script(script.clone()) && !watch.add_script(script.clone()));
    assert_eq!(scan(&serialize(&block), &watch).unwrap().hits.len(), 1);
    assert!(watch.remove_script(&script) && !watch.remove_script(&script));
    assert_eq!(scan(&serialize(&block), &watch).unwrap().hits, []);
}

#[test]
fn a_watch_of_a_hundred_thousand_scripts_forgets_none_and_invents_none() {
    let script = |i: u32| ScriptBuf::from_bytes(Txid::hash(&i.to_le_bytes()).to_byte_array()[..22].to_vec());
    let mut watch = Watch::new();
    (0..100_000).for_each(|i| assert!(watch.add_script(script(i))));
    assert!((0..100_000).all(|i| watch.has_script(&script(i))));
    assert!(!(100_000..200_000).any(|i| watch.has_script(&script(i))));
    assert_eq!(watch.scripts(), 100_000);
}

/// A block of one transaction, its bytes as given.
fn block_of(tx: &[u8]) -> Vec<u8> {
    [&serialize(&genesis_block(Network::Regtest).header)[..], &[1], tx].concat()
}

#[test]
fn transactions_in_forms_that_no_parser_takes_are_refused() {
    let input = [&[7; 32][..], &[0; 4], &[0], &[0xff; 4]].concat();
    let output = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[1, 0x51]].concat();
    let plain = [&[2, 0, 0, 0][..], &[1], &input, &[1], &output, &[0; 4]].concat();
    let witness = |marker: &[u8], witness: &[u8]| {
        [&[2, 0, 0, 0], marker, &[1], &input, &[1], &output, witness, &[0; 4]].concat()
    };
    let mut watch = Watch::new();
    watch.add_script(ScriptBuf::from_bytes(vec![0x51]));
    assert_eq!(scan(&block_of(&plain), &watch).unwrap().hits.len(), 1);
    assert_eq!(scan(&block_of(&witness(&[0, 1], &[1, 1, 9])), &watch).unwrap().hits.len(), 1);
    let long_count = [&[2, 0, 0, 0][..], &[0xfd, 1, 0], &input, &[1], &output, &[0; 4]].concat();
    let forms =
        [witness(&[0, 1], &[0]), witness(&[0, 2], &[1, 1, 9]), witness(&[0, 0], &[1, 1, 9]), long_count];
    for (i, form) in (0..).zip(forms) {
        for watch in [&watch, &Watch::new()] {
            println!("form {i}");
            compare(&block_of(&form), watch);
        }
    }
}

/// Few different scripts and transaction ids, so that matches are frequent.
fn script() -> impl Strategy<Value = ScriptBuf> {
    (0u8..6, 0usize..40).prop_map(|(kind, len)| ScriptBuf::from_bytes(vec![kind; len / 10 * 10]))
}

fn outpoint() -> impl Strategy<Value = OutPoint> {
    (0u8..4, 0u32..3).prop_map(|(kind, vout)| OutPoint::new(Txid::from_byte_array([kind; 32]), vout))
}

fn tx() -> impl Strategy<Value = Transaction> {
    let witness = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..3);
    let input = (outpoint(), script(), witness).prop_map(|(previous_output, script_sig, witness)| TxIn {
        previous_output,
        script_sig,
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&witness),
    });
    let output = (any::<u32>(), script())
        .prop_map(|(sat, script_pubkey)| TxOut { value: Amount::from_sat(sat.into()), script_pubkey });
    (prop::collection::vec(input, 1..4), prop::collection::vec(output, 0..4)).prop_map(|(input, output)| {
        Transaction { version: transaction::Version::TWO, lock_time: LockTime::ZERO, input, output }
    })
}

/// A block whose transactions often spend each other.
fn block() -> impl Strategy<Value = Block> {
    let spends = prop::collection::vec(any::<prop::sample::Index>(), 12);
    (prop::collection::vec(tx(), 0..12), spends).prop_map(|(mut txdata, spends)| {
        for i in 1..txdata.len() {
            let earlier = spends[i].index(i * 2);
            if earlier < i {
                let spent = OutPoint::new(txdata[earlier].compute_txid(), 0);
                txdata[i].input[0].previous_output = spent;
            }
        }
        let header = Header { version: Version::TWO, ..genesis_block(Network::Regtest).header };
        Block { header, txdata }
    })
}

fn watch() -> impl Strategy<Value = Watch> {
    (prop::collection::vec(script(), 0..4), prop::collection::vec(outpoint(), 0..3)).prop_map(
        |(scripts, outpoints)| {
            let mut watch = Watch::new();
            for script in scripts {
                watch.add_script(script);
            }
            for outpoint in outpoints {
                watch.add_outpoint(outpoint);
            }
            watch
        },
    )
}

proptest! {
    #[test]
    fn in_any_block_scanning_finds_what_parsing_finds(block in block(), watch in watch()) {
        compare(&serialize(&block), &watch);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), watch in watch()) {
        compare(&bytes, &watch);
    }

    #[test]
    fn any_damage_to_a_block_is_survived(
        block in block(),
        watch in watch(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = serialize(&block);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        compare(&bytes, &watch);
    }
}
