//! The scripts that commits paid to the hash of: without them their coins could not be spent.

use bitcoin::{OutPoint, ScriptBuf, Txid};
use keyway_protocol::negotiation::NegotiationId;

use super::Store;
use crate::error::NodeError;

/// A coin whose script carries a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The negotiation that the message belongs to.
    pub(crate) id: NegotiationId,
    /// The coin: the commit's first output.
    pub(crate) outpoint: OutPoint,
    /// The script.
    pub(crate) script: ScriptBuf,
}

const PREFIX: &str = "envelope ";

fn name(commit: &Txid) -> String {
    format!("{PREFIX}{commit}")
}

impl Store {
    /// Every envelope whose commit may have been sent.
    pub(crate) fn envelopes(&self) -> Result<Vec<Envelope>, NodeError> {
        let rows = self.meta_with(PREFIX)?;
        let whole: Option<Vec<Envelope>> = rows.iter().map(|(key, value)| read(key, value)).collect();
        whole.ok_or_else(|| self.damaged("an envelope's row cannot be read"))
    }

    pub(crate) fn put_envelope(&self, envelope: &Envelope) -> Result<(), NodeError> {
        let value = [envelope.id.as_bytes(), envelope.script.as_bytes()].concat();
        self.set_meta(&name(&envelope.outpoint.txid), &value)
    }

    /// Forgets an envelope that was never sent, or whose spending is deep.
    pub(crate) fn remove_envelope(&self, commit: &Txid) -> Result<(), NodeError> {
        self.remove_meta(&name(commit))
    }
}

fn read(key: &str, value: &[u8]) -> Option<Envelope> {
    let txid = key.strip_prefix(PREFIX)?.parse().ok()?;
    let (id, script) = value.split_first_chunk()?;
    Some(Envelope {
        id: NegotiationId::from_bytes(*id),
        outpoint: OutPoint::new(txid, 0),
        script: ScriptBuf::from_bytes(script.to_vec()),
    })
}
