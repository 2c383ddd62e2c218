//! One run of the protocol, seen from either side (PROTOCOL.md 8 and 9).
//!
//! ```text
//!   initiator                                responder
//!   Draft::new ── offer ──▶ chain ─────────▶ Received::new
//!     │ mined(txid)                            │ answer(n)
//!   AwaitAnswer                                ▼
//!     │ handle(answer) ◀──── chain ◀─ answer ─ (Answer, Agreed)
//!     ▼
//!   Agreed
//! ```
//!
//! Everything is recomputed from the negotiation's one secret and the chain: these values are short
//! lived, and none of them is stored.

use std::fmt;

use bitcoin::hashes::Hash;
use bitcoin::hex::DisplayHex;
use bitcoin::{OutPoint, Txid};
use keyway_chain::{ChainId, Height};
use zeroize::Zeroizing;

use crate::encode::outpoint_bytes;
use crate::identity::{Binding, NegotiationSecret, PartyKey, PartyRef};
use crate::kdf::{expand, extract, hash, mac};
use crate::letter::{self, BadSealingKey, Direction};
use crate::message::{
    Answer, AnswerForm, AnswerTerms, Brought, Carrier, Offer, Refusal, Tag, Terms, without_tag,
};
use crate::prekey::{FirstSecret, PrekeyId};
use crate::secret::Secret;
use crate::suite::{BadGroup, BadShare, Group, Numbers, Published, ShareSecret, Suite, respond};

/// Names a negotiation, whatever version of its offer is mined (PROTOCOL.md 9.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NegotiationId([u8; 32]);

impl NegotiationId {
    /// Of the offer whose input 0 spends this coin (PROTOCOL.md 9.1).
    pub fn of(chain: ChainId, initiator: PartyKey, responder: PartyKey, input0: OutPoint) -> Self {
        let parties = (&initiator.to_bytes(), &responder.to_bytes());
        Self(hash("negotiation", &[chain.as_bytes(), parties.0, parties.1, &outpoint_bytes(input0)]))
    }

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for NegotiationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hex().fmt(f)
    }
}

impl fmt::Debug for NegotiationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NegotiationId({self})")
    }
}

/// Which side of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Pays, and offers.
    Initiator,
    /// Is paid, and answers.
    Responder,
}

impl Role {
    /// The other side.
    pub const fn other(self) -> Self {
        match self {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        }
    }
}

/// What both sides know of a negotiation before any share is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Who pays.
    pub initiator: PartyRef,
    /// Who is paid.
    pub responder: PartyRef,
    /// The coin that the offer's input 0 spends.
    pub input0: OutPoint,
    /// How the messages ride.
    pub carrier: Carrier,
}

impl Context {
    /// The chain both are parties on.
    pub fn chain(&self) -> ChainId {
        self.initiator.chain
    }

    /// PROTOCOL.md 9.1.
    pub fn id(&self) -> NegotiationId {
        NegotiationId::of(self.chain(), self.initiator.key, self.responder.key, self.input0)
    }

    /// Who seals to whom; `input0` is the coin that the message's transaction spends first.
    pub fn letter(&self, from: Role, input0: OutPoint) -> Direction {
        let (author, recipient) = match from {
            Role::Initiator => (self.initiator.key, self.responder.key),
            Role::Responder => (self.responder.key, self.initiator.key),
        };
        Direction { chain: self.chain(), author, recipient, input0 }
    }

    /// th of PROTOCOL.md 8, for whoever can read both messages. It says nothing of the key.
    pub fn transcript_of(&self, offer: &Offer, offer_txid: Txid, answer: &Answer) -> Transcript {
        self.transcript(offer, offer_txid, &answer.without_tag())
    }

    fn transcript(&self, offer: &Offer, offer_txid: Txid, answer_without_tag: &[u8]) -> Transcript {
        Transcript(hash(
            "transcript",
            &[
                self.chain().as_bytes(),
                &[offer.suite().number()],
                &[self.carrier.number()],
                &self.initiator.key.to_bytes(),
                &self.responder.key.to_bytes(),
                &self.initiator.card_digest,
                &self.responder.card_digest,
                offer_txid.as_byte_array(),
                &outpoint_bytes(self.input0),
                &offer.to_bytes(),
                answer_without_tag,
            ],
        ))
    }
}

/// th of PROTOCOL.md 8: the hash of all that both sides saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript([u8; 32]);

impl Transcript {
    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An offer about to be made: its message, before its transaction exists, and the secret of its share.
#[derive(Debug)]
pub struct Draft {
    context: Context,
    offer: Offer,
    own: ShareSecret,
    first: Option<FirstSecret>,
}

impl Draft {
    /// An offer in amounts: makes the share from the negotiation's secret.
    pub fn new(context: Context, suite: Suite, form: AnswerForm, secret: &NegotiationSecret) -> Self {
        Self::with_terms(context, suite, Terms::Value(form), secret)
    }

    /// An offer to be sealed beside the payment; `timestamp` is the nLockTime of its transaction.
    pub fn dated(context: Context, suite: Suite, timestamp: u32, secret: &NegotiationSecret) -> Self {
        Self::with_terms(context, suite, Terms::Static { timestamp }, secret)
    }

    /// The same in a group that the offer brings, or names by the transaction that published it.
    pub fn in_group(
        context: Context,
        group: Group,
        published: Option<Txid>,
        timestamp: u32,
        secret: &NegotiationSecret,
    ) -> Self {
        let (suite, numbers) = (group.suite(), group.numbers());
        let brought = match published {
            Some(txid) => Brought::Published(Published { txid, digest: numbers.digest() }),
            None => Brought::Numbers(numbers),
        };
        let context = Context { carrier: Carrier::Static, ..context };
        let own = ShareSecret::derive(suite, Some(&group), secret, &initiator_binding(&context));
        let offer = Offer::new(suite, Terms::Static { timestamp }, own.public()).bringing(brought);
        Self { context, offer, own, first: None }
    }

    /// Of a suite that brings its group the share is empty, and nobody takes the offer: that is for
    /// [`Draft::in_group`].
    fn with_terms(context: Context, suite: Suite, terms: Terms, secret: &NegotiationSecret) -> Self {
        let own = ShareSecret::derive(suite, None, secret, &initiator_binding(&context));
        let context = Context { carrier: terms.carrier(), ..context };
        Self { context, offer: Offer::new(suite, terms, own.public()), own, first: None }
    }

    /// An offer to a prekey of the responder for that suite, whose payment can go back after `timeout`.
    ///
    /// # Errors
    /// [`BadShare`]: the prekey must not be used; the responder is at fault.
    pub fn to_prekey(
        context: Context,
        suite: Suite,
        prekey: &[u8],
        timeout: Height,
        secret: &NegotiationSecret,
    ) -> Result<Self, BadShare> {
        let context = Context { carrier: Carrier::Dynamic, ..context };
        let binding = initiator_binding(&context);
        let own = ShareSecret::derive(suite, None, secret, &binding);
        let direction = context.letter(Role::Initiator, context.input0);
        let (first, ciphertext) = FirstSecret::send(&direction, suite, prekey, &own, secret, &binding)?;
        let terms = Terms::Dynamic { prekey: PrekeyId::of(suite.number(), prekey), timeout, ciphertext };
        let offer = Offer::new(suite, terms, own.public());
        Ok(Self { context, offer, own, first: Some(first) })
    }

    /// The message.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The secret that opens the payment, in an offer to a prekey.
    pub fn first(&self) -> Option<&FirstSecret> {
        self.first.as_ref()
    }

    /// The same, for who needs nothing else.
    pub fn into_first(self) -> Option<FirstSecret> {
        self.first
    }

    /// The message as the static carrier takes it: sealed to the responder's sealing key.
    ///
    /// # Errors
    /// [`BadSealingKey`]: the responder is at fault.
    pub fn sealed(&self, to: &[u8; 32], secret: &NegotiationSecret) -> Result<Vec<u8>, BadSealingKey> {
        let direction = self.context.letter(Role::Initiator, self.context.input0);
        letter::seal(&direction, to, &self.offer.to_bytes(), secret, &initiator_binding(&self.context))
    }

    /// What opens the sealed message alone, and proves what it says.
    pub fn ephemeral(&self, secret: &NegotiationSecret) -> Secret {
        let direction = self.context.letter(Role::Initiator, self.context.input0);
        letter::ephemeral(&direction, &self.offer.to_bytes(), secret, &initiator_binding(&self.context))
    }

    /// The offer is in the chain, in this transaction: its last version.
    pub fn mined(self, offer_txid: Txid) -> AwaitAnswer {
        let Self { context, offer, own, first } = self;
        AwaitAnswer { context, offer, own, first, offer_txid }
    }
}

/// An offer in the chain whose anchor is unspent.
#[derive(Debug)]
pub struct AwaitAnswer {
    context: Context,
    offer: Offer,
    own: ShareSecret,
    first: Option<FirstSecret>,
    offer_txid: Txid,
}

impl AwaitAnswer {
    /// Takes what came with the spending of the anchor.
    ///
    /// # Errors
    /// [`Refusal`]: the spending is no answer; the negotiation is declined (PROTOCOL.md 9.2).
    pub fn handle(self, answer: &Answer) -> Result<Agreed, Refusal> {
        let suite = self.offer.suite();
        if answer.suite() != suite {
            return Err(
                crate::message::BadMessage::OtherSuite { expected: suite, found: answer.suite() }.into()
            );
        }
        let shared = joined(self.first.as_ref(), &self.own.agree(answer.share())?);
        let transcript = self.context.transcript(&self.offer, self.offer_txid, &answer.without_tag());
        let agreed = Agreed::new(self.context.id(), Role::Initiator, transcript, &shared);
        if !agreed.tag(Role::Responder).matches(&answer.tag()) {
            return Err(Refusal::WrongTag);
        }
        Ok(agreed)
    }
}

/// What the key rests on: the fresh secret, and in an offer to a prekey the first secret before it.
fn joined(first: Option<&FirstSecret>, fresh: &Secret) -> Zeroizing<Vec<u8>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(64));
    if let Some(first) = first {
        joined.extend_from_slice(first.contribution().expose());
    }
    joined.extend_from_slice(fresh.expose());
    joined
}

pub(crate) fn initiator_binding(context: &Context) -> Binding {
    Binding { id: context.id(), anchor: None, recipient: context.responder.key }
}

/// An offer that was found in the chain.
#[derive(Debug)]
pub struct Received {
    context: Context,
    offer: Offer,
    anchor: OutPoint,
    first: Option<FirstSecret>,
    published: Option<Numbers>,
    timestamp: u32,
}

impl Received {
    /// `anchor` is the offer's first output to the responder; its txid is the offer's.
    pub fn new(context: Context, offer: Offer, anchor: OutPoint) -> Self {
        let context = Context { carrier: offer.carrier(), ..context };
        Self { context, offer, anchor, first: None, published: None, timestamp: 0 }
    }

    /// With the first secret, which an offer to a prekey needs.
    pub fn with_first(self, first: FirstSecret) -> Self {
        Self { first: Some(first), ..self }
    }

    /// With the numbers that the chain has published, which an offer that names their transaction needs.
    pub fn with_published(self, numbers: Numbers) -> Self {
        Self { published: Some(numbers), ..self }
    }

    /// With the nLockTime of the answer's transaction, which an answer over the static carrier repeats.
    pub fn at(self, timestamp: u32) -> Self {
        Self { timestamp, ..self }
    }

    /// Agrees. The same secret gives the same answer again.
    ///
    /// # Errors
    /// [`Refusal::Group`], [`Refusal::Share`]: what the offer brings must not be used. [`Refusal::NoFirstSecret`]: the
    /// offer was made to a prekey, and no first secret was given.
    pub fn answer(self, secret: &NegotiationSecret) -> Result<(Answer, Agreed), Refusal> {
        if (self.offer.carrier() == Carrier::Dynamic) != self.first.is_some() {
            return Err(Refusal::NoFirstSecret);
        }
        let (suite, terms) = (self.offer.suite(), self.terms());
        let group = self.group()?;
        let (share, fresh) = respond(suite, group.as_ref(), secret, &self.binding(), self.offer.share())?;
        let shared = joined(self.first.as_ref(), &fresh);
        let without_tag = without_tag(suite, terms, &share);
        let transcript = self.context.transcript(&self.offer, self.anchor.txid, &without_tag);
        let agreed = Agreed::new(self.context.id(), Role::Responder, transcript, &shared);
        let answer = Answer::new(suite, terms, share, agreed.tag(Role::Responder));
        Ok((answer, agreed))
    }

    /// The answer as the static carrier takes it: sealed to the initiator's sealing key.
    ///
    /// # Errors
    /// [`BadSealingKey`]: the initiator is at fault.
    pub fn sealed(
        context: &Context,
        anchor: OutPoint,
        answer: &Answer,
        to: &[u8; 32],
        secret: &NegotiationSecret,
    ) -> Result<Vec<u8>, BadSealingKey> {
        let binding = responder_binding(context, anchor);
        let direction = context.letter(Role::Responder, anchor);
        letter::seal(&direction, to, &answer.to_bytes(), secret, &binding)
    }

    /// What opens the sealed answer alone, and proves what it says.
    pub fn ephemeral(
        context: &Context,
        anchor: OutPoint,
        answer: &Answer,
        secret: &NegotiationSecret,
    ) -> Secret {
        let direction = context.letter(Role::Responder, anchor);
        letter::ephemeral(&direction, &answer.to_bytes(), secret, &responder_binding(context, anchor))
    }

    /// The group that the offer brings, found sound before anything secret meets it.
    fn group(&self) -> Result<Option<Group>, Refusal> {
        let suite = self.offer.suite();
        let numbers = match (self.offer.group(), &self.published) {
            (Brought::Nothing, _) => return Ok(None),
            (Brought::Numbers(numbers), _) => numbers,
            (Brought::Published(named), Some(numbers)) if numbers.digest() == named.digest => numbers,
            (Brought::Published(_), Some(_)) => return Err(BadGroup::NotThose.into()),
            (Brought::Published(_), None) => return Err(BadShare::NoGroup(suite).into()),
        };
        Ok(Some(numbers.check(suite)?))
    }

    fn binding(&self) -> Binding {
        responder_binding(&self.context, self.anchor)
    }

    fn terms(&self) -> AnswerTerms {
        match self.offer.carrier() {
            Carrier::Value => AnswerTerms::Value,
            Carrier::Static => AnswerTerms::Static { timestamp: self.timestamp },
            Carrier::Dynamic => AnswerTerms::Dynamic,
        }
    }
}

pub(crate) fn responder_binding(context: &Context, anchor: OutPoint) -> Binding {
    Binding { id: context.id(), anchor: Some(anchor), recipient: context.initiator.key }
}

/// Eight bytes that name a key and say nothing of it (PROTOCOL.md 8).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// From its bytes, as a store keeps them.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The result: one side's keys. That the other side has the same is what the tags show.
#[derive(Debug)]
pub struct Agreed {
    id: NegotiationId,
    role: Role,
    transcript: Transcript,
    prk: Secret,
}

impl Agreed {
    fn new(id: NegotiationId, role: Role, transcript: Transcript, shared: &[u8]) -> Self {
        let prk = extract(transcript.as_bytes(), shared);
        Self { id, role, transcript, prk }
    }

    /// The negotiation.
    pub fn id(&self) -> NegotiationId {
        self.id
    }

    /// Whose view this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What both sides saw.
    pub fn transcript(&self) -> Transcript {
        self.transcript
    }

    /// mk.
    pub fn master_key(&self) -> MasterKey {
        MasterKey(expand(&self.prk, "master key", &[]))
    }

    /// A key for other programs, independent of mk.
    pub fn exporter_key(&self) -> Secret {
        expand(&self.prk, "exporter", &[])
    }

    /// What may be shown of the key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(*expand::<8>(&self.prk, "fingerprint", &[]).expose())
    }

    /// The confirmation of `role`.
    pub fn tag(&self, role: Role) -> Tag {
        Tag::under(&self.tag_key(role), &self.transcript)
    }

    /// What the confirmation of `role` is made with. It says nothing of mk and of the other role's: all are independent
    /// outputs of one expansion.
    pub fn tag_key(&self, role: Role) -> Secret {
        let label = match role {
            Role::Initiator => "confirm initiator",
            Role::Responder => "confirm responder",
        };
        expand(&self.prk, label, &[])
    }
}

impl Tag {
    /// The tag of a transcript under a tag key (PROTOCOL.md 8).
    pub fn under(key: &Secret, transcript: &Transcript) -> Self {
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = mac(key, transcript.as_bytes());
        Self(tag)
    }
}

/// mk of PROTOCOL.md 8.
#[derive(Debug)]
pub struct MasterKey(Secret);

impl MasterKey {
    /// As ck of the answer's block (PROTOCOL.md 10).
    pub fn into_secret(self) -> Secret {
        self.0
    }

    /// Its bytes, for `keys --reveal` and vectors.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
impl MasterKey {
    pub(crate) fn for_tests(secret: Secret) -> Self {
        Self(secret)
    }
}
