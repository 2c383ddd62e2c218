//! Epochs whose keys another home of this party has (PROTOCOL.md 9.3).
//!
//! The peer knows one party, not its homes: it leaves an older key for a newer one whichever home agreed on that. So must each
//! home, or it seals under a key that the peer erases.

use std::collections::BTreeMap;

use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::state::{Anchor, Position};

use super::liveness::Peers;
use super::{Reader, Reading};
use crate::history::Mined;
use crate::peers;
use crate::store::Record;

impl Reader<'_> {
    /// The answers that led to no key here, of offers that another home of this party made, or answered: what a stranger
    /// sees. All of them speak for this party, so that nobody else makes one up.
    pub(crate) fn epochs_elsewhere<'r>(
        &self,
        records: &BTreeMap<NegotiationId, Record>,
        readings: impl Iterator<Item = (&'r Record, &'r Reading)>,
        peers: &peers::Peers,
    ) -> Vec<(PartyKey, Position)> {
        let mut found: Vec<(PartyKey, Position)> =
            readings.filter_map(|case| self.answered_elsewhere(case)).collect();
        let foreign: Vec<&Mined> = self.history.in_order().filter(|mined| self.is_foreign(mined)).collect();
        if foreign.is_empty() {
            return found;
        }
        let mut known = Peers::default();
        peers.cards().iter().for_each(|card| known.add(card.permanent().key));
        let epochs = foreign.into_iter().flat_map(|mined| self.epochs_in(mined, &known));
        let unknown = epochs.filter(|(_, epoch)| !records.contains_key(&epoch.names.negotiation));
        found.extend(unknown.map(|(peer, epoch)| (peer, epoch.answer.at)));
        found
    }

    /// Whether a transaction speaks for this party, and another home made it.
    fn is_foreign(&self, mined: &Mined) -> bool {
        let own = self.own.key.to_bytes();
        let shown = mined.tx.input.first().and_then(|input| input.witness.nth(1));
        shown == Some(&own[..]) && self.history.sent_as(&mined.txid).is_none()
    }

    /// Where another home of this party answered an offer to it.
    fn answered_elsewhere(&self, (record, reading): (&Record, &Reading)) -> Option<(PartyKey, Position)> {
        let Anchor::SpentOtherwise(_) = reading.facts.anchor else { return None };
        if record.role != Role::Responder {
            return None;
        }
        let offer = self.history.mined(&reading.offer.as_ref()?.txid)?;
        let epoch = self.epoch_of(offer, self.own.key)?;
        Some((record.peer, epoch.answer.at))
    }
}
