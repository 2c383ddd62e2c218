//! A process with a ledger that other tests do things to: this test binary once more, running
//! [`victim`] alone.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use keyway_ledger::contract::{Free, pass_on};
use keyway_ledger::{BroadcastError, Embedded, Ledger, LedgerError};

use super::course::{Course, LOG, Shown, spendable};

const TASK: &str = "KEYWAY_TEST_VICTIM";
/// Before what it has to say: the test harness writes to the same stream.
const SAYS: &str = "victim: ";

#[test]
#[ignore = "run by other tests, as the process that they kill"]
fn victim() {
    let task = std::env::var(TASK).expect("other tests start it");
    let mut words = task.splitn(4, ' ');
    let mut word = || words.next().unwrap();
    let (what, seed, steps, folder) = (word(), word(), word(), word());
    let (seed, steps) = (seed.parse().unwrap(), steps.parse().unwrap());
    say("ready");
    wait_for_orders();
    let ledger = Embedded::open(folder).unwrap();
    say("open");
    match what {
        "live" => live(&ledger, seed, steps),
        "mine" => drop(ledger.mine(steps, &Free(0).script()).unwrap()),
        "send-twice" => send_twice(&ledger),
        "hold" => wait_for_orders(),
        _ => panic!("{what}"),
    }
    drop(ledger);
    say("closed");
}

/// Sends a transaction while the disk fails, and once more.
fn send_twice(ledger: &Embedded) {
    let log = || std::fs::read(ledger.folder().join(LOG)).unwrap();
    let (before, bytes) = (Shown::by(ledger, &[]), log());
    let tx = pass_on(spendable(&before)[0], Free(1));
    match ledger.broadcast(&tx) {
        Err(BroadcastError::Ledger(LedgerError::Io { path, .. })) => assert!(path.ends_with(LOG)),
        other => panic!("{other:?}"),
    }
    assert_eq!(Shown::by(ledger, &[]), before);
    assert_eq!(log(), bytes, "what may be lost must not be read again");
    ledger.broadcast(&tx).unwrap();
    say("did 1");
}

fn wait_for_orders() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn live(ledger: &Embedded, seed: u64, steps: u32) {
    let mut course = Course::new(seed);
    for i in 1..=steps {
        course.step(ledger);
        say(&format!("did {i}"));
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // One write, so that a kill never cuts a word.
    out.write_all(format!("\n{SAYS}{what}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// The other end.
pub struct Victim {
    pub child: Child,
    orders: ChildStdin,
    words: BufReader<ChildStdout>,
}

impl Victim {
    /// A process that waits for [`go`](Self::go).
    pub fn start(what: &str, seed: u64, steps: usize, folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim::victim", "--ignored", "--nocapture"])
            .env(TASK, format!("{what} {seed} {steps} {}", folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, words) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut victim = Self { child, orders, words };
        assert_eq!(victim.hear().as_deref(), Some("ready"));
        victim
    }

    pub fn go(&mut self) {
        self.orders.write_all(b"go\n").unwrap();
    }

    /// The next word; `None` after the last.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.words.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(word) = line.strip_prefix(SAYS) {
                return Some(word.trim_end().to_owned());
            }
        }
    }

    /// Hears all it had still to say, and waits for its end.
    pub fn bury(mut self) -> Last {
        let mut last = Last::default();
        while let Some(word) = self.hear() {
            let did = word.strip_prefix("did ").and_then(|steps| steps.parse().ok());
            last.did = did.unwrap_or(last.did);
            last.closed |= word == "closed";
        }
        // Whoever traced it has reaped it already: then there is no such process any more.
        let _ = self.child.wait();
        last
    }
}

/// What a victim had said before its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Last {
    /// So many steps were done.
    pub did: usize,
    /// It got through.
    pub closed: bool,
}
