//! A real node, as the contract's tests want it.

use bitcoin::Script;
use keyway_chain::BlockRef;
use keyway_ledger::Rpc;
use keyway_ledger::contract::Harness;
use keyway_ledger::testnode::{Kind, TestNode};

pub struct Fresh {
    pub node: TestNode,
    pub ledger: Rpc,
}

impl Fresh {
    /// `None` where there is no such node.
    pub fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, &[])
    }

    pub fn start_with(kind: Kind, extra: &[&str]) -> Option<Self> {
        let node = TestNode::start_with(kind, extra)?;
        Some(Self { ledger: node.ledger(), node })
    }
}

impl Harness for Fresh {
    type Ledger = Rpc;

    fn ledger(&self) -> &Rpc {
        &self.ledger
    }

    fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        self.node.mine(blocks, to)
    }

    fn reorganise(&self, remove: u32, add: u32, to: &Script) -> Vec<BlockRef> {
        self.node.roll_back(remove);
        self.node.mine_empty(add, to)
    }

    fn roll_back(&self, blocks: u32) {
        self.node.roll_back(blocks);
    }
}
