//! Many schedules, one after the other and beside each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use keyway_node::NodeError;

use crate::laws::{Law, Violation};
use crate::room::Room;
use crate::world::{Tally, World};

/// A schedule in which a law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed: `./x simulate --schedules 1 --seed N` lives it again.
    pub seed: u64,
    /// The law, and how it was broken.
    pub violation: Violation,
    /// What happened until then.
    pub story: Vec<String>,
}

/// What many schedules came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many were lived to their end.
    pub schedules: u64,
    /// What they came through together.
    pub tally: Tally,
    /// The failure with the least seed among those found.
    pub failure: Option<Failure>,
}

/// The bug that all threads of [`run`] have planted.
#[cfg(feature = "planted")]
mod planted {
    use std::sync::{Mutex, PoisonError};

    use keyway_node::planted::Bug;

    static BUG: Mutex<Option<Bug>> = Mutex::new(None);

    /// From the next [`run`](super::run) on this bug is planted.
    pub fn plant(bug: Bug) {
        *BUG.lock().unwrap_or_else(PoisonError::into_inner) = Some(bug);
    }

    pub(super) fn get() -> Option<Bug> {
        *BUG.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "planted")]
pub use planted::plant;

/// Lives the schedule of one seed.
///
/// # Errors
/// The failure.
pub fn live(room: &Room, seed: u64) -> Result<Tally, Box<Failure>> {
    let mut world = None;
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let world = world.insert(World::new(room, seed)?);
        world.live().map(|()| world.tally())
    }));
    let violation = match lived {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(violation)) => violation,
        Err(panic) => Law::Sound.broken(format!("a panic: {}", text_of(panic.as_ref()))),
    };
    let story = world.map(|world| world.story().to_vec()).unwrap_or_default();
    Err(Box::new(Failure { seed, violation, story }))
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Lives the schedules of `count` seeds from `first` on, on so many threads, until one fails. `progress` hears from one
/// thread how far it is, so that whoever ends the program knows what was lived.
///
/// # Errors
/// If there is no room for the homes.
pub fn run(
    first: u64,
    count: u64,
    threads: usize,
    progress: &(dyn Fn(&Summary) + Sync),
) -> Result<Summary, NodeError> {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let work = |leads: bool| -> Result<(), NodeError> {
        let room = Room::new()?;
        #[cfg(feature = "planted")]
        keyway_node::planted::plant(planted::get());
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let lived = live(&room, first.wrapping_add(index));
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            match lived {
                Ok(tally) => summary.add(tally),
                Err(failure) => {
                    stop.store(true, Ordering::Relaxed);
                    summary.fail(*failure);
                }
            }
            if leads {
                progress(&summary);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(move || work(false))).collect();
        let own = work(true);
        let joined = others.into_iter().map(|thread| thread.join().unwrap_or(Ok(())));
        joined.fold(own, Result::and)
    })?;
    Ok(summary.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Summary {
    fn add(&mut self, tally: Tally) {
        self.schedules += 1;
        self.tally.negotiations += tally.negotiations;
        self.tally.agreed += tally.agreed;
        self.tally.deaths += tally.deaths;
    }

    fn fail(&mut self, failure: Failure) {
        if self.failure.as_ref().is_none_or(|known| failure.seed < known.seed) {
            self.failure = Some(failure);
        }
    }
}
