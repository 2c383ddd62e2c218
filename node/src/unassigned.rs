//! The negotiation secrets of a restored home of which it does not know what they were used for (PROTOCOL.md 3.4).
//!
//! While the home is being restored they come from s(0), as far as the search goes. Afterwards those are kept that lie
//! below the new head: an offer or answer of the lost home may be mined yet, or the card come that tells whom it was for.

use std::collections::{BTreeMap, HashSet};

use bitcoin::Txid;
use keyway_protocol::identity::{NegotiationSecret, SecretChain};

use crate::error::NodeError;
use crate::store::{Record, Store};

/// Unused indices after which no further one is looked for.
const GAP: u32 = 1_000;
/// Indices beyond the last known one that the lost home may have taken for what was never mined: the restored one leaves
/// them out. Ten restores in a row stay within the gap.
const LEAP: u32 = 100;

/// s(0), while the home is being restored.
const BEGINNING: &str = "restore chain";
const KNOWN: &str = "restore index";
const LISTED: &str = "unassigned";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Unassigned {
    secrets: BTreeMap<u32, NegotiationSecret>,
    /// Where further ones come from, while the home is being restored.
    ahead: Option<SecretChain>,
    /// Above the highest index that is known to be used.
    next: u32,
    /// Where the chain stood when a backup was written.
    known: u32,
    /// Transactions that none of these made, as far as the peers' cards tell.
    tried: HashSet<Txid>,
}

fn name(index: u32) -> String {
    format!("unassigned {index}")
}

impl Unassigned {
    /// Begins the search of a home that is being restored, inside a step of the store. `known` is where the chain stood
    /// when a backup was written.
    pub(crate) fn begin(store: &Store, beginning: &SecretChain, known: u32) -> Result<(), NodeError> {
        store.set_secret(BEGINNING, beginning.head())?;
        store.set_meta(KNOWN, &known.to_be_bytes())
    }

    /// Reads what the store keeps.
    pub(crate) fn load<'a>(
        store: &Store,
        records: impl Iterator<Item = &'a Record>,
    ) -> Result<Self, NodeError> {
        let assigned: HashSet<u32> = records.filter_map(|record| record.secret_index).collect();
        let next = assigned.iter().max().map_or(0, |highest| highest.saturating_add(1));
        let mut found = Self { next, ..Self::default() };
        if let Some(beginning) = store.secret(BEGINNING)? {
            let known = store.meta(KNOWN)?.and_then(|bytes| bytes.try_into().ok());
            found.known = known.map_or(0, u32::from_be_bytes);
            found.ahead = Some(SecretChain::from_parts(0, beginning));
            found.reach(next);
            found.secrets.retain(|index, _| !assigned.contains(index));
        }
        for index in listed(store)? {
            if let Some(secret) = store.secret(&name(index))? {
                found.secrets.insert(index, NegotiationSecret::from_secret(secret));
            }
        }
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ahead.is_none() && self.secrets.is_empty()
    }

    /// Whether no secret made this transaction when it was last asked.
    pub(crate) fn was_tried(&self, txid: &Txid) -> bool {
        self.tried.contains(txid)
    }

    pub(crate) fn note_tried(&mut self, txid: Txid) {
        self.tried.insert(txid);
    }

    /// Another card is known: what nobody could read before may be readable now.
    pub(crate) fn try_again(&mut self) {
        self.tried.clear();
    }

    /// The index of the secret of which it is true: above the highest known one first, since secrets are taken in their
    /// order, then below.
    pub(crate) fn find(&mut self, is: impl FnMut(&NegotiationSecret) -> bool) -> Option<u32> {
        self.find_within(GAP, is)
    }

    /// The same of what was never mined, whose index cannot lie far above.
    pub(crate) fn find_near(&mut self, is: impl FnMut(&NegotiationSecret) -> bool) -> Option<u32> {
        self.find_within(LEAP, is)
    }

    fn find_within(&mut self, gap: u32, mut is: impl FnMut(&NegotiationSecret) -> bool) -> Option<u32> {
        for index in self.next..=self.next.max(self.known).saturating_add(gap) {
            self.reach(index);
            if self.secrets.get(&index).is_some_and(&mut is) {
                return Some(index);
            }
        }
        self.secrets.range(..self.next).rev().find(|(_, secret)| is(secret)).map(|(index, _)| *index)
    }

    /// A secret that was found.
    pub(crate) fn secret(&self, index: u32) -> Option<&NegotiationSecret> {
        self.secrets.get(&index)
    }

    /// Stores that a negotiation has it now, inside a step of the store.
    pub(crate) fn store_without(&self, store: &Store, index: u32) -> Result<(), NodeError> {
        if self.ahead.is_none() {
            store.erase_secret(&name(index))?;
            list(store, self.secrets.keys().copied().filter(|other| *other != index))?;
        }
        Ok(())
    }

    /// A negotiation has it.
    pub(crate) fn assign(&mut self, index: u32) {
        self.secrets.remove(&index);
        self.next = self.next.max(index.saturating_add(1));
    }

    /// Ends the search: gives the head of the chain for what is to come, above every index that may have been used, and
    /// stores what lies below it; inside a step of the store. `unread` messages of this party wait for a card: each has
    /// taken an index, and none is known.
    pub(crate) fn settle(&mut self, store: &Store, unread: u32) -> Result<Option<SecretChain>, NodeError> {
        let Some(beginning) = store.secret(BEGINNING)? else { return Ok(None) };
        let leap = if unread == 0 { LEAP } else { GAP.max(unread.saturating_add(LEAP)) };
        let head = self.next.max(self.known).saturating_add(leap);
        self.reach(head);
        let mut chain = SecretChain::from_parts(0, beginning);
        while chain.index() < head {
            (_, chain) = chain.take();
        }
        for (index, secret) in self.secrets.range(..head) {
            store.set_secret(&name(*index), secret.as_secret())?;
        }
        list(store, self.secrets.range(..head).map(|(index, _)| *index))?;
        store.erase_secret(BEGINNING)?;
        store.remove_meta(KNOWN)?;
        Ok(Some(chain))
    }

    /// Erases all of them, inside a step of the store.
    pub(crate) fn erase(&self, store: &Store) -> Result<(), NodeError> {
        self.secrets.keys().try_for_each(|index| store.erase_secret(&name(*index)))?;
        list(store, std::iter::empty())
    }

    /// Goes on until the secret of this index is there.
    fn reach(&mut self, index: u32) {
        while let Some(chain) = self.ahead.take_if(|chain| chain.index() <= index) {
            let at = chain.index();
            let (secret, next) = chain.take();
            self.secrets.insert(at, secret);
            self.ahead = Some(next);
        }
    }
}

fn listed(store: &Store) -> Result<Vec<u32>, NodeError> {
    let bytes = store.meta(LISTED)?.unwrap_or_default();
    let (entries, _) = bytes.as_chunks::<4>();
    Ok(entries.iter().map(|entry| u32::from_be_bytes(*entry)).collect())
}

fn list(store: &Store, indices: impl Iterator<Item = u32>) -> Result<(), NodeError> {
    let bytes: Vec<u8> = indices.flat_map(u32::to_be_bytes).collect();
    if bytes.is_empty() { store.remove_meta(LISTED) } else { store.set_meta(LISTED, &bytes) }
}
