//! The disk is full: the error says so, nothing is lost, and when there is space again it goes on.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut};
use keyway_ledger::contract::{FEE, Free, pass_on};
use keyway_ledger::embedded::{BlockError, OpenError};
use keyway_ledger::{BroadcastError, Embedded, Fault, Ledger, LedgerError};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::course::{Course, LOG, Shown, spendable};

const TASK: &str = "KEYWAY_TEST_SQUEEZE";

/// How a process runs out of space.
enum Squeeze {
    /// Files may not grow beyond a size.
    Limit,
    /// Another file takes all that is left of the file system.
    Filler(PathBuf),
}

impl Squeeze {
    /// Leaves so many bytes for the log to grow, or a page more.
    fn apply(&self, folder: &Path, room: u64) {
        match self {
            Self::Limit => {
                let len = std::fs::metadata(folder.join(LOG)).map_or(0, |log| log.len());
                setrlimit(Resource::RLIMIT_FSIZE, len + room, RLIM_INFINITY).unwrap();
            }
            Self::Filler(path) => {
                let mut filler = File::create(path).unwrap();
                let page = [0; 4096];
                while filler.write_all(&page).is_ok() {}
                let len = filler.metadata().unwrap().len();
                filler.set_len(len - len.min(room)).unwrap();
            }
        }
    }

    fn release(&self) {
        match self {
            Self::Limit => setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY).unwrap(),
            Self::Filler(path) => std::fs::remove_file(path).unwrap(),
        }
    }
}

/// What one tries while the space ends.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    Send,
    Mine,
    Reorganise,
    Rewind,
}

impl Attempt {
    fn make(self, ledger: &Embedded) -> Result<(), LedgerError> {
        let to = Free(0).script();
        let blocks = |result: Result<_, BlockError>| match result {
            Ok(_) => Ok(()),
            Err(BlockError::Ledger(error)) => Err(error),
            Err(other) => panic!("{other}"),
        };
        let tip = ledger.tip().unwrap().height;
        match self {
            Self::Send => match ledger.broadcast(&bulky(ledger)) {
                Ok(_) => Ok(()),
                Err(BroadcastError::Ledger(error)) => Err(error),
                Err(other) => panic!("{other}"),
            },
            Self::Mine => blocks(ledger.mine(1, &to)),
            Self::Reorganise => {
                let fork = ledger.block_at(tip.minus(1)).unwrap().unwrap();
                blocks(ledger.mine_on(&fork.hash, 2, &to, &[]))
            }
            Self::Rewind => ledger.rewind(tip.minus(1)),
        }
    }
}

/// A payment that carries much data.
fn bulky(ledger: &Embedded) -> Transaction {
    let shown = Shown::by(ledger, &[]);
    let mined = |purse: &&keyway_ledger::contract::Purse| shown.coins[&purse.outpoint].height.is_some();
    let mut tx = pass_on(*spendable(&shown).iter().find(mined).unwrap(), Free(1));
    let mut data = vec![OP_RETURN.to_u8(), 0x4d, 0x88, 0x13];
    data.resize(4 + 5_000, 0xda);
    tx.output[0].value -= FEE;
    tx.output.push(TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(data) });
    tx
}

/// In a process of its own: a limit counts for a whole process.
#[test]
#[ignore = "run by other tests, as the process that runs out of space"]
fn squeezed() {
    let task = std::env::var(TASK).expect("other tests start it");
    let (how, folder) = task.split_once(' ').unwrap();
    let folder = Path::new(folder);
    let squeeze = match how {
        "limit" => Squeeze::Limit,
        _ => Squeeze::Filler(folder.with_file_name("filler")),
    };
    // The signal ends the process; while it is blocked, the write fails instead.
    SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
    squeeze.apply(folder, 0);
    match Embedded::open(folder) {
        Err(OpenError::Ledger(LedgerError::DiskFull { .. })) => {}
        other => panic!("created without space: {other:?}"),
    }
    squeeze.release();
    let ledger = Embedded::open(folder).unwrap();
    Course::fund(&ledger);
    for room in [0, 3_000, 20_000] {
        // After the rollback the engine starts without space.
        for attempt in [Attempt::Send, Attempt::Mine, Attempt::Reorganise, Attempt::Rewind, Attempt::Mine] {
            run_out(&ledger, &squeeze, attempt, room);
        }
    }
    if let Squeeze::Filler(_) = squeeze {
        // Enough for the log, too little for the engine, which wants 50 MB to spare.
        Attempt::Rewind.make(&ledger).unwrap();
        run_out(&ledger, &squeeze, Attempt::Mine, 10_000_000);
    }
    let shown = Shown::by(&ledger, &[]);
    drop(ledger);
    assert_eq!(Shown::in_folder(folder, &[]), shown);
}

/// Tries until there is no space, looks at what that did, and tries once more when there is.
fn run_out(ledger: &Embedded, squeeze: &Squeeze, attempt: Attempt, room: u64) {
    println!("{attempt:?} with room for {room} bytes");
    squeeze.apply(ledger.folder(), room);
    let (before, error) = until_full(ledger, attempt);
    assert!(matches!(error, LedgerError::DiskFull { .. }), "{attempt:?}: {error:?}");
    assert_eq!(error.fault(), Fault::Machine);
    assert!(error.to_string().contains("Free some space and try again"), "{error}");
    assert_eq!(Shown::by(ledger, &[]), before, "{attempt:?} failed and changed something");
    squeeze.release();
    attempt.make(ledger).unwrap();
}

/// What the ledger showed before the attempt that failed, and the error.
fn until_full(ledger: &Embedded, attempt: Attempt) -> (Shown, LedgerError) {
    for _ in 0..80 {
        let before = Shown::by(ledger, &[]);
        if let Err(error) = attempt.make(ledger) {
            return (before, error);
        }
    }
    panic!("the space does not end");
}

fn squeeze(mut command: Command, how: &str, folder: &Path) -> String {
    command.args(["--exact", "space::squeezed", "--ignored", "--nocapture"]);
    let output = command.env(TASK, format!("{how} {}", folder.display())).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{}\n{said}", output.status);
    said
}

#[test]
fn a_file_that_may_not_grow_is_a_full_disk_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    squeeze(Command::new(std::env::current_exe().unwrap()), "limit", folder.path());
}

#[test]
fn on_a_full_file_system_nothing_is_lost_and_it_goes_on_when_there_is_space() {
    let place = tempfile::tempdir().unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(place.path());
        command
    };
    let mount = "mount -t tmpfs -o size=96m none \"$1\"";
    if !unshare(mount).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: this machine does not let a test mount a small file system");
        return;
    }
    let mut command = unshare(&format!("{mount} && shift && exec \"$@\""));
    command.arg(std::env::current_exe().unwrap());
    squeeze(command, "fill", &place.path().join("ledger"));
}
