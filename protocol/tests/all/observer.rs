//! The dynamic carrier publishes t. What somebody who has it, and every public value of the negotiation, can make of them
//! by the protocol's own operations: everything but mk.

use std::collections::BTreeSet;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Txid};
use hkdf::Hkdf;
use keyway_chain::Height;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{Carrier, Terms};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::prekey::{FirstSecret, PrekeySecret};
use keyway_protocol::suite::Suite;
use keyway_protocol::{hash, outpoint_bytes};
use sha2::{Digest, Sha256};

use crate::common::{car, charger, coin, secret};

type Key = [u8; 32];

/// Every label under which the protocol expands a secret of a negotiation.
const LABELS: [&str; 9] = [
    "payment secret",
    "key secret",
    "master key",
    "exporter",
    "confirm initiator",
    "confirm responder",
    "fingerprint",
    "session",
    "message key",
];

/// A negotiation over the dynamic carrier: what is public of it, and what is not.
struct Negotiation {
    suite: Suite,
    context: Context,
    prekeys: PrekeySecret,
    draft: Draft,
    first: FirstSecret,
    agreed: Agreed,
    answer: Vec<u8>,
    offer_txid: Txid,
}

impl Negotiation {
    fn of(suite: Suite) -> Self {
        let (initiator, responder) = (car().party_ref(), charger().party_ref());
        let context = Context { initiator, responder, input0: coin(1), carrier: Carrier::Dynamic };
        let [ours, theirs] = [5, 6].map(|byte| NegotiationSecret::from_secret(secret(byte)));
        let prekeys = PrekeySecret::from_secret(secret(7));
        let draft =
            Draft::to_prekey(context, suite, &prekeys.public(suite), Height::new(144), &ours).unwrap();
        let direction = context.letter(Role::Initiator, context.input0);
        let receive = || FirstSecret::receive(&direction, draft.offer(), &prekeys).unwrap();
        let received = Received::new(context, draft.offer().clone(), coin(3)).with_first(receive());
        let (answer, agreed) = received.answer(&theirs).unwrap();
        let first = receive();
        let answer = answer.to_bytes();
        Self { suite, context, prekeys, draft, first, agreed, answer, offer_txid: coin(3).txid }
    }

    fn prekey(&self) -> Vec<u8> {
        self.prekeys.public(self.suite)
    }

    fn ciphertext(&self) -> &[u8] {
        match self.draft.offer().terms() {
            Terms::Dynamic { ciphertext, .. } => ciphertext,
            _ => &[],
        }
    }

    /// What the first secret is bound to: all of it is public.
    fn bound(&self) -> Key {
        let Context { initiator, responder, input0, .. } = self.context;
        let suite = [self.suite.number()];
        let (share, prekey) = (self.draft.offer().share(), self.prekey());
        let (chain, input0) = (keyway_chain::Chain::regtest().id(), outpoint_bytes(input0));
        let keys = [initiator.key, responder.key].map(|key| key.to_bytes());
        let parts =
            [chain.as_bytes(), &suite[..], &keys[0], &keys[1], &prekey, share, self.ciphertext(), &input0];
        hash("first secret", &parts)
    }

    fn transcript(&self) -> Key {
        *self.agreed.transcript().as_bytes()
    }

    /// The public keys of X25519 that stand somewhere; an X-Wing key or ciphertext ends with one.
    fn points(&self) -> Vec<Key> {
        let share_b = &self.answer[..self.answer.len() - 16];
        let prekey = self.prekey();
        let shares = [&prekey, self.draft.offer().share(), self.ciphertext(), share_b];
        let last = shares.into_iter().filter_map(|share| share.last_chunk::<32>().copied());
        last.chain([car().permanent.sealing, charger().permanent.sealing]).collect()
    }

    /// Everything of 32 bytes that an observer has: t, and what the chain, the cards and the messages show.
    fn public(&self) -> BTreeSet<Key> {
        let t = *self.first.payment_secret().expose();
        let x =
            |key: keyway_protocol::identity::PartyKey| key.to_public_key().x_only_public_key().0.serialize();
        let hashes = [self.bound(), self.transcript(), *self.context.id().as_bytes()];
        let parties = [&car().permanent, &charger().permanent];
        let messages = [self.draft.offer().to_bytes(), self.answer.clone()];
        let blocks = [self.offer_txid.to_byte_array(), BlockHash::all_zeros().to_byte_array()];
        [t, Sha256::digest(t).into(), [0; 32], [0xff; 32]]
            .into_iter()
            .chain(hashes)
            .chain(blocks)
            .chain(parties.iter().flat_map(|party| [party.digest(), party.sealing, x(party.key)]))
            .chain(messages.iter().map(|message| Sha256::digest(message).into()))
            .chain(
                messages
                    .iter()
                    .flat_map(|message| message.chunks_exact(32).map(|part| part.try_into().unwrap())),
            )
            .chain(self.points())
            .collect()
    }

    fn mk(&self) -> Key {
        *self.agreed.master_key().as_secret().expose()
    }
}

fn expand(key: &Key, label: &str) -> Key {
    let label = format!("keyway/1 {label}");
    let info = [&(label.len() as u32).to_be_bytes()[..], label.as_bytes()].concat();
    let mut okm = [0; 32];
    Hkdf::<Sha256>::from_prk(key).unwrap().expand(&info, &mut okm).unwrap();
    okm
}

fn extract(salt: &Key, ikm: &[u8]) -> Key {
    Hkdf::<Sha256>::extract(Some(salt), ikm).0.into()
}

/// What every operation of the protocol makes of these values, beside the values themselves.
fn closure(negotiation: &Negotiation, known: &BTreeSet<Key>) -> BTreeSet<Key> {
    let points = negotiation.points();
    let salts = [negotiation.bound(), negotiation.transcript(), [0; 32]];
    let of_one = |key: &Key| {
        let expanded = LABELS.map(|label| expand(key, label));
        let extracted = salts.map(|salt| extract(&salt, key));
        let agreed = points.iter().map(|point| x25519_dalek::x25519(*key, *point));
        let digest: Key = Sha256::digest(key).into();
        expanded.into_iter().chain(extracted).chain(agreed).chain([digest]).collect::<Vec<_>>()
    };
    known.iter().flat_map(of_one).chain(known.iter().copied()).collect()
}

/// Whether mk comes out when these values are taken for the key secret's parts, for prk, or for mk itself.
fn reach_mk(negotiation: &Negotiation, known: &BTreeSet<Key>) -> bool {
    let (th, mk) = (negotiation.transcript(), negotiation.mk());
    let from = |ikm: &[u8]| expand(&extract(&th, ikm), "master key") == mk;
    known.iter().any(|one| {
        *one == mk
            || expand(one, "master key") == mk
            || from(one)
            || known.iter().any(|other| from(&[*one, *other].concat()))
    })
}

#[test]
fn whoever_sees_t_and_the_whole_chain_does_not_reach_mk() {
    for suite in Suite::WITH_PREKEYS {
        let negotiation = Negotiation::of(suite);
        let known = closure(&negotiation, &negotiation.public());
        let t = negotiation.first.payment_secret();
        assert!(known.contains(t.expose()), "t is among what he has");
        assert!(!reach_mk(&negotiation, &known), "{suite}");
    }
}

/// Else failing would prove nothing.
#[test]
fn by_the_same_means_a_secret_share_beside_the_first_secret_gives_mk_and_the_first_alone_does_not() {
    let negotiation = Negotiation::of(Suite::X25519);
    let share = |label: &str, key: &Key, parts: &[&[u8]]| {
        let label = format!("keyway/1 {label}");
        let parts = std::iter::once(label.as_bytes()).chain(parts.iter().copied());
        let info: Vec<u8> =
            parts.flat_map(|part| [&(part.len() as u32).to_be_bytes()[..], part].concat()).collect();
        let mut okm = [0; 32];
        Hkdf::<Sha256>::from_prk(key).unwrap().expand(&info, &mut okm).unwrap();
        okm
    };
    // The responder's prekey gives the first secret, and the initiator's share the other.
    let prekey = share("prekey", &[7; 32], &[&[Suite::X25519.number()]]);
    let theirs: Key = negotiation.draft.offer().share().try_into().unwrap();
    let first = extract(&negotiation.bound(), &x25519_dalek::x25519(prekey, theirs));
    assert_eq!(expand(&first, "payment secret"), *negotiation.first.payment_secret().expose());
    let id = *negotiation.context.id().as_bytes();
    let recipient = negotiation.context.responder.key.to_bytes();
    let nothing: Key = Sha256::digest([]).into();
    let own = share("derive", &[5; 32], &[b"x25519 share", &id, &[], &recipient, &[], &nothing]);
    let (public, both) = (negotiation.public(), [first, own]);
    for (with, reaches) in [(&both[..], true), (&both[..1], false)] {
        let known = public.iter().chain(with).copied().collect();
        assert_eq!(reach_mk(&negotiation, &closure(&negotiation, &known)), reaches, "{}", with.len());
    }
}
