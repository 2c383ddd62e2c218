//! What was read before, so that a reading computed again costs look-ups, not cryptography.
//!
//! Each answer is kept with the whole question that it answers, and is given for that question alone. Of each subject
//! only the last one is kept. What no question names is the party's own: while its secrets change, everything is forgotten
//! ([`Known::forget_all`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::{Amount, Wtxid};
use keyway_chain::Height;
use keyway_evidence::seen::SeenOffer;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::message::{AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, NegotiationId};
use keyway_protocol::suite::Suite;

use super::{Case, NoAnswer};
use crate::carried::Carried;

/// Payments that are remembered; beyond that all are read again.
const MOST: usize = 1 << 16;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What payments say to this party, by transaction.
    pub(super) received: Last<Wtxid, Payment, Option<Arc<ReceivedOffer>>>,
    /// This party's own offers, as it would make them again.
    pub(super) made: Last<NegotiationId, Made, Option<Arc<MadeOffer>>>,
    /// What came of answers.
    pub(super) agreed: Last<NegotiationId, Answered, Agreement>,
    /// What anybody sees a transaction offer to whom.
    pub(super) seen: Last<(Wtxid, PartyKey), Amount, Option<Arc<SeenOffer>>>,
    /// Whether anybody takes a transaction for the answer to such an offer.
    pub(super) seen_answered: Last<(Wtxid, PartyKey), Wtxid, bool>,
}

/// A payment, and the height to read it at.
pub(super) type Payment = (Amount, Height);

/// A negotiation and the transaction that may hold its offer.
pub(super) type Made = (Subject, Wtxid, Amount);

/// A negotiation, its offer as it was found, and the transaction that may hold its answer.
pub(super) type Answered = (Subject, Wtxid, Option<Height>, Wtxid);

/// Keys, `None` once the secret is erased; or why there are none.
pub(super) type Agreement = Result<Option<Arc<Agreed>>, Arc<NoAnswer>>;

/// An offer that somebody made to this party.
#[derive(Debug)]
pub(crate) struct ReceivedOffer {
    pub(crate) author: PartyKey,
    pub(crate) carried: Arc<Carried>,
    pub(crate) message: Arc<Offer>,
}

/// An offer of this party, with what it says where that is known.
#[derive(Debug)]
pub(super) struct MadeOffer {
    pub(super) carried: Arc<Carried>,
    pub(super) message: Option<Arc<Offer>>,
}

/// A negotiation as far as its record and its peer's card decide what is read. Its secret is told from another one by its
/// index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    secret: Option<Option<u32>>,
    context: Context,
    suite: Suite,
    carrier: Carrier,
    form: AnswerForm,
}

impl Subject {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let record = case.record;
        let secret = case.secret.map(|_| record.secret_index);
        Self {
            secret,
            context: case.context,
            suite: record.suite,
            carrier: record.carrier,
            form: record.form,
        }
    }
}

impl Known {
    /// Forgets the keys of a negotiation whose secret is erased.
    pub(crate) fn forget(&self, id: &NegotiationId) {
        self.made.entries().remove(id);
        self.agreed.entries().remove(id);
    }

    /// Forgets everything: a secret of the party's own changed.
    pub(crate) fn forget_all(&self) {
        self.received.entries().clear();
        self.made.entries().clear();
        self.agreed.entries().clear();
        self.seen.entries().clear();
        self.seen_answered.entries().clear();
    }
}

/// Of each subject, the last question and its answer.
#[derive(Debug)]
pub(super) struct Last<S, Q, A>(Mutex<HashMap<S, (Q, A)>>);

impl<S, Q, A> Default for Last<S, Q, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Eq + Hash, Q: PartialEq, A: Clone> Last<S, Q, A> {
    pub(super) fn recall(&self, subject: S, question: Q, read: impl FnOnce() -> A) -> A {
        if let Some((asked, answer)) = self.entries().get(&subject)
            && *asked == question
        {
            return answer.clone();
        }
        let answer = read();
        let mut entries = self.entries();
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(subject, (question, answer.clone()));
        answer
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<S, (Q, A)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_question_about_a_transaction_is_answered_anew() {
        let known: Last<u8, (&str, u32), u32> = Last::default();
        assert_eq!(known.recall(1, ("witness", 1), || 10), 10);
        assert_eq!(known.recall(1, ("witness", 1), || 11), 10, "the same question");
        assert_eq!(known.recall(1, ("another witness", 1), || 12), 12);
        assert_eq!(known.recall(1, ("another witness", 2), || 13), 13, "another height");
        assert_eq!(known.recall(2, ("another witness", 2), || 14), 14, "another subject");
        known.entries().clear();
        assert_eq!(known.recall(2, ("another witness", 2), || 15), 15, "after forgetting");
    }
}
