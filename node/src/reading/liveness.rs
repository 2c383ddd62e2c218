//! The coins that pairs' keys hang on (PROTOCOL.md 9.4), as the history tells of them: by what anybody takes for offers and
//! answers, so that both sides, a copy of one, and strangers follow the same coins.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bitcoin::{OutPoint, ScriptBuf, TxOut};
use keyway_carriers::script::liveness::Liveness;
use keyway_carriers::script::liveness::lineage::{self, Epoch, Lineage};
use keyway_evidence::seen::SeenOffer;
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::state::in_time;

use super::{Reader, Reading};
use crate::history::Mined;
use crate::store::Record;

/// What the coin of a negotiation of this party names.
pub(crate) fn names(own: PartyKey, record: &Record) -> Liveness {
    let (initiator, responder) = match record.role {
        Role::Initiator => (own, record.peer),
        Role::Responder => (record.peer, own),
    };
    Liveness { negotiation: record.id, initiator, responder }
}

impl<'a> Reader<'a> {
    /// What became of the coins of each peer that ever had one with this party.
    pub(crate) fn lineages<'r>(
        &self,
        readings: impl Iterator<Item = (&'r Record, &'r Reading)>,
    ) -> BTreeMap<PartyKey, Lineage> {
        let own = self.own.key;
        let has_coin = |(record, reading): (&Record, &Reading)| {
            let spender = self.history.spender(&reading.offer.as_ref()?.carried.anchor())?;
            names(own, record).find(&spender.tx).map(|_| record.peer)
        };
        let mut peers = Peers::default();
        readings.filter_map(has_coin).for_each(|peer| peers.add(peer));
        if peers.by_script.is_empty() {
            return BTreeMap::new();
        }
        let mut epochs: BTreeMap<PartyKey, Vec<Epoch<'a>>> =
            peers.by_script.values().map(|peer| (*peer, Vec::new())).collect();
        for mined in self.history.in_order() {
            for (peer, epoch) in self.epochs_in(mined, &peers) {
                epochs.entry(peer).or_default().push(epoch);
            }
        }
        let history = self.history;
        let spender = |outpoint: &OutPoint| history.spender(outpoint).map(place);
        epochs.into_iter().map(|(peer, epochs)| (peer, Lineage::read(epochs, spender))).collect()
    }

    /// What anybody sees a transaction offer, from this party to one of `peers` or the other way, that was answered.
    pub(super) fn epochs_in(&self, mined: &Mined, peers: &Peers) -> Vec<(PartyKey, Epoch<'a>)> {
        let own = self.own.key;
        let shown = mined.tx.input.first().and_then(|input| input.witness.nth(1));
        let is_own = shown == Some(&own.to_bytes()[..]);
        let peer = shown.and_then(|key| peers.by_key.get(key)).copied();
        let Some(author) = is_own.then_some(own).or(peer) else { return Vec::new() };
        let paid = |output: &TxOut| match is_own {
            true => peers.by_script.get(&output.script_pubkey).copied(),
            false => (output.script_pubkey == own.script()).then_some(own),
        };
        let mut recipients: Vec<PartyKey> = mined.tx.output.iter().filter_map(paid).collect();
        recipients.sort();
        recipients.dedup();
        let epoch = |recipient| {
            let peer = if author == own { recipient } else { author };
            Some((peer, self.epoch_of(mined, recipient)?))
        };
        recipients.into_iter().filter_map(epoch).collect()
    }

    pub(super) fn epoch_of(&self, mined: &Mined, recipient: PartyKey) -> Option<Epoch<'a>> {
        let seen = self.seen_in(mined, recipient)?;
        let answer = self.history.spender(&seen.anchor())?;
        let is_answered = self.known.seen_answered.recall((mined.wtxid, recipient), answer.wtxid, || {
            seen.read_answer(self.chain, &answer.tx).is_ok()
        });
        if !is_answered || !in_time(mined.at.height, answer.at.height) {
            return None;
        }
        let (initiator, responder) = (seen.author(), seen.recipient());
        let negotiation = NegotiationId::of(self.chain.id(), initiator, responder, seen.input0());
        Some(Epoch { names: Liveness { negotiation, initiator, responder }, answer: place(answer) })
    }

    /// What anybody sees a transaction offer to `recipient`.
    fn seen_in(&self, mined: &Mined, recipient: PartyKey) -> Option<Arc<SeenOffer>> {
        let amount = self.input0_amount(mined)?;
        self.known.seen.recall((mined.wtxid, recipient), amount, || {
            let authored = Authored::verify(&mined.tx, amount).ok()?;
            SeenOffer::read(self.chain, &authored, recipient).ok().map(Arc::new)
        })
    }
}

/// Those whose offers and answers are looked for.
#[derive(Default)]
pub(super) struct Peers {
    by_key: HashMap<Vec<u8>, PartyKey>,
    by_script: HashMap<ScriptBuf, PartyKey>,
}

impl Peers {
    pub(super) fn add(&mut self, peer: PartyKey) {
        self.by_key.insert(peer.to_bytes().to_vec(), peer);
        self.by_script.insert(peer.script(), peer);
    }
}

fn place(mined: &Mined) -> lineage::Mined<'_> {
    lineage::Mined { txid: mined.txid, at: mined.at, tx: &mined.tx }
}
