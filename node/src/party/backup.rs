//! Writing down what neither the mnemonic nor the chain tells (PROTOCOL.md 3.5).

use std::collections::BTreeSet;

use keyway_protocol::negotiation::Role;

use super::rotation::read_volume;
use super::{Party, missing, next_index};
use crate::backup::{Backup, Facts};
use crate::error::NodeError;
use crate::store::Chosen;
use crate::{config, prekeys};

impl Party {
    /// What restoring this party takes beside its mnemonic and the chain. No secret is in it.
    ///
    /// # Errors
    /// [`RestoreError::Unfinished`](crate::error::RestoreError::Unfinished); or the store or the configuration cannot be
    /// read.
    pub fn backup(&self) -> Result<Backup, NodeError> {
        self.certain()?;
        self.ensure_restored()?;
        let birthday = self.history.first().map_or_else(|| self.tip(), |block| block.at);
        let next_prekey = prekeys::next_index(&self.store)?;
        let peers = self.peers.cards().iter();
        let facts = Facts {
            card: self.card.clone(),
            birthday,
            tip: self.tip(),
            next_secret: next_index(&self.store)?.ok_or_else(|| missing(&self.store, "secrets' index"))?,
            next_prekey: next_prekey.ok_or_else(|| missing(&self.store, "prekeys' index"))?,
            generations: self.prekeys.list().collect(),
            peers: peers.map(|card| (card.clone(), self.peers.mark(card.permanent().key))).collect(),
            words: self.peers.words().cloned().collect(),
            offered_to: self.offered_to()?.into_iter().collect(),
            groups: self.chosen_groups()?,
            confirmed: self.records.values().filter_map(|it| Some((it.id, it.confirmed?))).collect(),
            volumes: self.volumes()?,
            envelopes: self.store.envelopes()?,
            config: config::text(&self.home.config_path())?,
        };
        Ok(Backup::sign(facts, &self.identity))
    }

    /// The peers' prekeys that this party's offers were made to: their cards may show others by now.
    pub(super) fn offered_to(&self) -> Result<BTreeSet<(keyway_protocol::suite::Suite, Vec<u8>)>, NodeError> {
        let own = self.records.values().filter(|record| record.role == Role::Initiator);
        let of_records = own.filter_map(|record| Some((record.suite, record.prekey.clone()?)));
        Ok(of_records.chain(self.store.offered_to()?).collect())
    }

    /// The groups that this party's offers brought; published ones are in the chain.
    fn chosen_groups(&self) -> Result<Vec<Chosen>, NodeError> {
        let of_records = self.records.values().filter_map(|record| record.group.clone());
        let brought = of_records.filter(|group| group.published.is_none());
        let mut groups: Vec<Chosen> = brought.chain(self.store.chosen_groups()?).collect();
        let mut known = std::collections::HashSet::new();
        groups.retain(|group| known.insert(group.clone()));
        Ok(groups)
    }

    fn volumes(&self) -> Result<Vec<(keyway_protocol::negotiation::NegotiationId, u64)>, NodeError> {
        let mut volumes = Vec::new();
        for id in self.records.keys() {
            match read_volume(&self.store, id)? {
                0 => {}
                bytes => volumes.push((*id, bytes)),
            }
        }
        Ok(volumes)
    }
}
