//! The rule of OP_EXPONENT, which the engine does not know: to it the opcode is an OP_SUCCESS, so the engine takes every
//! spending that is right otherwise. What is checked here is only ever stricter.

use bitcoin::{Transaction, TxOut, Txid};
use keyway_script::exponent::is_in_leaf_of;
use keyway_script::{Flags, ScriptError, Spending};

const RULES: Flags = Flags::CONSENSUS.with(Flags::EXPONENT);

/// A spending that breaks the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its transaction.
    pub txid: Txid,
    /// Which of its inputs.
    pub input: usize,
    /// In which way.
    pub error: ScriptError,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "input {} of {}: {} ({})", self.input, self.txid, self.error, self.error.name())
    }
}

/// Whether the rule has anything to say on it.
pub(crate) fn concerns(tx: &Transaction) -> bool {
    tx.input.iter().any(|input| is_in_leaf_of(&input.witness))
}

/// Whether the transaction keeps the rule; `spent` are the outputs that its inputs spend, in their order.
pub(crate) fn check(tx: &Transaction, spent: &[TxOut]) -> Result<(), Broken> {
    let Ok(spending) = Spending::new(tx, spent) else { return Ok(()) };
    let concerned = spending.inputs().filter(|input| is_in_leaf_of(&input.txin().witness));
    for input in concerned {
        let broken = |error| Broken { txid: tx.compute_txid(), input: input.index(), error };
        input.verify(RULES).map_err(broken)?;
    }
    Ok(())
}
