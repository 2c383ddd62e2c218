//! What the party pays to miners.

use std::sync::Arc;

use bitcoin::{Amount, FeeRate, Transaction};

use crate::hearsay::Hearsay;

/// Rounding, signatures that turned out shorter, change that would have been dust, and the relay of a replacement.
const SLACK: Amount = Amount::from_sat(1_000);

/// A transaction that was handed over pays no more, together with all that it rests on, than all these may pay, for a child pays for
/// its parents and theirs. What it rests on counts even when it is mined, for the party may not have heard of that.
pub fn check(ledger: &Hearsay, tx: &Arc<Transaction>, ceiling: FeeRate) {
    let mut all = ledger.handed_over(0);
    all.sort_unstable_by_key(|tx| tx.compute_txid());
    all.dedup();
    let package = with_ancestors(&all, tx);
    let most: Option<Amount> = package.iter().map(|tx| most(ledger, &all, tx, ceiling)).sum();
    let (Some(fee), Some(most)) = (fees(ledger, &package), most) else { return };
    assert!(fee <= most + SLACK, "{fee} for {} transactions that may pay {most}", package.len());
}

/// What a transaction may pay: what the ceiling allows, or what it takes the place of, which nodes demand whatever the ceiling.
fn most(ledger: &Hearsay, all: &[Arc<Transaction>], tx: &Transaction, ceiling: FeeRate) -> Option<Amount> {
    let allowed = ceiling.fee_wu(tx.weight()).expect("a ceiling within reason");
    fees(ledger, &replaced(all, tx)).map(|replaced| allowed.max(replaced))
}

fn with_ancestors<'a>(all: &'a [Arc<Transaction>], tx: &'a Transaction) -> Vec<&'a Transaction> {
    grown(vec![tx], all, |other, child| spends_of(child, other))
}

/// What cannot be mined beside this one, and all that rests on that.
fn replaced<'a>(all: &'a [Arc<Transaction>], tx: &Transaction) -> Vec<&'a Transaction> {
    let others = all.iter().map(AsRef::as_ref).filter(|other| *other != tx);
    grown(others.filter(|other| excludes(tx, other)).collect(), all, spends_of)
}

/// These, and of the others those that belong to one of them, until there are no more.
fn grown<'a>(
    mut these: Vec<&'a Transaction>,
    all: &'a [Arc<Transaction>],
    belongs: impl Fn(&Transaction, &Transaction) -> bool,
) -> Vec<&'a Transaction> {
    let mut next = 0;
    while let Some(one) = these.get(next).copied() {
        let more = all.iter().map(AsRef::as_ref).filter(|other| belongs(other, one));
        let more: Vec<_> = more.filter(|other| !these.contains(other)).collect();
        these.extend(more);
        next += 1;
    }
    these
}

fn excludes(tx: &Transaction, other: &Transaction) -> bool {
    tx.input.iter().any(|own| other.input.iter().any(|its| own.previous_output == its.previous_output))
}

fn spends_of(child: &Transaction, parent: &Transaction) -> bool {
    let txid = parent.compute_txid();
    child.input.iter().any(|input| input.previous_output.txid == txid)
}

/// What they pay to miners, if all that they spend was ever told.
fn fees(ledger: &Hearsay, all: &[&Transaction]) -> Option<Amount> {
    all.iter().map(|tx| fee(ledger, tx)).sum()
}

fn fee(ledger: &Hearsay, tx: &Transaction) -> Option<Amount> {
    let spent: Option<Amount> =
        tx.input.iter().map(|input| Some(ledger.output(&input.previous_output)?.value)).sum();
    let made: Amount = tx.output.iter().map(|output| output.value).sum();
    spent.map(|spent| spent.checked_sub(made).expect("it makes no money"))
}
