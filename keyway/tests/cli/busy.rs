//! Two processes at once, folders that cannot be written, and who may read what was made.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use keyway_ledger::Embedded;
use snapbox::str;

use crate::stage::{KEYWAY, Run, Stage, output_of};

/// More than a pipe holds.
const LONG: usize = 1 << 20;

/// A command that has opened the car's home and waits for the rest of its input.
fn working_with_the_home(stage: &Stage) -> Child {
    let mut command = stage.command("--home car seal charger");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It opens the home first: once it has taken in more than the pipe holds, it has the home.
    child.stdin.as_mut().unwrap().write_all(&vec![b'x'; LONG]).unwrap();
    child
}

#[test]
fn a_home_in_use_is_left_alone_until_it_is_free() {
    let stage = Stage::agreed();
    let mut child = working_with_the_home(&stage);
    for args in ["--home car status", "--home car offer charger --pay 60000", "--home car peer list"] {
        snapbox::assert_data_eq!(
            stage.run(args).explained(1),
            str![[r#"
error: car is in use by another process
  only one may work with a home at a time
  wait for it, or stop it

"#]]
        );
    }
    child.stdin.take().unwrap().write_all(b"the end").unwrap();
    let sealed = child.wait_with_output().unwrap();
    assert!(sealed.status.success());
    let opened = stage.feed("--home charger open", &sealed.stdout).ok();
    assert!(opened.len() == LONG + 7 && opened.ends_with("xthe end"));
    stage.ok("--home car status");
}

#[test]
fn a_ledger_in_use_is_left_alone_until_it_is_free() {
    let stage = Stage::agreed();
    stage.ok("--home car mine");
    let before = stage.json("--home car status");
    let held = Embedded::open(stage.join("chain")).unwrap();
    for args in [
        "--home car mine",
        "--home car sync",
        "--home car fund 0.01btc",
        "--home car offer charger --pay 60000",
    ] {
        snapbox::assert_data_eq!(
            stage.run(args).told(5),
            str![[r#"
error: the ledger in [DIR]/chain is in use by another process (number [PID])
  wait until that one ends, or stop it

"#]]
        );
    }
    // What asks no ledger works on.
    assert_eq!(stage.json("--home car status")["spendable_sat"], before["spendable_sat"]);
    let sealed = stage.feed("--home car seal charger", b"meanwhile").ok();
    assert_eq!(stage.feed("--home charger open", sealed.as_bytes()).ok(), "meanwhile");
    drop(held);
    stage.ok("--home car offer charger --pay 60000");
    assert_eq!(stage.json("--home car mine")["transactions"], 1);
}

#[test]
fn two_commands_started_at_once_do_both_or_say_why_not() {
    let stage = Stage::funded();
    let start = |args: &str| {
        let mut command = stage.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for round in 0..4 {
        let offers = [0, 1].map(|_| start("--json --home car offer charger --pay 60000"));
        let done = offers.map(|child| Run::new(child.wait_with_output().unwrap(), stage.path()));
        let sent = done.iter().filter(|run| run.code() == Some(0)).count();
        for run in &done {
            assert!(matches!(run.code(), Some(0 | 1 | 5)), "{}", run.stderr);
            assert!(
                run.code() == Some(0) || run.stderr.contains("in use by another process"),
                "{}",
                run.stderr
            );
        }
        assert!(sent >= 1, "round {round}: neither was sent");
        assert_eq!(stage.json("--home car mine")["transactions"].as_u64(), Some(sent as u64));
        stage.ok("--home car sync");
    }
}

/// A command as somebody who may only read; `None` if that cannot be tried here.
fn as_reader(stage: &Stage, args: &str) -> Option<Run> {
    let mut command = Command::new(KEYWAY);
    command.args(args.split_whitespace()).current_dir(stage.path());
    // Root may write everywhere: then it is done as nobody.
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    let probe = Command::new(KEYWAY).arg("--version").uid(65_534).gid(65_534).stdout(Stdio::null()).status();
    if is_root && !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: nobody may not run {KEYWAY}");
        return None;
    }
    Some(stage.finish(&mut command, b""))
}

fn set_mode(stage: &Stage, names: &[&str], mode: u32) {
    for name in names {
        fs::set_permissions(stage.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_home_that_cannot_be_written_says_so_and_keeps_what_it_has() {
    let stage = Stage::agreed();
    let files = ["car/keyway.toml", "car/store.sqlite", "car/lock"];
    set_mode(&stage, &["."], 0o755);
    set_mode(&stage, &files, 0o444);
    set_mode(&stage, &["car"], 0o555);
    let Some(run) = as_reader(&stage, "--home car status") else { return };
    snapbox::assert_data_eq!(
        run.explained(1),
        str![[r#"
error: cannot open car/lock
  permission denied (os error 13)
  make it writable for this user, or name another folder

"#]]
    );
    let init = "--home new init --name x --ledger new/ledger --insecure-no-passphrase --words-to new/w";
    snapbox::assert_data_eq!(
        as_reader(&stage, init).unwrap().told(5),
        str![[r#"
error: cannot create [DIR]/new/ledger
  Permission denied (os error 13)
  check what it names, and try again

"#]]
    );
    set_mode(&stage, &["car"], 0o755);
    set_mode(&stage, &files, 0o644);
    stage.ok("--home car offer charger --pay 60000");
}

#[test]
fn a_home_is_for_its_owner_alone() {
    let stage = Stage::new();
    // A folder that everybody could read: its files must protect themselves.
    fs::create_dir(stage.join("car")).unwrap();
    set_mode(&stage, &["car"], 0o755);
    stage.ok("--home car init --name car --ledger chain --insecure-no-passphrase --words-to car.words");
    stage.ok("--home other init --name other --ledger chain --insecure-no-passphrase --words-to other.words");
    let mode = |name: &str| fs::metadata(stage.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("other"), 0o700);
    for name in ["car/store.sqlite", "car/keyway.toml", "car/lock", "car.words"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[test]
fn no_secret_is_on_any_stream() {
    let stage = Stage::new();
    let init =
        stage.run("--home car init --name car --ledger chain --insecure-no-passphrase --words-to car.words");
    let told = format!("{}{}", init.text(), init.stderr);
    let words = fs::read_to_string(stage.join("car.words")).unwrap();
    assert!(words.split_whitespace().any(|word| word.len() > 4));
    for word in words.split_whitespace().filter(|word| word.len() > 4) {
        assert!(!told.split_whitespace().any(|said| said == word), "{word}");
    }
    let output = output_of(stage.command("--home car --json card").env("RUST_LOG", "trace"), b"");
    assert!(output.stderr.is_empty());
}
