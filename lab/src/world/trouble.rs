//! What goes wrong while a home does something.

use std::fmt;

use fastrand::Rng;

use crate::disk::End;
use crate::fuse::Plan;
use crate::link::{Fate, Move, Weather};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// What happens to the process and its disk.
    pub plan: Plan,
    /// What happens on the network.
    pub weather: Weather,
    /// How the process ends, if it does.
    pub end: End,
}

impl Trouble {
    /// None.
    pub const NONE: Self = Self {
        plan: Plan { after_broadcast: false, dies_in: None, fails_in: None, full: false, torn: 0 },
        weather: Weather { fate: Fate::Arrives, breaks_in: None, moves_in: None },
        end: End::Killed,
    };

    /// Some or none. `room` is how deep a reorganisation in the middle may go.
    pub fn draw(rng: &mut Rng, room: u32) -> Self {
        let none = Self::NONE;
        let plan = |plan| Self { plan, ..none };
        let weather = |weather| Self { weather, ..none };
        let depth = |rng: &mut Rng| rng.u32(1..=4).min(room);
        match rng.u8(..100) {
            0..=11 => {
                let end = if rng.bool() { End::Killed } else { End::PowerCut };
                let (after_broadcast, step) = moment(rng);
                let (dies_in, torn) = (Some(step), rng.usize(..4096));
                Self { end, ..plan(Plan { after_broadcast, dies_in, torn, ..none.plan }) }
            }
            12..=15 => {
                let (after_broadcast, step) = moment(rng);
                plan(Plan { after_broadcast, fails_in: Some(step), ..none.plan })
            }
            16..=17 => plan(Plan { full: true, ..none.plan }),
            18..=20 => weather(Weather { breaks_in: Some(rng.u32(..14)), ..none.weather }),
            21..=22 => weather(Weather { fate: Fate::ReplyLost, ..none.weather }),
            23..=24 => weather(Weather { fate: Fate::RequestLost, ..none.weather }),
            25..=28 => weather(Weather { fate: Fate::Delayed, ..none.weather }),
            29..=30 => weather(Weather { moves_in: Some((rng.u32(..10), Move::Block)), ..none.weather }),
            31 => {
                let moved = Move::Rollback(depth(rng));
                weather(Weather { moves_in: Some((rng.u32(..10), moved)), ..none.weather })
            }
            32 => {
                let moved = Move::Replaced(depth(rng));
                weather(Weather { moves_in: Some((rng.u32(..10), moved)), ..none.weather })
            }
            _ => none,
        }
    }
}

/// A step to fail in, from the beginning or from the first broadcast on: early ones as well as those of long
/// synchronisations.
fn moment(rng: &mut Rng) -> (bool, u64) {
    let after_broadcast = rng.u8(..3) == 0;
    let most = if after_broadcast { 12 } else { *rng.choice(&[8, 30, 90]).unwrap_or(&30) };
    (after_broadcast, rng.u64(..most))
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { after_broadcast, dies_in, fails_in, full, .. } = self.plan;
        let from = if after_broadcast { " of the broadcast" } else { "" };
        if let Some(step) = dies_in {
            write!(f, ", {:?} at step {step}{from}", self.end)?;
        }
        if let Some(step) = fails_in {
            write!(f, ", step {step}{from} fails")?;
        }
        if full {
            write!(f, ", the disk is full")?;
        }
        let Weather { fate, breaks_in, moves_in } = self.weather;
        if fate != Fate::Arrives {
            write!(f, ", {fate:?}")?;
        }
        if let Some(question) = breaks_in {
            write!(f, ", cut off at question {question}")?;
        }
        if let Some((question, moved)) = moves_in {
            write!(f, ", {moved:?} at question {question}")?;
        }
        Ok(())
    }
}
