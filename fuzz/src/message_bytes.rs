//! Bytes that a carrier hands over as an offer, or as the answer to one.
//!
//! Input: kind (u8). Of an even kind the rest is the offer that the charger found, of an odd one the answer that the car
//! found to its own offer of the answer's suite.

use bitcoin::OutPoint;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer, Refusal};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received};
use keyway_protocol::suite::Suite;

use crate::common::{car, charger, coin, secret};

/// Reads these bytes and holds both sides to their promises.
pub fn message_bytes(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 2 {
        0 => read_offer(data),
        _ => read_answer(data),
    }
}

/// The car's own offer.
pub fn offer(suite: Suite, form: AnswerForm) -> Offer {
    draft(suite, form).offer().clone()
}

/// The charger's answer.
pub fn answer(offer: Offer) -> Result<(Answer, Agreed), Refusal> {
    Received::new(context(), offer, anchor()).answer(&NegotiationSecret::from_secret(secret(2)))
}

fn read_offer(bytes: &[u8]) {
    let found = match Offer::from_bytes(bytes) {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(found.to_bytes(), bytes);
    assert!(Answer::from_bytes(bytes).is_err());
    let (answer, theirs) = match answer(found.clone()) {
        Ok(answered) => answered,
        Err(refused) => return assert!(!refused.to_string().is_empty()),
    };
    assert_eq!(Answer::from_bytes(&answer.to_bytes()), Ok(answer.clone()));
    let own = offer(found.suite(), found.form());
    match handle(found.form(), &answer) {
        Ok(ours) => assert!(found == own && ours.fingerprint() == theirs.fingerprint()),
        Err(refused) => assert!(found != own && refused == Refusal::WrongTag),
    }
}

/// No fuzzer has the charger's key: only the charger's answer is one.
fn read_answer(bytes: &[u8]) {
    let found = match Answer::from_bytes(bytes) {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(found.to_bytes(), bytes);
    assert!(Offer::from_bytes(bytes).is_err());
    match handle(AnswerForm::Sequences, &found) {
        Ok(_) => assert_eq!(found, answer(offer(found.suite(), AnswerForm::Sequences)).unwrap().0),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

fn handle(form: AnswerForm, answer: &Answer) -> Result<Agreed, Refusal> {
    draft(answer.suite(), form).mined(anchor().txid).handle(answer, &car_secret())
}

fn draft(suite: Suite, form: AnswerForm) -> Draft {
    Draft::new(context(), suite, form, &car_secret())
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
