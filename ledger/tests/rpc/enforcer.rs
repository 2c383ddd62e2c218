//! Enforcing beside a real Bitcoin Core, which knows nothing of the rule.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash;
use bitcoin::{
    Amount, Block, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut,
    Witness,
};
use keyway_chain::BlockRef;
use keyway_ledger::Ledger;
use keyway_ledger::contract::{FEE, Free, Harness, Purse, fund, pass_on};
use keyway_ledger::enforcer::Enforcer;
use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};

use super::harness::Fresh;
use super::lock::{OPENS, lock_up, spend};

/// A node with an enforcer beside it, and what a party locked there.
struct Guarded {
    fresh: Fresh,
    folder: tempfile::TempDir,
    enforcer: Enforcer,
    locked: Transaction,
    /// Another coin.
    spare: Purse,
}

impl Guarded {
    fn start() -> Option<Self> {
        let fresh = Fresh::start(Kind::Bitcoin)?;
        let funds = fund(&fresh, 2);
        let locked = lock_up(funds[0]);
        fresh.ledger.broadcast(&locked).unwrap();
        fresh.mine(1, &Free(0).script());
        let folder = tempfile::tempdir().unwrap();
        let enforcer = Enforcer::new(fresh.node.ledger(), folder.path().join("checked")).unwrap();
        Some(Self { fresh, folder, enforcer, locked, spare: funds[1] })
    }

    /// Ends the enforcer and starts another in its place, without looking at the chain.
    fn restart(self) -> Self {
        let Self { fresh, folder, enforcer, locked, spare } = self;
        drop(enforcer);
        let enforcer = Enforcer::new(fresh.node.ledger(), folder.path().join("checked")).unwrap();
        Self { fresh, folder, enforcer, locked, spare }
    }

    /// Asks the enforcer as if it were the node: the result, or the code and message of the refusal.
    fn ask(&self, method: &str, params: Value) -> Result<Value, (i64, String)> {
        ask(&self.enforcer, method, params)
    }

    fn send(&self, tx: &Transaction) -> Result<Value, (i64, String)> {
        self.ask("sendrawtransaction", json!([serialize_hex(tx)]))
    }

    fn template(&self) -> Value {
        self.ask("getblocktemplate", json!([{ "rules": ["segwit"] }])).unwrap()
    }

    fn listed(&self) -> Vec<String> {
        serde_json::from_value(self.ask("getrawmempool", json!([])).unwrap()).unwrap()
    }

    fn tip(&self) -> BlockRef {
        self.fresh.node.tip()
    }

    /// A block with these transactions, from a miner who does not ask the enforcer.
    fn mine_past_it(&self, transactions: &[&Transaction]) {
        let hexes: Vec<String> = transactions.iter().map(|tx| serialize_hex(*tx)).collect();
        let to = format!("raw({})", Free(0).script().to_hex_string());
        self.fresh.node.call::<Value>("generateblock", &[json!(to), json!(hexes)]);
    }
}

fn ask(enforcer: &Enforcer, method: &str, params: Value) -> Result<Value, (i64, String)> {
    let request = json!({ "jsonrpc": "1.0", "id": 5, "method": method, "params": params });
    let reply: Value = serde_json::from_str(&enforcer.answer(&request)).unwrap();
    assert_eq!(reply["id"], 5, "{reply}");
    match &reply["error"] {
        Value::Null => Ok(reply["result"].clone()),
        error => Err((error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())),
    }
}

/// What a miner makes of a template.
fn mined(template: &Value) -> Block {
    let text = |name: &str| template[name].as_str().unwrap();
    let number = |name: &str| template[name].as_u64().unwrap();
    let input = TxIn {
        previous_output: OutPoint::null(),
        script_sig: ScriptBuf::builder().push_int(number("height") as i64).push_slice([7; 8]).into_script(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[[0; 32]]),
    };
    let commitment = ScriptBuf::from_hex(text("default_witness_commitment")).unwrap();
    let coinbase = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![
            TxOut { value: Amount::from_sat(number("coinbasevalue")), script_pubkey: Free(0).script() },
            TxOut { value: Amount::ZERO, script_pubkey: commitment },
        ],
    };
    let others = template["transactions"].as_array().unwrap();
    let others = others.iter().map(|tx| deserialize_hex(tx["data"].as_str().unwrap()).unwrap());
    let header = Header {
        version: Version::from_consensus(template["version"].as_i64().unwrap() as i32),
        prev_blockhash: text("previousblockhash").parse().unwrap(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: number("curtime") as u32,
        bits: CompactTarget::from_unprefixed_hex(text("bits")).unwrap(),
        nonce: 0,
    };
    let mut block = Block { header, txdata: std::iter::once(coinbase).chain(others).collect() };
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
    block
}

#[test]
fn who_has_the_number_is_mined_through_the_enforcer_and_nowhere_else() {
    let Some(guarded) = Guarded::start() else { return };
    let spending = spend(&guarded.locked, &[OPENS]);
    let txid = spending.compute_txid().to_string();
    let refusal = guarded.fresh.ledger.broadcast(&spending).unwrap_err().to_string();
    assert!(refusal.contains("OP_SUCCESS"), "{refusal}");

    let tested = guarded.ask("testmempoolaccept", json!([[serialize_hex(&spending)]])).unwrap();
    assert_eq!(tested[0]["allowed"], true, "{tested}");
    assert_eq!(guarded.send(&spending), Ok(json!(txid)));
    assert_eq!(guarded.send(&spending), Ok(json!(txid)), "again is no harm");
    assert_eq!(guarded.listed(), std::slice::from_ref(&txid));
    assert_eq!(guarded.ask("getrawtransaction", json!([txid])), Ok(json!(serialize_hex(&spending))));
    let locked = guarded.locked.compute_txid();
    assert_eq!(guarded.ask("gettxout", json!([locked, 0, true])), Ok(Value::Null), "it is spent");
    let made = guarded.ask("gettxout", json!([txid, 0, true])).unwrap();
    assert_eq!(made["confirmations"], 0, "{made}");

    let template = guarded.template();
    assert_eq!(template["transactions"][0]["txid"], txid);
    let block = mined(&template);
    assert_eq!(guarded.ask("submitblock", json!([serialize_hex(&block)])), Ok(Value::Null));
    assert_eq!(guarded.tip().hash, block.block_hash());
    assert_eq!(guarded.enforcer.checked(), guarded.tip());
    assert_eq!(guarded.listed(), [""; 0]);
}

#[test]
fn a_thief_is_refused_at_every_door() {
    let Some(guarded) = Guarded::start() else { return };
    let theft = spend(&guarded.locked, &[OPENS + 1]);
    let (code, message) = guarded.send(&theft).unwrap_err();
    assert!(code == -26 && message.contains("EQUALVERIFY"), "{message}");
    let mut template = guarded.template();
    template["transactions"] = json!([{ "data": serialize_hex(&theft) }]);
    // With the theft's commitment in place the node itself takes this block.
    let mut block = mined(&template);
    let root = block.witness_root().unwrap();
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], commitment.as_byte_array()].concat();
    block.txdata[0].output[1].script_pubkey = ScriptBuf::from_bytes(script);
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
    let said = guarded.ask("submitblock", json!([serialize_hex(&block)])).unwrap();
    assert!(said.as_str().unwrap().starts_with("op-exponent, input 0 of"), "{said}");

    let before = guarded.tip();
    assert_eq!(guarded.fresh.node.call::<Value>("submitblock", &[json!(serialize_hex(&block))]), Value::Null);
    assert_ne!(guarded.tip(), before, "the node takes it");
    guarded.enforcer.follow(&mut |_| ()).unwrap();
    assert_eq!((guarded.tip(), guarded.enforcer.checked()), (before, before));
}

#[test]
fn an_enforcer_that_was_off_for_fifty_blocks_takes_back_what_was_stolen_meanwhile() {
    let Some(guarded) = Guarded::start() else { return };
    guarded.fresh.mine(24, &Free(0).script());
    let honest = guarded.tip();
    guarded.mine_past_it(&[&spend(&guarded.locked, &[])]);
    guarded.fresh.mine(25, &Free(0).script());
    let guarded = guarded.restart();
    guarded.enforcer.follow(&mut |_| ()).unwrap();
    assert_eq!((guarded.tip(), guarded.enforcer.checked()), (honest, honest));
    // And who has the number still collects.
    guarded.send(&spend(&guarded.locked, &[OPENS])).unwrap();
    let block = mined(&guarded.template());
    assert_eq!(guarded.ask("submitblock", json!([serialize_hex(&block)])), Ok(Value::Null));
}

#[test]
fn what_a_reorganisation_takes_back_is_in_the_next_template_again() {
    let Some(guarded) = Guarded::start() else { return };
    let spending = spend(&guarded.locked, &[OPENS]);
    guarded.mine_past_it(&[&spending]);
    guarded.enforcer.follow(&mut |_| ()).unwrap();
    guarded.fresh.reorganise(1, 2, &Free(0).script());
    guarded.enforcer.follow(&mut |_| ()).unwrap();
    assert_eq!(guarded.enforcer.checked(), guarded.tip());
    assert_eq!(guarded.template()["transactions"][0]["txid"], spending.compute_txid().to_string());
}

#[test]
fn two_enforcers_leave_a_thief_alone_on_the_third_node() {
    let (Some(first), Some(lax)) = (Guarded::start(), Fresh::start(Kind::Bitcoin)) else { return };
    let Some(other) = Fresh::start(Kind::Bitcoin) else { return };
    let relay = |from: &Fresh, to: &Fresh| {
        for height in 1..=from.node.tip().height.to_u32() {
            let hash: Value = from.node.call("getblockhash", &[json!(height)]);
            let block: Value = from.node.call("getblock", &[hash, json!(0)]);
            // What it has already, or left for good, it says so.
            let _: Value = to.node.call("submitblock", &[block]);
        }
    };
    relay(&first.fresh, &lax);
    relay(&first.fresh, &other);
    let second = Enforcer::new(other.node.ledger(), first.folder.path().join("second")).unwrap();
    let start = first.tip();
    let to = format!("raw({})", Free(0).script().to_hex_string());
    let theft = serialize_hex(&spend(&first.locked, &[]));
    lax.node.call::<Value>("generateblock", &[json!(to), json!([theft])]);
    relay(&lax, &first.fresh);
    relay(&lax, &other);
    first.enforcer.follow(&mut |_| ()).unwrap();
    second.follow(&mut |_| ()).unwrap();
    assert_eq!((first.tip(), other.node.tip()), (start, start));

    // The honest branch is longer in the end, and everybody is on it.
    first.send(&spend(&first.locked, &[OPENS])).unwrap();
    let block = mined(&first.template());
    assert_eq!(first.ask("submitblock", json!([serialize_hex(&block)])), Ok(Value::Null));
    first.fresh.mine(1, &Free(0).script());
    relay(&first.fresh, &other);
    relay(&first.fresh, &lax);
    second.follow(&mut |_| ()).unwrap();
    assert_eq!([second.checked(), lax.node.tip()], [first.tip(); 2]);
}

#[test]
fn what_spends_beside_the_lock_may_rest_on_a_transaction_that_is_not_mined() {
    let Some(guarded) = Guarded::start() else { return };
    let parent = pass_on(guarded.spare, Free(2));
    guarded.fresh.ledger.broadcast(&parent).unwrap();
    let mut spending = spend(&guarded.locked, &[OPENS]);
    let previous_output = OutPoint::new(parent.compute_txid(), 0);
    spending.input.push(TxIn { previous_output, witness: Free(2).witness(), ..TxIn::default() });
    guarded.send(&spending).unwrap();
    let template = guarded.template();
    let listed = |place: usize| &template["transactions"][place];
    assert_eq!(listed(0)["txid"], parent.compute_txid().to_string());
    assert_eq!((&listed(1)["txid"], &listed(1)["depends"]), (&json!(spending.compute_txid()), &json!([1])));
    let block = mined(&template);
    assert_eq!(guarded.ask("submitblock", json!([serialize_hex(&block)])), Ok(Value::Null));
    assert_eq!(guarded.tip().hash, block.block_hash());
}

#[test]
fn litecoins_node_cannot_tell_what_an_enforcer_must_know() {
    let Some(fresh) = Fresh::start(Kind::Litecoin) else { return };
    let folder = tempfile::tempdir().unwrap();
    let refused = Enforcer::new(fresh.node.ledger(), folder.path().join("checked")).unwrap_err();
    assert!(refused.to_string().contains("Litecoin Core"), "{refused}");
}

#[test]
fn a_rival_pays_more_than_what_it_replaces_or_is_refused() {
    let Some(guarded) = Guarded::start() else { return };
    let first = spend(&guarded.locked, &[OPENS]);
    let paying = |more: u64| {
        let mut rival = first.clone();
        rival.output[0].value -= Amount::from_sat(more);
        rival
    };
    guarded.send(&first).unwrap();
    let (_, message) = guarded.send(&paying(5)).unwrap_err();
    assert!(message.starts_with("insufficient fee"), "{message}");
    let rival = paying(FEE.to_sat());
    guarded.send(&rival).unwrap();
    assert_eq!(guarded.listed(), [rival.compute_txid().to_string()]);
    assert_eq!(guarded.template()["transactions"].as_array().unwrap().len(), 1);
}

#[test]
fn questions_that_are_the_nodes_go_to_the_node_and_mistakes_are_told() {
    let Some(guarded) = Guarded::start() else { return };
    assert_eq!(guarded.ask("getblockcount", json!([])), Ok(json!(guarded.tip().height.to_u32())));
    assert_eq!(guarded.ask("nonsense", json!([])).unwrap_err().0, -32_601);
    assert_eq!(guarded.send_text("zz").0, -22);
    assert_eq!(guarded.ask("submitblock", json!({ "hexdata": "00" })).unwrap_err().0, -8);
    let info = guarded.ask("getexponentinfo", json!([])).unwrap();
    assert_eq!(info["checked_hash"], guarded.tip().hash.to_string());
    let several = json!([
        { "id": 0, "method": "getexponentinfo", "params": [] },
        { "id": 1, "method": "getbestblockhash", "params": [] },
    ]);
    let answers: Value = serde_json::from_str(&guarded.enforcer.answer(&several)).unwrap();
    assert_eq!(answers[1]["result"], answers[0]["result"]["checked_hash"], "{answers}");
}

impl Guarded {
    fn send_text(&self, text: &str) -> (i64, String) {
        self.ask("sendrawtransaction", json!([text])).unwrap_err()
    }
}
