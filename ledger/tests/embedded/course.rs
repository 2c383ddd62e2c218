//! A ledger's life, step by step, the same whenever it is lived from the same seed; and what a ledger
//! is at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bitcoin::consensus::deserialize;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use bitcoin::{Amount, Block, BlockHash, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Height};
use keyway_ledger::contract::{FEE, Free, Purse, pass_on, pay};
use keyway_ledger::embedded::Plan;
use keyway_ledger::{Coin, Embedded, Ledger, Watch};

/// The log's name in a ledger's folder.
pub const LOG: &str = "ledger.log";
/// Whom the coins of a course belong to.
const OWNERS: i64 = 6;
/// When the first block is mined. Blocks are a minute apart, whatever the clock says.
const START: u32 = 1_700_000_000;
/// Enough for some mature coins.
const FUNDING: u32 = 108;

/// Everything a ledger shows. Two ledgers that show the same are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub chain: Vec<BlockRef>,
    pub unmined: Vec<Txid>,
    pub coins: BTreeMap<OutPoint, Coin>,
    /// Those of the blocks asked about that it knows, also beside the best chain.
    pub known: BTreeSet<BlockHash>,
}

impl Shown {
    /// Asks a ledger for all it has, and checks that its answers agree with each other.
    pub fn by(ledger: &Embedded, asked: &[BlockHash]) -> Self {
        let tip = ledger.tip().unwrap();
        let heights = (0..=tip.height.to_u32()).map(Height::new);
        let chain: Vec<BlockRef> = heights.map(|height| ledger.block_at(height).unwrap().unwrap()).collect();
        assert_eq!(chain.last(), Some(&tip));
        let mut coins = Coins::default();
        for pair in chain.windows(2) {
            let block = block(ledger, &pair[1].hash);
            assert_eq!(block.header.prev_blockhash, pair[0].hash);
            block.txdata.iter().for_each(|tx| coins.take(tx, Some(pair[1].height)));
        }
        let pending: Vec<_> = ledger.pending(&everybody()).unwrap();
        pending.iter().for_each(|hit| coins.take(&hit.tx, None));
        for outpoint in &coins.spent {
            assert_eq!(ledger.coin(outpoint).unwrap(), None, "it is spent");
        }
        for (outpoint, coin) in &coins.unspent {
            assert_eq!(ledger.coin(outpoint).unwrap().as_ref(), Some(coin));
        }
        let known = asked.iter().copied().filter(|hash| ledger.header(hash).unwrap().is_some()).collect();
        Self { chain, unmined: pending.iter().map(|hit| hit.txid).collect(), coins: coins.unspent, known }
    }

    /// Opens the ledger in a folder, asks it, and makes sure that it goes on.
    pub fn in_folder(folder: &Path, asked: &[BlockHash]) -> Self {
        let ledger = Embedded::open(folder).unwrap();
        let shown = Self::by(&ledger, asked);
        ledger.mine(1, &Free(0).script()).unwrap();
        shown
    }

    pub fn tip(&self) -> BlockRef {
        *self.chain.last().unwrap()
    }
}

pub fn block(ledger: &Embedded, hash: &BlockHash) -> Block {
    deserialize(&ledger.block(hash).unwrap().unwrap()).unwrap()
}

fn everybody() -> Watch {
    let mut watch = Watch::new();
    (0..OWNERS).for_each(|owner| assert!(watch.add_script(Free(owner).script())));
    watch
}

/// Coins as they follow from transactions.
#[derive(Default)]
struct Coins {
    unspent: BTreeMap<OutPoint, Coin>,
    spent: BTreeSet<OutPoint>,
}

impl Coins {
    fn take(&mut self, tx: &Transaction, height: Option<Height>) {
        if !tx.is_coinbase() {
            for input in &tx.input {
                self.unspent.remove(&input.previous_output).expect("a coin that is not there is spent");
                self.spent.insert(input.previous_output);
            }
        }
        let txid = tx.compute_txid();
        for (vout, output) in (0..).zip(&tx.output).filter(|(_, output)| !output.script_pubkey.is_op_return())
        {
            let coin = Coin { output: output.clone(), height, coinbase: tx.is_coinbase() };
            self.unspent.insert(OutPoint::new(txid, vout), coin);
        }
    }
}

/// What happens next, from a seed. Every step is one step of the ledger.
pub struct Course {
    rng: StdRng,
    time: u32,
    /// All it ever mined.
    pub mined: Vec<BlockHash>,
}

impl Course {
    pub fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), time: START + 60 * (FUNDING + 1), mined: Vec::new() }
    }

    /// Mines what every course begins with.
    pub fn fund(ledger: &Embedded) {
        for i in 0..FUNDING {
            let owner = Free(i64::from(i) % OWNERS).script();
            ledger.mine_one(&Plan { time: Some(START + 60 * i), ..Plan::to(&owner) }).unwrap();
        }
    }

    /// Lives one step.
    pub fn step(&mut self, ledger: &Embedded) {
        match self.rng.gen_range(0..10) {
            0..4 => self.send(ledger),
            4..7 => self.mine(ledger, ledger.tip().unwrap().hash),
            7..9 => self.branch(ledger),
            _ => self.rewind(ledger),
        }
    }

    fn send(&mut self, ledger: &Embedded) {
        let purses = spendable(&Shown::by(ledger, &[]));
        let from = purses[self.rng.gen_range(0..purses.len())];
        let to = Free(self.rng.gen_range(0..OWNERS));
        let half = (from.value - FEE) / 2;
        let tx = if self.rng.r#gen() { pass_on(from, to) } else { pay(&[from], &[(to, half), (to, half)]) };
        ledger.broadcast(&tx).unwrap();
    }

    fn mine(&mut self, ledger: &Embedded, parent: BlockHash) {
        self.time += 60;
        let to = Free(self.rng.gen_range(0..OWNERS)).script();
        let plan = Plan { parent: Some(parent), time: Some(self.time), ..Plan::to(&to) };
        self.mined.push(ledger.mine_one(&plan).unwrap().block().hash);
    }

    /// Mines on one of the last blocks, whether or not it is in the best chain.
    fn branch(&mut self, ledger: &Embedded) {
        let known = |hash: &&BlockHash| ledger.header(hash).unwrap().is_some();
        let recent: Vec<BlockHash> = self.mined.iter().rev().filter(known).take(3).copied().collect();
        let parent = recent.get(self.rng.gen_range(0..3)).copied();
        self.mine(ledger, parent.unwrap_or_else(|| ledger.tip().unwrap().hash));
    }

    fn rewind(&mut self, ledger: &Embedded) {
        let tip = ledger.tip().unwrap().height;
        ledger.rewind(tip.minus(self.rng.gen_range(1..3))).unwrap();
    }
}

/// What may be spent in the next block.
pub fn spendable(shown: &Shown) -> Vec<Purse> {
    let next = shown.tip().height.next().to_u32();
    let mature = |coin: &Coin| !coin.coinbase || coin.height.is_some_and(|h| next - h.to_u32() >= 100);
    let owner = |coin: &Coin| (0..OWNERS).map(Free).find(|free| free.script() == coin.output.script_pubkey);
    let rich = |coin: &Coin| coin.output.value > Amount::from_sat(100_000);
    let coins = shown.coins.iter().filter(|(_, coin)| mature(coin) && rich(coin));
    coins
        .filter_map(|(outpoint, coin)| {
            Some(Purse { outpoint: *outpoint, value: coin.output.value, owner: owner(coin)? })
        })
        .collect()
}

/// A course lived to its end in peace.
pub struct Lived {
    /// What the ledger showed before the first step, after it, after the second, and so on.
    pub shown: Vec<Shown>,
    /// All blocks mined on the way.
    pub mined: Vec<BlockHash>,
    /// The log's bytes at the same moments.
    pub logs: Vec<Vec<u8>>,
}

impl Lived {
    /// Lives a course in a folder that holds a funded ledger.
    pub fn through(folder: &Path, seed: u64, steps: usize) -> Self {
        let ledger = Embedded::open(folder).unwrap();
        let mut course = Course::new(seed);
        let log = || std::fs::read(folder.join(LOG)).unwrap();
        let (mut shown, mut logs) = (vec![Shown::by(&ledger, &[])], vec![log()]);
        for _ in 0..steps {
            course.step(&ledger);
            shown.push(Shown::by(&ledger, &course.mined));
            logs.push(log());
        }
        Self { shown, mined: course.mined, logs }
    }

    /// After how many steps a ledger showed this; `None` if never. Of several moments the one in
    /// `around`, where there is one.
    pub fn moment(&self, shown: &Shown, around: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let is = |i: &usize| self.shown.get(*i) == Some(shown);
        around.into_iter().find(is).or_else(|| (0..self.shown.len()).find(is))
    }
}

/// A folder with a funded ledger in it, and nothing that runs.
pub fn funded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Course::fund(&Embedded::open(folder.path()).unwrap());
    folder
}

/// Another folder with the same ledger.
pub fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join(LOG), copy.path().join(LOG)).unwrap();
    copy
}

/// A folder with this log.
pub fn folder_with(log: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(LOG), log).unwrap();
    folder
}

/// The seed of this run, from the environment or new; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("KEYWAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(bitcoin::secp256k1::rand::random);
    println!("seed {seed}: repeat with KEYWAY_TEST_SEED={seed}");
    seed
}
