//! Using a key: sealing and opening under the session keys of blocks.

use bitcoin::Txid;
use keyway_chain::{BlockRef, Height};
use keyway_protocol::message::Tag;
use keyway_protocol::negotiation::{Fingerprint, NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, NoSession, Ratchet, SessionKey};
use keyway_protocol::sealing::{Sealed, seal};
use keyway_protocol::secret::Secret;
use keyway_protocol::state::{Anchor, State};
use zeroize::Zeroizing;

use super::Party;
use super::rotation::count_volume;
use crate::error::{NodeError, PeerError, SessionError};
use crate::reading::Reading;
use crate::store::Record;

/// A message ready to be sent, by whatever way.
#[derive(Clone, Debug)]
pub struct SealedMessage {
    /// The message.
    pub sealed: Sealed,
    /// Whose key it is under.
    pub negotiation: NegotiationId,
    /// The block whose session key it is under.
    pub block: BlockRef,
}

/// A message that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What it says.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Whose key it was under.
    pub negotiation: NegotiationId,
    /// The sender's name.
    pub peer: String,
    /// The block whose session key it was under.
    pub block: BlockRef,
    /// Whether this message was the first to show that the peer has the key.
    pub confirms: bool,
}

/// A key as it can be used at this moment.
struct Key {
    answer: Txid,
    ratchet: Ratchet,
    initiator_tag: Tag,
}

impl Party {
    /// Seals under the active key of a negotiation, or of the peer of that name.
    ///
    /// # Errors
    /// [`SessionError::KeyUnusable`], [`SessionError::NoActiveKey`]; or nothing matches.
    pub fn seal(&mut self, whom: &str, plaintext: &[u8], aad: &[u8]) -> Result<SealedMessage, NodeError> {
        self.follow_disk()?;
        let id = self.sealing_negotiation(whom)?;
        let (record, key) = self.usable_key(id, true)?;
        let block = self.tip();
        let session =
            key.ratchet.session(&self.history, block, record.role).map_err(SessionError::NoSession)?;
        let tag = (record.role == Role::Initiator).then_some(key.initiator_tag);
        let sealed =
            seal(&mut self.stream, id, block, tag, &session, plaintext, aad).map_err(SessionError::Seal)?;
        self.count_volume(&id, plaintext.len())?;
        Ok(SealedMessage { sealed, negotiation: id, block })
    }

    /// Opens a message and notes it; a second time only if `again`.
    ///
    /// # Errors
    /// Precise about what the two sides see differently (PROTOCOL.md 11).
    pub fn open_sealed(&mut self, sealed: &Sealed, aad: &[u8], again: bool) -> Result<Opened, NodeError> {
        self.in_step(|party| party.open_and_note(sealed, aad, again))
    }

    fn open_and_note(&mut self, sealed: &Sealed, aad: &[u8], again: bool) -> Result<Opened, NodeError> {
        let envelope = *sealed.envelope();
        let (record, key) = self.usable_key(envelope.negotiation, false)?;
        let sender = record.role.other();
        let session =
            key.ratchet.session(&self.history, envelope.block, sender).map_err(SessionError::NoSession)?;
        let opened = check_tag(sender, envelope.tag, &key.initiator_tag)
            .and_then(|()| sealed.open(&session, aad).map_err(SessionError::Open));
        let plaintext = match opened {
            Err(_) if self.is_own(&record, &key, sealed, aad) => {
                return Err(SessionError::OwnMessage(self.peer_name(&record)).into());
            }
            opened => opened?,
        };
        if let Some(restored) = self.restored.filter(|at| !again && envelope.block.height <= at.height) {
            return Err(SessionError::MaybeReplayed(restored.height).into());
        }
        let confirms = record.confirmed != Some(key.answer);
        let confirmed = Record { confirmed: Some(key.answer), ..record };
        let counts_volume = self.config.rotation.after_mib.is_some();
        let fresh = self.store.step(|store| {
            if confirms {
                store.put_negotiation(&confirmed)?;
            }
            if counts_volume {
                count_volume(store, &confirmed.id, plaintext.len())?;
            }
            store.note_opened(&confirmed.id, envelope.stream, envelope.counter, envelope.block.height)
        })?;
        let peer = self.peer_name(&confirmed);
        self.records.insert(confirmed.id, confirmed);
        if !fresh && !again {
            return Err(SessionError::Replayed.into());
        }
        Ok(Opened { plaintext, negotiation: envelope.negotiation, peer, block: envelope.block, confirms })
    }

    /// mk of an active key, for a person who asked for it in so many words. `None` once it is erased:
    /// old keys live on as chain keys only.
    ///
    /// # Errors
    /// [`SessionError::KeyUnusable`], or the store fails.
    pub fn master_key(&self, id: NegotiationId) -> Result<Option<Secret>, NodeError> {
        self.certain()?;
        self.usable_key(id, false)?;
        let record = self.records.get(&id).ok_or(SessionError::NotForUs(id))?;
        let agreed = self.reading(record)?.and_then(|reading| reading.answer?.agreed);
        Ok(agreed.map(|agreed| agreed.master_key().into_secret()))
    }

    /// The session key of a followed block, for what `sender` seals.
    ///
    /// # Errors
    /// [`SessionError::KeyUnusable`], [`SessionError::NoSession`].
    pub(super) fn session_key(
        &self,
        id: NegotiationId,
        height: Height,
        sender: Role,
    ) -> Result<(BlockRef, SessionKey), NodeError> {
        let (_, key) = self.usable_key(id, false)?;
        let tip = self.history.tip();
        let unknown = || SessionError::NoSession(NoSession::Unknown { height, tip });
        let hash = self.history.hash_at(height).ok_or_else(unknown)?;
        let block = BlockRef::new(height, hash);
        let session = key.ratchet.session(&self.history, block, sender).map_err(SessionError::NoSession)?;
        Ok((block, session))
    }

    /// Whether this party sealed it.
    fn is_own(&self, record: &Record, key: &Key, sealed: &Sealed, aad: &[u8]) -> bool {
        let session = key.ratchet.session(&self.history, sealed.envelope().block, record.role);
        session.is_ok_and(|session| sealed.open(&session, aad).is_ok())
    }

    fn sealing_negotiation(&self, whom: &str) -> Result<NegotiationId, NodeError> {
        let peer = match self.peer(whom) {
            Ok(card) => card.permanent().key,
            Err(unknown @ NodeError::Peer(PeerError::Unknown { .. })) => {
                let could_be_id = whom.chars().all(|c| c.is_ascii_hexdigit());
                return if could_be_id { self.negotiation(whom) } else { Err(unknown) };
            }
            Err(error) => return Err(error),
        };
        let readings = self.readings_with(peer)?;
        let states = self.states(&readings);
        let active = states.iter().find(|(_, state)| state.seals());
        // One that is under way says when to come back.
        let coming = || states.iter().find(|(_, state)| is_under_way(*state));
        let revoked = || states.iter().rev().find(|(_, state)| *state == State::Revoked);
        let lost = || states.iter().rev().find(|(_, state)| *state == State::Lost);
        let found = active.or_else(coming).or_else(revoked).or_else(lost).map(|(id, _)| *id);
        let has_older = states.iter().any(|(_, state)| *state == State::Superseded);
        found.ok_or_else(|| match has_older {
            true => NodeError::Session(SessionError::KeyElsewhere(whom.to_owned())),
            false => NodeError::Session(SessionError::NoActiveKey(whom.to_owned())),
        })
    }

    fn usable_key(&self, id: NegotiationId, sealing: bool) -> Result<(Record, Key), NodeError> {
        let record = self.records.get(&id).ok_or(SessionError::NotForUs(id))?.clone();
        let readings = self.readings_with(record.peer)?;
        let state =
            self.states(&readings).into_iter().find(|(other, _)| *other == id).map(|(_, state)| state);
        let reading = readings.into_iter().find(|(other, _)| *other == id).map(|(_, reading)| reading);
        let (Some(state), Some(reading)) = (state, reading) else {
            return Err(SessionError::NotForUs(id).into());
        };
        let usable = if sealing { state.seals() } else { state.opens() };
        let key = if usable { self.key_of(&record, &reading)? } else { None };
        let key = key.ok_or_else(|| self.unusable(&record, &reading, state, sealing))?;
        self.peer_by_key(record.peer).map_or(Ok(()), |peer| self.check_dealing(peer))?;
        Ok((record, key))
    }

    fn key_of(&self, record: &Record, reading: &Reading) -> Result<Option<Key>, NodeError> {
        let Some(answer) = &reading.answer else { return Ok(None) };
        if let Some(agreed) = &answer.agreed {
            let first = answer.at.and_then(|at| self.history.block(at.height));
            return Ok(first.map(|first| Key {
                answer: answer.txid,
                ratchet: Ratchet::start(first.at, agreed.master_key()),
                initiator_tag: agreed.tag(Role::Initiator),
            }));
        }
        let Some(settled) = record.settled else { return Ok(None) };
        let ratchet = self.settled_ratchet(record, settled)?;
        Ok(ratchet.map(|ratchet| Key { answer: answer.txid, ratchet, initiator_tag: settled.initiator_tag }))
    }

    fn unusable(&self, record: &Record, reading: &Reading, state: State, sealing: bool) -> NodeError {
        if state.opens() && (state.seals() || !sealing) {
            return NodeError::Session(SessionError::KeyErased(short(&record.id)));
        }
        let has = match reading.facts.anchor {
            Anchor::Answered(at) => at.height.depth_under(self.history.tip()),
            _ => keyway_chain::Depth::UNMINED,
        };
        let wants = self.config.policy.key_depth;
        NodeError::Session(SessionError::KeyUnusable { id: short(&record.id), state, sealing, has, wants })
    }

    pub(super) fn peer_name(&self, record: &Record) -> String {
        let card = self.peer_by_key(record.peer);
        card.map_or_else(|| record.peer.to_string(), |card| card.permanent().name.to_string())
    }

    pub(super) fn fingerprint(&self, record: &Record, reading: &Reading) -> Option<Fingerprint> {
        let answer = reading.answer.as_ref()?;
        let settled = record.settled.filter(|settled| settled.answer == answer.txid);
        answer
            .agreed
            .as_ref()
            .map(|agreed| agreed.fingerprint())
            .or(settled.map(|settled| settled.fingerprint))
    }
}

fn check_tag(sender: Role, tag: Option<Tag>, expected: &Tag) -> Result<(), SessionError> {
    match (sender, tag) {
        (Role::Responder, None) => Ok(()),
        (Role::Responder, Some(_)) => Err(SessionError::ConfirmationTag("not due")),
        (Role::Initiator, None) => Err(SessionError::ConfirmationTag("missing")),
        (Role::Initiator, Some(tag)) if tag.matches(expected) => Ok(()),
        (Role::Initiator, Some(_)) => Err(SessionError::ConfirmationTag("wrong")),
    }
}

/// Whether a key may still come of it.
fn is_under_way(state: State) -> bool {
    matches!(state, State::Offered | State::Answered | State::Provisional)
}

pub(super) fn short(id: &NegotiationId) -> String {
    id.to_string().chars().take(8).collect()
}
