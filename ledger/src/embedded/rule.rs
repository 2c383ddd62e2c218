//! What a block's spendings of OP_EXPONENT spend, before the engine sees the block.

use std::collections::HashMap;

use bitcoin::{Block, OutPoint, Transaction, TxOut, Txid};

pub(super) use crate::rule::{Broken, check, concerns};

/// The outputs that a block's concerned transactions spend, as far as they were found.
#[derive(Debug, Default)]
pub(super) struct Spent {
    found: HashMap<OutPoint, TxOut>,
    missing: Vec<OutPoint>,
}

impl Spent {
    /// What the block's concerned transactions spend; `coin` gives outputs that are unspent in the best chain.
    pub(super) fn of(block: &Block, coin: impl Fn(&OutPoint) -> Option<TxOut>) -> Self {
        let inputs = block.txdata.iter().filter(|tx| concerns(tx)).flat_map(|tx| &tx.input);
        let mut spent =
            Self { missing: inputs.map(|input| input.previous_output).collect(), ..Self::default() };
        spent.take(coin);
        spent.look_into(block);
        spent
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Takes what this block creates. An outpoint says which transaction made it, so it does not matter in which
    /// branch the transaction is found.
    pub(super) fn look_into(&mut self, block: &Block) {
        if self.is_complete() {
            return;
        }
        let created: HashMap<Txid, &Transaction> =
            block.txdata.iter().map(|tx| (tx.compute_txid(), tx)).collect();
        self.take(|outpoint| created.get(&outpoint.txid)?.output.get(outpoint.vout as usize).cloned());
    }

    fn take(&mut self, output: impl Fn(&OutPoint) -> Option<TxOut>) {
        let found = &mut self.found;
        self.missing.retain(|outpoint| match output(outpoint) {
            Some(output) => {
                found.insert(*outpoint, output);
                false
            }
            None => true,
        });
    }

    /// Whether the block keeps the rule. Of a transaction that spends what is nowhere the engine has its own opinion.
    pub(super) fn check(&self, block: &Block) -> Result<(), Broken> {
        for tx in block.txdata.iter().filter(|tx| concerns(tx)) {
            let outputs = tx.input.iter().map(|input| self.found.get(&input.previous_output).cloned());
            if let Some(outputs) = outputs.collect::<Option<Vec<_>>>() {
                check(tx, &outputs)?;
            }
        }
        Ok(())
    }
}
