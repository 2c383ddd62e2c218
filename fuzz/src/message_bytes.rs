//! Bytes that a carrier hands over as an offer, or as the answer to one.
//!
//! Input: kind (u8). Of an even kind the rest is the offer that the charger found, of an odd one the answer that the car
//! found to its own offer of the answer's suite; half of it, modulo 3, is the carrier.

use bitcoin::{OutPoint, Txid};
use keyway_chain::Height;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{Answer, AnswerForm, Brought, Carrier, Offer, Refusal, Terms};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::prekey::{FirstSecret, PrekeySecret};
use keyway_protocol::suite::{Numbers, Published, Suite};
use sha2::{Digest, Sha256};

use crate::common::{car, charger, coin, secret};
use crate::fixtures::{MODP2048, numbers};

/// Whether both sides meet a message of that suite, after it was found to be one.
type Tries = fn(Suite, &[u8]) -> bool;

/// Reads these bytes and holds both sides to their promises.
pub fn message_bytes(data: &[u8]) {
    read(data, |_, _| true);
}

/// The same for a fuzzer. In finite fields both sides take a hundred times as long as all else: there they meet one message in
/// 256, by its hash, which no fuzzer learns to choose.
pub fn sampled(data: &[u8]) {
    read(data, |suite, bytes| {
        let is_quick = matches!(suite, Suite::X25519 | Suite::X25519MlKem768);
        is_quick || Sha256::digest(bytes)[0] == 0
    });
}

fn read(data: &[u8], tries: Tries) {
    let Some((kind, data)) = data.split_first() else { return };
    let carrier = Carrier::ALL[usize::from(kind / 2) % Carrier::ALL.len()];
    match kind % 2 {
        0 => read_offer(carrier, data, tries),
        _ => read_answer(carrier, data, tries),
    }
}

/// The car's own offer in amounts.
pub fn offer(suite: Suite, form: AnswerForm) -> Offer {
    draft(suite, &Terms::Value(form), &Brought::Nothing).offer().clone()
}

/// The car's own offer over a carrier.
pub fn offer_over(suite: Suite, carrier: Carrier) -> Offer {
    draft(suite, &terms(carrier), &published(suite)).offer().clone()
}

/// The charger's answer.
pub fn answer(offer: Offer) -> Result<(Answer, Agreed), Refusal> {
    let mut received = Received::new(context(), offer.clone(), anchor()).at(202);
    if offer.carrier() == Carrier::Dynamic {
        let direction = context().letter(Role::Initiator, coin(1));
        received = received.with_first(FirstSecret::receive(&direction, &offer, &prekeys())?);
    }
    if let Brought::Published(_) = offer.group() {
        received = received.with_published(known());
    }
    received.answer(&NegotiationSecret::from_secret(secret(2)))
}

fn read_offer(carrier: Carrier, bytes: &[u8], tries: Tries) {
    let found = match Offer::from_bytes(carrier, bytes) {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(found.to_bytes(), bytes);
    assert!(carrier == Carrier::Dynamic || Answer::from_bytes(carrier, bytes).is_err());
    if !tries(found.suite(), bytes) {
        return;
    }
    let (answer, theirs) = match answer(found.clone()) {
        Ok(answered) => answered,
        Err(refused) => return assert!(!refused.to_string().is_empty()),
    };
    assert_eq!(Answer::from_bytes(carrier, &answer.to_bytes()), Ok(answer.clone()));
    let own = draft(found.suite(), found.terms(), found.group()).offer().clone();
    match handle(found.terms(), found.group(), &answer) {
        Ok(ours) => assert!(found == own && ours.fingerprint() == theirs.fingerprint()),
        Err(refused) => assert!(found != own && refused == Refusal::WrongTag),
    }
}

/// No fuzzer has the charger's key: only the charger's answer is one.
fn read_answer(carrier: Carrier, bytes: &[u8], tries: Tries) {
    let found = match Answer::from_bytes(carrier, bytes) {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(found.to_bytes(), bytes);
    if !tries(found.suite(), bytes) {
        return;
    }
    match handle(&terms(carrier), &published(found.suite()), &found) {
        Ok(_) => assert_eq!(found, answer(offer_over(found.suite(), carrier)).unwrap().0),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

fn terms(carrier: Carrier) -> Terms {
    match carrier {
        Carrier::Static => Terms::Static { timestamp: 201 },
        Carrier::Dynamic => draft_to_prekey(Suite::X25519, Height::new(345)).offer().terms().clone(),
        _ => Terms::Value(AnswerForm::Sequences),
    }
}

fn handle(terms: &Terms, group: &Brought, answer: &Answer) -> Result<Agreed, Refusal> {
    draft(answer.suite(), terms, group).mined(anchor().txid).handle(answer)
}

/// The group that the car's own offers of a suite bring: always the same numbers.
fn published(suite: Suite) -> Brought {
    let (numbers, txid) = (known(), coin(8).txid);
    match suite {
        Suite::FfdhPublished => Brought::Published(Published { txid, digest: numbers.digest() }),
        Suite::FfdhCustom => Brought::Numbers(numbers),
        _ => Brought::Nothing,
    }
}

fn known() -> Numbers {
    numbers(MODP2048, 2)
}

/// Where a group is asked for, it was found sound before.
fn draft(suite: Suite, terms: &Terms, group: &Brought) -> Draft {
    let in_group = |numbers: &Numbers, txid: Option<Txid>, timestamp: u32| {
        Draft::in_group(context(), numbers.check(suite).unwrap(), txid, timestamp, &car_secret())
    };
    match (terms, group) {
        (Terms::Static { timestamp }, Brought::Numbers(numbers)) => in_group(numbers, None, *timestamp),
        (Terms::Static { timestamp }, Brought::Published(named)) => {
            in_group(&known(), Some(named.txid), *timestamp)
        }
        _ => groupless(suite, terms),
    }
}

fn groupless(suite: Suite, terms: &Terms) -> Draft {
    match terms {
        Terms::Value(form) => Draft::new(context(), suite, *form, &car_secret()),
        Terms::Static { timestamp } => Draft::dated(context(), suite, *timestamp, &car_secret()),
        Terms::Dynamic { timeout, .. } => draft_to_prekey(suite, *timeout),
    }
}

fn draft_to_prekey(suite: Suite, timeout: Height) -> Draft {
    Draft::to_prekey(context(), suite, &prekeys().public(suite), timeout, &car_secret()).unwrap()
}

fn prekeys() -> PrekeySecret {
    PrekeySecret::from_secret(secret(3))
}

fn context() -> Context {
    Context {
        initiator: car().party_ref(),
        responder: charger().party_ref(),
        input0: coin(1),
        carrier: Carrier::Value,
    }
}

fn anchor() -> OutPoint {
    OutPoint::new(coin(7).txid, 3)
}

fn car_secret() -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(1))
}
