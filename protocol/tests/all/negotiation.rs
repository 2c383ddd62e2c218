//! Both sides of a negotiation, and what happens when they do not see the same (PROTOCOL.md 8).

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use keyway_chain::{Chain, ChainId};
use keyway_protocol::identity::{NegotiationSecret, PartyKey, PartyRef};
use keyway_protocol::message::{Answer, AnswerForm, BadMessage, Carrier, Offer, Refusal, Tag};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::suite::Suite;
use subtle::ConstantTimeEq;

use crate::common::{car, charger, coin, mallory, secret};

/// What one side sees of a negotiation.
#[derive(Clone, Copy)]
struct View {
    context: Context,
    anchor: OutPoint,
}

fn view() -> View {
    let context = Context {
        initiator: car().party_ref(),
        responder: charger().party_ref(),
        input0: coin(1),
        carrier: Carrier::Value,
    };
    View { context, anchor: OutPoint::new(Txid::from_byte_array([0xaa; 32]), 3) }
}

impl View {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn draft(&self, form: AnswerForm) -> Draft {
        Draft::new(self.context, Suite::X25519, form, &car_secret())
    }

    fn offer(&self) -> Offer {
        self.draft(AnswerForm::Sequences).offer().clone()
    }

    /// The charger answers this offer.
    fn answer(&self, offer: Offer) -> (Answer, Agreed) {
        Received::new(self.context, offer, self.anchor).answer(&charger_secret()).unwrap()
    }

    /// The car reads this answer to its own offer.
    fn handle(&self, answer: &Answer) -> Result<Agreed, Refusal> {
        self.draft(AnswerForm::Sequences).mined(self.anchor.txid).handle(answer)
    }
}

fn car_secret() -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(1))
}

fn charger_secret() -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(2))
}

fn same_keys(one: &Agreed, other: &Agreed) -> bool {
    let pairs = [
        one.master_key().as_secret().ct_eq(other.master_key().as_secret()),
        one.exporter_key().ct_eq(&other.exporter_key()),
    ];
    pairs.into_iter().all(bool::from)
        && one.fingerprint() == other.fingerprint()
        && one.transcript() == other.transcript()
        && [Role::Initiator, Role::Responder].into_iter().all(|role| one.tag(role).matches(&other.tag(role)))
}

#[test]
fn both_sides_reach_the_same_keys_fingerprint_and_tags_in_both_forms() {
    for form in [AnswerForm::Sequences, AnswerForm::Amounts] {
        let view = view();
        let draft = view.draft(form);
        let offer = Offer::from_bytes(Carrier::Value, &draft.offer().to_bytes()).unwrap();
        assert_eq!(offer.form(), form);
        let (answer, theirs) = view.answer(offer);
        let answer = Answer::from_bytes(Carrier::Value, &answer.to_bytes()).unwrap();
        let ours = draft.mined(view.anchor.txid).handle(&answer).unwrap();
        assert!(same_keys(&ours, &theirs));
        assert_eq!((ours.id(), ours.id()), (theirs.id(), view.context.id()));
        assert_eq!((ours.role(), theirs.role()), (Role::Initiator, Role::Responder));
    }
}

#[test]
fn the_keys_that_one_agreement_gives_all_differ() {
    let view = view();
    let (_, agreed) = view.answer(view.offer());
    let mk = *agreed.master_key().as_secret().expose();
    let exporter = *agreed.exporter_key().expose();
    let tags = [Role::Initiator, Role::Responder].map(|role| *agreed.tag(role).as_bytes());
    assert_ne!(mk, exporter);
    assert_ne!(tags[0], tags[1]);
    assert_ne!(agreed.fingerprint().as_bytes()[..], mk[..8]);
    assert_ne!(agreed.fingerprint().as_bytes()[..], exporter[..8]);
}

type Change = Box<dyn Fn(&mut View)>;

/// One change per ingredient of the transcript that both sides know before the shares.
fn changes() -> Vec<(&'static str, Change)> {
    fn party(change: impl Fn(&mut PartyRef) + 'static, role: Role) -> Change {
        Box::new(move |view| match role {
            Role::Initiator => change(&mut view.context.initiator),
            Role::Responder => change(&mut view.context.responder),
        })
    }
    let other_key: PartyKey = mallory().key();
    let key = move |party: &mut PartyRef| party.key = other_key;
    let digest = |party: &mut PartyRef| party.card_digest[31] ^= 1;
    let chain = |view: &mut View| {
        let other: ChainId = Chain::named("litecoin-regtest").unwrap().id();
        (view.context.initiator.chain, view.context.responder.chain) = (other, other);
    };
    vec![
        ("the chain", Box::new(chain)),
        ("the initiator's key", party(key, Role::Initiator)),
        ("the responder's key", party(key, Role::Responder)),
        ("the initiator's card", party(digest, Role::Initiator)),
        ("the responder's card", party(digest, Role::Responder)),
        ("the offer's txid", Box::new(|view| view.anchor.txid = Txid::from_byte_array([0xab; 32]))),
        ("input 0's txid", Box::new(|view| view.context.input0.txid = Txid::from_byte_array([9; 32]))),
        ("input 0's index", Box::new(|view| view.context.input0.vout ^= 1)),
        (
            "the roles",
            Box::new(|view| {
                let Context { initiator, responder, .. } = view.context;
                (view.context.initiator, view.context.responder) = (responder, initiator);
            }),
        ),
    ]
}

#[test]
fn an_answer_by_one_who_sees_any_ingredient_differently_is_refused() {
    let ours = view();
    let (_, agreed) = ours.answer(ours.offer());
    for (what, change) in changes() {
        let theirs = ours.with(&change);
        // The same offer reaches the charger, who believes something else beside it.
        let (answer, other) = theirs.answer(ours.offer());
        assert!(!same_keys(&agreed, &other), "{what}");
        assert_eq!(ours.handle(&answer).unwrap_err(), Refusal::WrongTag, "{what}");
    }
}

#[test]
fn two_who_agree_on_a_changed_ingredient_have_another_key() {
    let (_, before) = view().answer(view().offer());
    for (what, change) in changes() {
        let view = view().with(&change);
        let (answer, theirs) = view.answer(view.offer());
        assert!(same_keys(&view.handle(&answer).unwrap(), &theirs), "{what}");
        assert!(!same_keys(&before, &theirs), "{what}");
        assert_ne!(before.transcript(), theirs.transcript(), "{what}");
    }
}

#[test]
fn an_offer_changed_on_the_way_leads_to_no_key() {
    let view = view();
    let bytes = view.offer().to_bytes();
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 0x80 >> (bit % 8);
        // Bit 1 is the form; the share's last byte has the bit that X25519 ignores, and the transcript does not.
        let Ok(offer) = Offer::from_bytes(Carrier::Value, &changed) else {
            assert!(bit < 8, "bit {bit} is the share's");
            continue;
        };
        let (answer, _) = view.answer(offer);
        assert_eq!(view.handle(&answer).unwrap_err(), Refusal::WrongTag, "bit {bit}");
        refused += 1;
    }
    assert_eq!(refused, 1 + 256);
}

#[test]
fn an_answer_changed_on_the_way_is_refused() {
    let view = view();
    let (answer, _) = view.answer(view.offer());
    let bytes = answer.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 0x80 >> (bit % 8);
        match Answer::from_bytes(Carrier::Value, &changed) {
            Ok(answer) => assert_eq!(view.handle(&answer).unwrap_err(), Refusal::WrongTag, "bit {bit}"),
            Err(error) => {
                use BadMessage::{Kind, Length, UnknownSuite};
                // A head of another suite goes with shares of another length.
                assert!(matches!(error, Kind(..) | UnknownSuite(_) | Length { .. }), "{error:?}");
                assert!(bit < 8);
            }
        }
    }
}

#[test]
fn the_initiators_tag_in_place_of_the_responders_is_refused() {
    let view = view();
    let (answer, agreed) = view.answer(view.offer());
    let mut bytes = answer.to_bytes();
    let tag = bytes.len() - Tag::LEN;
    bytes[tag..].copy_from_slice(agreed.tag(Role::Initiator).as_bytes());
    let answer = Answer::from_bytes(Carrier::Value, &bytes).unwrap();
    assert_eq!(view.handle(&answer).unwrap_err(), Refusal::WrongTag);
}

#[test]
fn the_answer_to_another_offer_of_the_same_two_is_refused() {
    let (first, second) = (view(), view().with(|view| view.context.input0 = coin(2)));
    let (answer, _) = first.answer(first.offer());
    assert_eq!(second.handle(&answer).unwrap_err(), Refusal::WrongTag);
}

#[test]
fn an_answer_read_with_another_negotiations_secret_is_refused() {
    let view = view();
    let (answer, _) = view.answer(view.offer());
    let other = Draft::new(view.context, Suite::X25519, AnswerForm::Sequences, &charger_secret());
    assert_eq!(other.mined(view.anchor.txid).handle(&answer).unwrap_err(), Refusal::WrongTag);
}

#[test]
fn the_same_secret_gives_the_same_offer_and_the_same_answer_again() {
    let view = view();
    assert_eq!(view.offer(), view.offer());
    let (first, second) = (view.answer(view.offer()), view.answer(view.offer()));
    assert_eq!(first.0.to_bytes(), second.0.to_bytes());
    assert!(same_keys(&first.1, &second.1));
}

#[test]
fn another_anchor_peer_role_or_negotiation_gives_another_share() {
    let ours = view();
    let share = |view: View| view.answer(ours.offer()).0.share().to_vec();
    let mallory = mallory().party_ref();
    let others = [
        ours.with(|view| view.anchor.vout += 1),
        ours.with(|view| view.anchor.txid = Txid::from_byte_array([0xab; 32])),
        ours.with(|view| view.context.input0 = coin(2)),
        ours.with(|view| view.context.initiator = mallory),
        ours.with(|view| view.context.responder = mallory),
    ];
    let mut shares: Vec<_> = others.into_iter().map(share).collect();
    shares.push(share(ours));
    // The charger's secret in the initiator's place: no anchor yet, and another recipient.
    let draft = Draft::new(ours.context, Suite::X25519, AnswerForm::Sequences, &charger_secret());
    shares.push(draft.offer().share().to_vec());
    let distinct: std::collections::HashSet<_> = shares.iter().collect();
    assert_eq!(distinct.len(), shares.len());
}

#[test]
fn a_raised_fee_changes_neither_the_id_nor_the_share() {
    let view = view();
    let bumped = view.with(|view| view.anchor.txid = Txid::from_byte_array([0xbb; 32]));
    assert_eq!((view.context.id(), view.offer()), (bumped.context.id(), bumped.offer()));
    let (answer, theirs) = bumped.answer(view.offer());
    assert!(same_keys(&bumped.handle(&answer).unwrap(), &theirs));
    assert_eq!(view.handle(&answer).unwrap_err(), Refusal::WrongTag, "only the mined version counts");
}
