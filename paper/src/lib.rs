//! The paper, walked: each algorithm, section and proposition is run by the rooms that Keyway is made of, and what comes
//! out is written down beside what the paper claims (`./x paper`).
//!
//! Every number is measured or counted in the run. All is drawn from one seed, so a run can be repeated; only times
//! differ, and stand in columns of their own. A verdict rests on what the run found: where it found something else, the row
//! says so, and the program fails.
#![cfg(feature = "embedded")]

mod attacks;
mod breaking;
mod carriers;
mod claim;
mod costs;
mod digits;
mod draws;
mod errata;
mod fleet;
mod groups;
mod home;
mod keeping;
mod literal;
mod pairs;
mod plot;
mod random;
mod scripts;
mod sessions;
mod statistics;
mod table;

use std::path::Path;

use anyhow::Result;

pub use claim::{Claim, Place, Verdict, claims_table};
pub use plot::Plot;
pub use table::Table;

/// What a walk starts from.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// Fewer samples, and no group searched for: some seconds.
    pub quick: bool,
}

impl Options {
    /// How many samples.
    fn samples(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    fn stream(&self, label: &str) -> random::Stream {
        random::Stream::new(self.seed, label)
    }
}

/// The numbers behind a figure, and the figure.
#[derive(Debug)]
pub struct Figure {
    /// Names its files.
    pub name: &'static str,
    /// The numbers.
    pub table: Table,
    /// The figure.
    pub plot: Plot,
}

/// All that a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// One row each.
    pub claims: Vec<Claim>,
    /// Their figures.
    pub figures: Vec<Figure>,
}

/// Walks. `root` is the repository, whose errata and tests are read; `tell` hears what is being done.
///
/// # Errors
/// If a ledger, a home or a file fails. That a claim does not hold is no error: it is what the row says.
pub fn walk(options: Options, root: &Path, tell: &mut dyn FnMut(&str)) -> Result<Walk> {
    let mut walk = Walk::default();
    tell("drawing primes");
    draws::walk(options, &mut walk)?;
    tell("the eight digits");
    digits::walk(options, &mut walk)?;
    tell("breaking what can be broken");
    breaking::walk(options, &mut walk)?;
    tell("groups and shares");
    costs::walk(options, &mut walk, tell)?;
    tell("session keys, block by block");
    sessions::walk(options, &mut walk)?;
    tell("everybody with everybody, in memory and on a ledger");
    pairs::walk(options, &mut walk, tell)?;
    tell("each carrier and suite, on a ledger");
    carriers::walk(options, &mut walk)?;
    tell("a home behind a passphrase, and lost");
    keeping::walk(options, &mut walk)?;
    tell("the lock script");
    scripts::walk(options, &mut walk)?;
    tell("attacks");
    attacks::walk(options, &mut walk)?;
    tell("errata");
    errata::walk(root, options, &mut walk)?;
    walk.claims.sort_by_key(|claim| claim.place);
    Ok(walk)
}
