//! A disk that fills up, at each point of the way: it is said, and afterwards everything goes on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::stage::{KEYWAY, Run, Stage};

/// A file system of a few megabytes in a mount namespace of its own, gone with the process that holds it.
struct SmallDisk {
    keeper: Child,
    dir: PathBuf,
    megabytes: u32,
}

impl SmallDisk {
    /// Mounts it over an empty folder; `None`, with a message, where that is not allowed.
    fn mount(dir: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m,mode=755 small \"$0\" && touch \"$0\"/is-small && echo mounted && exec cat"
        );
        let keeper = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut line = String::new();
        let disk = keeper.ok().map(|keeper| Self { keeper, dir: dir.to_owned(), megabytes });
        let mounted = disk.and_then(|mut disk| {
            let stdout = disk.keeper.stdout.take()?;
            BufReader::new(stdout).read_line(&mut line).ok().filter(|_| line == "mounted\n")?;
            Some(disk)
        });
        if mounted.is_none() {
            eprintln!("skipped: no file system may be mounted here, not even in a namespace of one's own");
        }
        mounted
    }

    /// A program in a folder, where the disk is seen.
    fn enter(&self, dir: &Path, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.keeper.id().to_string();
        command.args(["--target", &target, "--user", "--preserve-credentials", "--mount"]);
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(dir).arg(program);
        command
    }

    /// A script on the disk itself: never on the one below.
    fn on_it(&self, script: &str) {
        let script = format!("test -e is-small && {{ {script}; }}");
        let done = self.enter(&self.dir, "sh").args(["-c", &script]).status().unwrap();
        assert!(done.success(), "{script}");
    }

    /// Leaves so much free, in KiB.
    fn leave(&self, kib: u32) {
        self.on_it(&format!(
            "rm -f filler; head -c {}m /dev/zero > filler 2> /dev/null; \
             truncate -s $(( $(stat -c %s filler) - {kib} * 1024 )) filler",
            self.megabytes
        ));
    }

    fn free(&self) {
        self.on_it("rm -f filler");
    }

    fn keyway(&self, stage: &Stage, args: &str) -> Run {
        let mut command = self.enter(stage.path(), KEYWAY);
        command.args(args.split_whitespace());
        stage.finish(&mut command, b"")
    }

    /// Runs a command with less and less of a full disk: each failure must say that it is full, and with space
    /// it must succeed. Gives how often it failed.
    fn until_it_works(&self, stage: &Stage, args: &str, free_kib: &[u32]) -> usize {
        for (failures, kib) in free_kib.iter().enumerate() {
            self.leave(*kib);
            let run = self.keyway(stage, args);
            if run.code() == Some(0) {
                self.free();
                return failures;
            }
            assert!(
                matches!(run.code(), Some(1 | 5)),
                "{args}, {kib} KiB free: {:?} {}",
                run.status,
                run.stderr
            );
            let told = run.stderr.to_lowercase();
            assert!(told.contains("no space left"), "{args}, {kib} KiB free: {told}");
            assert!(told.contains("free some space") || told.contains("make room"), "{args}: {told}");
        }
        self.free();
        self.keyway(stage, args).ok();
        free_kib.len()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Without its input the holder ends, and with it the namespace and the disk.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

#[test]
fn homes_on_a_full_disk_say_so_at_each_step_and_go_on_when_there_is_space() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::mount(&stage.join("small"), 2) else { return };
    let free = [0, 4, 8, 16, 32, 64];
    let mut failures = 0;
    let mut step = |args: &str| failures += disk.until_it_works(&stage, args, &free);

    for name in ["car", "charger"] {
        step(&format!(
            "--home small/{name} init --name {name} --ledger chain --insecure-no-passphrase --words-to small/{name}.words"
        ));
    }
    for (from, to) in [("car", "charger"), ("charger", "car")] {
        let card = disk.keyway(&stage, &format!("--home small/{from} card")).ok();
        fs::write(stage.join("card"), card).unwrap();
        step(&format!("--home small/{to} peer add card"));
    }
    step("--home small/car fund 0.05btc");
    let funds =
        disk.keyway(&stage, "--home small/car --json status").json()["spendable_sat"].as_u64().unwrap();
    assert_eq!(funds % 5_000_000, 0, "whatever was tried, nothing is lost: {funds}");
    step("--home small/car offer charger --pay 250000sat");
    let mined = disk.keyway(&stage, "--home small/car --json mine").json();
    assert_eq!(mined["transactions"], 1, "one offer, however often it was tried");
    step("--home small/charger sync");
    disk.keyway(&stage, "--home small/car mine 2").ok();
    step("--home small/car sync");
    step("--home small/charger sync");

    let [car, charger] = [("car", "charger"), ("charger", "car")]
        .map(|(home, peer)| disk.keyway(&stage, &format!("--home small/{home} --json show {peer}")).json());
    assert_eq!((&car["state"], &charger["state"]), (&"active".into(), &"active".into()));
    assert_eq!(car["fingerprint"], charger["fingerprint"]);
    let fee = car["offer"]["fee_sat"].as_u64().unwrap();
    let status = disk.keyway(&stage, "--home small/car --json status").json();
    assert_eq!(status["spendable_sat"].as_u64().unwrap(), funds - 250_000 - fee);
    assert!(failures >= 9, "a full disk was met {failures} times only");
}

#[test]
fn a_ledger_on_a_full_disk_says_so_at_each_step_and_goes_on_when_there_is_space() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::mount(&stage.join("small"), 96) else { return };
    let free = [0, 64, 512];
    let mut failures = 0;
    let mut step = |args: &str| failures += disk.until_it_works(&stage, args, &free);
    for name in ["car", "charger"] {
        step(&format!(
            "--home {name} init --name {name} --ledger small/chain --insecure-no-passphrase --words-to {name}.words"
        ));
    }
    stage.exchange_cards("car", "charger");
    step("--home car fund 0.05btc");
    let funds = stage.json("--home car status")["spendable_sat"].as_u64().unwrap();
    assert_eq!(funds % 5_000_000, 0, "whatever was tried, nothing is lost: {funds}");
    step("--home car offer charger --pay 250000sat");
    step("--home car mine");
    step("--home charger sync");
    step("--home car mine 2");
    step("--home car sync");
    step("--home charger sync");
    let views = [("car", "charger"), ("charger", "car")]
        .map(|(home, peer)| stage.json(&format!("--home {home} show {peer}")));
    assert_eq!((&views[0]["state"], &views[1]["state"]), (&"active".into(), &"active".into()));
    assert_eq!(views[0]["fingerprint"], views[1]["fingerprint"]);
    assert!(failures >= 9, "a full disk was met {failures} times only");
}
