//! OP_EXPONENT: a ledger that holds blocks to its rule, beside one that does not.

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{Amount, Block, OutPoint, Transaction};
use keyway_chain::BlockRef;
use keyway_ledger::contract::{Free, Harness, fund};
use keyway_ledger::embedded::{BlockError, Plan, Submitted};
use keyway_ledger::{Embedded, Ledger, RefusalKind};

use super::lock::{OPENS, lock_up, spend};
use super::tools::Fresh;

fn enforcing() -> Fresh {
    let fresh = Fresh::start();
    fresh.ledger.enforce_exponent().unwrap();
    fresh
}

pub fn block(ledger: &Embedded, at: BlockRef) -> Vec<u8> {
    ledger.block(&at.hash).unwrap().unwrap()
}

/// Gives `to` every block of the best chain of `from` that it does not have; the first that it refuses.
pub fn relay(from: &Embedded, to: &Embedded) -> Result<(), BlockError> {
    for height in 1..=from.tip().unwrap().height.to_u32() {
        let at = from.block_at(keyway_chain::Height::new(height)).unwrap().unwrap();
        to.submit_block(&block(from, at))?;
    }
    Ok(())
}

fn reason(error: BlockError) -> String {
    match error {
        BlockError::Refused { reason, block, at_fault } => {
            assert_eq!(block, at_fault);
            reason
        }
        other => panic!("{other}"),
    }
}

/// A chain with a locked output: on the first of the ledgers, told to the others.
pub fn locked(ledgers: &[&Fresh]) -> Transaction {
    let funds = fund(ledgers[0], 1);
    let locked = lock_up(funds[0]);
    ledgers[0].send(&locked);
    ledgers[0].mine_one(&Free(0).script());
    for other in &ledgers[1..] {
        relay(&ledgers[0].ledger, &other.ledger).unwrap();
    }
    locked
}

#[test]
fn who_has_the_number_spends_the_output_through_mempool_and_miner() {
    let fresh = enforcing();
    let locked = locked(&[&fresh]);
    let spending = spend(&locked, &[OPENS]);
    fresh.send(&spending);
    let at = fresh.mine_one(&Free(0).script());
    let mined: Block = deserialize(&block(&fresh.ledger, at)).unwrap();
    assert_eq!(mined.txdata[1], spending);
    assert!(!fresh.is_unmined(&spending));
}

#[test]
fn a_thief_is_refused_by_the_mempool_and_in_a_block_of_ones_own() {
    let fresh = enforcing();
    let locked = locked(&[&fresh]);
    let theft = spend(&locked, &[OPENS + 1]);
    let refusal = fresh.refusal(&theft);
    assert_eq!(refusal.reason, "mandatory-script-verify-flag-failed");
    assert!(refusal.detail.unwrap().contains("(EQUALVERIFY)"));
    let tip = fresh.ledger.tip().unwrap();
    let plan = Plan { transactions: Some(vec![theft]), ..Plan::to(&Free(0).script()) };
    let reason = reason(fresh.ledger.mine_one(&plan).unwrap_err());
    assert!(reason.starts_with("op-exponent, input 0 of "), "{reason}");
    assert_eq!(fresh.ledger.tip().unwrap(), tip);
}

#[test]
fn without_the_rule_nothing_with_the_opcode_is_relayed_and_anything_can_be_mined() {
    let fresh = Fresh::start();
    assert!(!fresh.ledger.enforces_exponent().unwrap());
    let locked = locked(&[&fresh]);
    let reason = fresh.reason(&spend(&locked, &[OPENS]));
    assert_eq!(reason, "mempool-script-verify-flag-failed (OP_SUCCESSx reserved for soft-fork upgrades)");
    let tip = fresh.ledger.tip().unwrap();
    fresh.ledger.mine_on(&tip.hash, 1, &Free(0).script(), &[spend(&locked, &[])]).unwrap();
}

#[test]
fn the_rule_is_kept_by_the_folder() {
    let fresh = enforcing();
    let locked = locked(&[&fresh]);
    fresh.ledger.enforce_exponent().unwrap();
    let fresh = fresh.reopen();
    assert!(fresh.ledger.enforces_exponent().unwrap());
    let tip = fresh.ledger.tip().unwrap();
    let stolen = fresh.ledger.mine_on(&tip.hash, 1, &Free(0).script(), &[spend(&locked, &[])]);
    assert!(reason(stolen.unwrap_err()).contains("(EQUALVERIFY)"));
}

#[test]
fn a_rule_switched_on_later_leaves_earlier_blocks_alone() {
    let fresh = Fresh::start();
    let locked = locked(&[&fresh]);
    let tip = fresh.ledger.tip().unwrap();
    let stolen = fresh.ledger.mine_on(&tip.hash, 1, &Free(0).script(), &[spend(&locked, &[])]).unwrap();
    fresh.ledger.enforce_exponent().unwrap();
    let fresh = fresh.reopen();
    assert_eq!(fresh.ledger.tip().unwrap(), stolen[0]);
    let beside = fresh.ledger.mine_on(&tip.hash, 2, &Free(0).script(), &[spend(&locked, &[])]);
    assert!(reason(beside.unwrap_err()).contains("op-exponent"));
}

#[test]
fn two_who_enforce_do_not_follow_a_third_who_does_not_until_the_honest_branch_is_longer() {
    let (first, second, third) = (enforcing(), enforcing(), Fresh::start());
    let locked = locked(&[&first, &second, &third]);
    let fork = first.ledger.tip().unwrap();

    // The third mines a theft and two blocks on it.
    let theft = spend(&locked, &[]);
    let stolen = third.ledger.mine_on(&fork.hash, 3, &Free(0).script(), &[theft]).unwrap();
    for honest in [&first, &second] {
        assert!(reason(relay(&third.ledger, &honest.ledger).unwrap_err()).contains("op-exponent"));
        let above = honest.ledger.submit_block(&block(&third.ledger, stolen[1])).unwrap_err();
        assert!(matches!(above, BlockError::UnknownParent { .. }), "{above}");
        assert_eq!(honest.ledger.tip().unwrap(), fork);
    }

    // The others agree with each other, and go on.
    let spending = spend(&locked, &[OPENS]);
    first.send(&spending);
    first.mine(2, &Free(0).script());
    relay(&first.ledger, &second.ledger).unwrap();
    second.mine(2, &Free(0).script());
    relay(&second.ledger, &first.ledger).unwrap();
    assert_eq!(first.ledger.tip().unwrap(), second.ledger.tip().unwrap());

    // Their branch is longer now: the third reorganises across the theft.
    assert_eq!(third.ledger.tip().unwrap(), stolen[2]);
    relay(&first.ledger, &third.ledger).unwrap();
    assert_eq!(third.ledger.tip().unwrap(), first.ledger.tip().unwrap());
    assert!(third.ledger.coin(&OutPoint::new(spending.compute_txid(), 0)).unwrap().is_some());
}

#[test]
fn a_branch_that_steals_is_refused_though_its_output_is_spent_in_the_best_chain() {
    let (honest, thief) = (enforcing(), Fresh::start());
    let locked = locked(&[&honest, &thief]);
    let fork = honest.ledger.tip().unwrap();
    honest.send(&spend(&locked, &[OPENS]));
    let spent = honest.mine(2, &Free(0).script());
    // Beside the best chain the output is unspent, and nobody looks at it there but the rule.
    let stolen = thief.ledger.mine_on(&fork.hash, 4, &Free(0).script(), &[spend(&locked, &[3])]).unwrap();
    let refused = honest.ledger.submit_block(&block(&thief.ledger, stolen[0])).unwrap_err();
    assert!(reason(refused).contains("op-exponent"));
    assert_eq!(honest.ledger.tip().unwrap(), spent[1]);
    // An honest branch beside it is taken as any other.
    let beside =
        honest.ledger.mine_on(&fork.hash, 1, &Free(5).script(), &[spend(&locked, &[OPENS])]).unwrap();
    assert!(matches!(
        honest.ledger.submit_block(&block(&honest.ledger, beside[0])).unwrap(),
        Submitted::Known(at) if at == beside[0]
    ));
}

#[test]
fn a_theft_of_what_the_same_block_locks_is_refused() {
    let fresh = enforcing();
    let funds = fund(&fresh, 1);
    let locking = lock_up(funds[0]);
    let tip = fresh.ledger.tip().unwrap();
    let steal = [locking.clone(), spend(&locking, &[])];
    let refused = fresh.ledger.mine_on(&tip.hash, 1, &Free(0).script(), &steal).unwrap_err();
    assert!(reason(refused).contains("op-exponent"));
    let open = [locking.clone(), spend(&locking, &[OPENS])];
    fresh.ledger.mine_on(&tip.hash, 1, &Free(0).script(), &open).unwrap();
}

#[test]
fn what_leaves_with_a_reorganisation_comes_back_and_is_mined_again() {
    let fresh = enforcing();
    let locked = locked(&[&fresh]);
    let spending = spend(&locked, &[OPENS]);
    fresh.send(&spending);
    fresh.mine_one(&Free(0).script());
    fresh.reorganise(1, 2, &Free(9).script());
    assert!(fresh.is_unmined(&spending));
    let again = refusal_kind(&fresh, &spending);
    assert_eq!(again, RefusalKind::Known);
    let at = fresh.mine_one(&Free(0).script());
    let mined: Block = deserialize(&block(&fresh.ledger, at)).unwrap();
    assert_eq!(serialize(&mined.txdata[1]), serialize(&spending));
    assert!(mined.txdata[0].output[0].value > Amount::ZERO);
}

fn refusal_kind(fresh: &Fresh, tx: &Transaction) -> RefusalKind {
    super::tools::refusal(fresh.ledger.check(tx)).kind()
}
