//! The rule of OP_EXPONENT, which the engine does not know: to it the opcode is an OP_SUCCESS, so the engine takes every
//! spending that is right otherwise. What is checked here is only ever stricter.

use std::collections::HashMap;

use bitcoin::{Block, OutPoint, Transaction, TxOut, Txid};
use keyway_script::exponent::is_in_leaf_of;
use keyway_script::{Flags, ScriptError, Spending};

const RULES: Flags = Flags::CONSENSUS.with(Flags::EXPONENT);

/// A spending that breaks the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) txid: Txid,
    pub(super) input: usize,
    pub(super) error: ScriptError,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "input {} of {}: {} ({})", self.input, self.txid, self.error, self.error.name())
    }
}

/// Whether the rule has anything to say on it.
pub(super) fn concerns(tx: &Transaction) -> bool {
    tx.input.iter().any(|input| is_in_leaf_of(&input.witness))
}

/// Whether the transaction keeps the rule; `spent` are the outputs that its inputs spend, in their order.
pub(super) fn check(tx: &Transaction, spent: &[TxOut]) -> Result<(), Broken> {
    let Ok(spending) = Spending::new(tx, spent) else { return Ok(()) };
    let concerned = spending.inputs().filter(|input| is_in_leaf_of(&input.txin().witness));
    for input in concerned {
        let broken = |error| Broken { txid: tx.compute_txid(), input: input.index(), error };
        input.verify(RULES).map_err(broken)?;
    }
    Ok(())
}

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
