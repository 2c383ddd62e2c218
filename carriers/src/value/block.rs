//! Payments that were really made: all of main-network block 413567, which is older than Keyway and segwit.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bitcoin::transaction::Version;
use bitcoin::{Block, OutPoint, Transaction};
use keyway_chain::Chain;
use keyway_protocol::identity::PartyKey;

use super::run::{Binding, read_outputs};
use super::sequences::{Refused, read_inputs};
use super::{Damage, MessageLen};

fn block() -> Option<Block> {
    let shared = std::env::var_os("KEYWAY_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").into());
    let path = shared.join("data/block413567.raw");
    match std::fs::read(&path) {
        Ok(bytes) => Some(bitcoin::consensus::deserialize(&bytes).unwrap()),
        Err(error) => {
            println!("skipped: {}: {error}", path.display());
            None
        }
    }
}

/// A key that is nobody's in the block, for what the checksum would bind.
fn key(last: u8) -> PartyKey {
    let bytes = bitcoin::secp256k1::SecretKey::from_slice(&[last; 32]).unwrap();
    bytes.public_key(&bitcoin::secp256k1::Secp256k1::new()).into()
}

/// What is said of the transaction to the owner of each of its output scripts, and how many these are.
fn read_for_everyone(chain: &Chain, tx: &Transaction) -> (usize, Vec<Damage>) {
    let input0 = tx.input[0].previous_output;
    let binding = Binding { chain, input0, author: key(1), recipient: key(2) };
    let scripts: BTreeSet<_> = tx.output.iter().map(|output| &output.script_pubkey).collect();
    let read = |script| read_outputs(&binding, tx, tx.compute_txid(), script);
    let damages = scripts.iter().filter_map(|script| match read(*script) {
        Ok(None) => None,
        Ok(Some(run)) => panic!("a message of {} bytes in {}", run.message().len(), tx.compute_txid()),
        Err(damage) => Some(damage),
    });
    (scripts.len(), damages.collect())
}

#[test]
fn no_transaction_of_a_real_block_is_read_as_a_message_or_called_a_damaged_one() {
    let Some(block) = block() else { return };
    for chain in ["bitcoin", "litecoin"].map(|name| Chain::named(name).unwrap()) {
        let mut recipients = 0;
        for tx in &block.txdata {
            let (count, damages) = read_for_everyone(&chain, tx);
            recipients += count;
            assert_eq!(damages, [], "{}", tx.compute_txid());
        }
        println!("{}: {} transactions, {recipients} recipients", chain.name(), block.txdata.len());
    }
}

#[test]
fn no_collection_of_coins_in_a_real_block_is_read_as_an_answer() {
    let Some(block) = block() else { return };
    let len = MessageLen::new(49).unwrap();
    let (mut tried, mut long) = (0, 0);
    for mut tx in block.txdata {
        let run: Vec<OutPoint> = tx.input.iter().map(|input| input.previous_output).collect();
        let refused = read_inputs(&tx, &run, len).unwrap_err();
        assert!(tx.version == Version::TWO || matches!(refused, Refused::Collecting(_)));
        // Nearly all of the block is of version 1; of version 2 they are no answers either.
        tx.version = Version::TWO;
        read_inputs(&tx, &run, len).unwrap_err();
        tried += 1;
        long += usize::from(run.len() >= 13);
    }
    println!("{tried} transactions, {long} of at least 13 inputs");
}
