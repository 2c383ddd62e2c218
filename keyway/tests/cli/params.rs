//! `keyway params`, and offers in groups that come from outside.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::fixtures::{COMPOSITE, MODP2048, SAFE2060, SMOOTH};
use crate::stage::Stage;

/// Writes a group into a file.
fn group(stage: &Stage, name: &str, modulus: &str, generator: &str) {
    fs::write(stage.join(name), format!("# of a test\np = {modulus}\ng = {generator}\n")).unwrap();
}

/// Both homes answer these suites, and their cards say so.
fn accepting(suites: &str) -> Stage {
    let stage = Stage::funded();
    for home in ["car", "charger"] {
        let config = stage.join(home).join("keyway.toml");
        let text = fs::read_to_string(&config).unwrap();
        let text = text.replace("groups_from = []\n", "");
        fs::write(config, text.replace("[policy]\n", &format!("[policy]\n{suites}\n"))).unwrap();
        stage.ok(&format!("--home {home} sync"));
    }
    stage.exchange_cards("car", "charger");
    stage
}

/// Both homes say in which group they agreed, in `show` and in `trace`.
fn tell_the_group(stage: &Stage, expected: &serde_json::Value) {
    for (home, peer) in [("car", "charger"), ("charger", "car")] {
        let own =
            |it: &serde_json::Value| it["negotiations"].as_array().unwrap().last().unwrap()["own"].clone();
        assert_eq!(own(&stage.json(&format!("--home {home} trace")))["group"], *expected);
        assert_eq!(stage.json(&format!("--home {home} show {peer}"))["group"], *expected);
        let digest = &expected["digest"].as_str().unwrap()[..16];
        for command in ["trace", &format!("show {peer}")] {
            assert!(stage.ok(&format!("--home {home} {command}")).contains(digest), "{command}");
        }
    }
}

#[test]
fn algorithm_2_and_4_by_hand_a_group_from_a_file_leads_to_one_key() {
    let stage = accepting("suites = [\"ffdh-custom\"]");
    group(&stage, "mine.group", MODP2048, "2");
    let offer = "--home car offer charger --pay 250000sat --carrier static --suite ffdh-custom";
    let run = stage.run(&format!("{offer} --params mine.group"));
    assert!(run.stderr.contains("warning: this group is that of whoever made the file"), "{}", run.stderr);
    run.ok();
    stage.answer();
    let keys = |home: &str| stage.json(&format!("--home {home} keys"));
    assert_eq!(keys("car")[0]["state"], "active");
    assert_eq!(keys("car")[0]["suite"], "ffdh-custom");
    assert_eq!(keys("car")[0]["fingerprint"], keys("charger")[0]["fingerprint"]);
    let digest = stage.json("params check mine.group")["digest"].clone();
    tell_the_group(&stage, &json!({"digest": digest, "bits": 2048, "published": null}));
    let sealed = stage.feed("--home car seal charger", b"start").ok();
    assert_eq!(stage.feed("--home charger open", sealed.as_bytes()).ok(), "start");
}

#[test]
fn algorithm_1_and_3_by_hand_a_published_group_is_found_named_and_used() {
    let stage = accepting("suites = [\"ffdh-published\"]\ngroups_from = [\"charger\"]");
    group(&stage, "mine.group", SAFE2060, "4");
    stage.ok("--home charger fund 0.01btc");
    let published = stage.json("--home charger params publish mine.group");
    let txid = published["txid"].as_str().unwrap();
    assert_eq!(published["bits"], 2060);
    stage.ok("--home charger mine");
    let offer = "--home car offer charger --pay 250000sat --carrier static --suite ffdh-published";
    assert!(stage.run(&format!("{offer} --published {txid}")).explained(3).contains("has depth 1 of 6"));
    stage.ok("--home charger mine 5");
    let listed = stage.json("--home car params list");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let (first, is) = (&listed[0], |key: &str| listed[0][key].clone());
    assert_eq!(
        (is("txid"), is("name"), is("used"), is("sound")),
        (txid.into(), "charger".into(), true.into(), true.into())
    );
    assert_eq!(first["digest"], published["digest"]);
    assert_eq!(stage.json(&format!("--home car params check {}", &txid[..12]))["sound"], true);
    stage.ok(&format!("{offer} --published {}", &txid[..8]));
    stage.answer();
    let keys = |home: &str| stage.json(&format!("--home {home} keys"));
    assert_eq!(
        (&keys("car")[0]["state"], &keys("car")[0]["suite"]),
        (&"active".into(), &"ffdh-published".into())
    );
    assert_eq!(keys("car")[0]["fingerprint"], keys("charger")[0]["fingerprint"]);
    tell_the_group(&stage, &json!({"digest": published["digest"], "bits": 2060, "published": txid}));
    assert!(stage.run(&format!("{offer} --published 00000000")).explained(1).contains("no published group"));
    assert!(stage.run("--home car params check 0000000000").explained(1).contains("is no published group"));
}

#[test]
fn a_group_is_checked_by_name_and_the_exit_code_says_it() {
    let stage = Stage::new();
    group(&stage, "good", MODP2048, "2");
    let checked = stage.json("params check good");
    assert_eq!((&checked["sound"], &checked["bits"]), (&true.into(), &2048.into()));
    for (name, modulus, generator, why) in [
        ("composite", COMPOSITE, "4", "its modulus is composite"),
        ("smooth", SMOOTH, "4", "its modulus is no safe prime"),
        ("one", MODP2048, "1", "its generator is 1 or p - 1"),
        ("zero", MODP2048, "0", "its generator is 0"),
        ("weak", "17", "4", "its modulus has 5 bits, and is weak"),
    ] {
        group(&stage, name, modulus, generator);
        let run = stage.run(&format!("params check {name}"));
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert_ne!(run.code(), Some(0));
    }
    let checked = stage.run("--json params check smooth");
    assert_eq!(checked.code(), Some(4));
    assert!(checked.text().contains("\"sound\":false") || checked.text().contains("\"sound\": false"));
    fs::write(stage.join("noise"), [0xff; 100]).unwrap();
    assert!(stage.run("params check noise").explained(2).contains("holds no group"));
    assert!(stage.run("params check nowhere").explained(1).contains("cannot read"));
}

#[test]
fn an_offer_in_no_group_or_over_another_carrier_says_what_to_do() {
    let stage = accepting("suites = [\"ffdh-custom\", \"x25519\"]");
    group(&stage, "mine.group", MODP2048, "2");
    let offer = "--home car offer charger --pay 250000sat";
    let over = |more: &str| stage.run(&format!("{offer} {more}")).explained(4);
    assert!(over("--carrier static --suite ffdh-custom").contains("give it with --params FILE"));
    assert!(
        stage
            .run(&format!("{offer} --carrier value --suite ffdh-custom --params mine.group"))
            .stderr
            .contains("use --carrier static")
    );
    assert!(
        stage
            .run(&format!("{offer} --suite x25519 --params mine.group"))
            .stderr
            .contains("use --suite ffdh-custom")
    );
}

/// A program that ends with this value, whatever becomes of the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Draws two safe primes of 2,048 bits, which takes minutes: `./x test --run-ignored only algorithm_1_as_a_service`.
#[test]
#[ignore = "takes minutes"]
fn algorithm_1_as_a_service_publishes_another_group_when_the_blocks_have_passed() {
    let stage = accepting("suites = [\"ffdh-published\"]\ngroups_from = [\"charger\"]");
    stage.ok("--home charger fund 0.01btc");
    let mut service = Service(
        stage
            .command("--json --home charger params publish --bits 2048 --every 2blocks")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let said = serde_json::Deserializer::from_reader(service.0.stdout.take().unwrap());
    let mut published = said.into_iter::<serde_json::Value>();
    let mut next = || published.next().unwrap().unwrap();
    let first = next();
    // The service holds the ledger only while it asks.
    stage.ok("--home car mine 3");
    let second = next();
    assert_ne!(first["p"], second["p"]);
    stage.ok("--home car mine 6");
    drop(service);
    let listed = stage.json("--home car params list");
    let txids: Vec<_> = listed.as_array().unwrap().iter().map(|group| &group["txid"]).collect();
    for published in [&first, &second] {
        assert!(txids.contains(&&published["txid"]), "{listed}");
    }
    assert!(listed.as_array().unwrap().iter().all(|group| group["used"] == true && group["sound"] == true));
}

#[test]
fn a_search_that_is_ended_leaves_nothing_behind() {
    let stage = Stage::new();
    let mut search = stage
        .command("params generate --bits 4096 --out mine.group")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says what it does before it begins.
    let mut first = [0; 20];
    search.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&search);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(!search.wait().unwrap().success());
    assert!(!stage.join("mine.group").exists());
    fs::write(stage.join("mine.group"), "").unwrap();
    assert!(stage.run("params generate --out mine.group").explained(1).contains("exists already"));
    assert_eq!(stage.run("params generate --bits 1024").code(), Some(2));
}
