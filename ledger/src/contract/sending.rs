//! Clauses 7 and 8.

use bitcoin::script::PushBytesBuf;
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut};

use super::{FEE, Free, Harness, fund, pass_on, pay, purse};
use crate::{BroadcastError, Ledger, Refusal, RefusalKind, Watch};

fn refusal(result: Result<impl std::fmt::Debug, BroadcastError>) -> Refusal {
    match result {
        Err(BroadcastError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn is_pending(ledger: &impl Ledger, tx: &Transaction) -> bool {
    ledger.unmined(&tx.compute_txid()).unwrap().is_some_and(|found| *found == *tx)
}

/// Clause 7.1.
pub fn c7_1_a_transaction_that_was_taken_is_pending_until_it_is_mined<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let ledger = harness.ledger();
    assert!(!is_pending(ledger, &tx));
    assert_eq!(ledger.broadcast(&tx).unwrap(), tx.compute_txid());
    assert!(is_pending(ledger, &tx));
    harness.mine(1, &Free(0).script());
    assert!(!is_pending(ledger, &tx));
}

/// Clause 7.2.
pub fn c7_2_broadcasting_again_changes_nothing<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let ledger = harness.ledger();
    for _ in 0..2 {
        assert_eq!(ledger.broadcast(&tx).unwrap(), tx.compute_txid());
    }
    harness.mine(1, &Free(0).script());
    assert_eq!(ledger.broadcast(&tx).unwrap(), tx.compute_txid(), "mined, and its output is unspent");
    assert!(!is_pending(ledger, &tx));

    ledger.broadcast(&pass_on(purse(&tx, 0, Free(1)), Free(2))).unwrap();
    harness.mine(1, &Free(0).script());
    match ledger.broadcast(&tx) {
        Ok(txid) => assert_eq!(txid, tx.compute_txid()),
        Err(BroadcastError::Refused(refusal)) => assert_eq!(refusal.kind(), RefusalKind::MissingInputs),
        Err(other) => panic!("{other}"),
    }
}

/// Clause 7.3.
pub fn c7_3_a_refusal_says_why_and_changes_nothing<H: Harness>(harness: &H) {
    let funds = fund(harness, 1)[0];
    let ledger = harness.ledger();
    let good = pass_on(funds, Free(1));
    ledger.broadcast(&good).unwrap();

    let from_nothing = pass_on(purse(&pass_on(purse(&good, 0, Free(1)), Free(2)), 0, Free(2)), Free(3));
    let refused = refusal(ledger.broadcast(&from_nothing));
    assert_eq!(refused.txid, from_nothing.compute_txid());
    assert_eq!(refused.kind(), RefusalKind::MissingInputs, "{refused}");
    assert!(refused.kind().may_pass_later());

    let too_much = pay(&[purse(&good, 0, Free(1))], &[(Free(2), funds.value)]);
    let refused = refusal(ledger.broadcast(&too_much));
    assert_eq!(refused.reason, "bad-txns-in-belowout");
    assert_eq!(refused.kind(), RefusalKind::Consensus);

    let dust = pay(&[purse(&good, 0, Free(1))], &[(Free(2), Amount::from_sat(100))]);
    let refused = refusal(ledger.broadcast(&dust));
    assert_eq!((refused.reason.as_str(), refused.kind()), ("dust", RefusalKind::Policy));

    let stolen = pay(&[funds], &[(Free(3), funds.value - FEE)]);
    let refused = refusal(ledger.broadcast(&stolen));
    assert!(matches!(refused.kind(), RefusalKind::FeeTooLow | RefusalKind::Conflict), "{refused}");

    assert!(is_pending(ledger, &good));
    for tx in [from_nothing, too_much, dust, stolen] {
        assert!(!is_pending(ledger, &tx));
    }
}

/// Clause 7.4.
pub fn c7_4_a_check_says_what_a_broadcast_would_and_sends_nothing<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let child = pass_on(purse(&tx, 0, Free(1)), Free(2));
    let ledger = harness.ledger();
    ledger.check(&tx).unwrap();
    assert!(!is_pending(ledger, &tx));
    assert_eq!(refusal(ledger.check(&child)).kind(), RefusalKind::MissingInputs);

    ledger.broadcast(&tx).unwrap();
    ledger.check(&child).unwrap();
    assert_eq!(refusal(ledger.check(&tx)).reason, "txn-already-in-mempool");
    harness.mine(1, &Free(0).script());
    assert_eq!(refusal(ledger.check(&tx)).reason, "txn-already-known");
}

/// Clause 7.5.
pub fn c7_5_a_transaction_of_a_block_that_left_is_pending_again<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let child = pass_on(purse(&tx, 0, Free(1)), Free(2));
    let ledger = harness.ledger();
    ledger.broadcast(&tx).unwrap();
    harness.mine(1, &Free(0).script());
    ledger.broadcast(&child).unwrap();
    harness.reorganise(1, 2, &Free(0).script());
    assert!(is_pending(ledger, &tx));
    assert!(is_pending(ledger, &child));
    harness.mine(1, &Free(0).script());
    harness.roll_back(1);
    assert!(is_pending(ledger, &tx));
    assert!(is_pending(ledger, &child));
}

/// Clause 7.6.
pub fn c7_6_data_outputs_of_the_size_that_is_said_are_taken_and_larger_ones_are_not<H: Harness>(harness: &H) {
    const LARGEST: usize = 60_000;
    let funds = fund(harness, 1)[0];
    let ledger = harness.ledger();
    let with_data = |script: usize| {
        let mut tx = pass_on(funds, Free(1));
        tx.output[0].value -= FEE * 10;
        let head = if script > 258 { 4 } else { 3 };
        let data = PushBytesBuf::try_from(vec![7; script - head]).unwrap();
        let script_pubkey = ScriptBuf::new_op_return(&data);
        assert_eq!(script_pubkey.len(), script);
        tx.output.push(TxOut { value: Amount::ZERO, script_pubkey });
        tx
    };
    let most = ledger.most_data().unwrap();
    ledger.check(&with_data(most.min(LARGEST))).unwrap();
    if most < LARGEST {
        refusal(ledger.check(&with_data(most + 1)));
    }
}

/// Clause 8.
pub fn c8_pending_transactions_come_parents_first<H: Harness>(harness: &H) {
    let funds = fund(harness, 2);
    let mut family = vec![pass_on(funds[0], Free(1))];
    for _ in 0..5 {
        let parent = family.last().unwrap();
        family.push(pass_on(purse(parent, 0, Free(1)), Free(1)));
    }
    let end = pass_on(purse(family.last().unwrap(), 0, Free(1)), Free(5));
    let stranger = pass_on(funds[1], Free(6));
    let ledger = harness.ledger();
    for tx in family.iter().chain([&end, &stranger]) {
        ledger.broadcast(tx).unwrap();
    }
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let found = ledger.pending(&watch).unwrap();
    // The end pays nobody, but spends what an unmined transaction pays.
    let expected: Vec<_> = family.iter().chain([&end]).map(Transaction::compute_txid).collect();
    assert_eq!(found.iter().map(|hit| hit.txid).collect::<Vec<_>>(), expected);
    assert!(found.iter().zip(0..).all(|(hit, i)| hit.position == i));
    assert_eq!(ledger.pending(&Watch::new()).unwrap(), []);
}
