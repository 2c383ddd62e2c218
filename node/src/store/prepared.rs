//! The offers that wait for another wallet, and those given up before they were signed.

use bitcoin::Transaction;
use bitcoin::consensus::encode;
use bitcoin::hex::FromHex;
use keyway_chain::Height;
use keyway_protocol::negotiation::NegotiationId;

use super::Store;
use crate::error::NodeError;
use crate::prepared::Prepared;

const PREFIX: &str = "prepared ";

fn name(id: &NegotiationId) -> String {
    format!("{PREFIX}{id}")
}

impl Store {
    /// All of them; `None` where one was given up.
    pub(crate) fn preparations(&self) -> Result<Vec<(NegotiationId, Option<Prepared>)>, NodeError> {
        let rows = self.meta_with(PREFIX)?;
        let whole: Option<Vec<_>> = rows.iter().map(|(key, value)| read(key, value)).collect();
        whole.ok_or_else(|| self.damaged("a prepared offer's row cannot be read"))
    }

    pub(crate) fn put_prepared(&self, prepared: &Prepared) -> Result<(), NodeError> {
        let until = prepared.until.to_u32().to_be_bytes();
        let value = [&until[..], &encode::serialize(&prepared.template)].concat();
        self.set_meta(&name(&prepared.id), &value)
    }

    /// Notes that it was given up.
    pub(crate) fn give_up_prepared(&self, id: &NegotiationId) -> Result<(), NodeError> {
        self.set_meta(&name(id), &[])
    }

    pub(crate) fn remove_prepared(&self, id: &NegotiationId) -> Result<(), NodeError> {
        self.remove_meta(&name(id))
    }
}

fn read(key: &str, value: &[u8]) -> Option<(NegotiationId, Option<Prepared>)> {
    let id = NegotiationId::from_bytes(<[u8; 32]>::from_hex(key.strip_prefix(PREFIX)?).ok()?);
    if value.is_empty() {
        return Some((id, None));
    }
    let (until, template) = value.split_first_chunk()?;
    let until = Height::new(u32::from_be_bytes(*until));
    let template: Transaction = encode::deserialize(template).ok()?;
    Some((id, Some(Prepared { id, until, template })))
}
