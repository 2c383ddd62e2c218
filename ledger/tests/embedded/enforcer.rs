//! Enforcing beside nodes that do not know the rule: here embedded ledgers that were not told to keep it.

use std::collections::HashMap;

use bitcoin::consensus::deserialize;
use bitcoin::{Block, BlockHash, OutPoint, Transaction, TxOut, Txid};
use keyway_chain::{BlockRef, Height};
use keyway_ledger::contract::{Free, Harness};
use keyway_ledger::enforcer::{Guarded, Heard, follow};
use keyway_ledger::{Embedded, Ledger, LedgerError};

use super::exponent::{block, locked, relay};
use super::lock::{OPENS, spend};
use super::tools::Fresh;

/// A node that knows nothing of the rule, and does what it is told.
struct Node<'a>(&'a Embedded);

impl Guarded for Node<'_> {
    fn ledger(&self) -> &dyn Ledger {
        self.0
    }

    fn concerned(&self, at: BlockRef) -> Result<Vec<(Transaction, Vec<TxOut>)>, LedgerError> {
        let made: HashMap<Txid, Transaction> = branch(self.0, at)
            .into_iter()
            .flat_map(|block| block.txdata)
            .map(|tx| (tx.compute_txid(), tx))
            .collect();
        let spent = |tx: &Transaction| -> Vec<TxOut> {
            let output = |OutPoint { txid, vout }: OutPoint| made[&txid].output[vout as usize].clone();
            tx.input.iter().map(|input| output(input.previous_output)).collect()
        };
        let block: Block = deserialize(&block(self.0, at)).unwrap();
        // The opcode's byte in a witness: what else has it is checked in vain.
        let has_it = |tx: &Transaction| {
            tx.input.iter().any(|input| input.witness.iter().any(|item| item.contains(&0xee)))
        };
        let concerned = block.txdata.into_iter().skip(1).filter(has_it);
        Ok(concerned.map(|tx| (tx.clone(), spent(&tx))).collect())
    }

    fn invalidate(&self, hash: &BlockHash) -> Result<(), LedgerError> {
        let tip = self.0.tip()?;
        let at = (0..=tip.height.to_u32())
            .map(Height::new)
            .find(|height| self.0.block_at(*height).unwrap().unwrap().hash == *hash);
        self.0.rewind(at.unwrap().prev().unwrap())
    }
}

/// A block and all below it but the first.
fn branch(ledger: &Embedded, at: BlockRef) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut hash = at.hash;
    while hash != ledger.chain().genesis() {
        let block: Block = deserialize(&ledger.block(&hash).unwrap().unwrap()).unwrap();
        hash = block.header.prev_blockhash;
        blocks.push(block);
    }
    blocks
}

/// What an enforcer does beside a node, and how many blocks it had taken back.
fn enforce(fresh: &Fresh, checked: &mut BlockRef) -> usize {
    let mut taken_back = 0;
    follow(&Node(&fresh.ledger), checked, &mut |heard| {
        taken_back += usize::from(matches!(heard, Heard::Invalidated { .. }));
    })
    .unwrap();
    assert_eq!(*checked, fresh.ledger.tip().unwrap(), "its tip stands still and was checked");
    taken_back
}

fn tip(fresh: &Fresh) -> BlockRef {
    fresh.ledger.tip().unwrap()
}

/// Mines a branch on a block of this node, the first block with this transaction.
fn mine_on(fresh: &Fresh, parent: BlockRef, blocks: u32, first: &Transaction) -> Vec<BlockRef> {
    fresh.ledger.mine_on(&parent.hash, blocks, &Free(0).script(), std::slice::from_ref(first)).unwrap()
}

#[test]
fn two_enforced_nodes_leave_a_thief_alone_on_the_third_and_all_meet_on_the_honest_branch() {
    let [first, second, lax] = [Fresh::start(), Fresh::start(), Fresh::start()];
    let lockup = locked(&[&first, &second, &lax]);
    let start = tip(&first);
    let (mut by_first, mut by_second) = (start, start);
    mine_on(&lax, start, 1, &spend(&lockup, &[]));
    for (node, checked) in [(&first, &mut by_first), (&second, &mut by_second)] {
        relay(&lax.ledger, &node.ledger).unwrap();
        assert_ne!(tip(node), start, "the node itself takes it");
        assert_eq!(enforce(node, checked), 1);
        assert_eq!(tip(node), start);
    }
    mine_on(&second, start, 2, &spend(&lockup, &[OPENS]));
    assert_eq!(enforce(&second, &mut by_second), 0);
    relay(&second.ledger, &first.ledger).unwrap();
    relay(&second.ledger, &lax.ledger).unwrap();
    assert_eq!(enforce(&first, &mut by_first), 0);
    assert_eq!([tip(&first), tip(&lax)], [tip(&second); 2]);
}

#[test]
fn a_longer_branch_that_steals_is_taken_back_whole_and_what_it_replaced_was_heard_of() {
    let node = Fresh::start();
    let lockup = locked(&[&node]);
    let start = tip(&node);
    let mut checked = start;
    mine_on(&node, start, 2, &spend(&lockup, &[OPENS]));
    assert_eq!(enforce(&node, &mut checked), 0);
    mine_on(&node, start, 5, &spend(&lockup, &[OPENS + 1]));
    let mut left = Vec::new();
    follow(&Node(&node.ledger), &mut checked, &mut |heard| {
        if let Heard::Left { transactions, .. } = heard {
            left.extend(transactions);
        }
    })
    .unwrap();
    assert_eq!((tip(&node), checked), (start, start));
    assert_eq!(left, [spend(&lockup, &[OPENS])]);
}

#[test]
fn an_enforcer_that_was_off_for_fifty_blocks_catches_up_and_takes_back_the_theft_among_them() {
    let node = Fresh::start();
    let lockup = locked(&[&node]);
    let mut checked = tip(&node);
    node.mine(24, &Free(0).script());
    let honest = tip(&node);
    mine_on(&node, honest, 26, &spend(&lockup, &[]));
    assert_eq!(enforce(&node, &mut checked), 1);
    assert_eq!(tip(&node), honest);
}

#[test]
fn what_was_mined_before_the_rule_stays_and_an_older_branch_is_held_to_it_when_it_wins() {
    let node = Fresh::start();
    let lockup = locked(&[&node]);
    let start = tip(&node);
    mine_on(&node, start, 2, &spend(&lockup, &[]));
    let mut checked = tip(&node);
    node.mine(1, &Free(0).script());
    assert_eq!(enforce(&node, &mut checked), 0, "an earlier theft is past");

    // Enforcement begins above a fork whose other branch, with a theft of its own, is as old and wins later.
    let node = Fresh::start();
    let lockup = locked(&[&node]);
    let start = tip(&node);
    node.mine(2, &Free(0).script());
    let mut checked = tip(&node);
    mine_on(&node, start, 4, &spend(&lockup, &[]));
    assert_eq!(enforce(&node, &mut checked), 1);
    assert_eq!(tip(&node), start);
}
