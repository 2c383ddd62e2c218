//! Keys that live by a coin, as people and scripts meet them.

use std::fs;

use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};
use snapbox::str;

use crate::serving::http;
use crate::stage::{Run, Stage};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use crate::steps;
use crate::town::{Town, until};

#[track_caller]
fn shows(run: Run, expected: impl snapbox::IntoData) {
    let output = run.masked();
    run.ok();
    snapbox::assert_data_eq!(output, expected);
}

/// Both homes make coins.
fn asked_for(stage: &Stage) {
    for home in ["car", "charger"] {
        let path = stage.join(home).join("keyway.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nliveness = false\n"), "{text}");
        fs::write(&path, text.replace("liveness = false", "liveness = true")).unwrap();
    }
}

/// An active key with a coin.
fn living() -> Stage {
    let stage = Stage::funded();
    asked_for(&stage);
    stage.ok("--home car offer charger --pay 250000sat");
    stage.answer();
    stage
}

fn next(stage: &Stage) {
    stage.ok("--home car mine");
    stage.ok("--home charger sync");
    stage.ok("--home car sync");
}

#[test]
fn a_key_lives_by_its_coin_until_one_side_revokes_it_for_both() {
    let stage = living();
    shows(
        stage.run("--home car status"),
        str![[r#"
...
charger  [ID]  1      [..]  active, confirmed by the peer; coin alive since block 103

"#]],
    );
    shows(
        stage.run("--home charger show car"),
        str![[r#"
...
state        active, not yet confirmed by the peer
coin         [HEX]:0 of 1 000 sat
             alive since block 103
key          [FINGERPRINT]
...
"#]],
    );
    let asked = stage.run("--home car revoke charger").explained(1);
    assert!(asked.contains("use --yes"), "nobody can be asked here: {asked}");
    shows(
        stage.run("--home car revoke charger --yes"),
        str![[r#"
negotiation [ID]  keys with charger revoked in [HEX], which pays 1[..] sat to miners

"#]],
    );
    let again = stage.json("--home car revoke charger --yes");
    assert_eq!(
        (again["outcome"].as_str(), again["peer"].as_str()),
        (Some("sent"), Some("charger")),
        "{again}"
    );
    next(&stage);
    shows(
        stage.run("--home charger status"),
        str![[r#"
...
car   [ID]  1      [..]  active, not yet confirmed by the peer: its revocation has depth 1 of 2

"#]],
    );
    shows(
        stage.run("--home charger show car"),
        str![[r#"
...
waiting      its revocation has depth 1 of 2
coin         [HEX]:0 of 1 000 sat
             revocation coming by the peer in
             [HEX], 1 of 2 blocks, block
             105 · [TIME] UTC
...
"#]],
    );
    next(&stage);
    for home in ["car", "charger"] {
        let shown = stage.json(&format!("--home {home} keys"))[0].clone();
        assert_eq!(
            (&shown["state"], &shown["coin"]["life"]),
            (&json!("revoked"), &json!("spent")),
            "{shown}"
        );
        assert_eq!(shown["coin"]["by_txid"], again["txid"]);
        assert_eq!((&shown["coin"]["by_own"], &shown["coin"]["depth"]), (&json!(home == "car"), &json!(2)));
    }
    shows(
        stage.run("--home car trace"),
        str![[r#"
[ID]  car pays charger  revoked
  block 102  [TIME]  offer   [ID]  250 000 sat · value · x25519 · 26 coins of 13
                                          bits
  block 103  [TIME]  answer  [ID]
  block 103  [TIME]  coin    [ID]  1 000 sat, by which the key lives
  block 105  [TIME]  revoked [ID]  the coin was spent by car
  own  initiator · x25519 · revoked, confirmed by the peer · key [FINGERPRINT]

"#]],
    );
    let refused = stage.feed("--home charger seal car", b"too late").explained(4);
    assert!(refused.contains("revoked") && refused.contains("negotiate again"), "{refused}");
    shows(
        stage.run("--home charger revoke car --yes"),
        str![[r#"
negotiation [ID]  keys with car were revoked in [HEX]

"#]],
    );
    stage.ok("--home car evidence export charger -o end.evidence");
    let said = stage.json("evidence verify end.evidence --by-work");
    assert_eq!(said["spendings"][0]["spent_for"], "revocation");
    assert_eq!(said["spendings"][0]["txid"], again["txid"]);
    shows(
        stage.run("evidence show end.evidence"),
        str![[r#"
...
answer     [HEX] in block 103, number 1,
           26 inputs, 2 outputs
spending   [HEX] in block 105, number [..]
headers    92 to 106, the last [ID], [TIME] UTC
...
"#]],
    );
}

#[test]
fn rotation_takes_the_coin_along() {
    let stage = living();
    let first = stage.json("--home car keys")[0].clone();
    stage.ok("--home car rotate charger");
    (0..3).for_each(|_| next(&stage));
    let moving = stage.ok("--home charger show car");
    assert!(moving.contains("on its way to the next key in"), "{moving}");
    next(&stage);
    let keys = stage.json("--home car keys");
    assert_eq!((&keys[0]["state"], &keys[1]["state"]), (&json!("superseded"), &json!("active")));
    assert_eq!((&keys[1]["coin"]["names"], &keys[1]["coin"]["life"]), (&keys[1]["id"], &json!("alive")));
    assert_eq!(keys[1]["coin"]["since_height"], first["coin"]["since_height"]);
    let trace = stage.ok("--home car trace");
    assert!(trace.contains("the coin went to") && trace.contains("the coin came from"), "{trace}");
}

#[test]
fn a_pair_without_a_coin_is_told_what_to_do_instead() {
    let stage = Stage::agreed();
    snapbox::assert_data_eq!(
        stage.run("--home car revoke charger --yes").explained(4),
        str![[r#"
error: this pair has no liveness coin: none of its answers created one, or it was spent before they were answered
  keys without one cannot be revoked on the chain; policy.liveness of the responder's configuration has an answer create one
  use `keyway peer revoke charger`: then this home neither seals for it nor opens what it sealed

"#]]
    );
    stage.run("--home car revoke nobody --yes").explained(1);
}

/// Whatever the moment: what was asked for happens once, and the coin is spent.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_revocation_that_is_killed_before_any_of_its_changes_goes_through_when_it_is_typed_again() {
    let (mut n, mut killed) = (0, 0);
    loop {
        let stage = living();
        let command = stage.command("--home car revoke charger --yes");
        let Some(ended) = steps::kill_before(&command, stage.path(), n) else {
            println!("skipped: no process may be traced here");
            return;
        };
        stage.ok("--home car sync");
        let sent = stage.json("--home car revoke charger --yes");
        assert_eq!(sent["outcome"], "sent", "before change {n}: {sent}");
        next(&stage);
        next(&stage);
        for home in ["car", "charger"] {
            let shown = stage.json(&format!("--home {home} keys"))[0].clone();
            assert_eq!(shown["state"], "revoked", "before change {n}: {shown}");
            assert_eq!(shown["coin"]["by_txid"], sent["txid"]);
        }
        killed += u32::from(ended.killed);
        if !ended.killed {
            break;
        }
        // Not each of them: a few kinds of change repeat.
        n += 5;
    }
    assert!(killed > 2, "it was killed {killed} times only");
}

/// Over each real node there is: served homes create the coin, move it and spend it, though they and the node are killed, and
/// the chain is reorganised.
#[test]
fn beside_a_node_served_homes_create_move_and_spend_the_coin() {
    for town in Kind::ALL.into_iter().filter_map(Town::start) {
        town.settle();
        asked_for(&town.stage);
        town.edit("car", "key_depth = 2", "key_depth = 3");
        town.edit("charger", "key_depth = 2", "key_depth = 3");
        let [car, charger] = [town.serve("car"), town.serve("charger")];
        town.stage.ok("--home car offer charger --pay 2500000sat --carrier static --suite x25519");
        let life = |home: &str, id: &Value| {
            let id = id.as_str().unwrap();
            town.shown(home, id)["coin"].clone()
        };
        let active = |id: &Value| {
            town.mine(1);
            until("the offer is answered", || {
                town.shown("charger", id.as_str().unwrap())["state"] == "answered" && town.is_pending()
            });
            town.mine(3);
            for home in ["car", "charger"] {
                until("the key is active", || town.shown(home, id.as_str().unwrap())["state"] == "active");
            }
        };
        let first = town.key("car")["id"].clone();
        active(&first);
        let floor = if town.node.kind() == Kind::Litecoin { 6_000 } else { 1_000 };
        assert_eq!(
            (&life("car", &first)["amount_sat"], &life("car", &first)["life"]),
            (&json!(floor), &json!("alive"))
        );

        let second = town.stage.json("--home car rotate charger")["id"].clone();
        active(&second);
        until("the coin is on its way", || life("charger", &second)["life"] == "moving");
        charger.kill();
        let charger = town.serve("charger");
        town.mine(1);
        for home in ["car", "charger"] {
            until("the coin has moved", || life(home, &second)["names"] == second);
        }

        let (status, revoked) = http(&town, "charger", "POST", "/v1/negotiations/car/revoke", &Value::Null);
        let revoked: Value = serde_json::from_str(&revoked).unwrap();
        assert_eq!((status, &revoked["outcome"]), (200, &json!("sent")), "{revoked}");
        until("the car sees it unmined", || life("car", &second)["life"] == "ending");
        car.kill();
        charger.kill();
        let _served = [town.serve("car"), town.serve("charger")];
        town.mine(3);
        let ended = |state: &str| {
            for home in ["car", "charger"] {
                until("both say the same", || {
                    [&first, &second].iter().all(|id| {
                        let shown = town.shown(home, id.as_str().unwrap())["state"].clone();
                        shown == state || (state == "active" && (shown == "active" || shown == "superseded"))
                    })
                });
            }
        };
        ended("revoked");
        assert_eq!(life("car", &second)["by_txid"], revoked["txid"]);

        town.node.roll_back(3);
        town.mine_empty(1);
        ended("active");
        until("it is sent again", || town.is_pending());
        town.mine(3);
        ended("revoked");
        town.stage.ok("--home car evidence export charger -o end.evidence");
        let said = town.stage.json("evidence verify end.evidence --by-work");
        assert_eq!(
            said["spendings"].as_array().unwrap().last().unwrap()["spent_for"],
            "revocation",
            "{said}"
        );
    }
}
