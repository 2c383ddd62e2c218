//! Blocks: those it mines, those it is given, and which of them win.

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{Amount, Block, OutPoint, Target, Transaction, TxOut};
use keyway_chain::Height;
use keyway_ledger::contract::{FEE, Free, Harness, Purse, fund, pass_on, pay, purse};
use keyway_ledger::embedded::{BlockError, Plan, Submitted};
use keyway_ledger::{Ledger, Next, Watch};

use super::tools::Fresh;

fn block(fresh: &Fresh, hash: &bitcoin::BlockHash) -> Block {
    deserialize(&fresh.ledger.block(hash).unwrap().unwrap()).unwrap()
}

fn refused(error: BlockError) -> String {
    match error {
        BlockError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

/// Does the work again after a change to the block.
fn rework(block: &mut Block) {
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    let target = Target::from_compact(block.header.bits);
    while block.header.validate_pow(target).is_err() {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
}

/// A block on the tip that is not submitted yet.
fn ahead(fresh: &Fresh) -> Block {
    let at = fresh.mine_one(&Free(0).script());
    let block = block(fresh, &at.hash);
    fresh.roll_back(1);
    block
}

#[test]
fn a_miner_earns_the_subsidy_and_the_fees() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 2);
    fresh.ledger.broadcast(&pass_on(funds[0], Free(1))).unwrap();
    fresh.ledger.broadcast(&pass_on(funds[1], Free(1))).unwrap();
    let at = fresh.mine_one(&Free(7).script());
    let coinbase = &block(&fresh, &at.hash).txdata[0];
    assert_eq!(coinbase.output[0].value, Amount::from_int_btc(50) + FEE * 2);
    assert_eq!(coinbase.output[0].script_pubkey, Free(7).script());

    let tx = pass_on(purse(&pass_on(funds[0], Free(1)), 0, Free(1)), Free(2));
    let at = fresh.ledger.mine_on(&at.hash, 1, &Free(7).script(), &[tx]).unwrap()[0];
    assert_eq!(block(&fresh, &at.hash).txdata[0].output[0].value, Amount::from_int_btc(50) + FEE);
}

#[test]
fn the_subsidy_halves_every_150_blocks() {
    let fresh = Fresh::start();
    let mined = fresh.mine(300, &Free(0).script());
    let subsidy = |height: usize| block(&fresh, &mined[height - 1].hash).txdata[0].output[0].value.to_sat();
    assert_eq!(subsidy(149), 5_000_000_000);
    assert_eq!(subsidy(150), 2_500_000_000);
    assert_eq!(subsidy(299), 2_500_000_000);
    assert_eq!(subsidy(300), 1_250_000_000);
}

/// A transaction of a tenth of a block.
fn large(from: Purse, fee: u64) -> Transaction {
    let mut tx = pay(&[from], &[]);
    let value = (from.value - Amount::from_sat(fee)) / 2_290;
    tx.output = vec![TxOut { value, script_pubkey: Free(1).script() }; 2_290];
    assert!((390_000..400_000).contains(&tx.weight().to_wu()), "{}", tx.weight());
    tx
}

#[test]
fn what_does_not_fit_a_block_waits_and_the_best_paying_goes_first() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 12);
    let fee = |i: u64| 200_000 + 1_000_000 * (i % 6);
    let txs: Vec<Transaction> = funds.iter().zip(0..).map(|(purse, i)| large(*purse, fee(i))).collect();
    txs.iter().for_each(|tx| fresh.send(tx));
    let at = fresh.mine_one(&Free(0).script());
    let first = block(&fresh, &at.hash);
    assert!(first.weight().to_wu() <= 4_000_000);
    assert_eq!(first.txdata.len(), 11);
    let left: Vec<bool> = txs.iter().map(|tx| fresh.is_unmined(tx)).collect();
    let expected: Vec<bool> = (0..12).map(|i| i % 6 == 0).collect();
    assert_eq!(left, expected);
    fresh.mine_one(&Free(0).script());
    assert!(!txs.iter().any(|tx| fresh.is_unmined(tx)));
}

#[test]
fn a_child_that_pays_well_takes_its_parent_along() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 12);
    let parent = large(funds[0], 150_000);
    let (one, two) = (purse(&parent, 0, Free(1)), purse(&parent, 1, Free(1)));
    let child = pay(&[one, two], &[(Free(2), one.value + two.value - Amount::from_sat(1_000_000))]);
    fresh.send(&parent);
    funds[1..].iter().for_each(|purse| fresh.send(&large(*purse, 300_000)));
    fresh.send(&child);
    let at = fresh.mine_one(&Free(0).script());
    let mined: Vec<_> = block(&fresh, &at.hash).txdata.iter().map(Transaction::compute_txid).collect();
    let place = |tx: &Transaction| mined.iter().position(|txid| *txid == tx.compute_txid());
    assert!(place(&parent).is_some() && place(&parent) < place(&child), "{mined:?}");
}

#[test]
fn a_branch_wins_only_when_it_is_longer_and_the_first_seen_stays_after_a_restart() {
    let fresh = Fresh::start();
    let base = fresh.mine(3, &Free(0).script())[2];
    let first = fresh.mine(2, &Free(1).script())[1];
    let second = fresh.ledger.mine_on(&base.hash, 2, &Free(2).script(), &[]).unwrap()[1];
    assert_eq!(first.height, second.height);
    assert_eq!(fresh.ledger.tip().unwrap(), first);
    let fresh = fresh.reopen();
    assert_eq!(fresh.ledger.tip().unwrap(), first);
    fresh.ledger.mine_on(&base.hash, 1, &Free(3).script(), &[]).unwrap();
    assert_eq!(fresh.ledger.tip().unwrap(), first);
    let third = fresh.ledger.mine_on(&second.hash, 1, &Free(5).script(), &[]).unwrap()[0];
    assert_eq!(fresh.ledger.tip().unwrap(), third);
}

#[test]
fn a_reorganisation_evicts_what_it_makes_impossible_and_returns_the_rest() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 2);
    let fork = fresh.ledger.tip().unwrap();
    let (mine, theirs) =
        (pass_on(funds[0], Free(1)), pay(&funds[..1], &[(Free(2), funds[0].value - FEE * 2)]));
    let beside = pass_on(funds[1], Free(3));
    let child = pass_on(purse(&mine, 0, Free(1)), Free(4));
    fresh.ledger.broadcast(&mine).unwrap();
    fresh.ledger.broadcast(&beside).unwrap();
    let at = fresh.mine_one(&Free(0).script());
    fresh.ledger.broadcast(&child).unwrap();
    assert!(fresh.ledger.coin(&OutPoint::new(mine.compute_txid(), 0)).unwrap().is_none());

    fresh.ledger.mine_on(&fork.hash, 2, &Free(0).script(), std::slice::from_ref(&theirs)).unwrap();
    assert!(!fresh.is_unmined(&mine) && !fresh.is_unmined(&child), "their coin is spent by another");
    assert!(fresh.is_unmined(&beside), "still possible");
    let coin = fresh.ledger.coin(&OutPoint::new(theirs.compute_txid(), 0)).unwrap().unwrap();
    assert_eq!(coin.height, Some(at.height));

    // And back again: the first branch grows longer.
    fresh.ledger.mine_on(&at.hash, 2, &Free(0).script(), &[]).unwrap();
    assert!(!fresh.is_unmined(&mine) && !fresh.is_unmined(&beside), "mined again");
    assert!(!fresh.is_unmined(&theirs));
    assert!(fresh.ledger.coin(&OutPoint::new(mine.compute_txid(), 0)).unwrap().is_some());
    let fresh = fresh.reopen();
    assert!(fresh.ledger.coin(&OutPoint::new(mine.compute_txid(), 0)).unwrap().is_some());
}

#[test]
fn a_block_that_conflicts_evicts_a_transaction_with_its_children() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let mine = pass_on(funds, Free(1));
    let child = pass_on(purse(&mine, 0, Free(1)), Free(2));
    fresh.ledger.broadcast(&mine).unwrap();
    fresh.ledger.broadcast(&child).unwrap();
    let theirs = pay(&[funds], &[(Free(3), funds.value - FEE * 3)]);
    let tip = fresh.ledger.tip().unwrap();
    fresh.ledger.mine_on(&tip.hash, 1, &Free(0).script(), &[theirs]).unwrap();
    for tx in [mine, child] {
        assert_eq!(fresh.ledger.unmined(&tx.compute_txid()).unwrap(), None);
        assert_eq!(fresh.reason(&tx), "bad-txns-inputs-missingorspent");
    }
}

#[test]
fn a_lock_that_a_rollback_closes_again_evicts() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let tip = fresh.ledger.tip().unwrap();
    let mut tx = pass_on(funds, Free(1));
    tx.lock_time = bitcoin::absolute::LockTime::from_consensus(tip.height.to_u32());
    fresh.ledger.broadcast(&tx).unwrap();
    fresh.roll_back(1);
    assert_eq!(fresh.ledger.unmined(&tx.compute_txid()).unwrap(), None);
    assert_eq!(fresh.reason(&tx), "non-final");
}

#[test]
fn a_block_of_ones_own_that_breaks_a_rule_is_refused_with_the_reason() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let tip = fresh.ledger.tip().unwrap();
    let plan = |txs: &[Transaction]| Plan { transactions: Some(txs.to_vec()), ..Plan::to(&Free(0).script()) };
    let reason = |txs: &[Transaction]| refused(fresh.ledger.mine_one(&plan(txs)).unwrap_err());

    let good = pass_on(funds, Free(1));
    let child = pass_on(purse(&good, 0, Free(1)), Free(2));
    assert!(reason(&[child.clone(), good.clone()]).starts_with("bad-txns-inputs-missingorspent"));
    assert!(reason(&[good.clone(), good.clone()]).starts_with("bad-txns-inputs-missingorspent"));
    let greedy = pay(&[funds], &[(Free(1), funds.value + FEE)]);
    assert!(reason(&[greedy]).starts_with("bad-txns-in-belowout"));
    let mut stolen = good.clone();
    stolen.input[0].witness = Free(5).witness();
    assert!(reason(&[stolen]).starts_with("block-script-verify-flag-failed (Witness program hash mismatch)"));
    let late = Plan { time: Some(u32::MAX), ..Plan::to(&Free(0).script()) };
    assert!(refused(fresh.ledger.mine_one(&late).unwrap_err()).starts_with("time-too-new"));
    let early = Plan { time: Some(1), ..Plan::to(&Free(0).script()) };
    assert!(refused(fresh.ledger.mine_one(&early).unwrap_err()).starts_with("time-too-old"));

    assert_eq!(fresh.ledger.tip().unwrap(), tip);
    let at = fresh.ledger.mine_one(&plan(&[good, child])).unwrap();
    assert_eq!(fresh.ledger.tip().unwrap(), at.block());
}

#[test]
fn absurd_amounts_in_a_block_of_ones_own_are_refused_and_the_ledger_goes_on() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let most = Amount::from_sat(u64::MAX);
    let first = pay(&[funds], &[(Free(1), most), (Free(1), most)]);
    let second = pay(&[purse(&first, 0, Free(1)), purse(&first, 1, Free(1))], &[(Free(2), Amount::ZERO)]);
    for txs in [vec![first.clone()], vec![first, second]] {
        let plan = Plan { transactions: Some(txs), ..Plan::to(&Free(0).script()) };
        let reason = refused(fresh.ledger.mine_one(&plan).unwrap_err());
        assert!(reason.starts_with("bad-txns-vout-"), "{reason}");
    }
    fresh.mine_one(&Free(0).script());
}

#[test]
fn a_branch_with_an_invalid_block_is_given_up_and_the_chain_is_as_it_was() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let fork = fresh.ledger.tip().unwrap();
    let old = fresh.mine(2, &Free(0).script());
    let greedy = pay(&[funds], &[(Free(1), funds.value + FEE)]);
    let plan = |parent, transactions| Plan {
        parent: Some(parent),
        transactions: Some(transactions),
        ..Plan::to(&Free(1).script())
    };
    // Beside the chain nobody looks at coins.
    let bad = fresh.ledger.mine_one(&plan(fork.hash, vec![greedy])).unwrap();
    assert!(matches!(bad, Submitted::Beside(_)));
    let above = fresh.ledger.mine_one(&plan(bad.block().hash, vec![])).unwrap().block();
    let error = fresh.ledger.mine_one(&plan(above.hash, vec![])).unwrap_err();
    match &error {
        BlockError::Refused { at_fault, reason, .. } => {
            assert_eq!(*at_fault, bad.block().hash);
            assert!(reason.starts_with("bad-txns-in-belowout"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("which it rests on"));
    assert_eq!(fresh.ledger.tip().unwrap(), old[1]);
    let fresh = fresh.reopen();
    assert_eq!(fresh.ledger.tip().unwrap(), old[1]);
    fresh.mine_one(&Free(0).script());
    assert_eq!(fresh.ledger.tip().unwrap().height, old[1].height.next());
}

#[test]
fn a_block_from_elsewhere_is_taken_once() {
    let fresh = Fresh::start();
    fresh.mine(3, &Free(0).script());
    let next = ahead(&fresh);
    let bytes = serialize(&next);
    let taken = fresh.ledger.submit_block(&bytes).unwrap();
    assert!(matches!(taken, Submitted::Best(at) if at.hash == next.block_hash()));
    assert!(matches!(fresh.ledger.submit_block(&bytes).unwrap(), Submitted::Known(_)));
    assert_eq!(fresh.ledger.block(&next.block_hash()).unwrap(), Some(bytes));

    let other = Fresh::start();
    let error = other.ledger.submit_block(&serialize(&next)).unwrap_err();
    assert!(matches!(error, BlockError::UnknownParent { .. }), "{error}");
    for height in 1..=4 {
        let at = fresh.ledger.block_at(Height::new(height)).unwrap().unwrap();
        other.ledger.submit_block(&fresh.ledger.block(&at.hash).unwrap().unwrap()).unwrap();
    }
    assert_eq!(other.ledger.tip().unwrap(), fresh.ledger.tip().unwrap());
}

#[test]
fn hostile_blocks_are_refused_and_the_real_one_is_taken_afterwards() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 2);
    fresh.ledger.broadcast(&pass_on(funds[0], Free(1))).unwrap();
    fresh.ledger.broadcast(&pass_on(funds[1], Free(2))).unwrap();
    let good = ahead(&fresh);
    let tip = fresh.ledger.tip().unwrap();
    let bytes = serialize(&good);
    for hostile in [&[][..], b"junk", &bytes[..80], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
        let error = fresh.ledger.submit_block(hostile).unwrap_err();
        assert!(matches!(error, BlockError::Malformed(_)), "{error}");
    }
    let reason = |change: &dyn Fn(&mut Block), work: bool| {
        let mut block = good.clone();
        change(&mut block);
        if work {
            rework(&mut block);
        }
        refused(fresh.ledger.submit_block(&serialize(&block)).unwrap_err())
    };
    // Same hash, other contents: must not stand in the way of the real block.
    assert!(reason(&|b| drop(b.txdata.pop()), false).starts_with("bad-txnmrklroot"));
    assert!(reason(&|b| b.txdata.push(b.txdata[2].clone()), false).starts_with("bad-txns-duplicate"));
    assert!(
        reason(&|b| b.txdata[1].input[0].witness.push([1]), false).starts_with("bad-witness-merkle-match")
    );
    assert!(reason(&|b| b.txdata[0].input[0].witness.clear(), false).starts_with("bad-witness-nonce-size"));
    // Work done on something else.
    assert!(reason(&|b| b.txdata[0].output[0].value += Amount::ONE_SAT, true).starts_with("bad-cb-amount"));
    assert!(reason(&|b| b.txdata.swap(0, 1), true).starts_with("bad-cb-missing"));
    assert!(reason(&|b| b.txdata[0].output.truncate(1), true).starts_with("unexpected-witness"));
    assert!(reason(&|b| b.header.version = bitcoin::block::Version::ONE, true).starts_with("bad-version"));
    assert!(
        reason(&|b| b.header.bits = bitcoin::CompactTarget::from_consensus(0x2000_ffff), true)
            .starts_with("bad-diffbits")
    );
    let mut lazy = good.clone();
    while lazy.header.validate_pow(Target::from_compact(lazy.header.bits)).is_ok() {
        lazy.header.nonce = lazy.header.nonce.wrapping_add(1);
    }
    assert!(refused(fresh.ledger.submit_block(&serialize(&lazy)).unwrap_err()).starts_with("high-hash"));

    assert_eq!(fresh.ledger.tip().unwrap(), tip);
    assert!(matches!(fresh.ledger.submit_block(&bytes).unwrap(), Submitted::Best(_)));
    let fresh = fresh.reopen();
    assert_eq!(fresh.ledger.tip().unwrap().hash, good.block_hash());
    fresh.mine_one(&Free(0).script());
}

#[test]
fn after_a_rollback_the_forgotten_blocks_are_unknown_and_can_come_again() {
    let fresh = Fresh::start();
    let mined = fresh.mine(5, &Free(0).script());
    let bytes = fresh.ledger.block(&mined[4].hash).unwrap().unwrap();
    fresh.ledger.rewind(Height::new(4)).unwrap();
    assert_eq!(fresh.ledger.header(&mined[4].hash).unwrap(), None);
    assert!(matches!(
        fresh.ledger.mine_on(&mined[4].hash, 1, &Free(0).script(), &[]),
        Err(BlockError::NoSuchBlock(_))
    ));
    let fresh = fresh.reopen();
    assert_eq!(fresh.ledger.tip().unwrap(), mined[3]);
    assert!(matches!(fresh.ledger.submit_block(&bytes).unwrap(), Submitted::Best(_)));
    fresh.ledger.rewind(Height::new(77)).expect("nothing to cut");
    assert_eq!(fresh.ledger.tip().unwrap(), mined[4]);
    fresh.ledger.rewind(Height::GENESIS).unwrap();
    fresh.mine_one(&Free(0).script());
    assert_eq!(fresh.ledger.tip().unwrap().height, Height::new(1));
}

#[test]
fn a_block_whose_time_is_chosen_moves_the_clock_of_the_chain() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let mut tx = pass_on(funds, Free(1));
    let start = fresh.ledger.header(&fresh.below(0)).unwrap().unwrap().time;
    tx.lock_time = bitcoin::absolute::LockTime::from_consensus(start + 3_000);
    assert_eq!(fresh.reason(&tx), "non-final");
    for i in 1..=11 {
        let plan = Plan { time: Some(start + 3_001 + i), ..Plan::to(&Free(0).script()) };
        fresh.ledger.mine_one(&plan).unwrap();
    }
    fresh.ledger.broadcast(&tx).unwrap();
    // The next block is later than the chain's clock, though the real one is behind.
    let at = fresh.mine_one(&Free(0).script());
    assert_eq!(block(&fresh, &at.hash).txdata[1], tx);
}

#[test]
fn following_says_what_every_first_input_spent() {
    let fresh = Fresh::start();
    let funds = fund(&fresh, 1)[0];
    let tx = pass_on(funds, Free(1));
    fresh.ledger.broadcast(&tx).unwrap();
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let spent = TxOut { value: funds.value, script_pubkey: funds.owner.script() };
    assert_eq!(fresh.ledger.pending(&watch).unwrap()[0].input_zero, Some(spent.clone()));
    let before = fresh.ledger.tip().unwrap();
    fresh.mine_one(&Free(0).script());
    match fresh.reopen().ledger.next(before, &watch).unwrap() {
        Next::Connect(block) => assert_eq!(block.hits[0].input_zero, Some(spent)),
        other => panic!("{other:?}"),
    }
}
