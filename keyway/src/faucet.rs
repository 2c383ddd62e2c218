//! Money on the embedded ledger: its blocks pay a script that anyone can spend, and so anyone can fund
//! anyone. These coins are worth nothing.

use std::collections::{BTreeMap, HashSet};

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::opcodes::OP_TRUE;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, WScriptHash, Witness};
use keyway_chain::{BlockRef, Height};
use keyway_ledger::embedded::BlockError;
use keyway_ledger::{BroadcastError, Embedded, Hit, Ledger, LedgerError, Next, Watch};
use thiserror::Error;

use crate::error::Kind;
use crate::progress;
use crate::ui::Ui;

/// Coins that a payment of the faucet makes, so that offers find confirmed ones.
pub const COINS: u64 = 4;
/// A smaller coin would not be worth its fee.
const LEAST_COIN: Amount = Amount::from_sat(10_000);
/// A coinbase can be spent in the block that is this much higher.
const MATURITY: u32 = 100;
/// Few enough that a payment stays far below the size that nodes relay.
const MOST_INPUTS: usize = 400;
/// Blocks mined in one go, between two moves of the progress bar.
const BATCH: u32 = 10;

/// Why the faucet gave nothing.
#[derive(Debug, Error)]
pub enum FaucetError {
    /// Too little to be split into coins.
    #[error("{} sat is too little to fund a home\nit is split into {COINS} coins of at least {} sat\nask for {} sat or more", .0.to_sat(), LEAST_COIN.to_sat(), (LEAST_COIN * COINS).to_sat())]
    TooLittle(Amount),
    /// More than the blocks of the chain bring.
    #[error(
        "the faucet has only {} sat\na block's subsidy halves every 150 blocks on regtest, and one payment collects {MOST_INPUTS} of them\nask for less, or start a new ledger in another folder", have.to_sat()
    )]
    Dry {
        /// What it can give.
        have: Amount,
    },
    /// A block was not taken.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The payment was not taken.
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl FaucetError {
    /// How to take it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::TooLittle(_) => Kind::Usage,
            Self::Dry { .. } => Kind::Failed,
            Self::Block(_) | Self::Broadcast(_) | Self::Ledger(_) => Kind::Ledger,
        }
    }
}

/// What the faucet did.
#[derive(Clone, Copy, Debug)]
pub struct Funded {
    /// The payment.
    pub txid: Txid,
    /// Its block.
    pub block: BlockRef,
    /// How many blocks were mined in all.
    pub mined: u32,
}

/// A coin of the faucet that can be spent in the next block.
#[derive(Clone, Copy, Debug)]
struct Coin {
    outpoint: OutPoint,
    amount: Amount,
}

/// The script that the embedded ledger's blocks pay: P2WSH of OP_TRUE.
pub fn script() -> ScriptBuf {
    let program = sha256::Hash::hash(witness_script().as_bytes());
    ScriptBuf::new_p2wsh(&WScriptHash::from_raw_hash(program))
}

fn witness_script() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![OP_TRUE.to_u8()])
}

/// Mines blocks with what waits to be mined.
///
/// # Errors
/// The ledger's. What was mined before stays.
pub fn mine(ui: &Ui, ledger: &Embedded, blocks: u32) -> Result<Vec<BlockRef>, FaucetError> {
    let bar = (blocks > BATCH).then(|| progress::bar(ui, "mining", "blocks", blocks.into()));
    let mut mined = Vec::new();
    let mut left = blocks;
    while left > 0 {
        let batch = left.min(BATCH);
        mined.extend(ledger.mine(batch, &script())?);
        left -= batch;
        if let Some(bar) = &bar {
            bar.advance(batch.into());
        }
    }
    Ok(mined)
}

/// Pays `amount` in all to `to`, in [`COINS`] coins, and mines the payment.
///
/// # Errors
/// [`FaucetError`]. Blocks that were mined to fill the faucet stay.
pub fn fund(ui: &Ui, ledger: &Embedded, to: &ScriptBuf, amount: Amount) -> Result<Funded, FaucetError> {
    if amount < LEAST_COIN * COINS {
        return Err(FaucetError::TooLittle(amount));
    }
    let mut mined = 0;
    let payment = loop {
        let coins = spendable(ledger)?;
        match payment(ledger, &coins, to, amount)? {
            Some(payment) => break payment,
            // A full bucket of coins and still too little: more blocks bring less and less.
            None if mined > 4 * MATURITY => {
                let have = coins.iter().map(|coin| coin.amount).sum::<Amount>();
                return Err(FaucetError::Dry { have });
            }
            None => mined += fill(ui, ledger)?,
        }
    };
    let txid = ledger.broadcast(&payment)?;
    let block = mine(ui, ledger, 1)?.last().copied();
    let block = block.map_or_else(|| ledger.tip(), Ok)?;
    Ok(Funded { txid, block, mined: mined + 1 })
}

/// Mines until one more coinbase can be spent; the first time that takes as many blocks as they mature in.
fn fill(ui: &Ui, ledger: &Embedded) -> Result<u32, FaucetError> {
    let tip = ledger.tip()?.height.to_u32();
    let blocks = MATURITY.saturating_sub(tip).max(BATCH);
    Ok(mine(ui, ledger, blocks)?.len() as u32)
}

/// The faucet's coins in the best chain that the next block may spend and no unmined payment spends, the largest
/// first.
fn spendable(ledger: &Embedded) -> Result<Vec<Coin>, FaucetError> {
    let mut found = Found::default();
    let mut watch = Watch::new();
    watch.add_script(script());
    let mut last = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    // Nobody else mines on this ledger while this process has it: there is no other branch to be told of.
    while let Next::Connect(block) = ledger.next(last, &watch)? {
        block.hits.iter().for_each(|hit| found.take(hit, block.at.height, &mut watch));
        last = block.at;
    }
    ledger.pending(&watch)?.iter().for_each(|hit| found.spend(&hit.tx));
    Ok(found.coins(last.height.next()))
}

#[derive(Default)]
struct Found {
    coins: BTreeMap<OutPoint, (Amount, Option<Height>)>,
    spent: HashSet<OutPoint>,
}

impl Found {
    fn take(&mut self, hit: &Hit, height: Height, watch: &mut Watch) {
        self.spend(&hit.tx);
        let coinbase = hit.tx.is_coinbase().then_some(height);
        for (vout, output) in (0..).zip(&hit.tx.output) {
            if output.script_pubkey == script() {
                let outpoint = OutPoint::new(hit.txid, vout);
                watch.add_outpoint(outpoint);
                self.coins.insert(outpoint, (output.value, coinbase));
            }
        }
    }

    fn spend(&mut self, tx: &Transaction) {
        self.spent.extend(tx.input.iter().map(|input| input.previous_output));
    }

    fn coins(self, next: Height) -> Vec<Coin> {
        let mature = |mined: Option<Height>| mined.is_none_or(|at| at.plus(MATURITY) <= next);
        let mut coins: Vec<Coin> = self
            .coins
            .iter()
            .filter(|(outpoint, (_, mined))| mature(*mined) && !self.spent.contains(outpoint))
            .map(|(outpoint, (amount, _))| Coin { outpoint: *outpoint, amount: *amount })
            .collect();
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.amount), coin.outpoint));
        coins
    }
}

/// The payment, if the coins suffice for it and its fee.
fn payment(
    ledger: &Embedded,
    coins: &[Coin],
    to: &ScriptBuf,
    amount: Amount,
) -> Result<Option<Transaction>, FaucetError> {
    let feerate = ledger.feerate()?;
    let mut chosen: Vec<Coin> = Vec::new();
    for coin in coins.iter().take(MOST_INPUTS) {
        chosen.push(*coin);
        let have: Amount = chosen.iter().map(|coin| coin.amount).sum();
        let tx = build(&chosen, to, amount, Amount::ZERO);
        let Some(fee) = feerate.fee_wu(tx.weight()) else { return Ok(None) };
        let change = have.checked_sub(amount).and_then(|rest| rest.checked_sub(fee));
        if let Some(change) = change.filter(|change| *change >= LEAST_COIN) {
            return Ok(Some(build(&chosen, to, amount, change)));
        }
    }
    Ok(None)
}

fn build(coins: &[Coin], to: &ScriptBuf, amount: Amount, change: Amount) -> Transaction {
    let input = |coin: &Coin| TxIn {
        previous_output: coin.outpoint,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::from_slice(&[witness_script().as_bytes()]),
    };
    let part = amount / COINS;
    let first = amount - part * (COINS - 1);
    let values = std::iter::once(first).chain(std::iter::repeat_n(part, COINS as usize - 1));
    let mut output: Vec<TxOut> = values.map(|value| TxOut { value, script_pubkey: to.clone() }).collect();
    output.push(TxOut { value: change, script_pubkey: script() });
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: coins.iter().map(input).collect(),
        output,
    }
}

/// How many payments stand in these blocks: all transactions but the coinbases.
///
/// # Errors
/// The ledger's.
pub fn transactions(ledger: &Embedded, blocks: &[BlockRef]) -> Result<usize, FaucetError> {
    let mut count = 0;
    for block in blocks {
        let bytes = ledger.block(&block.hash)?.unwrap_or_default();
        let block: Result<bitcoin::Block, _> = bitcoin::consensus::deserialize(&bytes);
        count += block.map_or(0, |block| block.txdata.len().saturating_sub(1));
    }
    Ok(count)
}
