//! Envelopes that were committed to, and that nothing has shown (PROTOCOL.md 7.7).
//!
//! The chain has the hash of their scripts alone; but the script follows from the message, and that from what its author
//! had: an offer to answer, or coins, peers and the terms that are taken where nothing is said.

use bitcoin::{OutPoint, ScriptBuf};
use keyway_carriers::script::envelope;
use keyway_chain::Height;
use keyway_protocol::card::Card;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::{Context, Draft, NegotiationId, Role};
use keyway_protocol::state::Anchor;
use keyway_protocol::suite::Suite;

use super::super::Party;
use super::super::offer::TIMEOUT;
use super::claim::Counterparts;
use crate::error::NodeError;
use crate::reading::Own;
use crate::store::{Envelope, Record};
use crate::unassigned::Unassigned;

/// Each peer and coin that an offer may have been for takes trials of its own.
const MOST_PEERS: usize = 16;
/// A home splits its money into four coins.
const MOST_COINS: usize = 8;

impl Party {
    /// Finds the script of a commit of this party, whose coin can then be spent: by the answer that is still to come, or
    /// back.
    pub(super) fn claim_envelope(
        &mut self,
        unassigned: &mut Unassigned,
        own: &Own,
        known: &Counterparts,
    ) -> Result<bool, NodeError> {
        let outpoint = OutPoint::new(own.txid, 0);
        let is_commit = own.tx.output.first().is_some_and(|output| {
            output.script_pubkey.is_p2wsh() && output.value == envelope::amount(&self.config.chain)
        });
        let is_spent =
            self.history.spender(&outpoint).is_some() || self.history.unmined_spender(&outpoint).is_some();
        if !is_commit || is_spent || own.mined.is_none() {
            return Ok(false);
        }
        if self.store.envelopes()?.iter().any(|known| known.outpoint == outpoint) {
            return Ok(false);
        }
        if let Some((index, record, script)) = self.answer_committed_to(unassigned, own)? {
            let envelope = Envelope { id: record.id, outpoint, script };
            self.store.step(|store| store.put_envelope(&envelope))?;
            self.assign(unassigned, index, record)?;
            return Ok(true);
        }
        let Some((index, id, script)) = self.offer_committed_to(unassigned, own, known) else {
            return Ok(false);
        };
        // The offer itself is nowhere, so that there is no negotiation that would need the secret.
        self.store.step(|store| {
            store.put_envelope(&Envelope { id, outpoint, script })?;
            unassigned.store_without(store, index)
        })?;
        unassigned.assign(index);
        Ok(true)
    }

    fn answer_committed_to(
        &self,
        unassigned: &mut Unassigned,
        own: &Own,
    ) -> Result<Option<(u32, Record, ScriptBuf)>, NodeError> {
        let (reader, key, at) = (self.reader(), self.key(), own.tx.lock_time.to_consensus_u32());
        for (id, reading) in self.readings()? {
            let Some(record) = self.records.get(&id) else { continue };
            let waits = record.role == Role::Responder
                && record.carrier != Carrier::Value
                && record.secret_index.is_none()
                && reading.facts.anchor == Anchor::Unspent;
            let (Some(peer), Some(offer), true) = (self.peer_by_key(record.peer), &reading.offer, waits)
            else {
                continue;
            };
            let Some(message) = &offer.message else { continue };
            let script = |secret: &NegotiationSecret| {
                let (bytes, _) = reader.make_answer(record, peer, secret, offer, message, at).ok()?;
                envelope::write(key, &bytes).ok()
            };
            if let Some(index) = unassigned.find_near(|secret| script(secret).is_some_and(|it| own.pays(&it)))
            {
                let script = unassigned.secret(index).and_then(script);
                let record = Record { secret_index: Some(index), ..record.clone() };
                return Ok(script.map(|script| (index, record, script)));
            }
        }
        Ok(None)
    }

    fn offer_committed_to(
        &self,
        unassigned: &mut Unassigned,
        own: &Own,
        known: &Counterparts,
    ) -> Option<(u32, NegotiationId, ScriptBuf)> {
        let at = own.tx.lock_time.to_consensus_u32();
        let coins = self.coins_at(Height::new(at), own);
        for peer in self.peers.cards().iter().take(MOST_PEERS) {
            for coin in coins.iter().take(MOST_COINS) {
                for terms in terms(peer, known) {
                    let carrier = terms.as_ref().map_or(Carrier::Static, |_| Carrier::Dynamic);
                    let context = self.reader().context(Role::Initiator, peer, *coin, carrier);
                    let script = |secret: &NegotiationSecret| {
                        let bytes = offer_bytes(context, peer, terms.as_deref(), at, secret)?;
                        envelope::write(self.key(), &bytes).ok()
                    };
                    let found = unassigned.find_near(|secret| script(secret).is_some_and(|it| own.pays(&it)));
                    if let Some(index) = found {
                        let script = unassigned.secret(index).and_then(script)?;
                        return Some((index, context.id(), script));
                    }
                }
            }
        }
        None
    }

    /// This party's coins that were there at a height, but those that the commit spends.
    fn coins_at(&self, height: Height, commit: &Own) -> Vec<OutPoint> {
        let script = self.key().script();
        let is_spent = |coin: &OutPoint| {
            let before = self.history.spender(coin).is_some_and(|spender| spender.at.height <= height);
            before || commit.tx.input.iter().any(|input| input.previous_output == *coin)
        };
        let mined = self.history.in_order().filter(|mined| mined.at.height <= height);
        let outputs = mined.flat_map(|mined| {
            (0u32..).zip(&mined.tx.output).map(|(vout, output)| (OutPoint::new(mined.txid, vout), output))
        });
        let own = outputs.filter(|(_, output)| output.script_pubkey == script).map(|(coin, _)| coin);
        own.filter(|coin| !is_spent(coin)).collect()
    }
}

/// How an offer to a peer may have ridden: sealed, or locked to one of its prekeys.
fn terms(peer: &Card, known: &Counterparts) -> Vec<Option<Vec<u8>>> {
    let suite = Suite::default_over(Carrier::Dynamic);
    let on_card = peer.renewable().prekeys.iter().filter(|prekey| prekey.suite == suite.number());
    let earlier = known.offered_to.iter().filter(|(other, _)| *other == suite).map(|(_, key)| key);
    let prekeys = on_card.map(|prekey| &prekey.key).chain(earlier);
    std::iter::once(None).chain(prekeys.cloned().map(Some)).collect()
}

/// The bytes that were to ride in the envelope.
fn offer_bytes(
    context: Context,
    peer: &Card,
    prekey: Option<&[u8]>,
    at: u32,
    secret: &NegotiationSecret,
) -> Option<Vec<u8>> {
    let suite = Suite::default_over(context.carrier);
    match prekey {
        None => Draft::dated(context, suite, at, secret).sealed(&peer.permanent().sealing, secret).ok(),
        Some(prekey) => {
            let timeout = Height::new(at).plus(TIMEOUT);
            let draft = Draft::to_prekey(context, suite, prekey, timeout, secret).ok()?;
            Some(draft.offer().to_bytes())
        }
    }
}
