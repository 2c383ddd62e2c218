//! What the embedded ledger has instead of miners and a network.

use std::time::SystemTime;

use bitcoin::amount::CheckedSum;
use bitcoin::consensus::encode::serialize;
use bitcoin::{Amount, BlockHash, OutPoint, Script, ScriptBuf, Transaction};
use keyway_chain::{BlockRef, Height};

use super::state::State;
use super::template::{self, Site};
use super::{BlockError, Embedded};
use crate::LedgerError;

/// A block to be mined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The block it follows; the tip if none is named.
    pub parent: Option<BlockHash>,
    /// Whom the subsidy and the fees go to.
    pub to: ScriptBuf,
    /// Its transactions in this order; those that are unmined if none are named. Of named ones the
    /// fees are collected only if the block follows the tip.
    pub transactions: Option<Vec<Transaction>>,
    /// Its time in seconds since 1970; now if none is named, or as soon after its parents as
    /// consensus demands.
    pub time: Option<u32>,
}

impl Plan {
    /// The next block as a miner would build it.
    pub fn to(to: &Script) -> Self {
        Self { parent: None, to: to.to_owned(), transactions: None, time: None }
    }
}

/// What became of a valid block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is in the best chain.
    Best(BlockRef),
    /// It is kept beside the best chain, which has as much work or more.
    Beside(BlockRef),
    /// It was there before.
    Known(BlockRef),
}

impl Submitted {
    /// The block.
    pub fn block(&self) -> BlockRef {
        match self {
            Self::Best(at) | Self::Beside(at) | Self::Known(at) => *at,
        }
    }
}

impl Embedded {
    /// Mines so many blocks on the tip with what is unmined. The blocks pay `to`.
    ///
    /// Each block takes the transactions that pay best as far as they fit; the rest stays unmined.
    ///
    /// # Errors
    /// See [`BlockError`]. The blocks mined before the one that failed stay.
    pub fn mine(&self, blocks: u32, to: &Script) -> Result<Vec<BlockRef>, BlockError> {
        let plan = Plan::to(to);
        self.change(|state| {
            let mined =
                (0..blocks).map(|_| mine(state, &plan).map(|mined| mined.block())).collect::<Result<_, _>>();
            state.sync()?;
            mined
        })
    }

    /// Mines one block as planned.
    ///
    /// # Errors
    /// [`BlockError::Refused`] with Bitcoin Core's reason if it would be invalid; then nothing
    /// changes. Else see [`BlockError`].
    pub fn mine_one(&self, plan: &Plan) -> Result<Submitted, BlockError> {
        self.change(|state| {
            let mined = mine(state, plan)?;
            state.sync()?;
            Ok(mined)
        })
    }

    /// Mines a branch of so many blocks on any block of this ledger; the first holds `first`, the
    /// others nothing. A branch longer than the best chain replaces it; one as long does not.
    ///
    /// # Errors
    /// As [`mine_one`](Self::mine_one). The blocks mined before the one that failed stay.
    pub fn mine_on(
        &self,
        parent: &BlockHash,
        blocks: u32,
        to: &Script,
        first: &[Transaction],
    ) -> Result<Vec<BlockRef>, BlockError> {
        let mut plan = Plan { parent: Some(*parent), transactions: Some(first.to_vec()), ..Plan::to(to) };
        let mut mined = Vec::new();
        for _ in 0..blocks {
            let at = self.mine_one(&plan)?.block();
            plan = Plan { parent: Some(at.hash), transactions: Some(Vec::new()), ..plan };
            mined.push(at);
        }
        Ok(mined)
    }

    /// Cuts the chain back to this height: a bare rollback, as a node's operator causes it with
    /// `invalidateblock`. For tests and laboratories: all blocks above are forgotten, with the
    /// branches beside the chain, and their transactions are unmined again where they still can be.
    /// A height above the tip changes nothing.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn rewind(&self, to: Height) -> Result<(), LedgerError> {
        self.change(|state| match state.blocks.at(to) {
            Some(at) if at != state.blocks.tip() => state.rewind(at),
            _ => Ok(()),
        })
    }

    /// Takes a block from elsewhere, as its bytes.
    ///
    /// # Errors
    /// See [`BlockError`]; nothing changes.
    pub fn submit_block(&self, bytes: &[u8]) -> Result<Submitted, BlockError> {
        self.change(|state| {
            let submitted = state.take(bytes.to_vec())?;
            state.sync()?;
            Ok(submitted)
        })
    }
}

fn mine(state: &mut State, plan: &Plan) -> Result<Submitted, BlockError> {
    let tip = state.blocks.tip().hash;
    let parent = plan.parent.unwrap_or(tip);
    let known = state.blocks.get(&parent).ok_or(BlockError::NoSuchBlock(parent))?;
    let soonest = state.blocks.median_time(&parent).saturating_add(1);
    let site = Site {
        parent,
        height: known.height.next(),
        bits: known.header.bits,
        time: plan.time.unwrap_or_else(|| now().max(soonest)),
        to: &plan.to,
        nonce: state.nonce(),
    };
    let (txs, fees) = match &plan.transactions {
        Some(txs) if parent == tip => (txs.clone(), fees_of(state, txs)),
        Some(txs) => (txs.clone(), Amount::ZERO),
        None if parent == tip => {
            let chosen = template::choose(&state.pool);
            let fees = chosen.iter().map(|entry| entry.fee).sum();
            (chosen.iter().map(|entry| Transaction::clone(&entry.tx)).collect(), fees)
        }
        None => (Vec::new(), Amount::ZERO),
    };
    state.take(serialize(&template::build(site, txs, fees)))
}

/// What transactions that follow the tip pay in fees, those left out whose coins are unknown.
fn fees_of(state: &State, txs: &[Transaction]) -> Amount {
    let ids: Vec<_> = txs.iter().map(Transaction::compute_txid).collect();
    let value = |outpoint: &OutPoint| match state.coins.get(outpoint) {
        Some(coin) => Some(coin.output.value),
        None => {
            let made = ids.iter().zip(txs).find(|(txid, _)| **txid == outpoint.txid);
            made.and_then(|(_, tx)| tx.output.get(outpoint.vout as usize)).map(|output| output.value)
        }
    };
    let fee = |tx: &Transaction| {
        let value_in: Option<Vec<Amount>> =
            tx.input.iter().map(|input| value(&input.previous_output)).collect();
        let value_out = tx.output.iter().map(|output| output.value).checked_sum()?;
        value_in?.into_iter().checked_sum()?.checked_sub(value_out)
    };
    let fees = txs.iter().filter_map(fee).checked_sum();
    // Amounts that cannot be are the engine's to refuse.
    fees.filter(|fees| *fees <= Amount::MAX_MONEY).unwrap_or(Amount::ZERO)
}

fn now() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
