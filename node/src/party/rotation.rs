//! Rotation: a new epoch from fresh shares when a key has served its time (PROTOCOL.md 10.1).
//!
//! The initiator of the active epoch rotates, on the terms of that epoch, so that exactly one side does. Both keep the old key
//! for as long as a message under it can still be in time.

use std::collections::BTreeMap;

use bitcoin::Amount;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, WINDOW};
use keyway_protocol::state::{Anchor, OfferPlace, State};

use super::liveness::Lineages;
use super::{Event, OfferRequest, Party};
use crate::config::Rotation;
use crate::error::{NodeError, SessionError, StoreError};
use crate::reading::Reading;
use crate::store::{Record, Store};

/// When a key is due to be replaced; what the configuration does not ask for is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextRotation {
    /// At this height.
    pub height: Option<Height>,
    /// When a block bears this time, in seconds since 1970.
    pub time: Option<u32>,
    /// After so many bytes more, sealed or opened.
    pub bytes: Option<u64>,
}

const HOUR: u32 = 3_600;
const MIB: u64 = 1 << 20;

fn volume_name(id: &NegotiationId) -> String {
    format!("volume {id}")
}

impl Party {
    /// What to offer for a key that replaces the active one with a peer: its terms, or another price.
    ///
    /// # Errors
    /// [`SessionError::NoActiveKey`]; the peer is not known, or the store fails.
    pub fn same_again(&self, peer: &str, price: Option<Amount>) -> Result<OfferRequest, NodeError> {
        let key = self.peer(peer)?.permanent().key;
        let readings = self.readings_with(key)?;
        let active = self.states(&readings).into_iter().find(|(_, state)| state.seals());
        let record = active.and_then(|(id, _)| self.records.get(&id));
        let record = record.ok_or_else(|| SessionError::NoActiveKey(peer.to_owned()))?;
        let same = self.same_terms(record);
        Ok(OfferRequest { price: price.unwrap_or(same.price), ..same })
    }

    /// Replaces the keys that are due, one offer for each peer.
    pub(super) fn rotate_due(
        &mut self,
        ledger: &dyn Ledger,
        (readings, lineages): (&[(NegotiationId, Reading)], &Lineages),
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        if self.config.rotation == Rotation::default() {
            return Ok(());
        }
        // Made ready once: with thousands of keys it would be asked thousands of times.
        let with = self.by_peer(readings);
        let is_due = |record: &Record, reading: &Reading| {
            let with_peer = with.get(&record.peer).map_or(&[][..], Vec::as_slice);
            self.is_due(record, with_peer) && !self.is_ending(lineages.get(&record.peer), reading)
        };
        let due: Vec<Record> = readings
            .iter()
            .zip(self.states(readings))
            .filter(|(_, (_, state))| state.seals())
            .filter_map(|((id, reading), _)| Some((self.records.get(id)?, reading)))
            .filter(|(record, reading)| is_due(record, reading))
            .map(|(record, _)| record.clone())
            .collect();
        for record in due {
            let outcome = self.make_offer(ledger, &self.same_terms(&record));
            match outcome {
                Ok(sent) => events.push(Event::Rotating { id: record.id, by: sent.id }),
                Err(
                    error @ (NodeError::Ledger(_)
                    | NodeError::Store(StoreError::DiskFull(_) | StoreError::Failed { .. })),
                ) => {
                    return Err(error);
                }
                Err(error) => events.push(Event::NotRotated { id: record.id, why: error.to_string() }),
            }
        }
        Ok(())
    }

    /// What is read with each peer.
    fn by_peer<'a>(&self, readings: &'a [(NegotiationId, Reading)]) -> BTreeMap<PartyKey, Vec<&'a Reading>> {
        let mut found: BTreeMap<PartyKey, Vec<&Reading>> = BTreeMap::new();
        for (id, reading) in readings {
            if let Some(record) = self.records.get(id) {
                found.entry(record.peer).or_default().push(reading);
            }
        }
        found
    }

    fn same_terms(&self, record: &Record) -> OfferRequest {
        OfferRequest {
            peer: self.peer_name(record),
            price: self.config.rotation.price.unwrap_or(record.price),
            suite: record.suite,
            carrier: record.carrier,
            form: record.form,
            // What was good enough for the first is for the next.
            force: true,
            timeout: None,
            group: record.group.clone(),
        }
    }

    /// Whether an active key has served its time, counted anew from each attempt to replace it: nobody pays for more
    /// than one offer in that time, however often the peer does not answer.
    fn is_due(&self, record: &Record, with_peer: &[&Reading]) -> bool {
        if record.role != Role::Initiator
            || !self.peer_by_key(record.peer).is_some_and(|p| self.standing(p).deals())
        {
            return false;
        }
        let tip = self.history.tip();
        let open = |state| matches!(state, State::Offered | State::Answered | State::Provisional);
        let depth = self.config.policy.key_depth;
        if with_peer.iter().any(|reading| open(reading.facts.state(tip, depth, None))) {
            return false;
        }
        let tried =
            with_peer.iter().filter_map(|reading| match (reading.facts.anchor, reading.facts.offer) {
                (Anchor::Answered(at), _) => Some(at.height),
                (_, OfferPlace::Mined(at)) => Some(at),
                _ => None,
            });
        let Some(since) = tried.max() else { return false };
        self.next_rotation(record, since).is_past(self.now())
    }

    /// When a negotiation's key is replaced, for people.
    pub(super) fn rotation_of(
        &self,
        record: &Record,
        reading: &Reading,
        state: State,
    ) -> Option<NextRotation> {
        let Anchor::Answered(at) = reading.facts.anchor else { return None };
        let rotates = state.seals() && record.role == Role::Initiator;
        let next = rotates.then(|| self.next_rotation(record, at.height))?;
        (next != NextRotation::default()).then_some(next)
    }

    /// When a key agreed, or last tried to be replaced, at `since` is due.
    pub(super) fn next_rotation(&self, record: &Record, since: Height) -> NextRotation {
        let Rotation { after_blocks, after_hours, after_mib, .. } = self.config.rotation;
        let volume = |record: &Record| read_volume(&self.store, &record.id).unwrap_or(u64::MAX);
        let born = self.history.block(since).map(|block| block.time);
        NextRotation {
            height: after_blocks.map(|blocks| since.plus(blocks)),
            time: after_hours.zip(born).map(|(hours, born)| born.saturating_add(hours.saturating_mul(HOUR))),
            bytes: after_mib.map(|most| (u64::from(most) * MIB).saturating_sub(volume(record))),
        }
    }

    /// Height and time of the last block.
    fn now(&self) -> (Height, u32) {
        let last = self.history.last();
        (self.history.tip(), last.map_or(0, |block| block.time))
    }

    /// Counts what a key seals, where the configuration rotates by it.
    pub(super) fn count_volume(&mut self, id: &NegotiationId, bytes: usize) -> Result<(), NodeError> {
        self.rest = None;
        match self.config.rotation.after_mib {
            Some(_) => self.store.step(|store| count_volume(store, id, bytes)),
            None => Ok(()),
        }
    }

    /// The key of each epoch that a later one superseded, or a revocation ended, so long ago that nothing under it can be in
    /// time any more.
    pub(super) fn outlived(&self, readings: &[(NegotiationId, Reading)]) -> Vec<NegotiationId> {
        let states = || {
            readings.iter().zip(self.states(readings)).map(|((_, reading), (id, state))| (id, reading, state))
        };
        let answered = |reading: &Reading| match reading.facts.anchor {
            Anchor::Answered(at) => Some(at.height),
            _ => None,
        };
        let of_peer = |id: &NegotiationId| self.records.get(id).map(|record| record.peer);
        let active: BTreeMap<PartyKey, Height> = states()
            .filter(|(_, _, state)| state.seals())
            .filter_map(|(id, reading, _)| of_peer(&id).zip(answered(reading)))
            .collect();
        let tip = self.history.tip();
        let is_long_ago = |peer: PartyKey| active.get(&peer).is_some_and(|since| since.plus(WINDOW) <= tip);
        let is_outlived = |(id, reading, state): &(NegotiationId, &Reading, State)| match state {
            State::Superseded => of_peer(id).is_some_and(is_long_ago),
            State::Revoked => reading.facts.revoked.is_some_and(|since| since.plus(WINDOW) <= tip),
            _ => false,
        };
        states().filter(is_outlived).map(|(id, _, _)| id).collect()
    }
}

/// Counts what a key seals or opens, in a step of the store.
pub(super) fn count_volume(store: &Store, id: &NegotiationId, bytes: usize) -> Result<(), NodeError> {
    let volume = read_volume(store, id)?.saturating_add(bytes as u64);
    store_volume(store, id, volume)
}

/// Sets what a key has sealed and opened, in a step of the store.
pub(super) fn store_volume(store: &Store, id: &NegotiationId, volume: u64) -> Result<(), NodeError> {
    store.set_meta(&volume_name(id), &volume.to_be_bytes())
}

pub(super) fn read_volume(store: &Store, id: &NegotiationId) -> Result<u64, NodeError> {
    let bytes = store.meta(&volume_name(id))?.and_then(|bytes| bytes.try_into().ok());
    Ok(bytes.map_or(0, u64::from_be_bytes))
}

impl NextRotation {
    fn is_past(&self, (height, time): (Height, u32)) -> bool {
        self.height.is_some_and(|due| due <= height)
            || self.time.is_some_and(|due| due <= time)
            || self.bytes == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_due_at_its_height_time_or_volume_whichever_comes_first() {
        let at = |height, time| (Height::new(height), time);
        let by_height = NextRotation { height: Some(Height::new(50)), ..NextRotation::default() };
        assert!(!by_height.is_past(at(49, u32::MAX)) && by_height.is_past(at(50, 0)));
        let by_time = NextRotation { time: Some(7_200), ..NextRotation::default() };
        assert!(!by_time.is_past(at(u32::MAX, 7_199)) && by_time.is_past(at(0, 7_200)));
        let by_bytes = |bytes| NextRotation { bytes: Some(bytes), ..NextRotation::default() };
        assert!(!by_bytes(1).is_past(at(u32::MAX, u32::MAX)) && by_bytes(0).is_past(at(0, 0)));
        let either = NextRotation { time: Some(7_200), ..by_height };
        assert!(either.is_past(at(50, 0)) && either.is_past(at(0, 7_200)));
        assert!(!NextRotation::default().is_past(at(u32::MAX, u32::MAX)), "nothing asks for it");
    }
}
