//! What bad disks, careless copies and other programs do to a ledger's folder.

use std::collections::BTreeSet;
use std::path::Path;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use keyway_chain::Height;
use keyway_ledger::contract::Free;
use keyway_ledger::embedded::OpenError;
use keyway_ledger::{Embedded, Fault, Ledger, LedgerError, Next, Watch};

use super::course::{LOG, Lived, Shown, folder_with, funded, seed};
use super::tools::Fresh;
use super::victim::Victim;

const STEPS: usize = 12;

fn lived(seed: u64) -> Lived {
    Lived::through(funded().path(), seed, STEPS)
}

/// What a folder that cannot be opened says. It must name what is damaged and what to do.
fn corrupt(folder: &Path) -> String {
    match Embedded::open(folder) {
        Err(OpenError::Ledger(error @ LedgerError::Corrupt { .. })) => {
            assert_eq!(error.fault(), Fault::Data);
            let message = error.to_string();
            assert!(message.contains(LOG) && message.contains("Restore it from a copy"), "{message}");
            message
        }
        Err(other) => panic!("{other}"),
        Ok(ledger) => panic!("opened, with tip {:?}", ledger.tip()),
    }
}

/// Places where the log after each step differs in kind: one step of each sort, by its record's kind.
fn one_of_each(lived: &Lived) -> Vec<usize> {
    let mut kinds = BTreeSet::new();
    (1..=STEPS).filter(|i| kinds.insert(lived.logs[*i][lived.logs[i - 1].len() + 4])).collect()
}

#[test]
fn a_record_that_a_crash_tore_at_any_byte_never_was() {
    let lived = lived(seed());
    let steps = one_of_each(&lived);
    assert!(steps.len() >= 2, "{steps:?}");
    for step in steps {
        let (before, after) = (&lived.logs[step - 1], &lived.logs[step]);
        let torn = after.len() - before.len();
        for kept in 0..torn {
            // The mark is written last of all: it is still that of the step before.
            let log = [&before[..], &after[before.len()..before.len() + kept]].concat();
            let folder = folder_with(&log);
            let ledger = Embedded::open(folder.path()).unwrap();
            assert_eq!(ledger.tip().unwrap(), lived.shown[step - 1].tip(), "{kept} bytes");
            drop(ledger);
            assert_eq!(std::fs::read(folder.path().join(LOG)).unwrap(), *before, "{kept} bytes");
        }
    }
}

#[test]
fn a_tail_that_a_power_cut_left_as_zeros_or_junk_is_cut_off() {
    let (seed, mut tail) = (seed(), vec![0; 5_000]);
    let lived = lived(seed);
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..20 {
        let folder = folder_with(&[&lived.logs[STEPS][..], &tail].concat());
        assert_eq!(Shown::in_folder(folder.path(), &lived.mined), lived.shown[STEPS]);
        tail.resize(rng.gen_range(1..5_000), 0);
        rng.fill(&mut tail[..]);
    }
    // A whole step whose bytes came to the disk in part.
    let (before, after) = (&lived.logs[STEPS - 1], &lived.logs[STEPS]);
    let mut tail = after[before.len()..].to_vec();
    let hole = rng.gen_range(0..tail.len());
    tail[hole] ^= 1;
    let folder = folder_with(&[&before[..], &tail].concat());
    assert_eq!(Shown::in_folder(folder.path(), &lived.mined), lived.shown[STEPS - 1]);
}

#[test]
fn a_log_that_was_cut_by_a_bad_copy_is_not_taken_for_an_older_one() {
    let seed = seed();
    let lived = lived(seed);
    let log = &lived.logs[STEPS];
    let mut rng = StdRng::seed_from_u64(seed);
    let ends = lived.logs[..STEPS].iter().map(Vec::len);
    let cuts: Vec<usize> =
        (0..200).chain(ends).chain((0..200).map(|_| rng.gen_range(0..log.len()))).collect();
    for cut in cuts.into_iter().filter(|cut| *cut < log.len()) {
        let folder = folder_with(&log[..cut]);
        let message = corrupt(folder.path());
        if cut > 200 {
            assert!(message.contains(&format!("{cut} bytes, {} were written", log.len())), "{message}");
        }
        assert_eq!(std::fs::read(folder.path().join(LOG)).unwrap(), log[..cut], "it is left as it was");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_is_noticed() {
    let seed = seed();
    let lived = lived(seed);
    let log = &lived.logs[STEPS];
    let mut rng = StdRng::seed_from_u64(seed);
    // Magic, format, salt, genesis block, checksum; then the mark.
    let mark = 33 + 16 + 32 + 16..33 + 16 + 32 + 16 + 24;
    let last = lived.logs[STEPS - 1].len()..log.len();
    let places: Vec<usize> =
        (0..mark.end).chain(last).chain((0..300).map(|_| rng.gen_range(mark.end..log.len()))).collect();
    for place in places {
        let mut damaged = log.clone();
        damaged[place] ^= 1 << rng.gen_range(0..8);
        let folder = folder_with(&damaged);
        if mark.contains(&place) {
            assert_eq!(Embedded::open(folder.path()).unwrap().tip().unwrap(), lived.shown[STEPS].tip());
            continue;
        }
        match Embedded::open(folder.path()) {
            Err(OpenError::Ledger(LedgerError::Corrupt { path, .. })) => assert!(path.ends_with(LOG)),
            Err(OpenError::Format { found, expected: 1, .. }) => assert_ne!(found, "1", "{place}"),
            Err(other) => panic!("byte {place}: {other}"),
            Ok(ledger) => panic!("byte {place}: opened, with tip {:?}", ledger.tip()),
        }
        assert_eq!(std::fs::read(folder.path().join(LOG)).unwrap(), damaged, "it is left as it was");
    }
}

#[test]
fn a_block_damaged_while_the_ledger_runs_is_an_error_and_no_wrong_answer() {
    let folder = funded();
    let ledger = Embedded::open(folder.path()).unwrap();
    let path = folder.path().join(LOG);
    let good = std::fs::read(&path).unwrap();
    let at = |height| ledger.block_at(Height::new(height)).unwrap().unwrap();
    let bytes = ledger.block(&at(50).hash).unwrap().unwrap();
    let place = good.windows(bytes.len()).position(|window| window == bytes).unwrap();
    let mut watch = Watch::new();
    (0..6).for_each(|owner| assert!(watch.add_script(Free(owner).script())));
    for offset in [0, 40, 70, 79, bytes.len() / 2, bytes.len() - 1] {
        let mut bad = good.clone();
        bad[place + offset] ^= 0x10;
        std::fs::write(&path, bad).unwrap();
        for result in [ledger.block(&at(50).hash).map(drop), ledger.next(at(49), &watch).map(drop)] {
            assert!(matches!(&result, Err(LedgerError::Corrupt { .. })), "{offset}: {result:?}");
        }
        assert!(matches!(ledger.next(at(50), &watch), Ok(Next::Connect(_))), "the others are as they were");
    }
    std::fs::write(&path, good).unwrap();
    assert_eq!(ledger.block(&at(50).hash).unwrap(), Some(bytes));
}

#[test]
fn a_log_of_junk_another_version_or_nothing_is_refused_and_left_alone() {
    for junk in [&b""[..], b"keyway", b"junk", &[0; 10_000]] {
        let folder = folder_with(junk);
        corrupt(folder.path());
        assert_eq!(std::fs::read(folder.path().join(LOG)).unwrap(), junk);
    }
    let newer = b"keyway embedded ledger, format 77\nwhatever that will be";
    match Embedded::open(folder_with(newer).path()) {
        Err(error @ OpenError::Format { .. }) => {
            let message = error.to_string();
            assert!(message.contains("format 77") && message.contains("version that wrote it"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_killed_engine_left_behind_is_thrown_away() {
    let seed = seed();
    let lived = lived(seed);
    let folder = folder_with(&lived.logs[STEPS]);
    let engine = folder.path().join("engine");
    std::fs::create_dir_all(engine.join("blocks/index")).unwrap();
    for file in ["blocks/blk00000.dat", "blocks/xor.dat", "blocks/index/CURRENT", "chainstate", ".lock"] {
        std::fs::write(engine.join(file), b"junk").unwrap();
    }
    assert_eq!(Shown::in_folder(folder.path(), &lived.mined), lived.shown[STEPS]);
    assert!(!engine.exists(), "nothing of it stays when the ledger is closed");
}

#[test]
fn an_engine_whose_files_vanish_or_rot_is_started_again_from_the_log() {
    let fresh = Fresh::start();
    let base = fresh.mine_one(&Free(0).script());
    let engine = fresh.folder.path().join("engine");
    let rot = |file: &str| {
        let path = engine.join("blocks").join(file);
        let len = std::fs::metadata(&path).unwrap().len();
        std::fs::write(path, vec![0xee; usize::try_from(len).unwrap()]).unwrap();
    };
    let damages: [&dyn Fn(); 4] = [
        &|| std::fs::remove_dir_all(&engine).unwrap(),
        &|| std::fs::remove_dir_all(engine.join("blocks")).unwrap(),
        &|| rot("blk00000.dat"),
        &|| rot("rev00000.dat"),
    ];
    for damage in damages {
        let old = fresh.ledger.mine(3, &Free(1).script()).unwrap();
        damage();
        // Reads what was written before: the old branch to leave it, the new one to enter it.
        let length = fresh.ledger.tip().unwrap().height.to_u32() - base.height.to_u32() + 1;
        let new = fresh.ledger.mine_on(&base.hash, length, &Free(2).script(), &[]).unwrap();
        assert_eq!(fresh.ledger.tip().unwrap(), *new.last().unwrap());
        assert_ne!(fresh.ledger.block_at(old[2].height).unwrap(), Some(old[2]));
        damage();
        fresh.ledger.mine(1, &Free(1).script()).unwrap();
        Shown::by(&fresh.ledger, &[]);
    }
    let shown = Shown::by(&fresh.ledger, &[]);
    assert_eq!(Shown::by(&fresh.reopen().ledger, &[]), shown);
}

#[test]
fn a_second_process_is_told_who_holds_the_folder_until_that_one_ends() {
    let folder = funded();
    let mut holder = Victim::start("hold", 0, 0, folder.path());
    holder.go();
    assert_eq!(holder.hear().as_deref(), Some("open"));
    let error = Embedded::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Locked { holder: Some(pid), .. } if pid == holder.child.id()),
        "{error}"
    );
    let message = error.to_string();
    let path = folder.path().canonicalize().unwrap();
    for part in
        [path.to_str().unwrap(), &holder.child.id().to_string(), "in use by another process", "stop it"]
    {
        assert!(message.contains(part), "{message}");
    }
    // A failed attempt does not take the lock from its holder.
    assert!(matches!(Embedded::open(folder.path()), Err(OpenError::Locked { .. })));
    holder.child.kill().unwrap();
    holder.bury();
    Embedded::open(folder.path()).unwrap();
}

#[test]
fn the_same_process_opens_a_folder_once_by_whatever_name() {
    let folder = funded();
    let ledger = Embedded::open(folder.path()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut names =
        vec![folder.path().to_owned(), folder.path().join("../").join(folder.path().file_name().unwrap())];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path(), elsewhere.path().join("link")).unwrap();
        names.push(elsewhere.path().join("link"));
    }
    for name in names {
        let error = Embedded::open(name).unwrap_err();
        assert!(matches!(error, OpenError::AlreadyOpen { .. }), "{error}");
    }
    ledger.mine(1, &Free(0).script()).expect("the failed attempts did it no harm");
    drop(ledger);
    Embedded::open(folder.path()).unwrap();
}

#[test]
fn a_folder_of_other_things_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), b"years of work").unwrap();
    let error = Embedded::open(folder.path()).unwrap_err();
    assert!(matches!(&error, OpenError::NotALedger { found, .. } if found == "thesis.tex"), "{error}");
    assert!(error.to_string().contains("Name an empty folder"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let file = folder.path().join("thesis.tex");
    let error = Embedded::open(&file).unwrap_err().to_string();
    assert!(error.contains("thesis.tex"), "{error}");
    assert_eq!(std::fs::read(file).unwrap(), b"years of work");
}

#[test]
fn a_lost_log_is_not_taken_for_a_new_ledger() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("engine/blocks")).unwrap();
    let message = corrupt(folder.path());
    assert!(message.contains("gone"), "{message}");
}
