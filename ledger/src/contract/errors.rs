//! Clause 11.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxIn};

use super::{FEE, Free, Harness, fund, pass_on, pay, purse};
use crate::{BroadcastError, Ledger, LedgerError, Watch};

type Question<'a> = (&'static str, &'a dyn Fn() -> Result<(), LedgerError>);

/// Clause 11.1, as far as it can be seen from outside: "cannot" is never "sometimes".
pub fn c11_1_what_a_backend_cannot_do_it_can_never_do<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let ledger = harness.ledger();
    let tip = harness.mine(1, &Free(0).script())[0];
    let (watch, coin) = (Watch::new(), OutPoint::new(tx.compute_txid(), 0));
    let questions: [Question<'_>; 10] = [
        ("tip", &|| ledger.tip().map(drop)),
        ("next", &|| ledger.next(tip, &watch).map(drop)),
        ("block_at", &|| ledger.block_at(tip.height).map(drop)),
        ("header", &|| ledger.header(&tip.hash).map(drop)),
        ("coin", &|| ledger.coin(&coin).map(drop)),
        ("check", &|| asked(ledger.check(&tx))),
        ("pending", &|| ledger.pending(&watch).map(drop)),
        ("unmined", &|| ledger.unmined(&coin.txid).map(drop)),
        ("feerate", &|| ledger.feerate().map(drop)),
        ("wait", &|| ledger.wait(tip, Duration::ZERO).map(drop)),
    ];
    for (name, ask) in questions {
        let answers = [(); 3].map(|()| ask().err().map(unsupported));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{name} can and cannot");
    }
}

/// The only error that a healthy backend gives to a sensible question.
fn unsupported(error: LedgerError) -> Discriminant<LedgerError> {
    assert!(matches!(error, LedgerError::Unsupported { .. }), "{error}");
    discriminant(&error)
}

/// A refusal is an answer.
fn asked(result: Result<(), BroadcastError>) -> Result<(), LedgerError> {
    match result {
        Ok(()) | Err(BroadcastError::Refused(_)) => Ok(()),
        Err(BroadcastError::Ledger(error)) => Err(error),
    }
}

/// Clause 11.4.
pub fn c11_4_hostile_transactions_are_refused_and_the_chain_goes_on<H: Harness>(harness: &H) {
    let funds = fund(harness, 1)[0];
    let ledger = harness.ledger();
    let good = pass_on(funds, Free(1));
    let edit = |change: &dyn Fn(&mut Transaction)| {
        let mut tx = good.clone();
        change(&mut tx);
        tx
    };
    let hostile = [
        edit(&|tx| tx.input.clear()),
        edit(&|tx| tx.output.clear()),
        Transaction { input: Vec::new(), output: Vec::new(), ..good.clone() },
        edit(&|tx| tx.input.push(tx.input[0].clone())),
        edit(&|tx| tx.input = vec![TxIn::default()]),
        edit(&|tx| tx.input[0].previous_output.vout = u32::MAX),
        edit(&|tx| tx.input[0].witness.clear()),
        edit(&|tx| tx.input[0].script_sig = ScriptBuf::from_bytes(vec![0x4e, 0xff, 0xff, 0xff, 0xff])),
        edit(&|tx| tx.output = vec![tx.output[0].clone(); 3]),
        edit(&|tx| tx.output[0].value = Amount::MAX),
        edit(&|tx| {
            tx.output[0].value = Amount::MAX;
            tx.output.push(tx.output[0].clone());
        }),
        edit(&|tx| tx.output[0].script_pubkey = ScriptBuf::from_bytes(vec![0x4d; 100_000])),
        edit(&|tx| tx.version.0 = i32::MIN),
        pay(&[purse(&good, 0, Free(1))], &[(Free(2), funds.value - FEE * 2)]),
    ];
    for tx in hostile {
        for answer in [ledger.check(&tx), ledger.broadcast(&tx).map(drop)] {
            assert!(matches!(answer, Err(BroadcastError::Refused(_))), "{tx:?}: {answer:?}");
        }
    }
    ledger.broadcast(&good).unwrap();
    let at = harness.mine(1, &Free(0).script())[0];
    assert_eq!(ledger.tip().unwrap(), at);
    let coin = ledger.coin(&OutPoint::new(good.compute_txid(), 0)).unwrap();
    assert_eq!(coin.and_then(|coin| coin.height), Some(at.height));
}
