//! Somebody who has every block, both cards, both transactions and every sealed message, and no secret
//! but his own: tries what such a person can try, with the protocol's own code, and counts.

mod schedule;
mod seen;
#[cfg(test)]
mod tests;

use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, Chain};
use keyway_node::NodeError;
use keyway_protocol::card::Name;
use keyway_protocol::identity::{NegotiationSecret, SecretChain};
use keyway_protocol::identity::{PartyRef, SealingSecret, Seed};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::ratchet::Ratchet;
use keyway_protocol::sealing::Sealed;
use keyway_protocol::secret::Secret;
use sha2::{Digest, Sha256};

pub use seen::Seen;

/// What came of trying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often a message was tried to be opened, or a key agreement tried to be finished.
    pub attempts: usize,
    /// Whether each message was opened.
    pub opened: Vec<bool>,
    /// Whether a key agreement was finished without a secret of either side.
    pub agreed: bool,
}

impl Outcome {
    /// Whether nothing was learned.
    pub fn learned_nothing(&self) -> bool {
        !self.agreed && !self.opened.contains(&true)
    }
}

/// The eavesdropper, with an identity of his own.
#[derive(Debug)]
pub struct Eavesdropper<'a> {
    seen: &'a Seen,
    messages: &'a [Sealed],
    own: PartyRef,
    sealing: SealingSecret,
    secret: NegotiationSecret,
    outcome: Outcome,
}

impl<'a> Eavesdropper<'a> {
    /// Draws an identity.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new(chain: &Chain, seen: &'a Seen, messages: &'a [Sealed]) -> Result<Self, NodeError> {
        let words = keyway_node::fresh_mnemonic()?;
        let seed = Seed::derive(&words, chain).map_err(|error| NodeError::Wallet(error.to_string()))?;
        let name: Name = "eavesdropper".parse().map_err(|_| NodeError::Wallet("a bad name".to_owned()))?;
        let own =
            keyway_protocol::card::Permanent::of(name, chain, &seed.identity, &seed.sealing).party_ref();
        let (secret, _): (_, SecretChain) = seed.chain_head.take();
        let outcome = Outcome { opened: vec![false; messages.len()], ..Outcome::default() };
        Ok(Self { seen, messages, own, sealing: seed.sealing, secret, outcome })
    }

    /// Tries everything.
    pub fn try_all(mut self) -> Outcome {
        for guess in self.guesses() {
            self.try_as_every_key(&guess);
        }
        self.try_to_agree();
        self.outcome
    }

    /// Whether a true mk opens every message by the same means: else failing would prove nothing.
    pub fn would_succeed_with(mut self, mk: &Secret) -> bool {
        self.try_mk(mk);
        self.outcome.opened.iter().all(|opened| *opened)
    }

    /// Every 32 bytes that stand in public, and what they give with secrets of his own.
    fn guesses(&self) -> Vec<[u8; 32]> {
        let seen = self.seen;
        let mut guesses = vec![[0; 32], [0xff; 32], *seen.context().id().as_bytes()];
        guesses.extend(seen.transcript());
        let (a, b) = seen.shares();
        guesses.extend(seen.public_keys());
        guesses.extend(
            [[a, b].concat(), [b, a].concat()].map(|both| -> [u8; 32] { Sha256::digest(both).into() }),
        );
        if let Some(answer) = &seen.answer {
            let tag = *answer.tag().as_bytes();
            guesses.extend(<[u8; 32]>::try_from([tag, tag].concat()));
        }
        guesses.extend(seen.payment_secret.iter().flat_map(schedule::from_payment_secret));
        guesses.push(seen.anchor.txid.to_byte_array());
        guesses.push(seen.answer_txid.to_byte_array());
        for party in [&seen.initiator, &seen.responder] {
            let (x, _) = party.key.to_public_key().x_only_public_key();
            guesses.extend([x.serialize(), party.sealing, party.digest()]);
        }
        guesses.extend(seen.blocks.from(seen.first.height).map(|hash| hash.to_byte_array()));
        guesses.extend(self.diffie_hellman());
        guesses
    }

    /// What his own secrets, and secrets that anybody can guess, give with every public key there is.
    fn diffie_hellman(&self) -> Vec<[u8; 32]> {
        let seen = self.seen;
        let keys = [seen.initiator.sealing, seen.responder.sealing];
        let keys: Vec<[u8; 32]> = keys.into_iter().chain(seen.public_keys()).collect();
        let own = [*self.sealing.as_secret().expose(), *self.secret.as_secret().expose(), [0; 32], [1; 32]];
        let scalars = own.into_iter().chain(keys.iter().copied());
        scalars.flat_map(|scalar| keys.iter().map(move |key| x25519_dalek::x25519(scalar, *key))).collect()
    }

    /// The guess in the place of the shared secret, of prk, of mk, and of the chain key of each message's block.
    fn try_as_every_key(&mut self, guess: &[u8; 32]) {
        if let Some(transcript) = self.seen.transcript() {
            self.try_mk(&schedule::mk_from_shared(&transcript, guess));
            // Beside what the published secret gives, in the place of the first secret.
            for first in self.seen.payment_secret.iter().flat_map(schedule::from_payment_secret) {
                self.try_mk(&schedule::mk_from_shared(&transcript, &[first, *guess].concat()));
            }
        }
        self.try_mk(&schedule::mk_from_prk(guess));
        let guess = Secret::fill_with(|bytes| *bytes = *guess);
        self.try_mk(&guess);
        for (index, message) in self.messages.iter().enumerate() {
            self.try_chain_key(&guess, message.envelope().block, index, message);
        }
    }

    fn try_mk(&mut self, mk: &Secret) {
        for (index, message) in self.messages.iter().enumerate() {
            self.try_chain_key(mk, self.seen.first, index, message);
        }
    }

    /// `ck` as the chain key of `block`, in both directions.
    fn try_chain_key(&mut self, ck: &Secret, block: BlockRef, index: usize, message: &Sealed) {
        let ratchet = Ratchet::from_parts(self.seen.first.height, block, ck.duplicate());
        for sender in [Role::Initiator, Role::Responder] {
            let session = ratchet.session(&self.seen.blocks, message.envelope().block, sender);
            let opened = session.is_ok_and(|session| message.open(&session, b"").is_ok());
            self.outcome.attempts += 1;
            if opened && let Some(slot) = self.outcome.opened.get_mut(index) {
                *slot = true;
            }
        }
    }

    /// Runs both sides of the protocol on what was seen, with a secret of his own: in the place of each side, and
    /// in his own name.
    fn try_to_agree(&mut self) {
        let context = self.seen.context();
        let as_initiator = Context { initiator: self.own, ..context };
        let as_responder = Context { responder: self.own, ..context };
        for context in [context, as_initiator, as_responder] {
            for agreed in [self.answer(context), self.handle(context)].into_iter().flatten() {
                self.try_mk(&agreed.master_key().into_secret());
            }
        }
    }

    /// The responder's side: gives a key, of which only he himself knows.
    fn answer(&mut self, context: Context) -> Option<Agreed> {
        self.outcome.attempts += 1;
        let received = Received::new(context, self.seen.offer.clone()?, self.seen.anchor);
        received.answer(&self.secret).ok().map(|(_, agreed)| agreed)
    }

    /// The initiator's side: the answer's tag must refuse him.
    fn handle(&mut self, context: Context) -> Option<Agreed> {
        self.outcome.attempts += 1;
        let (offer, answer) = (self.seen.offer.as_ref()?, self.seen.answer.as_ref()?);
        let draft = Draft::new(context, offer.suite(), offer.form(), &self.secret);
        let agreed = draft.mined(self.seen.anchor.txid).handle(answer).ok();
        self.outcome.agreed |= agreed.is_some();
        agreed
    }
}
