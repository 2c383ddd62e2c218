//! The node's block template (BIP22, BIP23, BIP145) with transactions that the node does not hold.

use std::collections::{HashMap, HashSet};

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash;
use bitcoin::hex::DisplayHex;
use bitcoin::{Block, Transaction, Txid, WitnessMerkleNode, Wtxid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pool::{Entry, conflict};

/// What Bitcoin Core keeps free for the coinbase, the block's header and the number of transactions.
const RESERVED_WEIGHT: u64 = 8_000;
const RESERVED_SIGOPS: u64 = 400;
/// BIP141: what goes before the commitment in its output's script.
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// A template as far as it is changed; the rest stays as it is.
#[derive(Deserialize, Serialize)]
struct Template {
    transactions: Vec<Listed>,
    coinbasevalue: u64,
    weightlimit: u64,
    sigoplimit: u64,
    default_witness_commitment: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Listed {
    data: String,
    txid: Txid,
    hash: Wtxid,
    /// Places in the list, counted from 1.
    depends: Vec<usize>,
    fee: u64,
    sigops: u64,
    weight: u64,
}

/// Adds what fits. The node's transactions that spend the same give way, and where there is too little room the last
/// ones of its list, which pay least.
///
/// # Errors
/// If it is no template of a node that knows segwit.
pub(super) fn with(template: Value, entries: &[Entry]) -> Result<Value, serde_json::Error> {
    let mut template: Template = serde_json::from_value(template)?;
    let before: u64 = template.transactions.iter().map(|listed| listed.fee).sum();
    let mut kept = without(&template.transactions, |tx| entries.iter().any(|entry| conflict(&entry.tx, tx)));
    let mut added: Vec<Listed> = entries.iter().map(listed).collect();
    let limits = (
        template.weightlimit.saturating_sub(RESERVED_WEIGHT),
        template.sigoplimit.saturating_sub(RESERVED_SIGOPS),
    );
    while size(&added).0 > limits.0 || size(&added).1 > limits.1 {
        added.pop();
    }
    let (weight, sigops) = size(&added);
    while kept.last().is_some() && (size(&kept).0 + weight > limits.0 || size(&kept).1 + sigops > limits.1) {
        kept.pop();
    }
    let there: HashSet<Txid> = kept.iter().map(|listed| listed.txid).collect();
    let rests =
        |listed: &Listed| entries.iter().find(|entry| entry.txid == listed.txid).map(|entry| &entry.rests_on);
    added.retain(|listed| {
        rests(listed).is_some_and(|parents| parents.iter().all(|txid| there.contains(txid)))
    });
    kept.extend(added);
    depend(&mut kept);
    let after: u64 = kept.iter().map(|listed| listed.fee).sum();
    template.coinbasevalue = (template.coinbasevalue + after).saturating_sub(before);
    template.default_witness_commitment = Some(commitment(&kept));
    template.transactions = kept;
    serde_json::to_value(template)
}

/// Without those that are to go, and without what rests on them.
fn without(listed: &[Listed], goes: impl Fn(&Transaction) -> bool) -> Vec<Listed> {
    let mut gone = HashSet::new();
    for listed in listed {
        // What cannot be read cannot be compared.
        let tx = deserialize_hex::<Transaction>(&listed.data).ok();
        let rests = parents(listed).iter().any(|parent| gone.contains(parent));
        if rests || tx.is_none_or(|tx| goes(&tx)) {
            gone.insert(listed.txid);
        }
    }
    listed.iter().filter(|listed| !gone.contains(&listed.txid)).cloned().collect()
}

fn listed(entry: &Entry) -> Listed {
    Listed {
        data: serialize_hex(&entry.tx),
        txid: entry.txid,
        hash: entry.tx.compute_wtxid(),
        depends: Vec::new(),
        fee: entry.fee.to_sat(),
        sigops: entry.sigops as u64,
        weight: entry.tx.weight().to_wu(),
    }
}

fn size(listed: &[Listed]) -> (u64, u64) {
    listed.iter().fold((0, 0), |(weight, sigops), one| (weight + one.weight, sigops + one.sigops))
}

fn parents(listed: &Listed) -> Vec<Txid> {
    let tx = deserialize_hex::<Transaction>(&listed.data).ok();
    tx.iter().flat_map(|tx| &tx.input).map(|input| input.previous_output.txid).collect()
}

/// Places moved: says anew who rests on whom.
fn depend(all: &mut [Listed]) {
    let places: HashMap<Txid, usize> = (1..).zip(all.iter()).map(|(place, one)| (one.txid, place)).collect();
    for one in all {
        let mut depends: Vec<usize> =
            parents(one).iter().filter_map(|txid| places.get(txid).copied()).collect();
        depends.sort_unstable();
        depends.dedup();
        one.depends = depends;
    }
}

/// The script of the output that commits to all witnesses, the coinbase's being 32 zero bytes.
fn commitment(all: &[Listed]) -> String {
    let leaves = std::iter::once(Wtxid::all_zeros()).chain(all.iter().map(|one| one.hash));
    let root = bitcoin::merkle_tree::calculate_root(leaves.map(Wtxid::to_raw_hash));
    let root = root.map_or_else(WitnessMerkleNode::all_zeros, WitnessMerkleNode::from_raw_hash);
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    [&COMMITMENT[..], commitment.as_byte_array()].concat().to_lower_hex_string()
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::transaction::Version;
    use bitcoin::{Amount, OutPoint, ScriptBuf, TxIn, TxOut};
    use serde_json::json;

    use super::*;

    /// Spends output 0 of `of`, or, of nothing, a coin of that number.
    fn tx(of: Option<&Transaction>, number: u32, bytes: usize) -> Transaction {
        let coin = OutPoint::new(Txid::all_zeros(), number);
        let previous_output = of.map_or(coin, |parent| OutPoint::new(parent.compute_txid(), 0));
        let output = TxOut {
            value: Amount::from_sat(number.into()),
            script_pubkey: ScriptBuf::from_bytes(vec![0x51; bytes]),
        };
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn { previous_output, ..TxIn::default() }],
            output: vec![output],
        }
    }

    fn entry(tx: &Transaction, fee: u64) -> Entry {
        Entry {
            txid: tx.compute_txid(),
            tx: tx.clone(),
            fee: Amount::from_sat(fee),
            sigops: 1,
            rests_on: vec![],
        }
    }

    fn template(txs: &[(&Transaction, u64, Vec<usize>)]) -> Value {
        let all: Vec<Listed> = txs
            .iter()
            .map(|(tx, fee, depends)| Listed { depends: depends.clone(), ..listed(&entry(tx, *fee)) })
            .collect();
        let fees: u64 = txs.iter().map(|(_, fee, _)| fee).sum();
        json!({
            "transactions": all, "coinbasevalue": 5_000 + fees, "weightlimit": 4_000_000, "sigoplimit": 80_000,
            "default_witness_commitment": "00", "height": 7,
        })
    }

    fn read(template: Value) -> (Vec<Txid>, Vec<Vec<usize>>, u64) {
        let Template { transactions, coinbasevalue, rest, .. } = serde_json::from_value(template).unwrap();
        assert_eq!(rest["height"], 7);
        let (ids, depends) = transactions.into_iter().map(|one| (one.txid, one.depends)).unzip();
        (ids, depends, coinbasevalue)
    }

    #[test]
    fn a_template_gets_the_transaction_its_fee_and_a_new_commitment() {
        let (theirs, ours) = (tx(None, 1, 10), tx(None, 2, 10));
        let made = with(template(&[(&theirs, 30, vec![])]), &[entry(&ours, 500)]).unwrap();
        let leaves = [Wtxid::all_zeros(), theirs.compute_wtxid(), ours.compute_wtxid()];
        let root = bitcoin::merkle_tree::calculate_root(leaves.into_iter().map(Wtxid::to_raw_hash)).unwrap();
        let expected = Block::compute_witness_commitment(&WitnessMerkleNode::from_raw_hash(root), &[0; 32])
            .to_byte_array();
        assert_eq!(
            made["default_witness_commitment"],
            format!("6a24aa21a9ed{}", expected.to_lower_hex_string())
        );
        let txids = vec![theirs.compute_txid(), ours.compute_txid()];
        assert_eq!(read(made), (txids, vec![vec![], vec![]], 5_530));
    }

    #[test]
    fn what_spends_the_same_gives_way_with_all_that_rests_on_it() {
        let (first, rival) = (tx(None, 1, 10), tx(None, 2, 10));
        let (child, grandchild) = (tx(Some(&rival), 3, 10), tx(Some(&first), 4, 10));
        let ours = Transaction { version: Version::ONE, ..rival.clone() };
        let theirs =
            [(&rival, 7, vec![]), (&first, 8, vec![]), (&child, 9, vec![1]), (&grandchild, 10, vec![2])];
        let made = with(template(&theirs), &[entry(&ours, 100)]).unwrap();
        let txids = [&first, &grandchild, &ours].map(Transaction::compute_txid).to_vec();
        assert_eq!(read(made), (txids, vec![vec![], vec![1], vec![]], 5_118));
    }

    #[test]
    fn what_rests_on_a_transaction_that_the_template_leaves_out_is_left_out_too() {
        let parent = tx(None, 1, 10);
        let child = tx(Some(&parent), 2, 10);
        let entries = [Entry { rests_on: vec![parent.compute_txid()], ..entry(&child, 100) }];
        let made = with(template(&[(&parent, 7, vec![])]), &entries).unwrap();
        let both = vec![parent.compute_txid(), child.compute_txid()];
        assert_eq!(read(made), (both, vec![vec![], vec![1]], 5_107));
        assert_eq!(read(with(template(&[]), &entries).unwrap()), (vec![], vec![], 5_000));
    }

    #[test]
    fn a_full_block_loses_what_pays_least_and_never_more_than_fits_is_added() {
        let large: Vec<Transaction> = (1..=4).map(|number| tx(None, number, 249_000)).collect();
        let theirs: Vec<_> = large.iter().map(|tx| (tx, 5, vec![])).collect();
        let ours = tx(None, 9, 249_000);
        let made = with(template(&theirs), &[entry(&ours, 100)]).unwrap();
        let (txids, _, value) = read(made);
        assert_eq!(txids.len(), 4);
        assert_eq!((txids[3], value), (ours.compute_txid(), 5_115));
        let entries: Vec<Entry> = (10..15).map(|number| entry(&tx(None, number, 249_000), 1)).collect();
        let made = with(template(&theirs), &entries).unwrap();
        assert_eq!(read(made).0.len(), 4);
    }
}
