//! Clauses 3 and 4.

use bitcoin::{Transaction, TxOut};

use super::{FEE, Follower, Free, Harness, fund, pass_on, pay, purse};
use crate::{Hit, Ledger, Watch};

fn txids(hits: &[Hit]) -> Vec<bitcoin::Txid> {
    hits.iter().map(|hit| hit.txid).collect()
}

/// Broadcasts, mines one block, and returns the hits in it.
fn mined(harness: &impl Harness, watch: Watch, txs: &[&Transaction]) -> Vec<Hit> {
    let ledger = harness.ledger();
    let mut follower = Follower::new(ledger, Watch::new());
    follower.follow(ledger);
    txs.iter().for_each(|tx| assert_eq!(ledger.broadcast(tx).unwrap(), tx.compute_txid()));
    harness.mine(1, &Free(-2).script());
    follower.watch = watch;
    follower.follow(ledger);
    follower.hits()
}

/// Clause 3.1.
pub fn c3_1_paying_a_watched_script_is_a_hit<H: Harness>(harness: &H) {
    let funds = fund(harness, 2);
    let (one, two) = (pass_on(funds[0], Free(1)), pass_on(funds[1], Free(2)));
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let hits = mined(harness, watch, &[&one, &two]);
    assert_eq!(txids(&hits), [one.compute_txid()]);
    assert_eq!(*hits[0].tx, one);
}

/// Clause 3.2.
pub fn c3_2_spending_a_watched_outpoint_is_a_hit<H: Harness>(harness: &H) {
    let funds = fund(harness, 3);
    let one = pass_on(funds[0], Free(1));
    let two = pay(&funds[1..], &[(Free(2), funds[1].value)]);
    let mut watch = Watch::new();
    // Its second input.
    watch.add_outpoint(funds[2].outpoint);
    let hits = mined(harness, watch, &[&one, &two]);
    assert_eq!(txids(&hits), [two.compute_txid()]);
}

/// Clause 3.3.
pub fn c3_3_spending_what_the_same_block_paid_is_a_hit_and_later_it_is_not<H: Harness>(harness: &H) {
    let funds = fund(harness, 1)[0];
    let half = (funds.value - FEE) / 2;
    let paid = pay(&[funds], &[(Free(1), half), (Free(9), half)]);
    let spent = pass_on(purse(&paid, 0, Free(1)), Free(2));
    // Rests on a hit, but on an output that nobody watches.
    let beside = pass_on(purse(&paid, 1, Free(9)), Free(2));
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let hits = mined(harness, watch.clone(), &[&paid, &spent, &beside]);
    assert_eq!(txids(&hits), [paid.compute_txid(), spent.compute_txid()]);

    // The watch holds the script alone: across blocks the caller adds the outpoint itself.
    let later = pass_on(purse(&spent, 0, Free(2)), Free(1));
    let last = pass_on(purse(&later, 0, Free(1)), Free(3));
    assert_eq!(txids(&mined(harness, watch.clone(), &[&later])), [later.compute_txid()]);
    assert_eq!(mined(harness, watch, &[&last]), []);
}

/// Clause 4.1.
pub fn c4_1_hits_come_in_block_order_and_once_each<H: Harness>(harness: &H) {
    let funds = fund(harness, 3);
    let amounts = [(Free(1), funds[0].value / 2), (Free(1), funds[0].value / 4)];
    // Matches five times over.
    let often = pay(&funds, &amounts);
    let child = pass_on(purse(&often, 0, Free(1)), Free(1));
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    funds.iter().for_each(|purse| assert!(watch.add_outpoint(purse.outpoint)));
    let hits = mined(harness, watch, &[&often, &child]);
    assert_eq!(txids(&hits), [often.compute_txid(), child.compute_txid()]);
    assert!(0 < hits[0].position && hits[0].position < hits[1].position);
}

/// Clause 4.2.
pub fn c4_2_a_coinbase_can_be_a_hit<H: Harness>(harness: &H) {
    harness.mine(2, &Free(1).script());
    let ledger = harness.ledger();
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let mut follower = Follower::new(ledger, watch);
    follower.follow(ledger);
    let hits = follower.hits();
    assert_eq!(hits.len(), 2);
    for hit in hits {
        assert!(hit.tx.is_coinbase());
        assert_eq!((hit.position, hit.input_zero), (0, None));
    }
}

/// Clauses 4.3 and 4.4.
pub fn c4_4_a_hit_is_whole_and_says_what_its_first_input_spends<H: Harness>(harness: &H) {
    let funds = fund(harness, 1)[0];
    let first = pass_on(funds, Free(1));
    let child = pass_on(purse(&first, 0, Free(1)), Free(2));
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let hits = mined(harness, watch, &[&first, &child]);
    assert_eq!(hits.len(), 2);
    for (hit, (tx, spent)) in hits.iter().zip([(&first, funds), (&child, purse(&first, 0, Free(1)))]) {
        assert_eq!(*hit.tx, *tx);
        assert_eq!(hit.tx.compute_wtxid(), tx.compute_wtxid());
        let coin = TxOut { value: spent.value, script_pubkey: spent.owner.script() };
        assert!(hit.input_zero.as_ref().is_none_or(|found| *found == coin), "an invented coin");
    }
}
