//! The process is killed; what it said it had done is there, and nothing is half done.

use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};

use super::course::{LOG, Lived, Shown, copy, folder_with, funded, seed};
use super::victim::{Last, Victim};

const STEPS: usize = 12;

/// A course lived in peace, to be lived again by processes that are killed.
struct Rehearsed {
    seed: u64,
    start: tempfile::TempDir,
    lived: Lived,
}

impl Rehearsed {
    fn new() -> Self {
        let (seed, start) = (seed(), funded());
        let lived = Lived::through(copy(start.path()).path(), seed, STEPS);
        Self { seed, start, lived }
    }

    fn again(&self, folder: &Path) -> Victim {
        Victim::start("live", self.seed, STEPS, folder)
    }

    /// Checks what a killed process left: what it said it had done, and one step more at most.
    fn check(&self, folder: &Path, last: Last) {
        let shown = Shown::in_folder(folder, &self.lived.mined);
        let moment = self.lived.moment(&shown, last.did..=last.did + 1);
        let right = moment.is_some_and(|moment| (last.did..=last.did + 1).contains(&moment));
        assert!(right, "it had said {last:?}; its ledger is that of moment {moment:?}: {shown:?}");
    }
}

#[test]
fn killed_at_random_moments_a_ledger_has_all_it_reported_and_nothing_half() {
    let rehearsed = Rehearsed::new();
    let mut rng = StdRng::seed_from_u64(rehearsed.seed);
    for _ in 0..30 {
        let folder = copy(rehearsed.start.path());
        let mut victim = rehearsed.again(folder.path());
        victim.go();
        let words = rng.gen_range(0..=STEPS);
        let heard = (0..words).map_while(|_| victim.hear()).count();
        spin(Duration::from_micros(rng.gen_range(0..20_000)));
        victim.child.kill().unwrap();
        let last = victim.bury();
        // The first word was "open".
        rehearsed.check(folder.path(), Last { did: last.did.max(heard.saturating_sub(1)), ..last });
    }
}

/// A moment that no scheduler rounds.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn killed_while_it_mines_many_blocks_a_ledger_has_the_first_of_them() {
    const BLOCKS: usize = 400;
    let start = funded();
    let before = Shown::in_folder(copy(start.path()).path(), &[]);
    let mut rng = StdRng::seed_from_u64(seed());
    for _ in 0..10 {
        let folder = copy(start.path());
        let mut victim = Victim::start("mine", 0, BLOCKS, folder.path());
        victim.go();
        assert_eq!(victim.hear().as_deref(), Some("open"));
        spin(Duration::from_micros(rng.gen_range(0..100_000)));
        victim.child.kill().unwrap();
        let last = victim.bury();
        let after = Shown::in_folder(folder.path(), &[]);
        let came = after.chain.strip_prefix(&before.chain[..]).expect("what was there before is there");
        assert!(came.len() <= BLOCKS && (!last.closed || came.len() == BLOCKS), "{last:?}, {}", came.len());
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod at_every_write {
    use std::collections::BTreeMap;

    use keyway_chain::Height;
    use keyway_ledger::Embedded;

    use super::super::tracer::{Change, Fate, trace};
    use super::*;

    /// Whether a change is to the ledger's own files; the others are the engine's, which are thrown
    /// away.
    fn is_own(change: &Change) -> bool {
        change.file.as_ref().is_none_or(|file| !file.components().any(|part| part.as_os_str() == "engine"))
    }

    /// Counts the changes a victim makes, in order. `None` where nothing can be traced.
    fn changes(mut victim: Victim, folder: &Path) -> Option<Vec<Change>> {
        let mut seen = Vec::new();
        let traced = trace(&mut victim, folder, |change| {
            seen.push(change.clone());
            Fate::Made
        });
        if let Err(e) = traced {
            println!("skipped: this machine does not let one process trace another ({e})");
            return None;
        }
        assert!(victim.bury().closed);
        let mut tally: BTreeMap<_, usize> = BTreeMap::new();
        seen.iter().for_each(|change| *tally.entry((change.call, is_own(change))).or_default() += 1);
        println!("{} changes: {tally:?}", seen.len());
        Some(seen)
    }

    /// Kills it before the `n`th change.
    fn kill_at(mut victim: Victim, folder: &Path, n: usize) -> Last {
        let mut left = n;
        let traced = trace(&mut victim, folder, |_| {
            let fate = if left == 0 { Fate::Killed } else { Fate::Made };
            left = left.saturating_sub(1);
            fate
        });
        traced.unwrap();
        victim.bury()
    }

    #[test]
    fn killed_at_every_write_a_ledger_has_all_it_reported_and_nothing_half() {
        let rehearsed = Rehearsed::new();
        let folder = copy(rehearsed.start.path());
        let Some(changes) = changes(rehearsed.again(folder.path()), folder.path()) else { return };
        rehearsed.check(folder.path(), Last { did: STEPS, closed: true });
        let own = (0..changes.len()).filter(|i| is_own(&changes[*i]));
        // Of the engine's own writes some are enough: they go into files that nobody reads again.
        let others = (0..changes.len()).filter(|i| !is_own(&changes[*i])).step_by(60);
        let moments: Vec<usize> = own.chain(others).collect();
        assert!(moments.len() > 50, "{}", moments.len());
        for n in moments {
            let folder = copy(rehearsed.start.path());
            println!("killed before change {n}: {:?}", changes.get(n));
            let last = kill_at(rehearsed.again(folder.path()), folder.path(), n);
            rehearsed.check(folder.path(), last);
        }
    }

    #[test]
    fn nothing_is_reported_before_it_is_on_the_disk() {
        let rehearsed = Rehearsed::new();
        let folder = copy(rehearsed.start.path());
        let Some(changes) = changes(rehearsed.again(folder.path()), folder.path()) else { return };
        let is_log = |change: &&Change| change.file.as_ref().is_some_and(|file| file.ends_with(LOG));
        let mut flushed = true;
        let mut reports = 0;
        for change in &changes {
            match (change.call, is_log(&change)) {
                // The mark may come to the disk later.
                ("write", true) if change.bytes != 24 => flushed = false,
                ("fdatasync", true) => flushed = true,
                ("say", _) => {
                    assert!(flushed, "{changes:?}");
                    reports += 1;
                }
                _ => {}
            }
        }
        assert!(reports >= STEPS, "{changes:?}");
    }

    #[test]
    fn what_a_failed_flush_may_have_lost_was_never_done_and_can_be_done_again() {
        let start = funded();
        let folder = copy(start.path());
        let mut victim = Victim::start("send-twice", 0, 0, folder.path());
        let mut failed = 0;
        let traced = trace(&mut victim, folder.path(), |change| {
            let first = change.call == "fdatasync" && failed == 0;
            failed += usize::from(first);
            if first { Fate::Failed } else { Fate::Made }
        });
        if let Err(e) = traced {
            println!("skipped: this machine does not let one process trace another ({e})");
            return;
        }
        let last = victim.bury();
        assert_eq!((failed, last.did, last.closed), (1, 1, true), "{last:?}");
        assert_eq!(Shown::in_folder(folder.path(), &[]).unmined.len(), 1);
    }

    #[test]
    fn killed_at_every_write_while_it_is_created_a_ledger_is_empty_and_usable() {
        let life = |folder: &Path| Victim::start("live", 0, 0, folder);
        let folder = tempfile::tempdir().unwrap();
        let Some(changes) = changes(life(folder.path()), folder.path()) else { return };
        assert!(changes.len() > 5, "{changes:?}");
        for n in 0..changes.len() {
            let folder = tempfile::tempdir().unwrap();
            kill_at(life(folder.path()), folder.path(), n);
            let shown = Shown::in_folder(folder.path(), &[]);
            assert_eq!(shown.tip().height, Height::GENESIS, "{n}");
        }
    }

    #[test]
    fn killed_at_every_write_while_it_recovers_a_ledger_recovers_the_next_time() {
        let rehearsed = Rehearsed::new();
        let torn = || {
            let mut log = rehearsed.lived.logs[0].clone();
            log.extend_from_slice(&[7; 1_000]);
            folder_with(&log)
        };
        let life = |folder: &Path| Victim::start("live", 0, 0, folder);
        let folder = torn();
        let Some(changes) = changes(life(folder.path()), folder.path()) else { return };
        assert!(changes.iter().any(|change| change.call == "ftruncate"), "{changes:?}");
        for n in 0..changes.len() {
            let folder = torn();
            kill_at(life(folder.path()), folder.path(), n);
            drop(Embedded::open(folder.path()).unwrap());
            rehearsed.check(folder.path(), Last::default());
        }
    }
}
