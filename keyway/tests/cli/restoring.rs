//! Homes that were lost, restored by the command line: what they say afterwards is what they said before.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};

use crate::stage::{Run, Stage};
use crate::town::{Town, until};

/// All that a home tells of itself for programs, but what is its own folder's.
fn told(stage: &Stage, home: &str) -> Vec<Value> {
    let of = |command: &str| stage.json(&format!("--home {home} {command}"));
    let mut status = of("status");
    status["home"] = Value::Null;
    let keys = of("keys");
    let shown = keys.as_array().unwrap().iter();
    let shown: Vec<Value> = shown
        .map(|key| {
            let id = key["negotiation"].as_str().or(key["id"].as_str()).unwrap().to_owned();
            stage.json(&format!("--home {home} show {id}"))
        })
        .collect();
    [status, keys.clone()].into_iter().chain(shown).collect()
}

fn restore(stage: &Stage, home: &str, more: &str) -> Run {
    stage.run(&format!(
        "--home {home} --json init --words-from {home}.words --ledger chain --insecure-no-passphrase {more}"
    ))
}

fn lose(stage: &Stage, home: &str) {
    fs::remove_dir_all(stage.join(home)).unwrap();
}

#[test]
fn a_lost_home_is_restored_from_its_words_and_a_backup_and_tells_the_same() {
    let stage = Stage::agreed();
    let sealed = stage.feed("--home car seal charger", b"start at 11 kW").ok();
    stage.feed("--home charger open", sealed.as_bytes()).ok();
    for home in ["car", "charger"] {
        let before = told(&stage, home);
        let written = stage.json(&format!("--home {home} backup {home}.backup"));
        assert_eq!(written["bytes"], fs::read(stage.join(format!("{home}.backup"))).unwrap().len());
        lose(&stage, home);
        let made = restore(&stage, home, &format!("--backup {home}.backup")).json();
        assert_eq!(made["restored"], json!({ "negotiations": 1, "unread_payments": 0, "unread_offers": 0 }));
        assert_eq!(told(&stage, home), before, "{home}");
        assert_eq!(stage.json(&format!("--home {home} peer list")).as_array().unwrap().len(), 1);
        stage.ok(&format!("--home {home} sync"));
        assert_eq!(told(&stage, home), before, "{home}, once it goes on");
    }
    // What was opened before the loss is not opened again by itself.
    let refused = stage.feed("--home charger open", sealed.as_bytes()).explained(4);
    assert!(refused.contains("may have been opened before"), "{refused}");
    assert_eq!(stage.feed("--home charger open --again", sealed.as_bytes()).ok(), "start at 11 kW");
    stage.ok("--home car mine");
    stage.ok("--home car sync");
    stage.ok("--home charger sync");
    let sealed = stage.feed("--home charger seal car", b"started").ok();
    assert_eq!(stage.feed("--home car open", sealed.as_bytes()).ok(), "started");
}

#[test]
fn without_a_backup_the_words_the_name_and_the_cards_are_enough() {
    let stage = Stage::agreed();
    let before = told(&stage, "car");
    let card = stage.ok("--home charger card");
    lose(&stage, "car");
    let made = restore(&stage, "car", "--name car").json();
    assert_eq!(made["restored"], json!({ "negotiations": 0, "unread_payments": 1, "unread_offers": 0 }));
    let said = restore_text(&stage, "car2");
    assert!(said.contains("wait for cards") && said.contains("give the peers the new card"), "{said}");
    stage.feed("--home car peer add -", card.as_bytes()).ok();
    stage.ok("--home car sync");
    assert_eq!(told(&stage, "car"), before);
    // The new card is newer than whatever the lost home signed.
    let card = stage.ok("--home car card");
    stage.feed("--home charger peer add -", card.as_bytes()).ok();
}

fn restore_text(stage: &Stage, home: &str) -> String {
    let args = "init --restore --words-from car.words --name car --ledger chain --insecure-no-passphrase";
    stage.run(&format!("--home {home} {args}")).stderr
}

#[test]
fn what_cannot_be_restored_is_refused_before_anything_is_made() {
    let stage = Stage::agreed();
    stage.ok("--home car backup car.backup");
    lose(&stage, "car");
    let whole = fs::read_to_string(stage.join("car.backup")).unwrap();
    let with = |text: &str| {
        fs::write(stage.join("changed"), text).unwrap();
        restore(&stage, "car", "--backup changed")
    };
    let cut = with(&whole[..whole.len() / 2]).error(1);
    assert!(cut.contains("cut short"), "{cut}");
    let damaged = with(&whole.replacen("tip ", "tip 1", 1)).error(1);
    assert!(damaged.contains("checksum"), "{damaged}");
    let other = with(&whole.replacen("keyway-backup 1", "keyway-backup 7", 1)).error(1);
    assert!(other.contains("does not begin"), "{other}");
    // The backup of one with the words of another.
    fs::copy(stage.join("charger.words"), stage.join("truck.words")).unwrap();
    let refused = restore(&stage, "truck", "--backup car.backup").error(4);
    assert!(refused.contains("not of these words"), "{refused}");
    let ahead = restore(&stage, "car", "--name car --birthday 100000").error(2);
    assert!(ahead.contains("there is no block 100000"), "{ahead}");
    let usage = restore(&stage, "car", "").error(2);
    assert!(usage.contains("--name"), "{usage}");
    for home in ["car", "truck"] {
        assert!(!stage.join(home).exists(), "{home}");
    }
    // The last one stands over an earlier one, whole.
    fs::write(stage.join("old.backup"), "an older one").unwrap();
    stage.ok("--home charger backup old.backup");
    assert!(fs::read_to_string(stage.join("old.backup")).unwrap().starts_with("keyway-backup 1\n"));
    assert!(!stage.join("old.backup.unfinished").exists());
}

#[test]
fn restoring_that_is_killed_at_any_moment_goes_on_with_the_next_sync() {
    let stage = Stage::agreed();
    stage.ok("--home car mine 300");
    stage.ok("--home car sync");
    stage.ok("--home car backup car.backup");
    let before = told(&stage, "car");
    lose(&stage, "car");
    let args =
        "--home car init --words-from car.words --ledger chain --insecure-no-passphrase --backup car.backup";
    let started = Instant::now();
    stage.ok(args);
    let whole = started.elapsed();
    let mut kills = 0;
    for part in 1..=8 {
        lose(&stage, "car");
        let mut command = stage.command(args);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap();
        let deadline = Instant::now() + whole * part / 8;
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        kills += u32::from(child.wait().unwrap().code().is_none());
        if !stage.join("car").join("store.sqlite").exists() {
            // It was killed before the home was there: it is begun again.
            let _ = fs::remove_dir_all(stage.join("car"));
            stage.ok(args);
        }
        stage.ok("--home car sync");
        assert_eq!(told(&stage, "car"), before, "killed after {part}/8");
    }
    assert!(kills > 0, "nothing was killed");
}

#[test]
fn a_served_home_writes_its_backup_and_another_is_restored_beside_the_same_node() {
    for town in Kind::ALL.into_iter().filter_map(Town::start) {
        town.settle();
        let (car, charger) = (town.serve("car"), town.serve("charger"));
        town.stage.ok("--home car offer charger --pay 2500000sat");
        town.mine(1);
        until("the offer is answered", || town.state("charger") == "answered" && town.is_pending());
        town.mine(2);
        until("the key is active", || town.state("car") == "active" && town.state("charger") == "active");
        let height = town.node.call::<u64>("getblockcount", &[]);
        until("the car has the tip", || town.stage.json("--home car status")["height"] == height);
        let told_before = told(&town.stage, "car");
        // Into a file, to standard output, and for programs: always the same text.
        let written = town.stage.json("--home car backup car.backup");
        assert_eq!(written["file"], "car.backup");
        let text = fs::read_to_string(town.stage.join("car.backup")).unwrap();
        assert_eq!(town.stage.ok("--home car backup"), text);
        assert_eq!(town.stage.json("--home car backup")["backup"], text.as_str());
        drop(car);
        fs::remove_dir_all(town.stage.join("car")).unwrap();
        // Node, credentials and birthday are the backup's.
        let args = "--home car init --words-from car.words --backup car.backup --insecure-no-passphrase";
        town.stage.ok(args);
        assert_eq!(told(&town.stage, "car"), told_before);
        let _car = town.serve("car");
        town.mine(1);
        let height = town.node.call::<u64>("getblockcount", &[]);
        for home in ["car", "charger"] {
            until("both have the block", || {
                town.stage.json(&format!("--home {home} status"))["height"] == height
            });
        }
        let sealed = town.stage.feed("--home car seal charger", b"start at 11 kW").ok();
        assert_eq!(town.stage.feed("--home charger open", sealed.as_bytes()).ok(), "start at 11 kW");
        drop(charger);
    }
}

#[test]
fn a_node_that_has_pruned_the_birthday_is_refused_with_where_it_could_begin() {
    // Litecoin Core 0.21 cannot prune a chain that is as small as a test's.
    let Some(town) = Town::start_with(Kind::Bitcoin, &["-prune=1", "-fastprune"]) else { return };
    town.init("car", "").ok();
    let address = town.stage.json("--home car status")["address"].clone();
    town.node.call::<Value>("generatetoaddress", &[json!(1), address]);
    town.mine(1_200);
    town.stage.ok("--home car sync");
    fs::remove_dir_all(town.stage.join("car")).unwrap();
    let pruned = town.node.call::<u32>("pruneblockchain", &[json!(900)]);
    assert!(pruned > 0);
    let access = format!("--node {} --cookie {}", town.node.url(), town.node.cookie().display());
    let args = format!("--home car init --name car --words-from car.words --insecure-no-passphrase {access}");
    let refused = town.stage.run(&args).explained(5);
    assert!(refused.contains("no longer has the blocks above 0"), "{refused}");
    assert!(!town.stage.join("car").exists());
    let first = refused.rsplit("--birthday ").next().unwrap().trim().to_owned();
    town.stage.ok(&format!("{args} --birthday {first}"));
}
