//! One key for one negotiation, on both sides; and the table of states.

use std::collections::HashSet;
use std::sync::LazyLock;

use keyway_node::NegotiationView;
use keyway_protocol::state::{State, TRANSITIONS};

use super::{Law, Violation};
use crate::world::{Home, World};

impl World<'_> {
    /// [`Law::OneKey`] and [`Law::Reachable`], as far as homes that see the same chain show it.
    pub(crate) fn check_agreement(&self, index: usize) -> Result<(), Violation> {
        let Some(home) = self.homes.get(index).filter(|home| home.seen.complete) else { return Ok(()) };
        for view in &home.seen.views {
            self.check_one_key(home, view)?;
            if view.state.opens() {
                self.check_reachable(home, view)?;
            }
        }
        Ok(())
    }

    fn check_one_key(&self, home: &Home, view: &NegotiationView) -> Result<(), Violation> {
        let others = self.homes.iter().filter(|other| other.seen.complete && other.seen.tip == home.seen.tip);
        for (other, theirs) in others.filter_map(|other| Some((other, other.seen.view(view.id)?))) {
            let both = view.state.opens() && theirs.state.opens();
            Law::OneKey.holds(!both || view.fingerprint == theirs.fingerprint, || {
                format!(
                    "{} and {} at {}: {view:?} {theirs:?}",
                    home.name(),
                    other.name(),
                    home.seen.tip.height
                )
            })?;
        }
        Ok(())
    }

    fn check_reachable(&self, home: &Home, view: &NegotiationView) -> Result<(), Violation> {
        let Some(person) = crate::people::NAMES.iter().position(|name| *name == view.peer) else {
            return Ok(());
        };
        let theirs: Vec<&Home> = self.homes.iter().filter(|other| other.person == person).collect();
        let same_chain = |other: &&Home| other.seen.complete && other.seen.tip == home.seen.tip;
        if theirs.is_empty() || !theirs.iter().all(same_chain) {
            return Ok(());
        }
        // Whose policy asks for less depth stops before the other.
        let may_end = |state: State| state == State::Revoked && self.was_revoked();
        let has_key = |other: &Home| {
            let found = other.seen.view(view.id);
            found.is_some_and(|theirs| {
                theirs.fingerprint == view.fingerprint
                    && (theirs.state.opens() || theirs.state == State::Provisional || may_end(theirs.state))
            })
        };
        Law::Reachable.holds(theirs.iter().any(|other| has_key(other)), || {
            let shown: Vec<_> = theirs.iter().map(|other| (other.name(), other.seen.view(view.id))).collect();
            format!("{} at {}: {view:?}; the other side: {shown:?}", home.name(), home.seen.tip.height)
        })
    }
}

/// Whether a negotiation may go from one state to another while the chain only grows, perhaps over states that
/// nobody saw.
pub fn transition(from: State, to: State) -> bool {
    static ALLOWED: LazyLock<HashSet<(State, State)>> = LazyLock::new(|| {
        let mut allowed: HashSet<(State, State)> =
            TRANSITIONS.iter().map(|(from, to, _)| (*from, *to)).collect();
        loop {
            let further: Vec<(State, State)> = allowed
                .iter()
                .flat_map(|(a, b)| {
                    TRANSITIONS.iter().filter(move |(c, _, _)| b == c).map(move |(_, d, _)| (*a, *d))
                })
                .filter(|pair| !allowed.contains(pair))
                .collect();
            if further.is_empty() {
                return allowed;
            }
            allowed.extend(further);
        }
    });
    from == to || ALLOWED.contains(&(from, to))
}
