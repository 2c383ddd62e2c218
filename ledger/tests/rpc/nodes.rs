//! What only real nodes can show.

use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, Script, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    ecdsa,
};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::contract::{Follower, Free, Harness, Purse, fund, pass_on};
use keyway_ledger::rpc::{Credentials, Endpoint};
use keyway_ledger::testnode::{Kind, TestNode, free_port};
use keyway_ledger::{BroadcastError, Ledger, LedgerError, Next, Rpc, Watch};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::harness::Fresh;

/// A P2WPKH identity, as Keyway's parties have.
struct Person(SecretKey);

impl Person {
    fn new() -> Self {
        Self(SecretKey::from_slice(&[7; 32]).unwrap())
    }

    fn key(&self) -> CompressedPublicKey {
        CompressedPublicKey(self.0.public_key(&Secp256k1::new()))
    }

    fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&self.key().wpubkey_hash())
    }

    /// Spends a coin into `outputs` equal ones to `to`, less a fee.
    fn spend(&self, coin: OutPoint, value: Amount, to: &Script, outputs: u64) -> Transaction {
        let part = (value - Amount::from_sat(20_000)) / outputs;
        let output = TxOut { value: part, script_pubkey: to.to_owned() };
        let mut tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn { previous_output: coin, sequence: Sequence::MAX, ..TxIn::default() }],
            output: vec![output; outputs as usize],
        };
        let digest = SighashCache::new(&tx)
            .p2wpkh_signature_hash(0, &self.script(), value, EcdsaSighashType::All)
            .unwrap();
        let signature = Secp256k1::new().sign_ecdsa(&Message::from(digest), &self.0);
        let signature = ecdsa::Signature { signature, sighash_type: EcdsaSighashType::All };
        tx.input[0].witness = Witness::p2wpkh(&signature, &self.key().0);
        tx
    }
}

/// Every node there is.
fn with_each(test: impl Fn(Fresh)) {
    for kind in Kind::ALL {
        if let Some(fresh) = Fresh::start(kind) {
            test(fresh);
        }
    }
}

fn shop() -> ScriptBuf {
    Free(50).script()
}

/// What input 0 of the payments to the shop spent, in the chain's order.
fn spent_in_shop(ledger: &Rpc) -> Vec<Option<TxOut>> {
    let mut watch = Watch::new();
    watch.add_script(shop());
    let mut follower = Follower::new(ledger, watch);
    follower.follow(ledger);
    follower.hits().into_iter().map(|hit| hit.input_zero).collect()
}

/// A coin of that person that is as old as can be.
fn old_coin(fresh: &Fresh, purse: Purse, person: &Person, outputs: u64) -> (Transaction, OutPoint) {
    let mut tx = pass_on(purse, Free(1));
    let value = tx.output[0].value / outputs;
    tx.output = vec![TxOut { value, script_pubkey: person.script() }; outputs as usize];
    fresh.ledger.broadcast(&tx).unwrap();
    fresh.mine(1, &Free(-1).script());
    let outpoint = OutPoint::new(tx.compute_txid(), 0);
    (tx, outpoint)
}

#[test]
fn the_coin_that_a_payment_spent_is_found_without_an_index() {
    with_each(|fresh| {
        let person = Person::new();
        // One is spent wholly: only the chain itself can tell. Of the other an output stays.
        for (purse, outputs) in fund(&fresh, 2).into_iter().zip([1, 3]) {
            let (funding, coin) = old_coin(&fresh, purse, &person, outputs);
            let payment = person.spend(coin, funding.output[0].value, &shop(), 1);
            fresh.ledger.broadcast(&payment).unwrap();
            let unmined = fresh.ledger.pending(&watching(&shop())).unwrap();
            assert_eq!(unmined[0].input_zero.as_ref(), Some(&funding.output[0]));
            fresh.mine(1, &Free(-1).script());
            assert_eq!(spent_in_shop(&fresh.node.ledger()).last(), Some(&Some(funding.output[0].clone())));
        }
    });
}

fn watching(script: &Script) -> Watch {
    let mut watch = Watch::new();
    watch.add_script(script.to_owned());
    watch
}

#[test]
fn a_coin_created_in_the_same_block_is_found() {
    with_each(|fresh| {
        let person = Person::new();
        let (funding, coin) = old_coin(&fresh, fund(&fresh, 1)[0], &person, 1);
        let first = person.spend(coin, funding.output[0].value, &person.script(), 1);
        let second = person.spend(OutPoint::new(first.compute_txid(), 0), first.output[0].value, &shop(), 1);
        fresh.ledger.broadcast(&first).unwrap();
        fresh.ledger.broadcast(&second).unwrap();
        fresh.mine(1, &Free(-1).script());
        assert_eq!(spent_in_shop(&fresh.node.ledger()), [Some(first.output[0].clone())]);
    });
}

#[test]
fn a_node_that_was_killed_and_started_again_goes_on_with_its_new_cookie() {
    with_each(|fresh| {
        let tip = fresh.mine(3, &Free(0).script())[2];
        assert_eq!(fresh.ledger.tip().unwrap(), tip);
        fresh.node.stop();
        let error = fresh.ledger.tip().unwrap_err();
        assert!(matches!(error, LedgerError::Unreachable { .. }), "{error}");
        fresh.node.restart();
        assert_eq!(fresh.ledger.tip().unwrap(), tip);
        fresh.node.kill();
        fresh.ledger.tip().unwrap_err();
    });
}

#[test]
fn a_node_that_stands_still_is_given_up_and_taken_up_again() {
    with_each(|fresh| {
        let endpoint = Endpoint { patience: Duration::from_millis(500), ..fresh.node.endpoint() };
        let ledger = Rpc::connect(fresh.node.kind().chain(), endpoint).unwrap();
        fresh.node.freeze();
        let error = ledger.tip().unwrap_err().to_string();
        assert!(error.contains("took too long"), "{error}");
        fresh.node.thaw();
        let patient = fresh.node.ledger();
        assert_eq!(patient.tip().unwrap(), fresh.node.tip());
    });
}

#[test]
fn a_user_and_password_open_a_node() {
    for kind in Kind::ALL {
        // alice:hunter2, as the nodes' own rpcauth.py writes it; the cookie stays valid beside it.
        let Some(node) = TestNode::start_with(kind, &[RPCAUTH]) else { continue };
        let with = |password: &str| {
            let credentials = Credentials::user("alice", Zeroizing::new(password.to_owned()));
            Rpc::connect(kind.chain(), Endpoint { credentials, ..node.endpoint() })
        };
        with("hunter2").unwrap().tip().unwrap();
        let error = with("hunter3").unwrap_err();
        assert!(matches!(error, LedgerError::Credentials { .. }), "{error}");
    }
}

const RPCAUTH: &str = "-rpcauth=alice:a14191e6892facf70686a397b1264231$f882bd4f2b2aed9729ca4ff6f9d3d2a5431723902a57f6438c66f84ac0b5755e";

#[test]
fn no_cookie_nobody_there_and_another_network_are_told_apart() {
    with_each(|fresh| {
        let endpoint = |url: String, cookie: &str| Endpoint {
            url,
            credentials: Credentials::cookie(cookie),
            patience: Duration::from_secs(60),
        };
        let chain = fresh.node.kind().chain();
        let cookie = fresh.node.cookie().display().to_string();
        let fails = |chain: &Chain, endpoint| Rpc::connect(chain.clone(), endpoint).unwrap_err().to_string();
        let nowhere = format!("http://127.0.0.1:{}", free_port());
        assert!(fails(&chain, endpoint(nowhere, &cookie)).contains("nothing listens there"));
        let no_cookie = fails(&chain, endpoint(fresh.node.url(), "/nowhere/.cookie"));
        assert!(no_cookie.contains("/nowhere/.cookie cannot be read"), "{no_cookie}");
        let other = Chain::all().find(|other| *other != chain).unwrap();
        let wrong = fails(&other, endpoint(fresh.node.url(), &cookie));
        let expected = format!("is on {}, not on {}", chain.name(), other.name());
        assert!(wrong.contains(&expected), "{wrong}");
    });
}

#[test]
fn a_node_that_has_headers_without_their_blocks_sends_nothing() {
    with_each(|ahead| {
        let Some(behind) = Fresh::start(ahead.node.kind()) else { return };
        let tx = pass_on(fund(&ahead, 1)[0], Free(1));
        for height in 1..=ahead.node.tip().height.to_u32() {
            let hash: Value = ahead.node.call("getblockhash", &[json!(height)]);
            let header: Value = ahead.node.call("getblockheader", &[hash, json!(false)]);
            behind.node.call::<Value>("submitheader", &[header]);
        }
        assert_eq!(behind.ledger.tip().unwrap().height, Height::GENESIS);
        match behind.ledger.broadcast(&tx).unwrap_err() {
            BroadcastError::Ledger(LedgerError::Behind { have, want, .. }) => {
                assert_eq!((have, want), (Height::GENESIS, ahead.node.tip().height));
            }
            other => panic!("{other}"),
        }
    });
}

#[test]
fn what_a_node_pruned_is_named_and_what_it_keeps_is_read() {
    // Litecoin Core 0.21 cannot prune a chain that is as small as a test's.
    let kind = Kind::Bitcoin;
    let Some(fresh) = Fresh::start_with(kind, &["-prune=1", "-fastprune"]) else { return };
    let tip = fresh.mine(1_500, &Free(0).script()).last().copied().unwrap();
    let pruned: u32 = fresh.node.call("pruneblockchain", &[json!(1_000)]);
    assert!(pruned > 0);
    let genesis = BlockRef::new(Height::GENESIS, kind.chain().genesis());
    let error = fresh.ledger.next(genesis, &Watch::new()).unwrap_err();
    assert!(matches!(error, LedgerError::Pruned { .. }), "{error}");
    let late = fresh.ledger.block_at(tip.height.minus(1)).unwrap().unwrap();
    let next = fresh.ledger.next(late, &Watch::new()).unwrap();
    assert!(matches!(next, Next::Connect(block) if block.at == tip));
}
