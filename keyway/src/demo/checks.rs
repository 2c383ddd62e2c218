//! What must hold at the end of a demo, each checked against what the other side or the chain says.

use bitcoin::Amount;
use keyway_node::NegotiationView;

use super::story::Session;
use crate::eavesdropper::Seen;
use crate::error::Error;
use crate::render::json;

/// A claim that the demo makes.
pub trait Ensure {
    /// Fails the demo if it does not hold.
    ///
    /// # Errors
    /// [`Error::DemoBroken`] with what is wrong.
    fn or_broken(self, what: &str) -> Result<(), Error>;
}

impl Ensure for bool {
    fn or_broken(self, what: &str) -> Result<(), Error> {
        if self { Ok(()) } else { Err(Error::DemoBroken(what.to_owned())) }
    }
}

/// What the responder keeps.
///
/// # Errors
/// If it cannot be told.
pub fn netted(view: &NegotiationView) -> Result<Amount, Error> {
    let broken = || Error::DemoBroken("what the responder nets cannot be told".to_owned());
    json::netted(view).ok_or_else(broken)
}

/// The fees of offer and answer, each told by the side that paid it.
///
/// # Errors
/// If they cannot be told.
pub fn fees(initiator: &NegotiationView, responder: &NegotiationView) -> Result<(Amount, Amount), Error> {
    let offer = initiator.offer.as_ref().and_then(|offer| offer.costs.fee);
    let answer = responder.answer.as_ref().and_then(|answer| answer.costs.fee);
    offer.zip(answer).ok_or_else(|| Error::DemoBroken("a fee cannot be told".to_owned()))
}

/// Both sides use a key, and by its fingerprint it is the same.
///
/// # Errors
/// If not.
pub fn same_key(initiator: &NegotiationView, responder: &NegotiationView) -> Result<(), Error> {
    (initiator.state.seals() && responder.state.seals()).or_broken("a key is not active")?;
    let equal = initiator.fingerprint.is_some() && initiator.fingerprint == responder.fingerprint;
    equal.or_broken("the two sides have different keys")
}

/// Everything that the story says.
///
/// # Errors
/// The first thing that does not hold.
pub fn all(
    initiator: &NegotiationView,
    responder: &NegotiationView,
    seen: &Seen,
    sessions: &[Session],
) -> Result<(), Error> {
    same_key(initiator, responder)?;
    (initiator.confirmed && responder.confirmed).or_broken("a side has not seen the other's confirmation")?;
    same_transactions(initiator, responder, seen)
        .or_broken("the sides and the chain show different transactions")?;
    (seen.price == initiator.price && initiator.price == responder.price)
        .or_broken("the offer's coins are not the price")?;
    let (netted, (_, answer_fee)) = (netted(responder)?, fees(initiator, responder)?);
    (seen.netted == netted && seen.netted + seen.paid_back + answer_fee == initiator.price)
        .or_broken("the answer's sums are wrong")?;
    let successive = sessions.windows(2).all(|pair| matches!(pair, [a, b] if b.height == a.height + 1));
    (sessions.len() == 2 && successive).or_broken("the messages are not of two successive blocks")?;
    sessions.iter().all(|session| session.opened).or_broken("a message was not opened")?;
    let overheard = sessions.iter().any(|session| session.eavesdropper_opened);
    (!overheard).or_broken("the eavesdropper opened a message")
}

fn same_transactions(initiator: &NegotiationView, responder: &NegotiationView, seen: &Seen) -> bool {
    let offer = |view: &NegotiationView| view.offer.as_ref().map(|offer| offer.txid);
    let answer = |view: &NegotiationView| view.answer.as_ref().map(|answer| answer.txid);
    let [offers, answers] = [
        [offer(initiator), offer(responder), Some(seen.anchor.txid)],
        [answer(initiator), answer(responder), Some(seen.answer_txid)],
    ];
    offers.iter().all(|txid| *txid == offers[0]) && answers.iter().all(|txid| *txid == answers[0])
}
