//! The life of a negotiation as one table (PROTOCOL.md 9.3).

use std::fmt;

use keyway_chain::{Depth, Height};

/// Blocks above the offer in which an answer counts (PROTOCOL.md 9.2).
pub const ANSWER_WINDOW: u32 = 1_008;

/// Where a negotiation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// The offer is known; its anchor is unspent.
    Offered,
    /// An answer is known, and not mined.
    Answered,
    /// The answer is mined, less deep than the policy asks.
    Provisional,
    /// The key is in use.
    Active,
    /// A later epoch of the pair is active: the key opens and does not seal.
    Superseded,
    /// The anchor was spent by something that is no answer.
    Declined,
    /// No answer came in time, or the offer can never be mined.
    Expired,
    /// The locked payment went back to the initiator.
    Refunded,
    /// The locked payment was collected without a valid answer.
    PaidUnanswered,
    /// The secrets were erased before a reorganisation moved the answer.
    Lost,
    /// The pair's liveness coin was spent, as deep as the policy asks: the key neither seals nor opens.
    Revoked,
}

impl State {
    /// Every state, in the order of the document.
    pub const ALL: [State; 11] = [
        State::Offered,
        State::Answered,
        State::Provisional,
        State::Active,
        State::Superseded,
        State::Declined,
        State::Expired,
        State::Refunded,
        State::PaidUnanswered,
        State::Lost,
        State::Revoked,
    ];

    /// Its name in documents and output.
    pub const fn name(self) -> &'static str {
        match self {
            State::Offered => "offered",
            State::Answered => "answered",
            State::Provisional => "provisional",
            State::Active => "active",
            State::Superseded => "superseded",
            State::Declined => "declined",
            State::Expired => "expired",
            State::Refunded => "refunded",
            State::PaidUnanswered => "paid-unanswered",
            State::Lost => "lost",
            State::Revoked => "revoked",
        }
    }

    /// Whether messages may be opened with the key.
    pub const fn opens(self) -> bool {
        matches!(self, State::Active | State::Superseded)
    }

    /// Whether messages may be sealed with the key.
    pub const fn seals(self) -> bool {
        matches!(self, State::Active)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Transitions while blocks are only added. A reorganisation may lead anywhere: it is read from scratch.
pub const TRANSITIONS: [(State, State, &str); 29] = [
    (State::Offered, State::Answered, "an answer is seen unmined"),
    (State::Answered, State::Offered, "the unmined answer is gone from view"),
    (State::Offered, State::Provisional, "the answer is mined"),
    (State::Answered, State::Provisional, "the answer is mined"),
    (State::Offered, State::Active, "the answer is mined, and the policy's depth is one"),
    (State::Answered, State::Active, "the answer is mined, and the policy's depth is one"),
    (State::Offered, State::Declined, "another spender of the anchor is mined"),
    (State::Answered, State::Declined, "another spender of the anchor is mined"),
    (
        State::Offered,
        State::Expired,
        "the last height for an answer passes, input 0 is spent by another, or it is given up unsigned",
    ),
    (State::Answered, State::Expired, "the last height for an answer passes"),
    (State::Provisional, State::Active, "the answer reaches the policy's depth"),
    (State::Offered, State::Superseded, "the answer is mined below a later epoch that is active"),
    (State::Answered, State::Superseded, "the answer is mined below a later epoch that is active"),
    (
        State::Provisional,
        State::Superseded,
        "the answer reaches the policy's depth together with a later epoch",
    ),
    (State::Active, State::Superseded, "a later epoch becomes active"),
    (State::Offered, State::Refunded, "the locked payment's return is mined"),
    (State::Answered, State::Refunded, "the locked payment's return is mined"),
    (State::Declined, State::Refunded, "the locked payment's return is mined"),
    (State::Expired, State::Refunded, "the locked payment's return is mined"),
    (State::Offered, State::PaidUnanswered, "the locked payment is collected by no answer"),
    (State::Answered, State::PaidUnanswered, "the locked payment is collected by no answer"),
    (State::Declined, State::PaidUnanswered, "the locked payment is collected by no answer"),
    (State::Expired, State::PaidUnanswered, "the locked payment is collected by no answer"),
    (State::Offered, State::Revoked, "the answer is mined below a revocation as deep as the policy asks"),
    (State::Answered, State::Revoked, "the answer is mined below a revocation as deep as the policy asks"),
    (State::Provisional, State::Revoked, "a revocation reaches the policy's depth together with the answer"),
    (State::Active, State::Revoked, "a revocation reaches the policy's depth"),
    (State::Superseded, State::Revoked, "a revocation reaches the policy's depth"),
    (State::Lost, State::Revoked, "a revocation reaches the policy's depth"),
];

/// A transaction's place in the best chain: epochs are ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The block's height.
    pub height: Height,
    /// The transaction's index in the block.
    pub index: u32,
}

/// What became of an offer's anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Nothing yet.
    Unspent,
    /// A transaction that would be the answer is known and not mined.
    AnswerSeen,
    /// The answer is mined.
    Answered(Position),
    /// Spent at this height, by something that is no answer.
    SpentOtherwise(Height),
}

/// What became of an offer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferPlace {
    /// Known and not mined.
    Unmined,
    /// In the best chain.
    Mined(Height),
    /// Another mined transaction spent its input 0.
    Replaced,
    /// It was prepared for another wallet to fund, and given up before this party signed it.
    GivenUp,
}

/// What became of an offer's locked payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// It is not locked, or still is.
    Open,
    /// Collected at this height by something that is no answer.
    Collected(Height),
    /// Gone back to the initiator at this height.
    Returned(Height),
}

/// What the best chain, and what is about to be mined, say of one negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The offer's transaction.
    pub offer: OfferPlace,
    /// Its anchor.
    pub anchor: Anchor,
    /// Its locked payment.
    pub payment: Payment,
    /// Whether the key's secrets are at hand, or can be derived again.
    pub has_secrets: bool,
    /// Where the pair's liveness coin was first spent above the answer, otherwise than by a move (PROTOCOL.md 9.4).
    pub revoked: Option<Height>,
}

impl Facts {
    /// The state that these facts give at `tip`, where keys need `depth`; `later` is the answer's
    /// position of the latest active epoch of the pair, if there is one.
    pub fn state(&self, tip: Height, depth: Depth, later: Option<Position>) -> State {
        match (self.offer, self.anchor) {
            (OfferPlace::Replaced | OfferPlace::GivenUp, _) => State::Expired,
            (OfferPlace::Unmined, _) => State::Offered,
            (OfferPlace::Mined(_), Anchor::Answered(at)) => self.answered(at, tip, depth, later),
            _ if matches!(self.payment, Payment::Collected(_)) => State::PaidUnanswered,
            _ if matches!(self.payment, Payment::Returned(_)) => State::Refunded,
            (OfferPlace::Mined(offer), Anchor::SpentOtherwise(at)) if in_time(offer, at) => State::Declined,
            (OfferPlace::Mined(at), _) if is_over(at, tip) => State::Expired,
            (OfferPlace::Mined(_), Anchor::SpentOtherwise(_)) => State::Expired,
            (OfferPlace::Mined(_), Anchor::AnswerSeen) => State::Answered,
            (OfferPlace::Mined(_), Anchor::Unspent) => State::Offered,
        }
    }

    fn answered(&self, at: Position, tip: Height, depth: Depth, later: Option<Position>) -> State {
        if self.revoked.is_some_and(|spent| spent.depth_under(tip) >= depth) {
            State::Revoked
        } else if !self.has_secrets {
            State::Lost
        } else if at.height.depth_under(tip) < depth {
            State::Provisional
        } else if later.is_some_and(|later| later > at) {
            State::Superseded
        } else {
            State::Active
        }
    }
}

/// Whether a block above `tip` is too late for the answer to an offer mined at `offer`.
fn is_over(offer: Height, tip: Height) -> bool {
    tip >= offer.plus(ANSWER_WINDOW)
}

/// Whether an answer mined at `answer` counts for an offer mined at `offer`.
pub fn in_time(offer: Height, answer: Height) -> bool {
    answer <= offer.plus(ANSWER_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEPTH: Depth = Depth::new(3);

    fn offered_at(height: u32, anchor: Anchor) -> Facts {
        let offer = OfferPlace::Mined(Height::new(height));
        Facts { offer, anchor, payment: Payment::Open, has_secrets: true, revoked: None }
    }

    #[test]
    fn a_key_is_provisional_until_its_answer_is_deep_enough() {
        let facts = offered_at(10, Anchor::Answered(Position { height: Height::new(12), index: 1 }));
        let at = |tip| facts.state(Height::new(tip), DEPTH, None);
        assert_eq!([at(12), at(13), at(14)], [State::Provisional, State::Provisional, State::Active]);
    }

    #[test]
    fn a_key_lives_until_its_revocation_is_as_deep_as_a_key_must_be_and_is_not_merely_lost() {
        let answered = Anchor::Answered(Position { height: Height::new(12), index: 1 });
        let facts = Facts { revoked: Some(Height::new(20)), ..offered_at(10, answered) };
        let at = |facts: Facts, tip| facts.state(Height::new(tip), DEPTH, None);
        assert_eq!([at(facts, 21), at(facts, 22)], [State::Active, State::Revoked]);
        let erased = Facts { has_secrets: false, ..facts };
        assert_eq!([at(erased, 21), at(erased, 22)], [State::Lost, State::Revoked]);
        assert!(!State::Revoked.seals() && !State::Revoked.opens());
    }

    #[test]
    fn an_offer_expires_when_no_later_block_can_answer_it() {
        let facts = offered_at(10, Anchor::Unspent);
        assert_eq!(facts.state(Height::new(10 + ANSWER_WINDOW - 1), DEPTH, None), State::Offered);
        assert_eq!(facts.state(Height::new(10 + ANSWER_WINDOW), DEPTH, None), State::Expired);
        assert!(in_time(Height::new(10), Height::new(10 + ANSWER_WINDOW)));
        assert!(!in_time(Height::new(10), Height::new(11 + ANSWER_WINDOW)));
    }

    /// What one more block, or a change of what is about to be mined, may make of the facts.
    fn successors(facts: Facts, tip: Height) -> Vec<Facts> {
        let mut next = vec![facts];
        let with = |anchor| Facts { anchor, ..facts };
        match (facts.offer, facts.anchor) {
            (OfferPlace::Unmined, _) => {
                next.push(Facts { offer: OfferPlace::Replaced, ..facts });
                next.push(Facts { offer: OfferPlace::GivenUp, ..facts });
                next.push(Facts { offer: OfferPlace::Mined(tip), ..facts });
            }
            (OfferPlace::Mined(_), Anchor::Unspent | Anchor::AnswerSeen) => {
                next.extend([Anchor::Unspent, Anchor::AnswerSeen, Anchor::SpentOtherwise(tip)].map(with));
                if facts.payment == Payment::Open {
                    next.push(with(Anchor::Answered(Position { height: tip, index: 1 })));
                }
            }
            _ => {}
        }
        if matches!(facts.anchor, Anchor::Answered(_)) && facts.revoked.is_none() {
            next.push(Facts { revoked: Some(tip), ..facts });
        }
        // An answer spends the payment too: nothing else can after it.
        let mined = matches!(facts.offer, OfferPlace::Mined(_)) && facts.payment == Payment::Open;
        if mined && !matches!(facts.anchor, Anchor::Answered(_)) {
            next.push(Facts { payment: Payment::Collected(tip), ..facts });
            next.push(Facts { payment: Payment::Returned(tip), ..facts });
        }
        next
    }

    proptest! {
        #[test]
        fn every_change_of_state_while_the_chain_grows_stands_in_the_table(
            depth in 1u32..5,
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0u32..600, any::<bool>()), 1..40),
        ) {
            let depth = Depth::new(depth);
            let mut tip = Height::new(1);
            let (offer, anchor, payment) = (OfferPlace::Unmined, Anchor::Unspent, Payment::Open);
            let mut facts = Facts { offer, anchor, payment, has_secrets: true, revoked: None };
            let mut later = None;
            let mut state = facts.state(tip, depth, later);
            for (pick, blocks, newer) in steps {
                tip = tip.plus(blocks.max(1));
                // An answer after the last height is mined in vain: it is no answer.
                let choices: Vec<Facts> = successors(facts, tip)
                    .into_iter()
                    .filter(|next| !matches!((next.offer, next.anchor),
                        (OfferPlace::Mined(offer), Anchor::Answered(at)) if !in_time(offer, at.height)))
                    .collect();
                facts = choices[pick.index(choices.len())];
                if newer && matches!(facts.anchor, Anchor::Answered(_)) {
                    later = Some(Position { height: tip, index: 2 });
                }
                let next = facts.state(tip, depth, later);
                prop_assert!(
                    next == state || TRANSITIONS.iter().any(|&(from, to, _)| (from, to) == (state, next)),
                    "{state} to {next} at {tip}: {facts:?}"
                );
                state = next;
            }
        }
    }

    #[test]
    fn the_document_lists_every_state_and_every_transition() {
        let document = include_str!("../../docs/PROTOCOL.md");
        for state in State::ALL {
            assert!(document.contains(&format!("\n| {state} |")), "{state} is missing in PROTOCOL.md 9.3");
        }
        let mut rows = document
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
            .map(|line| line.split(" | ").collect::<Vec<_>>())
            .filter(|cells| cells.len() == 3);
        for (from, to, on) in TRANSITIONS {
            let row = rows.by_ref().find(|cells| cells[..] == [from.name(), to.name(), on]);
            assert!(row.is_some(), "PROTOCOL.md 9.3 lacks, in this order: {from} | {to} | {on}");
        }
    }
}
