//! Every reason for which a transaction is refused, in Bitcoin Core's words.

use bitcoin::absolute::LockTime;
use bitcoin::key::{Keypair, Secp256k1};
use bitcoin::opcodes::all::{OP_CHECKSIG, OP_PUSHNUM_1, OP_RETURN};
use bitcoin::secp256k1::{Message, SecretKey, ecdsa};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::taproot::TaprootBuilder;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    XOnlyPublicKey,
};
use keyway_ledger::contract::{FEE, Free, Harness, Purse, fund, pass_on, pay, purse};
use keyway_ledger::{Ledger, RefusalKind};

use super::tools::Fresh;

/// A ledger with one coin, and a transaction that would be taken.
fn ready() -> (Fresh, Purse, Transaction) {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let good = pass_on(funds, Free(1));
    fresh.ledger.check(&good).unwrap();
    (fresh, funds, good)
}

fn with_output(tx: &Transaction, value: u64, script_pubkey: ScriptBuf) -> Transaction {
    let mut tx = tx.clone();
    tx.output.push(TxOut { value: Amount::from_sat(value), script_pubkey });
    tx
}

fn data(len: usize) -> ScriptBuf {
    let mut bytes = vec![OP_RETURN.to_u8(), 0x4e];
    bytes.extend_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    bytes.resize(6 + len, 0xab);
    ScriptBuf::from_bytes(bytes)
}

#[test]
fn a_transaction_without_form_is_refused() {
    let (fresh, funds, good) = ready();
    let edit = |change: &dyn Fn(&mut Transaction)| {
        let mut tx = good.clone();
        change(&mut tx);
        fresh.reason(&tx)
    };
    assert_eq!(edit(&|tx| tx.input.clear()), "bad-txns-vin-empty");
    assert_eq!(edit(&|tx| tx.output.clear()), "bad-txns-vout-empty");
    assert_eq!(
        edit(&|tx| tx.output[0].value = Amount::MAX_MONEY + Amount::ONE_SAT),
        "bad-txns-vout-toolarge"
    );
    assert_eq!(edit(&|tx| tx.output[0].value = Amount::MAX), "bad-txns-vout-negative");
    assert_eq!(edit(&|tx| tx.output = vec![tx.output[0].clone(); 2]), "bad-txns-in-belowout");
    let half = TxOut { value: Amount::MAX_MONEY / 2 + Amount::ONE_SAT, ..good.output[0].clone() };
    assert_eq!(edit(&|tx| tx.output = vec![half.clone(); 2]), "bad-txns-txouttotal-toolarge");
    assert_eq!(edit(&|tx| tx.input.push(tx.input[0].clone())), "bad-txns-inputs-duplicate");
    assert_eq!(edit(&|tx| tx.input.push(TxIn::default())), "bad-txns-prevout-null");
    assert_eq!(edit(&|tx| tx.output[0].value = funds.value + Amount::ONE_SAT), "bad-txns-in-belowout");
    assert_eq!(edit(&|tx| tx.input[0].previous_output = OutPoint::null()), "coinbase");
    assert_eq!(edit(&|tx| tx.version = Version(0)), "version");
    assert_eq!(edit(&|tx| tx.version = Version(4)), "version");
    assert_eq!(edit(&|tx| tx.input[0].script_sig = ScriptBuf::from_bytes(vec![0; 1_651])), "scriptsig-size");
    assert_eq!(
        edit(&|tx| tx.input[0].script_sig = ScriptBuf::from_bytes(vec![0xac])),
        "scriptsig-not-pushonly"
    );
    // 64 bytes can be mistaken for the inner nodes of a block's tree of hashes.
    let short = ScriptBuf::from_bytes(vec![OP_RETURN.to_u8()]);
    assert_eq!(edit(&|tx| tx.output[0].script_pubkey = short.clone()), "tx-size-small");
}

#[test]
fn outputs_that_nodes_do_not_relay_are_refused() {
    let (fresh, _, mut good) = ready();
    good.output[0].value = Amount::from_sat(100_000_000);
    let script = |bytes: &[u8]| with_output(&good, 10_000, ScriptBuf::from_bytes(bytes.to_vec()));
    assert_eq!(fresh.reason(&script(&[0x51])), "scriptpubkey");
    assert_eq!(fresh.reason(&script(&[OP_RETURN.to_u8(), 0xac])), "scriptpubkey");
    assert_eq!(
        fresh.reason(&script(&[0x00, 0x02, 1, 2])),
        "scriptpubkey",
        "witness version 0 of no known length"
    );
    fresh.ledger.check(&script(&[0x52, 0x02, 1, 2])).expect("a future witness version may be paid");
    fresh.ledger.check(&script(&[0x51, 0x02, 0x4e, 0x73])).expect("pay to anchor");

    fresh.ledger.check(&with_output(&good, 0, data(90_000))).unwrap();
    let twice = with_output(&with_output(&good, 0, data(49_000)), 0, data(50_989));
    assert_eq!(fresh.reason(&twice), "tx-size");
    let small = with_output(&with_output(&good, 0, data(40_000)), 0, data(40_000));
    fresh.ledger.check(&small).unwrap();
    // 100,000 bytes of data never fit a transaction of 400,000 weight units.
    assert_eq!(fresh.reason(&with_output(&good, 0, data(100_001))), "tx-size");
}

#[test]
fn dust_is_refused_at_each_forms_own_limit() {
    let (fresh, _, good) = ready();
    let key: CompressedPublicKey = CompressedPublicKey::from_private_key(
        &Secp256k1::new(),
        &bitcoin::PrivateKey::new(SecretKey::from_slice(&[7; 32]).unwrap(), bitcoin::Network::Regtest),
    )
    .unwrap();
    let mut good = good;
    good.output[0].value = Amount::from_sat(100_000_000);
    let forms = [
        (ScriptBuf::new_p2wpkh(&key.wpubkey_hash()), 294),
        (ScriptBuf::new_p2pkh(&key.pubkey_hash()), 546),
        (Free(0).script(), 330),
    ];
    for (script, least) in forms {
        fresh.ledger.check(&with_output(&good, least, script.clone())).unwrap();
        let refusal = fresh.refusal(&with_output(&good, least - 1, script));
        assert_eq!((refusal.reason.as_str(), refusal.kind()), ("dust", RefusalKind::Policy));
        assert!(refusal.to_string().contains(&least.to_string()), "{refusal}");
    }
}

#[test]
fn a_fee_under_one_satoshi_per_virtual_byte_is_refused() {
    let (fresh, funds, good) = ready();
    let vsize = u64::try_from(good.vsize()).unwrap();
    let paying = |fee| pay(&[funds], &[(Free(1), funds.value - Amount::from_sat(fee))]);
    fresh.ledger.check(&paying(vsize)).unwrap();
    let refusal = fresh.refusal(&paying(vsize - 1));
    assert_eq!((refusal.reason.as_str(), refusal.kind()), ("min relay fee not met", RefusalKind::FeeTooLow));
    assert_eq!(refusal.detail, Some(format!("{} < {vsize}", vsize - 1)));
}

#[test]
fn coins_that_are_not_there_are_refused_and_known_transactions_named_so() {
    let (fresh, _, good) = ready();
    let child = pass_on(purse(&good, 0, Free(1)), Free(2));
    assert_eq!(fresh.reason(&child), "bad-txns-inputs-missingorspent");
    fresh.ledger.broadcast(&good).unwrap();
    assert_eq!(fresh.reason(&good), "txn-already-in-mempool");
    let mut padded = good.clone();
    padded.input[0].witness.push([]);
    assert_eq!(fresh.reason(&padded), "txn-same-nonwitness-data-in-mempool");
    fresh.mine(1, &Free(0).script());
    assert_eq!(fresh.reason(&good), "txn-already-known");
    assert_eq!(fresh.ledger.broadcast(&good).unwrap(), good.compute_txid());
}

#[test]
fn a_coinbase_is_spent_after_a_hundred_blocks_and_not_before() {
    let fresh = Fresh::start();
    let young = fund(&fresh, 2)[1];
    // The second coinbase lies one block less deep than the first.
    let tx = pass_on(young, Free(1));
    fresh.ledger.check(&tx).unwrap();
    fresh.roll_back(1);
    fresh.ledger.check(&tx).expect("99 blocks above it: in the next block it is 100 deep");
    fresh.roll_back(1);
    assert_eq!(fresh.reason(&tx), "bad-txns-premature-spend-of-coinbase");
}

#[test]
fn an_absolute_lock_opens_for_the_next_block() {
    let (fresh, _, good) = ready();
    let tip = fresh.ledger.tip().unwrap();
    let locked = |lock: u32| Transaction { lock_time: LockTime::from_consensus(lock), ..good.clone() };
    let height = tip.height.to_u32();
    fresh.ledger.check(&locked(height)).unwrap();
    assert_eq!(fresh.reason(&locked(height + 1)), "non-final");
    assert_eq!(fresh.refusal(&locked(height + 1)).kind(), RefusalKind::TooEarly);
    let times = (0..11).map(|i| fresh.ledger.header(&fresh.below(i)).unwrap().unwrap().time);
    let mut times: Vec<u32> = times.collect();
    times.sort_unstable();
    fresh.ledger.check(&locked(times[5] - 1)).unwrap();
    assert_eq!(fresh.reason(&locked(times[5])), "non-final");
    let mut open = locked(u32::MAX);
    open.input[0].sequence = Sequence::MAX;
    fresh.ledger.check(&open).expect("a final sequence switches the lock off");
}

#[test]
fn a_relative_lock_counts_from_the_coins_block() {
    let (fresh, _, good) = ready();
    let locked = |sequence: Sequence| {
        let mut tx = good.clone();
        tx.input[0].sequence = sequence;
        tx
    };
    // The coin is in block 1, the next block has height 102.
    fresh.ledger.check(&locked(Sequence::from_height(101))).unwrap();
    assert_eq!(fresh.reason(&locked(Sequence::from_height(102))), "non-BIP68-final");
    fresh
        .ledger
        .check(&locked(Sequence::from_512_second_intervals(u16::MAX)))
        .expect("the genesis block is of 2011");
    let mut old = locked(Sequence::from_height(102));
    old.version = Version::ONE;
    fresh.ledger.check(&old).expect("version 1 knows no relative locks");

    fresh.ledger.broadcast(&good).unwrap();
    let mut child = pass_on(purse(&good, 0, Free(1)), Free(2));
    child.input[0].sequence = Sequence::from_height(1);
    assert_eq!(fresh.reason(&child), "non-BIP68-final", "its parent is unmined");
    fresh.mine(1, &Free(0).script());
    fresh.ledger.check(&child).unwrap();
    child.input[0].sequence = Sequence::from_512_second_intervals(1);
    assert_eq!(fresh.reason(&child), "non-BIP68-final");
}

#[test]
fn a_wrong_script_or_signature_is_refused() {
    let (fresh, _, good) = ready();
    let mut stolen = good.clone();
    stolen.input[0].witness = Free(5).witness();
    let refusal = fresh.refusal(&stolen);
    assert_eq!(
        (refusal.reason.as_str(), refusal.kind()),
        ("mandatory-script-verify-flag-failed", RefusalKind::Script)
    );
    assert!(refusal.to_string().contains("input 0"), "{refusal}");
    let mut bare = good.clone();
    bare.input[0].witness = Witness::new();
    assert_eq!(fresh.reason(&bare), "mandatory-script-verify-flag-failed");
}

#[test]
fn witnesses_that_nodes_do_not_relay_are_refused() {
    let (fresh, _, good) = ready();
    let mut stuffed = good.clone();
    let script = stuffed.input[0].witness.last().unwrap().to_vec();
    stuffed.input[0].witness = Witness::from_slice(&[vec![1; 81], script.clone()]);
    assert_eq!(fresh.reason(&stuffed), "bad-witness-nonstandard");
    let mut many = vec![vec![1]; 101];
    many.push(script);
    stuffed.input[0].witness = Witness::from_slice(&many);
    assert_eq!(fresh.reason(&stuffed), "bad-witness-nonstandard");
}

#[test]
fn a_coin_of_unknown_form_cannot_be_spent() {
    let fresh = Fresh::start();
    let bare = ScriptBuf::from_bytes(vec![OP_PUSHNUM_1.to_u8()]);
    let future = ScriptBuf::from_bytes(vec![0x60, 0x02, 1, 2]);
    let coins: Vec<OutPoint> = [&bare, &future].map(|script| coinbase(&fresh, script)).to_vec();
    fresh.mine(100, &Free(0).script());
    for coin in coins {
        let mut tx = pay(&[], &[(Free(1), Amount::from_sat(100_000))]);
        tx.input.push(TxIn { previous_output: coin, ..TxIn::default() });
        assert_eq!(fresh.reason(&tx), "bad-txns-nonstandard-inputs");
    }
}

fn coinbase(fresh: &Fresh, script: &bitcoin::Script) -> OutPoint {
    let at = fresh.mine_one(script);
    let block: bitcoin::Block =
        bitcoin::consensus::deserialize(&fresh.ledger.block(&at.hash).unwrap().unwrap()).unwrap();
    OutPoint::new(block.txdata[0].compute_txid(), 0)
}

#[test]
fn the_twenty_sixth_of_a_chain_is_refused_until_a_block_comes() {
    let (fresh, _, good) = ready();
    let mut chain = vec![good];
    for _ in 0..25 {
        chain.push(pass_on(purse(chain.last().unwrap(), 0, Free(1)), Free(1)));
    }
    let last = chain.pop().unwrap();
    chain.iter().for_each(|tx| fresh.send(tx));
    let refusal = fresh.refusal(&last);
    assert_eq!(
        (refusal.reason.as_str(), refusal.kind()),
        ("too-long-mempool-chain", RefusalKind::ChainTooLong)
    );
    fresh.mine(1, &Free(0).script());
    fresh.ledger.broadcast(&last).unwrap();
}

#[test]
fn the_twenty_sixth_child_of_a_parent_is_refused() {
    let (fresh, funds, _) = ready();
    let share = funds.value / 100;
    let parent = pay(&[funds], &[(Free(1), share); 26]);
    fresh.ledger.broadcast(&parent).unwrap();
    for vout in 0..24 {
        fresh.ledger.broadcast(&pass_on(purse(&parent, vout, Free(1)), Free(2))).unwrap();
    }
    assert_eq!(fresh.reason(&pass_on(purse(&parent, 25, Free(1)), Free(2))), "too-long-mempool-chain");
}

#[test]
fn a_replacement_pays_for_what_it_replaces_and_for_itself() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 2);
    let paying = |sat: u64| pay(&funds[..1], &[(Free(1), funds[0].value - Amount::from_sat(sat))]);
    let old = paying(1_000);
    let vsize = u64::try_from(old.vsize()).unwrap();
    fresh.ledger.broadcast(&old).unwrap();
    let child = pass_on(purse(&old, 0, Free(1)), Free(2));
    fresh.ledger.broadcast(&child).unwrap();

    let all = 1_000 + FEE.to_sat();
    assert_eq!(fresh.reason(&paying(999)), "insufficient fee", "it pays a lower feerate");
    assert_eq!(fresh.reason(&paying(all)), "insufficient fee", "it pays nothing for itself");
    assert_eq!(fresh.reason(&paying(all + vsize - 1)), "insufficient fee");
    let new = paying(all + vsize);
    fresh.ledger.broadcast(&new).unwrap();
    for gone in [&old, &child] {
        assert_eq!(fresh.ledger.unmined(&gone.compute_txid()).unwrap(), None);
    }
    assert!(fresh.ledger.unmined(&new.compute_txid()).unwrap().is_some());

    let parent = pass_on(funds[1], Free(3));
    fresh.ledger.broadcast(&parent).unwrap();
    let greedy = pay(&[funds[0], purse(&parent, 0, Free(3))], &[(Free(1), funds[0].value)]);
    assert_eq!(fresh.reason(&greedy), "replacement-adds-unconfirmed");
    let own = purse(&new, 0, Free(1));
    let circle = pay(&[funds[0], own], &[(Free(1), funds[0].value)]);
    assert_eq!(fresh.reason(&circle), "bad-txns-spends-conflicting-tx");
}

#[test]
fn version_three_is_taken_in_pairs_only() {
    let (fresh, _, good) = ready();
    let three = |mut tx: Transaction| {
        tx.version = Version(3);
        tx
    };
    let parent = three(good);
    fresh.ledger.broadcast(&parent).unwrap();
    let child = pass_on(purse(&parent, 0, Free(1)), Free(2));
    assert_eq!(fresh.reason(&child), "TRUC-violation");
    let child = three(child);
    fresh.ledger.broadcast(&child).unwrap();
    assert_eq!(fresh.reason(&three(pass_on(purse(&child, 0, Free(2)), Free(3)))), "TRUC-violation");
}

/// A P2WPKH coin and a transaction that spends it with this signature and key.
struct Keyed {
    fresh: Fresh,
    secret: SecretKey,
    tx: Transaction,
}

impl Keyed {
    fn start() -> Self {
        let fresh = Fresh::start();
        let secret = SecretKey::from_slice(&[42; 32]).unwrap();
        let key = CompressedPublicKey(secret.public_key(&Secp256k1::new()));
        let coin = coinbase(&fresh, &ScriptBuf::new_p2wpkh(&key.wpubkey_hash()));
        fresh.mine(100, &Free(0).script());
        let mut tx = pay(&[], &[(Free(1), Amount::from_int_btc(49))]);
        tx.input.push(TxIn { previous_output: coin, ..TxIn::default() });
        Self { fresh, secret, tx }
    }

    fn key(&self) -> CompressedPublicKey {
        CompressedPublicKey(self.secret.public_key(&Secp256k1::new()))
    }

    fn signature(&self) -> ecdsa::Signature {
        let script = ScriptBuf::new_p2wpkh(&self.key().wpubkey_hash());
        let hash = SighashCache::new(&self.tx)
            .p2wpkh_signature_hash(0, &script, Amount::from_int_btc(50), EcdsaSighashType::All)
            .unwrap();
        Secp256k1::new().sign_ecdsa(&Message::from(hash), &self.secret)
    }

    fn with(&self, signature: Vec<u8>, key: Vec<u8>) -> Transaction {
        let mut tx = self.tx.clone();
        tx.input[0].witness = Witness::from_slice(&[signature, key]);
        tx
    }
}

fn encoded(signature: &ecdsa::Signature, hash_type: u8) -> Vec<u8> {
    [&signature.serialize_der()[..], &[hash_type]].concat()
}

#[test]
fn signatures_and_keys_in_unusual_forms_are_refused() {
    let keyed = Keyed::start();
    let key = keyed.key().to_bytes().to_vec();
    let low = keyed.signature();
    let good = keyed.with(encoded(&low, 1), key.clone());
    keyed.fresh.ledger.check(&good).unwrap();

    let reason = |signature, key| keyed.fresh.reason(&keyed.with(signature, key));
    let high = ecdsa::Signature::from_compact(&high_s(&low.serialize_compact())).unwrap();
    let prefix = "mempool-script-verify-flag-failed";
    assert_eq!(
        reason(encoded(&high, 1), key.clone()),
        format!("{prefix} (Non-canonical signature: S value is unnecessarily high)")
    );
    assert_eq!(
        reason(encoded(&low, 4), key.clone()),
        format!("{prefix} (Signature hash type missing or not understood)")
    );
    assert_eq!(reason(vec![1, 2, 3, 1], key), format!("{prefix} (Non-canonical DER signature)"));
    let long = keyed.key().0.serialize_uncompressed().to_vec();
    assert_eq!(reason(encoded(&low, 1), long), format!("{prefix} (Using non-compressed keys in segwit)"));
}

/// The same signature with the other of the two values of S.
fn high_s(compact: &[u8; 64]) -> [u8; 64] {
    let (r, s) = compact.split_at(32);
    let s = SecretKey::from_slice(s).unwrap().negate();
    [r, &s.secret_bytes()].concat().try_into().unwrap()
}

#[test]
fn opcodes_reserved_for_upgrades_are_refused() {
    let fresh = Fresh::start();
    let secp = Secp256k1::new();
    let internal = XOnlyPublicKey::from_keypair(&Keypair::from_secret_key(
        &secp,
        &SecretKey::from_slice(&[9; 32]).unwrap(),
    ))
    .0;
    // OP_SUCCESS187, by which consensus lets anyone take the coin.
    let leaf = ScriptBuf::from_bytes(vec![0xbb, OP_CHECKSIG.to_u8()]);
    let spend = TaprootBuilder::new().add_leaf(0, leaf.clone()).unwrap().finalize(&secp, internal).unwrap();
    let coin = coinbase(&fresh, &ScriptBuf::new_p2tr_tweaked(spend.output_key()));
    fresh.mine(100, &Free(0).script());
    let control = spend.control_block(&(leaf.clone(), bitcoin::taproot::LeafVersion::TapScript)).unwrap();
    let mut tx = pay(&[], &[(Free(1), Amount::from_int_btc(49))]);
    let witness = Witness::from_slice(&[leaf.to_bytes(), control.serialize()]);
    tx.input.push(TxIn { previous_output: coin, witness, ..TxIn::default() });
    assert_eq!(
        fresh.reason(&tx),
        "mempool-script-verify-flag-failed (OP_SUCCESSx reserved for soft-fork upgrades)"
    );
    // A miner may include it all the same.
    let before = fresh.ledger.tip().unwrap();
    let after = fresh.ledger.mine_on(&before.hash, 1, &Free(0).script(), &[tx]).unwrap();
    assert_eq!(fresh.ledger.tip().unwrap(), after[0]);
}
