//! The coins that pairs' keys hang on (PROTOCOL.md 9.4), as the history tells of them.

use std::collections::BTreeMap;

use bitcoin::OutPoint;
use keyway_carriers::script::liveness::Liveness;
use keyway_carriers::script::liveness::lineage::{self, Epoch, Lineage};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::Role;
use keyway_protocol::state::Anchor;

use super::Reading;
use crate::history::{History, Mined};
use crate::store::Record;

/// What the coin of a negotiation of this party names.
pub(crate) fn names(own: PartyKey, record: &Record) -> Liveness {
    let (initiator, responder) = match record.role {
        Role::Initiator => (own, record.peer),
        Role::Responder => (record.peer, own),
    };
    Liveness { negotiation: record.id, initiator, responder }
}

/// What became of the coins of each peer that ever had one with this party.
pub(crate) fn lineages<'a>(
    own: PartyKey,
    history: &'a History,
    readings: impl Iterator<Item = (&'a Record, &'a Reading)> + Clone,
) -> BTreeMap<PartyKey, Lineage> {
    let epoch = |(record, reading): (&'a Record, &'a Reading)| {
        let (Anchor::Answered(_), Some(answer)) = (reading.facts.anchor, &reading.answer) else {
            return None;
        };
        let answer = place(history.mined(&answer.txid)?);
        Some((record.peer, Epoch { names: names(own, record), answer }))
    };
    let has_coin = |(peer, epoch): (PartyKey, Epoch<'_>)| epoch.names.find(epoch.answer.tx).map(|_| peer);
    let mut found: BTreeMap<PartyKey, Vec<Epoch<'a>>> =
        readings.clone().filter_map(epoch).filter_map(has_coin).map(|peer| (peer, Vec::new())).collect();
    if found.is_empty() {
        return BTreeMap::new();
    }
    for (peer, epoch) in readings.filter_map(epoch) {
        found.entry(peer).and_modify(|epochs| epochs.push(epoch));
    }
    let spender = |outpoint: &OutPoint| history.spender(outpoint).map(place);
    found.into_iter().map(|(peer, epochs)| (peer, Lineage::read(epochs, spender))).collect()
}

fn place(mined: &Mined) -> lineage::Mined<'_> {
    lineage::Mined { txid: mined.txid, at: mined.at, tx: &mined.tx }
}
