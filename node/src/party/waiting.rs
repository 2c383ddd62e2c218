//! What a negotiation waits for, so that nobody has to guess.

use std::fmt;

use bitcoin::{FeeRate, Txid};
use keyway_chain::{Depth, Height};
use keyway_protocol::negotiation::Role;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{ANSWER_WINDOW, OfferPlace, State};

use super::Party;
use crate::peers::Standing;
use crate::reading::{OfferRead, Reading};
use crate::store::Record;

/// What a negotiation waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Its offer is not mined.
    OfferUnmined,
    /// This home's offer or answer is not mined, and it may not pay more for it.
    AtCeiling {
        /// Offer or answer.
        what: &'static str,
        /// The most that the configuration allows.
        ceiling: FeeRate,
    },
    /// It is given up, and the return of its coin, this transaction, is on its way.
    CoinReturns(Txid),
    /// It is given up, but the ledger keeps it and takes nothing in its place.
    KeptByLedger,
    /// Another wallet paid for it, and what came back to this home is too little to raise its fee.
    PaidElsewhere,
    /// It is prepared for another wallet to fund, up to this height.
    Prepared(Height),
    /// The peer may answer up to this height.
    PeerAnswers(Height),
    /// The offer is not as deep as the policy asks before answering.
    OfferDepth {
        /// Its depth.
        has: Depth,
        /// The policy's.
        wants: Depth,
    },
    /// The answer is not mined.
    AnswerUnmined,
    /// The answer is not as deep as the policy asks before the key is used.
    KeyDepth {
        /// Its depth.
        has: Depth,
        /// The policy's.
        wants: Depth,
    },
    /// A revocation of the key is mined, and counts at the policy's depth.
    Revocation {
        /// The revocation's.
        has: Depth,
        /// The policy's.
        wants: Depth,
    },
    /// This home answers nobody.
    PolicyAnswersNobody,
    /// The offer pays less than the policy asks.
    PolicyPrice(bitcoin::Amount),
    /// The policy answers no such suite or carrier.
    PolicyTerms,
    /// This home does not deal with the peer.
    NotDealtWith(Standing),
    /// The group that the offer names is not there, or nobody's whose groups are used.
    Group,
    /// The payment could go back before the answer is mined.
    TooLate,
    /// The next round answers.
    NextRound,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfferUnmined => f.write_str("the offer waits to be mined"),
            Self::AtCeiling { what, ceiling } => write!(
                f,
                "the {what} waits to be mined, and a higher fee would exceed fees.ceiling_sat_per_vb, which is {}",
                ceiling.to_sat_per_vb_floor()
            ),
            Self::CoinReturns(txid) => {
                write!(f, "the offer is given up: its coin comes back when {txid} is mined")
            }
            Self::KeptByLedger => f.write_str(
                "the offer is given up, but the ledger keeps it and takes nothing in its place: it may be mined yet",
            ),
            Self::PaidElsewhere => f.write_str(
                "the offer waits to be mined; another wallet paid its fee, and the coin that came back is too small to \
                 raise it",
            ),
            Self::Prepared(height) => {
                write!(f, "prepared: its PSBT, funded and signed, is taken up to block {height}")
            }
            Self::PeerAnswers(height) => write!(f, "the peer may answer up to block {height}"),
            Self::OfferDepth { has, wants } => {
                write!(f, "the offer has depth {has}, and is answered at {wants}")
            }
            Self::AnswerUnmined => f.write_str("the answer waits to be mined"),
            Self::KeyDepth { has, wants } => {
                write!(f, "the answer has depth {has}, and its key is used at {wants}")
            }
            Self::Revocation { has, wants } => {
                write!(f, "its revocation has depth {has} of {wants}")
            }
            Self::PolicyAnswersNobody => f.write_str("not answered: policy.answer is false"),
            Self::PolicyPrice(least) => write!(
                f,
                "not answered: it pays less than policy.least_price_sat, which is {}",
                least.to_sat()
            ),
            Self::PolicyTerms => f.write_str("not answered: policy.suites or policy.carriers leaves it out"),
            Self::NotDealtWith(standing) => write!(f, "not answered: the peer is {}", standing.name()),
            Self::Group => f.write_str(
                "not answered: the group that it names is of nobody in policy.groups_from, or was published too late",
            ),
            Self::TooLate => f.write_str("not answered: its payment could go back before an answer is mined"),
            Self::NextRound => f.write_str("answered by the next `keyway sync`"),
        }
    }
}

impl Party {
    /// What a negotiation in `state` waits for; `None` if it waits for nothing.
    pub(super) fn waits_for(&self, record: &Record, reading: &Reading, state: State) -> Option<Waiting> {
        match (state, record.role, reading.facts.offer) {
            (State::Offered, _, OfferPlace::Unmined) => Some(self.unmined_offer(record, reading)),
            (State::Offered, Role::Initiator, OfferPlace::Mined(at)) => {
                let timeout = reading.offer.as_ref().and_then(OfferRead::timeout);
                let last = at.plus(ANSWER_WINDOW);
                Some(Waiting::PeerAnswers(timeout.map_or(last, |timeout| timeout.min(last))))
            }
            (State::Offered, Role::Responder, OfferPlace::Mined(at)) => {
                Some(self.unanswered(record, reading, at))
            }
            (State::Answered, ..) => {
                let answer = reading.answer.as_ref().map(|answer| answer.txid);
                Some(self.at_ceiling("answer", answer).unwrap_or(Waiting::AnswerUnmined))
            }
            (State::Provisional, ..) => {
                let at = reading.answer.as_ref().and_then(|answer| answer.at)?;
                let has = at.height.depth_under(self.history.tip());
                Some(Waiting::KeyDepth { has, wants: self.config.policy.key_depth })
            }
            (State::Active | State::Superseded, ..) => {
                let has = reading.facts.revoked?.depth_under(self.history.tip());
                Some(Waiting::Revocation { has, wants: self.config.policy.key_depth })
            }
            _ => None,
        }
    }

    /// Why an offer is not mined.
    fn unmined_offer(&self, record: &Record, reading: &Reading) -> Waiting {
        if let Some(prepared) = self.preparations.of(&record.id) {
            return Waiting::Prepared(prepared.until);
        }
        if let Some(back) = self.cancellation(&record.id) {
            let is_sent = self.history.hopeful_sent().any(|sent| sent.txid == back.txid);
            return if is_sent { Waiting::CoinReturns(back.txid) } else { Waiting::KeptByLedger };
        }
        let offer = reading.offer.as_ref().map(|offer| offer.txid);
        if offer.is_some_and(|txid| self.is_stuck(&txid)) {
            return Waiting::PaidElsewhere;
        }
        self.at_ceiling("offer", offer).unwrap_or(Waiting::OfferUnmined)
    }

    /// Whether a transaction is this home's own, and pays so much that the next step would be too much.
    fn at_ceiling(&self, what: &'static str, txid: Option<Txid>) -> Option<Waiting> {
        let sent = self.history.sent_as(&txid?)?;
        let ceiling = self.config.fee_ceiling;
        self.next_feerate(sent, FeeRate::ZERO).is_none().then_some(Waiting::AtCeiling { what, ceiling })
    }

    /// Why a peer's mined offer is not answered yet.
    fn unanswered(&self, record: &Record, reading: &Reading, at: Height) -> Waiting {
        let policy = &self.config.policy;
        let has = at.depth_under(self.history.tip());
        let standing = self.peer_by_key(record.peer).map_or(Standing::Lapsed, |peer| self.standing(peer));
        if !policy.answer {
            Waiting::PolicyAnswersNobody
        } else if !standing.deals() {
            Waiting::NotDealtWith(standing)
        } else if !self.config.accepts.takes(record.suite, record.carrier) {
            Waiting::PolicyTerms
        } else if !reading.offer.as_ref().is_some_and(|offer| self.has_group(offer)) {
            Waiting::Group
        } else if record.price < policy.least_price {
            Waiting::PolicyPrice(policy.least_price)
        } else if reading.offer.as_ref().is_some_and(|offer| self.check_time(offer).is_err()) {
            Waiting::TooLate
        } else if has < policy.offer_depth {
            Waiting::OfferDepth { has, wants: policy.offer_depth }
        } else {
            Waiting::NextRound
        }
    }
}
