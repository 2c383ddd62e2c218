//! Traces and evidence, as people and scripts get them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keyway_ledger::testnode::Kind;
use snapbox::str;

use crate::stage::{Run, Stage};
use crate::town::Town;

#[track_caller]
fn shows(run: Run, expected: impl snapbox::IntoData) {
    let output = run.masked();
    run.ok();
    snapbox::assert_data_eq!(output, expected);
}

/// An agreed key, and a third home that knows nobody.
fn with_an_auditor() -> Stage {
    let stage = Stage::agreed();
    stage.ok("--home auditor init --name auditor --ledger chain --insecure-no-passphrase --words-to a.words");
    for name in ["car", "charger"] {
        fs::write(stage.join(format!("{name}.card")), stage.ok(&format!("--home {name} card"))).unwrap();
    }
    stage
}

#[test]
fn a_party_reads_its_own_trace_with_what_only_it_knows_apart() {
    let stage = Stage::agreed();
    shows(
        stage.run("--home car trace"),
        str![[r#"
[ID]  car pays charger  answered
  block 102  [TIME]  offer   [ID]  250 000 sat · value · x25519 · 26 coins of 13
                                          bits
  block 103  [TIME]  answer  [ID]
  own  initiator · x25519 · active, confirmed by the peer · key [FINGERPRINT]

"#]],
    );
    stage.ok("--home car peer revoke charger");
    let trace = stage.json("--home car trace charger --from 102 --to 102");
    let own = &trace["negotiations"][0]["own"];
    assert_eq!((own["state"].as_str(), own["revoked"].as_bool()), (Some("active"), Some(true)));
    let none = stage.json("--home car trace charger --from 103");
    assert_eq!(none["negotiations"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_stranger_with_two_cards_sees_what_the_parties_did_and_not_what_they_know() {
    let stage = with_an_auditor();
    let own = stage.json("--home car trace")["negotiations"][0].clone();
    let key = stage.json("--home car card")["key"].as_str().unwrap().to_owned();
    let seen = stage.json("--home auditor trace car.card charger.card");
    assert_eq!((seen["scanned"].as_bool(), seen["unreadable"].as_u64()), (Some(true), Some(0)));
    let seen = &seen["negotiations"][0];
    for what in ["negotiation", "offer", "ended", "ending", "price_sat", "carrier", "suite"] {
        assert_eq!(seen[what], own[what], "{what}");
    }
    assert!(seen["own"].is_null() && !own["own"].is_null());
    // By a key as well, and by the party itself where it wants to see what others do.
    let by_key = stage.json(&format!("--home auditor trace {key} charger.card --from 90"));
    assert_eq!(by_key["negotiations"][0]["negotiation"], own["negotiation"]);
    let scanned = stage.json("--home car trace charger --scan");
    assert_eq!(scanned["negotiations"][0]["own"], own["own"]);
    let nobody = stage.run("--home auditor trace car");
    assert!(nobody.explained(1).contains("no peer"), "a name that it does not know");
}

#[test]
fn a_third_party_checks_evidence_against_a_block_headers_or_its_own_ledger() {
    let stage = with_an_auditor();
    let made = stage.json("--home car evidence export charger -o visit.evidence");
    let mode = fs::metadata(stage.join("visit.evidence")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (last, height) = (made["last_block"].as_str().unwrap(), made["last_height"].as_u64().unwrap());

    let by_block = stage.json(&format!("evidence verify visit.evidence --trusted {last}@{height} --depth 2"));
    assert_eq!((by_block["holds"].as_bool(), by_block["heights_known"].as_bool()), (Some(true), Some(true)));
    assert_eq!(by_block["negotiation"], made["negotiation"]);
    assert!(by_block["transcript"].is_string());

    stage.ok("--home car mine 3");
    let by_ledger = stage.json("--home auditor evidence verify visit.evidence --by-ledger");
    assert_eq!((by_ledger["depth"].as_u64(), by_ledger["held_to"].as_str()), (Some(5), Some("chain")));

    let headers: String = fs::read_to_string(stage.join("visit.evidence"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix(r#"{"header":""#)?.strip_suffix(r#""}"#))
        .map(|header| format!("{header}\n"))
        .collect();
    fs::write(stage.join("headers"), &headers).unwrap();
    let by_headers = stage.json("evidence verify visit.evidence --headers headers");
    assert_eq!((by_headers["depth"].as_u64(), by_headers["heights_known"].as_bool()), (Some(2), Some(false)));
    fs::write(stage.join("headers"), headers.lines().take(3).collect::<Vec<_>>().join("\n")).unwrap();
    let other = stage.run("evidence verify visit.evidence --headers headers");
    snapbox::assert_data_eq!(
        other.explained(4),
        str![[r#"
error: the evidence does not hold (OtherBranch)
  block 103 ([HEX]) is not in the chain that it is held to: the file is of another branch
  take nothing of it for proven

"#]]
    );
    fs::write(stage.join("headers"), "no headers").unwrap();
    stage.run("evidence verify visit.evidence --headers headers").explained(1);

    shows(
        stage.run("evidence show visit.evidence"),
        str![[r#"
chain      regtest
id         [HEX]
initiator  car  [HEX]
responder  charger  [HEX]
coin       1 250 000 sat
offer      [HEX] in block 102, number 1,
           1 inputs, 27 outputs
answer     [HEX] in block 103, number 1,
           26 inputs, 1 outputs
headers    92 to 104, the last [ID], [TIME] UTC
disclosed  nothing

"#]],
    );
}

#[test]
fn nothing_is_verified_without_saying_what_it_is_held_to() {
    let stage = Stage::agreed();
    stage.ok("--home car evidence export charger -o visit.evidence");
    assert_eq!(stage.run("evidence verify visit.evidence").code(), Some(2));
    assert_eq!(stage.run("evidence verify visit.evidence --by-work --by-ledger").code(), Some(2));
    let said = stage.ok("evidence verify visit.evidence --by-work");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("which on a chain for testing is little"), "{said}");
    snapbox::assert_data_eq!(
        stage.run("evidence verify visit.evidence --by-work --depth 9").explained(4),
        str![[r#"
error: the evidence does not hold (TooShallow)
  it is 2 blocks deep, and 9 are asked for
  take nothing of it for proven

"#]]
    );
    let text = fs::read_to_string(stage.join("visit.evidence")).unwrap();
    fs::write(stage.join("visit.evidence"), text.replace("\"coin_sat\":1", "\"coin_sat\":2")).unwrap();
    snapbox::assert_data_eq!(
        stage.run("evidence verify visit.evidence --by-work").explained(1),
        str![[r#"
error: this is no evidence (Checksum)
  its checksum is wrong: something was lost or changed on the way
  ask whoever gave it for the whole file, as it was written

"#]]
    );
}

#[test]
fn both_sides_disclose_in_turn_and_a_session_key_opens_one_blocks_messages() {
    let stage = Stage::funded();
    stage.ok("--home car offer charger --pay 250000sat --carrier static --suite x25519");
    stage.answer();
    let sealed = stage.feed("--home car seal charger", b"start at 11 kW").ok();
    let height = stage.json("--home car status")["height"].as_u64().unwrap();
    let car = stage.ok("--home car evidence export charger --disclose contents --disclose fingerprint");
    fs::write(stage.join("car.evidence"), car).unwrap();
    stage.ok(&format!(
        "--home charger evidence export car --disclose contents --disclose fingerprint --disclose \
         session:{height}:received --join car.evidence -o both.evidence"
    ));
    let said = stage.json("evidence verify both.evidence --by-work");
    assert_eq!((said["tag_proven"].as_bool(), said["suites"][0].as_str()), (Some(true), Some("x25519")));
    assert_eq!(said["fingerprints"]["initiator"], said["fingerprints"]["responder"]);
    assert_eq!(stage.feed("evidence open both.evidence -", sealed.as_bytes()).ok(), "start at 11 kW");
    let back = stage.feed("--home charger seal car", b"started").ok();
    let refused = stage.feed("evidence open both.evidence -", back.as_bytes());
    assert!(refused.explained(1).contains("other direction"));
    let twice = stage.run("--home charger evidence export car -o both.evidence");
    assert!(twice.explained(1).contains("exists already"));
    assert_eq!(stage.run("--home charger evidence export car --disclose mk").code(), Some(2));
}

/// Over real nodes, litecoind's scrypt included: neither has an index, and both homes are served.
#[test]
fn beside_a_node_served_homes_export_and_a_third_party_verifies_by_that_node() {
    for town in Kind::ALL.into_iter().filter_map(Town::start) {
        town.settle();
        town.stage.ok("--home car offer charger --pay 2500000sat --carrier static --suite x25519");
        for _ in 0..6 {
            town.mine(1);
            town.sync("car");
            town.sync("charger");
        }
        assert_eq!(town.key("car")["state"], "active");
        town.init("auditor", "").ok();
        let _served = town.serve("car");
        let made =
            town.stage.json("--home car evidence export charger --disclose contents -o visit.evidence");
        assert_eq!(made["chain"].as_str(), Some(town.node.kind().chain().name()));
        let said = town.stage.json("--home auditor evidence verify visit.evidence --by-ledger");
        assert_eq!(
            (said["heights_known"].as_bool(), said["offer_laid_open"].as_bool()),
            (Some(true), Some(true))
        );
        let known = town.stage.json("--home car trace")["negotiations"][0].clone();
        let key =
            |home: &str| town.stage.json(&format!("--home {home} card"))["key"].as_str().unwrap().to_owned();
        fs::write(town.stage.join("charger.card"), town.stage.ok("--home charger card")).unwrap();
        let by_card = town.stage.json("--home car trace charger.card");
        assert_eq!(
            by_card["negotiations"][0], known,
            "the process that serves the home does not see this folder"
        );
        let pair = format!("--home auditor trace {} {}", key("car"), key("charger"));
        let seen = town.stage.json(&pair)["negotiations"][0].clone();
        assert_eq!((&seen["offer"], &seen["ended"]), (&known["offer"], &known["ended"]));
        assert!(seen["suite"].is_null() && seen["suites_by_length"] == serde_json::json!(["x25519"]));
        // What was mined is reorganised away: the file is of a branch that nobody follows.
        town.node.roll_back(7);
        town.mine_empty(8);
        let refused = town.stage.run("--home auditor evidence verify visit.evidence --by-ledger");
        assert!(refused.explained(4).contains("OtherBranch"));
    }
}
