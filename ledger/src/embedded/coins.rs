//! The unspent outputs of the best chain.

use std::collections::HashMap;

use bitcoin::{Block, OutPoint, Script, Transaction};
use keyway_chain::Height;

use crate::Coin;

/// The coins that each input of each transaction of a block spent; the coinbase's list is empty.
type Spent = Vec<Vec<Coin>>;

/// Every unspent output, and what is needed to go back.
#[derive(Debug, Default)]
pub(super) struct Coins {
    unspent: HashMap<OutPoint, Coin>,
    /// By height, from block 1 on.
    spent: Vec<Spent>,
}

/// No transaction can ever spend it, so it is not a coin.
fn is_unspendable(script: &Script) -> bool {
    script.is_op_return() || script.len() > 10_000
}

impl Coins {
    pub(super) fn get(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.unspent.get(outpoint)
    }

    /// The coins that a transaction of the best chain spent.
    pub(super) fn spent_by(&self, height: Height, position: u32) -> Option<&[Coin]> {
        let block = self.spent.get(height.prev()?.to_u32() as usize)?;
        block.get(position as usize).map(Vec::as_slice)
    }

    /// Adds the next block. `Err` with an outpoint that it spends and that is not there: then the
    /// coins are no longer right.
    pub(super) fn connect(&mut self, block: &Block, height: Height) -> Result<(), OutPoint> {
        let mut spent = Spent::with_capacity(block.txdata.len());
        for tx in &block.txdata {
            spent.push(self.spend(tx)?);
            self.create(tx, height);
        }
        self.spent.push(spent);
        Ok(())
    }

    /// Takes the last block back.
    pub(super) fn disconnect(&mut self, block: &Block) {
        let spent = self.spent.pop().unwrap_or_default();
        for (tx, spent) in block.txdata.iter().zip(spent).rev() {
            let txid = tx.compute_txid();
            (0u32..)
                .zip(&tx.output)
                .for_each(|(vout, _)| drop(self.unspent.remove(&OutPoint::new(txid, vout))));
            let inputs = tx.input.iter().map(|input| input.previous_output);
            self.unspent.extend(inputs.zip(spent));
        }
    }

    fn spend(&mut self, tx: &Transaction) -> Result<Vec<Coin>, OutPoint> {
        if tx.is_coinbase() {
            return Ok(Vec::new());
        }
        let outpoints = tx.input.iter().map(|input| input.previous_output);
        outpoints.map(|outpoint| self.unspent.remove(&outpoint).ok_or(outpoint)).collect()
    }

    fn create(&mut self, tx: &Transaction, height: Height) {
        let (txid, coinbase) = (tx.compute_txid(), tx.is_coinbase());
        for (vout, output) in (0u32..).zip(&tx.output) {
            if !is_unspendable(&output.script_pubkey) {
                let coin = Coin { output: output.clone(), height: Some(height), coinbase };
                self.unspent.insert(OutPoint::new(txid, vout), coin);
            }
        }
    }
}
