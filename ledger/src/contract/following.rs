//! Clauses 1 and 2.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, Height};

use super::{Free, Harness, fund, pass_on};
use crate::{Connected, Hit, Ledger, LedgerError, Next, Watch};

/// A caller as the contract wants it.
pub struct Follower {
    /// The blocks processed, from genesis up, with their hits.
    pub seen: Vec<(BlockRef, Vec<Hit>)>,
    /// What it hears of.
    pub watch: Watch,
}

/// A step of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// This block came.
    Came(BlockRef),
    /// This block left.
    Left(BlockRef),
}

impl Follower {
    /// Knows only the genesis block.
    pub fn new(ledger: &impl Ledger, watch: Watch) -> Self {
        let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
        Self { seen: vec![(genesis, Vec::new())], watch }
    }

    /// The block it processed last.
    pub fn last(&self) -> BlockRef {
        self.seen.last().expect("the genesis block never leaves").0
    }

    /// Goes to the tip. Checks on the way what clauses 1 and 2 promise for every step.
    pub fn follow(&mut self, ledger: &impl Ledger) -> Vec<Moved> {
        let mut moves = Vec::new();
        loop {
            let last = self.last();
            match ledger.next(last, &self.watch).unwrap() {
                Next::AtTip => return moves,
                Next::Disconnect => {
                    self.seen.pop();
                    moves.push(Moved::Left(last));
                }
                Next::Connect(Connected { at, header, hits }) => {
                    assert_eq!(at.height, last.height.next());
                    assert_eq!(header.prev_blockhash, last.hash);
                    assert_eq!(header.block_hash(), at.hash);
                    self.seen.push((at, hits));
                    moves.push(Moved::Came(at));
                }
            }
        }
    }

    /// The hits of the chain as it is.
    pub fn hits(&self) -> Vec<Hit> {
        self.seen.iter().flat_map(|(_, hits)| hits.clone()).collect()
    }
}

/// Clause 1.1.
pub fn c1_1_asking_again_gives_the_same_answer<H: Harness>(harness: &H) {
    let mined = harness.mine(3, &Free(0).script());
    let mut watch = Watch::new();
    watch.add_script(Free(0).script());
    let ledger = harness.ledger();
    for after in mined {
        assert_eq!(ledger.next(after, &watch).unwrap(), ledger.next(after, &watch).unwrap());
    }
}

/// Clause 1.2.
pub fn c1_2_blocks_come_one_by_one_and_ascending<H: Harness>(harness: &H) {
    let mined = harness.mine(5, &Free(0).script());
    let ledger = harness.ledger();
    let mut follower = Follower::new(ledger, Watch::new());
    let came: Vec<Moved> = mined.iter().copied().map(Moved::Came).collect();
    assert_eq!(follower.follow(ledger), came);
    for at in &mined {
        assert_eq!(ledger.block_at(at.height).unwrap(), Some(*at));
        assert_eq!(ledger.header(&at.hash).unwrap().unwrap().block_hash(), at.hash);
    }
    let above = ledger.tip().unwrap().height.next();
    assert_eq!(ledger.block_at(above).unwrap(), None);
    assert_eq!(ledger.header(&BlockHash::all_zeros()).unwrap(), None);
}

/// Clause 1.3.
pub fn c1_3_following_may_begin_anywhere_in_the_best_chain<H: Harness>(harness: &H) {
    let mined = harness.mine(3, &Free(0).script());
    let ledger = harness.ledger();
    let middle = ledger.block_at(Height::new(2)).unwrap().unwrap();
    assert_eq!(middle, mined[1]);
    match ledger.next(middle, &Watch::new()).unwrap() {
        Next::Connect(block) => assert_eq!(block.at, mined[2]),
        other => panic!("{other:?}"),
    }
}

/// Clause 1.4.
pub fn c1_4_at_the_tip_nothing_follows<H: Harness>(harness: &H) {
    let ledger = harness.ledger();
    let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    assert_eq!(ledger.tip().unwrap(), genesis);
    assert_eq!(ledger.next(genesis, &Watch::new()).unwrap(), Next::AtTip);
    let mined = harness.mine(1, &Free(0).script());
    assert_eq!(ledger.tip().unwrap(), mined[0]);
    assert_eq!(ledger.next(mined[0], &Watch::new()).unwrap(), Next::AtTip);
}

/// Clause 2.1.
pub fn c2_1_a_reorganisation_takes_blocks_back_before_others_come<H: Harness>(harness: &H) {
    let ledger = harness.ledger();
    let mut follower = Follower::new(ledger, Watch::new());
    let old = harness.mine(6, &Free(0).script());
    follower.follow(ledger);
    let new = harness.reorganise(3, 5, &Free(1).script());
    let left = old[3..].iter().rev().copied().map(Moved::Left);
    let came = new.iter().copied().map(Moved::Came);
    assert_eq!(follower.follow(ledger), left.chain(came).collect::<Vec<_>>());
    assert_eq!(follower.last(), ledger.tip().unwrap());
}

/// Clause 2.2.
pub fn c2_2_a_bare_rollback_is_noticed<H: Harness>(harness: &H) {
    let ledger = harness.ledger();
    let mut follower = Follower::new(ledger, Watch::new());
    let old = harness.mine(5, &Free(0).script());
    follower.follow(ledger);
    harness.roll_back(2);
    assert_eq!(ledger.tip().unwrap(), old[2]);
    assert_eq!(follower.follow(ledger), [Moved::Left(old[4]), Moved::Left(old[3])]);
    let new = harness.mine(1, &Free(1).script());
    assert_eq!(follower.follow(ledger), [Moved::Came(new[0])]);
}

/// Clause 2.3.
pub fn c2_3_an_unknown_block_is_taken_back_and_a_foreign_genesis_refused<H: Harness>(harness: &H) {
    harness.mine(2, &Free(0).script());
    let (ledger, watch) = (harness.ledger(), Watch::new());
    let unknown = BlockHash::from_byte_array([7; 32]);
    for height in [1, 2, 3, 1_000_000] {
        let answer = ledger.next(BlockRef::new(Height::new(height), unknown), &watch).unwrap();
        assert_eq!(answer, Next::Disconnect);
    }
    let expected = ledger.chain().genesis();
    match ledger.next(BlockRef::new(Height::GENESIS, unknown), &watch) {
        Err(LedgerError::ForeignChain { expected: e, found }) => assert_eq!((e, found), (expected, unknown)),
        other => panic!("{other:?}"),
    }
}

/// Clause 2.4, for what matters: transactions.
pub fn c2_4_a_transaction_that_left_and_came_back_is_a_hit_again<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let ledger = harness.ledger();
    let mut watch = Watch::new();
    watch.add_script(Free(1).script());
    let mut follower = Follower::new(ledger, watch);
    ledger.broadcast(&tx).unwrap();
    harness.mine(1, &Free(0).script());
    follower.follow(ledger);
    let before = follower.hits();
    assert_eq!(before.len(), 1);

    harness.reorganise(1, 2, &Free(0).script());
    follower.follow(ledger);
    assert_eq!(follower.hits(), []);

    ledger.broadcast(&tx).unwrap();
    harness.mine(1, &Free(0).script());
    follower.follow(ledger);
    assert_eq!(follower.hits(), before);
}
