//! The moment at which something happens to a process: it dies, or one of its writes fails.
//!
//! Each change on its disk and each broadcast is a step. A dead process changes nothing any more; its code runs
//! on into errors until the schedule drops it, which from outside is the same as a kill.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is done.
    Go,
    /// It fails, and the process lives on.
    Fail,
    /// It is not done, for the process is dead.
    Dead,
}

/// What is to happen to a process, counted in steps from now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// It is counted from the first broadcast on: what follows a broadcast is short, and seldom hit otherwise.
    pub after_broadcast: bool,
    /// So many steps from now it dies.
    pub dies_in: Option<u64>,
    /// So many steps from now one step fails.
    pub fails_in: Option<u64>,
    /// Its disk takes no new bytes.
    pub full: bool,
    /// Of a write in which it dies, so many bytes at most still reach the disk.
    pub torn: usize,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Fuse {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    steps: u64,
    /// The step from which the plan counts.
    since: Option<u64>,
    dead: bool,
    /// The step in which it died is the present one.
    dying: bool,
}

impl Fuse {
    /// A process that lives, and what is to happen to it.
    pub fn set(&self, plan: Plan) {
        let since = (!plan.after_broadcast).then_some(0);
        *self.state() = State { plan, since, ..State::default() };
    }

    /// The next step is a broadcast.
    pub fn broadcasts(&self) {
        let mut state = self.state();
        let now = state.steps;
        state.since.get_or_insert(now);
    }

    /// Steps since the last [`Fuse::set`].
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Whether the process died.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Whether its disk is full.
    pub fn is_full(&self) -> bool {
        self.state().plan.full
    }

    /// One step.
    pub fn step(&self) -> Step {
        let mut state = self.state();
        let now = state.since.map(|since| state.steps - since);
        state.steps += 1;
        state.dying = now.is_some() && state.plan.dies_in == now;
        state.dead |= state.dying;
        match () {
            () if state.dead => Step::Dead,
            () if now.is_some() && state.plan.fails_in == now => Step::Fail,
            () => Step::Go,
        }
    }

    /// How much of a write of that length still reaches the disk, if this is the step in which it died.
    pub fn torn(&self, len: usize) -> Option<usize> {
        let state = self.state();
        state.dying.then(|| state.plan.torn.min(len))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
