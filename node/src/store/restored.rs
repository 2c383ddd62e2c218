//! What a home keeps because it was restored (PROTOCOL.md 3.4).

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Txid};
use keyway_chain::{BlockRef, Height};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::suite::Suite;

use super::{Chosen, Store};
use crate::error::NodeError;

/// While the search is under way.
const RESTORING: &str = "restoring";
/// Afterwards: where it ended.
const RESTORED: &str = "restored";
const OFFERED_TO: &str = "offered to";
const CHOSEN: &str = "chosen groups";

/// What a search goes by until it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restoring {
    /// The next generation of prekeys when a backup was written; without one the first.
    pub(crate) next_prekey: u32,
    /// The tip then; without a backup the birthday.
    pub(crate) at: Height,
    /// Whether the card is the backup's.
    pub(crate) has_card: bool,
}

impl Store {
    /// What the search goes by, while it is under way.
    pub(crate) fn restoring(&self) -> Result<Option<Restoring>, NodeError> {
        let Some(bytes) = self.meta(RESTORING)? else { return Ok(None) };
        let read = || {
            let (next_prekey, rest) = bytes.split_first_chunk()?;
            let (at, rest) = rest.split_first_chunk()?;
            let next_prekey = u32::from_be_bytes(*next_prekey);
            Some(Restoring { next_prekey, at: Height::new(u32::from_be_bytes(*at)), has_card: rest == [1] })
        };
        read().map(Some).ok_or_else(|| self.damaged("what its restoring goes by cannot be read"))
    }

    pub(crate) fn set_restoring(&self, restoring: &Restoring) -> Result<(), NodeError> {
        let Restoring { next_prekey, at, has_card } = *restoring;
        let numbers = [next_prekey.to_be_bytes(), at.to_u32().to_be_bytes()].concat();
        self.set_meta(RESTORING, &[&numbers[..], &[u8::from(has_card)]].concat())
    }

    /// The tip at which the home was restored, if it was.
    pub(crate) fn restored(&self) -> Result<Option<BlockRef>, NodeError> {
        let Some(bytes) = self.meta(RESTORED)? else { return Ok(None) };
        let read = || {
            let (height, hash) = bytes.split_first_chunk()?;
            let hash = BlockHash::from_byte_array(hash.try_into().ok()?);
            Some(BlockRef::new(Height::new(u32::from_be_bytes(*height)), hash))
        };
        read().map(Some).ok_or_else(|| self.damaged("where it was restored cannot be read"))
    }

    /// The search is over.
    pub(crate) fn set_restored(&self, tip: BlockRef) -> Result<(), NodeError> {
        let bytes = [&tip.height.to_u32().to_be_bytes()[..], tip.hash.as_byte_array()].concat();
        self.set_meta(RESTORED, &bytes)?;
        self.remove_meta(RESTORING)
    }

    /// Prekeys of peers that offers may have been made to which are not found yet.
    pub(crate) fn offered_to(&self) -> Result<Vec<(Suite, Vec<u8>)>, NodeError> {
        let bytes = self.meta(OFFERED_TO)?.unwrap_or_default();
        let (mut rest, mut prekeys) = (&bytes[..], Vec::new());
        while let Some((suite, key, more)) = first_prekey(rest) {
            prekeys.extend(Suite::from_number(suite).map(|suite| (suite, key.to_vec())));
            rest = more;
        }
        Ok(prekeys)
    }

    pub(crate) fn set_offered_to<'a>(
        &self,
        prekeys: impl Iterator<Item = &'a (Suite, Vec<u8>)>,
    ) -> Result<(), NodeError> {
        let mut bytes = Vec::new();
        for (suite, key) in prekeys {
            // A prekey longer than 65,535 bytes stands on no card.
            let len = u16::try_from(key.len()).unwrap_or_default();
            bytes.push(suite.number());
            bytes.extend(len.to_be_bytes());
            bytes.extend(key.iter().take(usize::from(len)));
        }
        if bytes.is_empty() { self.remove_meta(OFFERED_TO) } else { self.set_meta(OFFERED_TO, &bytes) }
    }

    /// Groups that offers may have brought which are not found yet.
    pub(crate) fn chosen_groups(&self) -> Result<Vec<Chosen>, NodeError> {
        let bytes = self.meta(CHOSEN)?.unwrap_or_default();
        let (mut rest, mut groups) = (&bytes[..], Vec::new());
        while let Some((len, more)) = rest.split_first_chunk()
            && let Some((group, more)) = more.split_at_checked(u16::from_be_bytes(*len).into())
        {
            groups.extend(Chosen::from_bytes(group));
            rest = more;
        }
        Ok(groups)
    }

    pub(crate) fn set_chosen_groups<'a>(
        &self,
        groups: impl Iterator<Item = &'a Chosen>,
    ) -> Result<(), NodeError> {
        let entry = |group: &Chosen| {
            let group = group.to_bytes();
            // Two numbers of at most 512 bytes, and an id.
            [&u16::try_from(group.len()).unwrap_or_default().to_be_bytes()[..], &group].concat()
        };
        let bytes: Vec<u8> = groups.flat_map(entry).collect();
        if bytes.is_empty() { self.remove_meta(CHOSEN) } else { self.set_meta(CHOSEN, &bytes) }
    }

    /// What a backup says of the peer's confirmation, until the negotiation is found.
    pub(crate) fn confirmed_by_backup(&self, id: &NegotiationId) -> Result<Option<Txid>, NodeError> {
        let bytes = self.meta(&confirmed_name(id))?;
        Ok(bytes.and_then(|bytes| Some(Txid::from_byte_array(bytes.try_into().ok()?))))
    }

    pub(crate) fn set_confirmed_by_backup(&self, id: &NegotiationId, answer: &Txid) -> Result<(), NodeError> {
        self.set_meta(&confirmed_name(id), answer.as_byte_array())
    }
}

fn confirmed_name(id: &NegotiationId) -> String {
    format!("confirmed {id}")
}

fn first_prekey(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (suite, rest) = bytes.split_first()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((*suite, key, rest))
}
