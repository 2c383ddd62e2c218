//! A transaction together with what it spends: all that an input's verification looks at.

use std::cell::OnceCell;

use bitcoin::{Transaction, TxIn, TxOut};

use crate::observe::Observer;
use crate::sighash::Shared;
use crate::{Flags, ScriptError, verify};

/// A transaction and the outputs that its inputs spend.
#[derive(Debug)]
pub struct Spending<'t> {
    transaction: &'t Transaction,
    prevouts: &'t [TxOut],
    shared: OnceCell<Shared>,
}

/// The caller gave another number of spent outputs than the transaction has inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction has {inputs} inputs, and {prevouts} spent outputs were given")]
pub struct PrevoutsMismatch {
    /// The transaction's.
    pub inputs: usize,
    /// Those given.
    pub prevouts: usize,
}

impl<'t> Spending<'t> {
    /// `prevouts` are the outputs that the inputs spend, in their order.
    pub fn new(transaction: &'t Transaction, prevouts: &'t [TxOut]) -> Result<Self, PrevoutsMismatch> {
        let counts = PrevoutsMismatch { inputs: transaction.input.len(), prevouts: prevouts.len() };
        if counts.inputs != counts.prevouts {
            return Err(counts);
        }
        Ok(Self { transaction, prevouts, shared: OnceCell::new() })
    }

    /// The input at this place, if there is one.
    pub fn input(&self, index: usize) -> Option<Input<'_>> {
        let (txin, prevout) = (self.transaction.input.get(index)?, self.prevouts.get(index)?);
        Some(Input { spending: self, index, txin, prevout })
    }

    /// All inputs, in their order.
    pub fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        (0..self.prevouts.len()).filter_map(|index| self.input(index))
    }

    /// The transaction.
    pub fn transaction(&self) -> &'t Transaction {
        self.transaction
    }

    /// What the inputs spend.
    pub fn prevouts(&self) -> &'t [TxOut] {
        self.prevouts
    }

    /// What the signature hashes of all inputs have in common, computed once.
    pub(crate) fn shared(&self) -> &Shared {
        self.shared.get_or_init(|| Shared::of(self.transaction, self.prevouts))
    }
}

/// One input of a transaction, with the output that it spends.
#[derive(Clone, Copy, Debug)]
pub struct Input<'s> {
    spending: &'s Spending<'s>,
    index: usize,
    txin: &'s TxIn,
    prevout: &'s TxOut,
}

impl<'s> Input<'s> {
    /// Whether the input may spend its output under these rules.
    ///
    /// Rules that need others bring them along ([`Flags::with_implied`]).
    pub fn verify(&self, flags: Flags) -> Result<(), ScriptError> {
        self.verify_observed(flags, &mut ())
    }

    /// As [`Input::verify`], telling the observer of every step.
    pub fn verify_observed(&self, flags: Flags, observer: &mut dyn Observer) -> Result<(), ScriptError> {
        verify::verify(*self, flags.with_implied(), observer)
    }

    /// The whole transaction.
    pub fn spending(&self) -> &'s Spending<'s> {
        self.spending
    }

    /// Its place in the transaction.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The input itself.
    pub fn txin(&self) -> &'s TxIn {
        self.txin
    }

    /// What it spends.
    pub fn prevout(&self) -> &'s TxOut {
        self.prevout
    }
}
