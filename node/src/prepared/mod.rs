//! Offers that another wallet funds: what is kept of them until they come back signed.
//!
//! The home lends one confirmed coin for input 0, whose signature speaks for the identity (PROTOCOL.md 5), and gets it
//! back in an output of its own. Whoever funds the rest puts inputs behind input 0 and outputs behind the home's.

mod check;
mod refused;

use std::collections::{BTreeMap, HashSet};

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, OutPoint, Psbt, ScriptBuf, Transaction, TxOut};
use keyway_chain::Height;
use keyway_protocol::negotiation::NegotiationId;

use crate::error::NodeError;

pub(crate) use check::{Bounds, Foreign, parse};
pub use refused::{MOST_PSBT_BYTES, PsbtRefused};

/// An offer that waits to be funded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The negotiation.
    pub(crate) id: NegotiationId,
    /// The last block after which it is taken back.
    pub(crate) until: Height,
    /// Input 0 and the first outputs: the message's, then the one that returns the coin.
    pub(crate) template: Transaction,
}

/// The prepared offers of a party, and those that it gave up unsigned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preparations {
    open: BTreeMap<NegotiationId, Prepared>,
    given_up: HashSet<NegotiationId>,
}

impl Prepared {
    /// The coin that input 0 spends.
    pub(crate) fn input0(&self) -> OutPoint {
        self.template.input.first().map_or_else(OutPoint::null, |input| input.previous_output)
    }

    /// What it holds: the last output gives it back to the satoshi.
    pub(crate) fn lent(&self) -> Amount {
        self.template.output.last().map_or(Amount::ZERO, |output| output.value)
    }

    /// The coin itself, which is the identity's.
    pub(crate) fn coin(&self, identity: ScriptBuf) -> TxOut {
        TxOut { value: self.lent(), script_pubkey: identity }
    }

    /// What another wallet takes. `parent` is the transaction that made the coin, for signers that check amounts by it.
    ///
    /// # Errors
    /// Only if the template could not be that of an unsigned transaction.
    pub(crate) fn to_psbt(
        &self,
        identity: ScriptBuf,
        parent: Option<&Transaction>,
    ) -> Result<Psbt, NodeError> {
        let mut psbt = Psbt::from_unsigned_tx(self.template.clone())
            .map_err(|error| NodeError::Wallet(error.to_string()))?;
        if let Some(input) = psbt.inputs.first_mut() {
            input.witness_utxo = Some(self.coin(identity));
            input.non_witness_utxo = parent.cloned();
            input.sighash_type = Some(EcdsaSighashType::All.into());
        }
        Ok(psbt)
    }
}

impl Preparations {
    /// As the store has them.
    pub(crate) fn new(rows: impl IntoIterator<Item = (NegotiationId, Option<Prepared>)>) -> Self {
        let mut all = Self::default();
        for (id, row) in rows {
            match row {
                Some(prepared) => drop(all.open.insert(id, prepared)),
                None => drop(all.given_up.insert(id)),
            }
        }
        all
    }

    /// Those that wait.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Prepared> {
        self.open.values()
    }

    /// The one of that negotiation, if it waits.
    pub(crate) fn of(&self, id: &NegotiationId) -> Option<&Prepared> {
        self.open.get(id)
    }

    /// Whether it was given up unsigned.
    pub(crate) fn is_given_up(&self, id: &NegotiationId) -> bool {
        self.given_up.contains(id)
    }

    /// The coins that they are lent.
    pub(crate) fn coins(&self) -> HashSet<OutPoint> {
        self.open().map(Prepared::input0).collect()
    }

    pub(crate) fn add(&mut self, prepared: Prepared) {
        self.given_up.remove(&prepared.id);
        self.open.insert(prepared.id, prepared);
    }

    pub(crate) fn give_up(&mut self, id: NegotiationId) {
        self.open.remove(&id);
        self.given_up.insert(id);
    }

    pub(crate) fn forget(&mut self, id: &NegotiationId) {
        self.open.remove(id);
        self.given_up.remove(id);
    }
}
