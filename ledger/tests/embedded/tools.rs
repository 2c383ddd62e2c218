//! What the tests share.

use bitcoin::{BlockHash, Script, Transaction};
use keyway_chain::BlockRef;
use keyway_ledger::contract::Harness;
use keyway_ledger::{BroadcastError, Embedded, Ledger, Refusal};

/// A ledger in a folder that goes with it.
pub struct Fresh {
    pub ledger: Embedded,
    pub folder: tempfile::TempDir,
}

impl Fresh {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { ledger: Embedded::open(folder.path()).unwrap(), folder }
    }

    /// Closes the ledger and opens it again.
    pub fn reopen(self) -> Self {
        let Self { ledger, folder } = self;
        drop(ledger);
        Self { ledger: Embedded::open(folder.path()).unwrap(), folder }
    }

    pub fn refusal(&self, tx: &Transaction) -> Refusal {
        let checked = refusal(self.ledger.check(tx));
        if let Err(BroadcastError::Refused(broadcast)) = self.ledger.broadcast(tx) {
            assert_eq!(broadcast, checked);
        }
        checked
    }

    pub fn reason(&self, tx: &Transaction) -> String {
        self.refusal(tx).reason
    }

    pub fn send(&self, tx: &Transaction) {
        assert_eq!(self.ledger.broadcast(tx).unwrap(), tx.compute_txid());
    }

    pub fn is_unmined(&self, tx: &Transaction) -> bool {
        self.ledger.unmined(&tx.compute_txid()).unwrap().is_some()
    }

    pub fn mine_one(&self, to: &Script) -> BlockRef {
        self.ledger.mine(1, to).unwrap()[0]
    }

    /// The block that many blocks below the tip.
    pub fn below(&self, blocks: u32) -> BlockHash {
        let height = self.ledger.tip().unwrap().height.minus(blocks);
        self.ledger.block_at(height).unwrap().unwrap().hash
    }
}

pub fn refusal(result: Result<impl std::fmt::Debug, BroadcastError>) -> Refusal {
    match result {
        Err(BroadcastError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

impl Harness for Fresh {
    type Ledger = Embedded;

    fn ledger(&self) -> &Embedded {
        &self.ledger
    }

    fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        self.ledger.mine(blocks, to).unwrap()
    }

    fn reorganise(&self, remove: u32, add: u32, to: &Script) -> Vec<BlockRef> {
        self.ledger.mine_on(&self.below(remove), add, to, &[]).unwrap()
    }

    fn roll_back(&self, blocks: u32) {
        self.ledger.rewind(self.ledger.tip().unwrap().height.minus(blocks)).unwrap();
    }
}
