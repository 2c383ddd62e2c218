//! A folder with homes and a ledger in it, and `keyway` run there.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, SystemTime};

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub const KEYWAY: &str = env!("CARGO_BIN_EXE_keyway");

/// A folder of its own for one test.
#[derive(Debug)]
pub struct Stage {
    dir: TempDir,
}

impl Stage {
    /// An empty one.
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    /// Homes `car` and `charger` on the ledger `chain`: cards exchanged, the car has 0.05 BTC in four coins.
    pub fn funded() -> Self {
        Self::prepared("funded")
    }

    /// As [`Stage::funded`], after a negotiation over 250 000 sat: the key is active on both sides.
    pub fn agreed() -> Self {
        Self::prepared("agreed")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `keyway` with arguments that hold no spaces.
    pub fn command(&self, args: &str) -> Command {
        let mut command = keyway_in(self.path());
        command.args(args.split_whitespace());
        command
    }

    /// Runs it without any input.
    pub fn run(&self, args: &str) -> Run {
        self.finish(&mut self.command(args), b"")
    }

    /// Runs it with that input.
    pub fn feed(&self, args: &str, input: &[u8]) -> Run {
        self.finish(&mut self.command(args), input)
    }

    pub fn finish(&self, command: &mut Command, input: &[u8]) -> Run {
        Run::new(output_of(command, input), self.path())
    }

    /// Runs what must succeed, and gives its data.
    pub fn ok(&self, args: &str) -> String {
        self.run(args).ok()
    }

    /// Runs what must succeed with `--json`, and gives its data.
    pub fn json(&self, args: &str) -> Value {
        self.run(&format!("--json {args}")).json()
    }

    /// Two homes without passphrases that know each other.
    pub fn introduce(&self) {
        for name in ["car", "charger"] {
            self.ok(&format!(
                "--home {name} init --name {name} --ledger chain --insecure-no-passphrase --words-to {name}.words"
            ));
        }
        self.exchange_cards("car", "charger");
    }

    pub fn exchange_cards(&self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            let card = self.ok(&format!("--home {from} card"));
            self.feed(&format!("--home {to} peer add -"), card.as_bytes()).ok();
        }
    }

    /// From a sent offer to an active key on both sides.
    pub fn answer(&self) {
        self.ok("--home car mine");
        self.ok("--home charger sync");
        self.ok("--home car mine 2");
        self.ok("--home car sync");
        self.ok("--home charger sync");
    }

    fn prepared(name: &str) -> Self {
        let stage = Self::new();
        let source = Prepared::open();
        copy_folder(&source.dir.join(name), stage.path());
        stage
    }
}

/// `keyway` in a folder, without a terminal's or a user's influence.
pub fn keyway_in(dir: &Path) -> Command {
    let mut command = Command::new(KEYWAY);
    for name in ["HOME", "XDG_DATA_HOME", "COLUMNS", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.current_dir(dir);
    command
}

/// Runs a command to its end.
pub fn output_of(command: &mut Command, input: &[u8]) -> Output {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    // A command that fails before it reads its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// How a command ended.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    dir: PathBuf,
}

impl Run {
    pub fn new(output: Output, dir: &Path) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { status: output.status, stdout: output.stdout, stderr, dir: dir.to_owned() }
    }

    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Its data, if it succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code(), Some(0), "{}{}", self.text(), self.stderr);
        self.text()
    }

    /// Its JSON, if it succeeded.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Its error with that exit code: nothing on standard output.
    #[track_caller]
    pub fn error(self, code: i32) -> String {
        assert_eq!((self.code(), self.text().as_str()), (Some(code), ""), "{}", self.stderr);
        masked(&self.stderr, &self.dir)
    }

    /// An error that says what happened, why, and what to do.
    #[track_caller]
    pub fn explained(self, code: i32) -> String {
        self.error_of(code, 3)
    }

    /// An error whose first line says why it happened, too.
    #[track_caller]
    pub fn told(self, code: i32) -> String {
        self.error_of(code, 2)
    }

    #[track_caller]
    fn error_of(self, code: i32, least: usize) -> String {
        let text = self.error(code);
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("error: ")), "{text}");
        assert!(text.lines().count() >= least && lines.all(|line| line.starts_with("  ")), "{text}");
        text
    }

    /// Its output with what differs from run to run replaced.
    pub fn masked(&self) -> String {
        masked(&self.text(), &self.dir)
    }
}

/// Text with what differs from run to run replaced.
pub fn masked(text: &str, dir: &Path) -> String {
    let patterns = [
        (regex::escape(&dir.display().to_string()), "[DIR]"),
        ("keyway-(card|sealed):[A-Za-z0-9_-]+".to_owned(), "keyway-$1:[TEXT]"),
        ("[0-9a-f]{64,66}".to_owned(), "[HEX]"),
        ("[0-9a-f]{4}…[0-9a-f]{2}".to_owned(), "[ID]"),
        ("([0-9A-F]{2}:){7}[0-9A-F]{2}".to_owned(), "[FINGERPRINT]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d".to_owned(), "[TIME]"),
        (r"\b\d\d:\d\d:\d\d\b".to_owned(), "[TIME]"),
        (r"\b[0-9a-f]{8}\b".to_owned(), "[ID]"),
        // A signature is now and then a byte shorter.
        (r"\d vB".to_owned(), "x vB"),
        (r"bcrt1[0-9a-z]+".to_owned(), "[ADDRESS]"),
        (r"\bshow [0-9a-f]{4}\b".to_owned(), "show [ID]"),
        (r"\(\d+ (s|min) ago\)".to_owned(), "([AGE] ago)"),
        (r"\(number \d+\)".to_owned(), "(number [PID])"),
    ];
    patterns.into_iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(&pattern).unwrap().replace_all(&text, mask).into_owned()
    })
}

/// Stages that several tests begin from, made once for this binary and copied.
struct Prepared {
    dir: PathBuf,
    _lock: File,
}

/// The chain's clock is this machine's: what lay about for long is made anew.
const FRESH: Duration = Duration::from_secs(1_800);

impl Prepared {
    /// Held by all who copy; made by one.
    fn open() -> Self {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let dir = tmp.join("prepared");
        let lock = File::create(tmp.join("prepared.lock")).unwrap();
        lock.lock().unwrap();
        if !Self::is_fresh(&dir) {
            let _ = fs::remove_dir_all(&dir);
            Self::make(&dir);
        }
        lock.lock_shared().unwrap();
        Self { dir, _lock: lock }
    }

    fn is_fresh(dir: &Path) -> bool {
        let mark = fs::metadata(dir.join("done")).and_then(|mark| mark.modified());
        let binary = fs::metadata(KEYWAY).and_then(|binary| binary.modified()).unwrap();
        mark.is_ok_and(|mark| {
            mark > binary && SystemTime::now().duration_since(mark).is_ok_and(|age| age < FRESH)
        })
    }

    fn make(dir: &Path) {
        let stage = Stage::new();
        stage.introduce();
        for home in ["car", "charger"] {
            // A folder that is copied finds its own ledger.
            let config = stage.join(home).join("keyway.toml");
            let text = fs::read_to_string(&config).unwrap();
            let there = format!("path = \"{}\"", stage.join("chain").display());
            assert!(text.contains(&there), "{text}");
            fs::write(config, text.replace(&there, "path = \"../chain\"")).unwrap();
        }
        stage.ok("--home car fund 0.05btc");
        copy_folder(stage.path(), &dir.join("funded"));
        stage.ok("--home car offer charger --pay 250000sat");
        stage.answer();
        copy_folder(stage.path(), &dir.join("agreed"));
        fs::write(dir.join("done"), "").unwrap();
    }
}

/// Copies all but what the ledger's engine makes anew at each opening.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if !is_engine(&entry.file_name()) {
                copy_folder(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn is_engine(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("engine")
}
