//! Who stands behind the address may be anybody.

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{Block, BlockHash, Network, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Fault, Ledger, LedgerError, Next, Watch};
use serde_json::{Value, json};

use crate::liar::{GENESIS, Liar, Say, info};

fn genesis() -> BlockRef {
    BlockRef::new(Height::GENESIS, Chain::regtest().genesis())
}

fn some_tx() -> Transaction {
    let genesis = bitcoin::constants::genesis_block(Network::Regtest);
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, ..genesis.txdata[0].clone() }
}

fn watch() -> Watch {
    let mut watch = Watch::new();
    watch.add_outpoint(OutPoint::new(Txid::all_zeros(), 0));
    watch
}

/// Asks everything there is to ask, and returns the errors.
fn ask_all(liar: &Liar) -> Vec<LedgerError> {
    let (rpc, tx) = (liar.rpc(), some_tx());
    let broadcast = |error| match error {
        BroadcastError::Ledger(error) => error,
        BroadcastError::Refused(refusal) => panic!("it refused: {refusal}"),
    };
    let errors = [
        rpc.tip().err(),
        rpc.next(genesis(), &watch()).err(),
        rpc.block_at(Height::new(1)).err(),
        rpc.header(&genesis().hash).err(),
        rpc.coin(&OutPoint::new(Txid::all_zeros(), 0)).err(),
        rpc.broadcast(&tx).err().map(broadcast),
        rpc.check(&tx).err().map(broadcast),
        rpc.pending(&watch()).err(),
        rpc.unmined(&tx.compute_txid()).err(),
        rpc.feerate().err(),
        rpc.wait(genesis(), std::time::Duration::from_millis(1)).err(),
    ];
    errors.into_iter().flatten().collect()
}

/// Every answer is an error of the backend, in a few lines and without control characters.
#[track_caller]
fn is_blamed(errors: &[LedgerError], expected: &str) {
    assert_eq!(errors.len(), 11, "{errors:?}");
    for error in errors {
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.len() < 1_000 && !text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn every_sort_of_garbage_is_an_error_and_nothing_worse() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let wild = "{\"id\":0,\"error\":{\"code\":-1,\"message\":\"\\u001b[2J\\u0007\"}}";
    let garbage: [(Say, &str); 12] = [
        (Say::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "the node at"),
        (Say::Bytes(Vec::new()), "closed the connection"),
        (Say::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"result\":".to_vec()), "the node at"),
        (Say::Bytes([b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'a'; 1 << 20]].concat()), "the node at"),
        (Say::Close, "closed the connection"),
        (Say::Status(200, String::new()), "cannot be right"),
        (Say::Status(200, "<html>It works!</html>".to_owned()), "cannot be right"),
        (Say::Status(200, deep), "cannot be right"),
        (Say::Status(500, wild.to_owned()), "cannot be right"),
        (Say::Status(503, "Work queue depth exceeded".to_owned()), "too busy"),
        (Say::Status(302, String::new()), "HTTP status 302"),
        (Say::Status(204, String::new()), "HTTP status 204"),
    ];
    for (say, expected) in garbage {
        is_blamed(&ask_all(&Liar::with([("getblockchaininfo", say)])), expected);
    }
}

#[test]
fn a_node_that_never_answers_is_given_up() {
    let liar = Liar::with([("getblockchaininfo", Say::Nothing)]);
    let error = liar.rpc().tip().unwrap_err();
    assert!(error.to_string().contains("took too long"), "{error}");
    assert_eq!(error.fault(), Fault::Backend);
}

#[test]
fn an_answer_that_does_not_end_is_cut_off() {
    for say in [Say::Endless, Say::Drip] {
        let liar = Liar::with([("getblockchaininfo", say)]);
        let text = liar.rpc().tip().unwrap_err().to_string();
        assert!(text.contains("took too long") || text.contains("more than"), "{text}");
    }
}

#[test]
fn a_node_of_another_network_is_not_listened_to() {
    let litecoin = "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9";
    let liar = Liar::with([("getblockhash", Say::Result(json!(litecoin)))]);
    is_blamed(&ask_all(&liar), "is on litecoin-regtest, not on regtest");
    let liar = Liar::with([("getblockhash", Say::Result(json!("00".repeat(32))))]);
    is_blamed(&ask_all(&liar), "is on `regtest`, not on regtest");
}

#[test]
fn a_signet_is_known_by_its_challenge() {
    let own = Chain::custom_signet(bitcoin::ScriptBuf::from_bytes(vec![0x51]));
    let genesis = json!("00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6");
    let signet = |challenge: &str| {
        let info = info(|info| info["signet_challenge"] = json!(challenge));
        Liar::with([("getblockhash", Say::Result(genesis.clone())), ("getblockchaininfo", info)])
    };
    signet("51").rpc_on(own.clone()).unwrap().tip().unwrap();
    let error = signet("52").rpc_on(own).unwrap().tip().unwrap_err().to_string();
    assert!(error.contains("a signet with another challenge, not on signet"), "{error}");
    let public = Chain::named("signet").unwrap();
    assert!(signet("51").rpc_on(public).unwrap().tip().is_err());
}

#[test]
fn an_old_node_is_told_which_version_is_needed() {
    let liar = Liar::with([("getnetworkinfo", Say::Result(json!({ "version": 270_100 })))]);
    is_blamed(&ask_all(&liar), "Use Bitcoin Core 28 or newer");
}

#[test]
fn a_node_that_refuses_the_password_is_not_asked_again() {
    let liar = Liar::with([("getblockchaininfo", Say::Status(401, String::new()))]);
    let error = liar.rpc().tip().unwrap_err();
    assert!(error.to_string().contains("does not accept the password of user `alice`"), "{error}");
    assert_eq!(liar.asked.lock().unwrap().len(), 1);
    assert!(liar.secrets.lock().unwrap()[0].starts_with("Basic "));
}

#[test]
fn a_node_that_starts_is_waited_for() {
    let liar = Liar::with([("getblockchaininfo", Say::Error(-28, "Loading block index…"))]);
    let rpc = liar.rpc();
    let error = rpc.tip().unwrap_err();
    assert!(matches!(error, LedgerError::Starting { .. }), "{error}");
    liar.says("getblockchaininfo", info(|_| ()));
    assert_eq!(rpc.tip().unwrap(), genesis());
}

#[test]
fn another_node_at_the_same_address_after_a_pause_is_noticed() {
    let liar = Liar::with([]);
    let rpc = liar.rpc();
    rpc.tip().unwrap();
    liar.says("getbestblockhash", Say::Close);
    rpc.wait(genesis(), std::time::Duration::from_millis(1)).unwrap_err();
    liar.says("getblockhash", Say::Result(json!("00".repeat(32))));
    let error = rpc.tip().unwrap_err();
    assert!(matches!(error, LedgerError::OtherNetwork { .. }), "{error}");
}

#[test]
fn a_node_that_still_synchronises_shows_what_it_has_and_sends_nothing() {
    let behind = info(|info| {
        info["initialblockdownload"] = json!(true);
        info["headers"] = json!(800_000);
    });
    let liar = Liar::with([("getblockchaininfo", behind)]);
    let rpc = liar.rpc();
    assert_eq!(rpc.tip().unwrap(), genesis());
    match rpc.broadcast(&some_tx()).unwrap_err() {
        BroadcastError::Ledger(LedgerError::Behind { have, want, .. }) => {
            assert_eq!((have, want), (Height::GENESIS, Height::new(800_000)));
        }
        other => panic!("{other}"),
    }
    assert!(!liar.asked.lock().unwrap().contains(&"sendrawtransaction".to_owned()));
}

/// A block on the genesis block, with as much work as regtest wants.
fn block_on(parent: BlockHash) -> Block {
    let mut block = bitcoin::constants::genesis_block(Network::Regtest);
    block.header.prev_blockhash = parent;
    mined(block)
}

fn mined(mut block: Block) -> Block {
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
    block
}

fn shows(block: &Block, as_hash: BlockHash) -> Result<Next, LedgerError> {
    let liar = Liar::with([
        (
            "getblockheader",
            Say::Result(json!(serialize_hex(&bitcoin::constants::genesis_block(Network::Regtest).header))),
        ),
        ("getblock", Say::Result(json!(serialize_hex(block)))),
    ]);
    let rpc = liar.rpc();
    rpc.tip().unwrap();
    liar.says("getblockhash", Say::Result(json!(as_hash)));
    rpc.next(genesis(), &Watch::new())
}

#[track_caller]
fn is_nonsense(answer: Result<Next, LedgerError>, expected: &str) {
    match answer {
        Err(error @ LedgerError::Nonsense { .. }) => assert!(error.to_string().contains(expected), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_forged_block_is_not_believed() {
    let honest = block_on(genesis().hash);
    assert!(matches!(shows(&honest, honest.block_hash()).unwrap(), Next::Connect(_)));

    is_nonsense(shows(&honest, BlockHash::all_zeros()), "another one");
    let mut emptied = honest.clone();
    emptied.txdata[0].output.clear();
    is_nonsense(shows(&emptied, honest.block_hash()), "not those of its header");
    let mut lazy = honest.clone();
    while lazy.header.validate_pow(lazy.header.target()).is_ok() {
        lazy.header.nonce += 1;
    }
    is_nonsense(shows(&lazy, lazy.block_hash()), "lacks the work");
    let mut easy = honest.clone();
    easy.header.bits = bitcoin::CompactTarget::from_consensus(0x2100_ffff);
    is_nonsense(shows(&easy, easy.block_hash()), "easier");
}

#[test]
fn a_block_that_does_not_follow_is_no_block_of_the_chain() {
    let stray = block_on(BlockHash::from_byte_array([1; 32]));
    assert_eq!(shows(&stray, stray.block_hash()).unwrap(), Next::Disconnect);
}

#[test]
fn a_block_that_the_node_pruned_is_named() {
    let stray = block_on(BlockHash::from_byte_array([1; 32]));
    let liar = Liar::with([("getblock", Say::Error(-1, "Block not available (pruned data)"))]);
    let rpc = liar.rpc();
    rpc.tip().unwrap();
    liar.says("getblockhash", Say::Result(json!(stray.block_hash())));
    match rpc.next(genesis(), &Watch::new()).unwrap_err() {
        LedgerError::Pruned { block, .. } => assert_eq!(block, stray.block_hash()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_chain_that_moves_at_every_question_is_given_up() {
    let stray = block_on(BlockHash::from_byte_array([1; 32]));
    let liar = Liar::with([("getblock", Say::Result(json!(serialize_hex(&stray))))]);
    // Whatever height: the block asked about, and yet its child has another parent.
    let answer = liar.rpc().next(genesis(), &Watch::new());
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn figures_that_cannot_be_are_refused() {
    let coin = |value: Value, confirmations: Value| {
        let coin = json!({
            "bestblock": GENESIS, "confirmations": confirmations, "value": value, "coinbase": false,
            "scriptPubKey": { "hex": "51" },
        });
        let place = Say::Result(json!({ "height": 7 }));
        let liar = Liar::with([("gettxout", Say::Result(coin)), ("getblockheader", place)]);
        liar.rpc().coin(&OutPoint::new(Txid::all_zeros(), 0))
    };
    let whole = coin(json!(1.5), json!(3)).unwrap().unwrap();
    assert_eq!((whole.output.value.to_sat(), whole.height), (150_000_000, Some(Height::new(5))));
    for (value, confirmations) in [
        (json!(-1), json!(1)),
        (json!(1e300), json!(1)),
        (json!("1"), json!(1)),
        (json!(0.000_000_001), json!(1)),
        (json!(1), json!(9)),
        (json!(1), json!(-1)),
        (json!(1), json!(1u64 << 40)),
    ] {
        let answer = coin(value.clone(), confirmations.clone());
        assert!(answer.is_err(), "{value} {confirmations}: {answer:?}");
    }
}

#[test]
fn unmined_transactions_that_are_others_than_asked_for_are_left_out() {
    let tx = some_tx();
    let listed = json!([Txid::all_zeros(), Txid::all_zeros(), tx.compute_txid()]);
    let liar = Liar::with([
        ("getrawmempool", Say::Result(listed)),
        ("getrawtransaction", Say::Result(json!(serialize_hex(&tx)))),
        ("gettxout", Say::Result(Value::Null)),
    ]);
    let mut watch = Watch::new();
    watch.add_script(tx.output[0].script_pubkey.clone());
    let found = liar.rpc().pending(&watch).unwrap();
    assert_eq!(found.iter().map(|hit| hit.txid).collect::<Vec<_>>(), [tx.compute_txid()]);
    assert!(liar.rpc().unmined(&Txid::all_zeros()).is_err());
}

#[test]
fn answers_to_other_questions_are_no_answers() {
    let listed = json!([Txid::all_zeros()]);
    let liar = Liar::with([
        ("getrawmempool", Say::Result(listed)),
        ("getrawtransaction", Say::Status(200, json!([{ "id": 9, "result": "00" }]).to_string())),
    ]);
    let error = liar.rpc().pending(&watch()).unwrap_err();
    assert!(error.to_string().contains("not those to the questions"), "{error}");
}
