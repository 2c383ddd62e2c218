//! The simulated ledger keeps the contract that every backend keeps.
#![cfg(all(test, feature = "embedded"))]

use bitcoin::{Amount, Script};
use keyway_chain::{BlockRef, Chain};
use keyway_lab::sim::Sim;
use keyway_ledger::contract::Harness;

struct Fresh(Sim);

impl Fresh {
    fn start() -> Self {
        Self(Sim::new(Chain::regtest(), Amount::from_int_btc(50)))
    }
}

impl Harness for Fresh {
    type Ledger = Sim;

    fn ledger(&self) -> &Sim {
        &self.0
    }

    fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        (0..blocks).map(|_| self.0.mine(to, &mut |_| true)).collect()
    }

    fn reorganise(&self, remove: u32, add: u32, to: &Script) -> Vec<BlockRef> {
        self.0.roll_back(remove);
        (0..add).map(|_| self.0.mine(to, &mut |_| false)).collect()
    }

    fn roll_back(&self, blocks: u32) {
        self.0.roll_back(blocks);
    }
}

keyway_ledger::contract_tests!(Fresh::start());
