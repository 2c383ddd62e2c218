//! A fleet: an operator introduces its cars in a roster, and takes that back.

use std::fs;

use serde_json::Value;
use snapbox::str;

use crate::stage::{Run, Stage};

/// Car and charger know the operator by hand, and accept whom it introduces.
fn fleet() -> Stage {
    let stage = Stage::new();
    stage.ok(
        "--home operator init --name operator --ledger chain --insecure-no-passphrase --words-to o.words",
    );
    fs::write(stage.join("operator.card"), stage.ok("--home operator card")).unwrap();
    let mut cards = String::new();
    for name in ["car", "charger"] {
        stage.ok(&format!(
            "--home {name} init --name {name} --ledger chain --insecure-no-passphrase --words-to {name}.words"
        ));
        stage.ok(&format!("--home {name} peer add operator.card"));
        let file = stage.join(name).join("keyway.toml");
        let config = fs::read_to_string(&file).unwrap();
        fs::write(&file, config.replace("accept_by = []", "accept_by = [\"operator\"]")).unwrap();
        let card = stage.ok(&format!("--home {name} card"));
        fs::write(stage.join(format!("{name}.card")), &card).unwrap();
        cards.push_str(&card);
        cards.push_str(&stage.ok(&format!("--home operator peer introduce {name}.card")));
    }
    fs::write(stage.join("fleet.txt"), cards).unwrap();
    stage
}

#[track_caller]
fn shows(run: Run, expected: impl snapbox::IntoData) {
    let output = run.masked();
    run.ok();
    snapbox::assert_data_eq!(output, expected);
}

#[test]
fn a_roster_makes_peers_of_cars_that_never_met() {
    let stage = fleet();
    shows(
        stage.run("--home car peer import fleet.txt"),
        str![[r#"
1 card and 2 introductions taken

"#]],
    );
    shows(
        stage.run("--home charger peer import fleet.txt"),
        str![[r#"
1 card and 2 introductions taken

"#]],
    );
    let peers = stage.json("--home car peer list");
    let charger = peers.as_array().unwrap().iter().find(|peer| peer["name"] == "charger").unwrap();
    assert_eq!((&charger["standing"], &charger["introduced_by"]), (&"introduced".into(), &"operator".into()));
    assert!(charger["introduced_until_height"].as_u64().unwrap() > 50_000);
    stage.ok("--home car fund 0.05btc");
    stage.ok("--home car offer charger --pay 250000sat");
    stage.ok("--home car mine");
    assert!(stage.ok("--home charger sync").contains("answered car"));
}

#[test]
fn a_withdrawal_in_the_roster_ends_it_and_says_why() {
    let stage = fleet();
    stage.ok("--home car peer import fleet.txt");
    let withdrawal = stage.ok("--home operator peer introduce charger.card --withdraw");
    fs::write(stage.join("fleet.txt"), withdrawal).unwrap();
    let config = stage.join("car/keyway.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("# roster = \"fleet.txt\"", "roster = \"../fleet.txt\"")).unwrap();
    shows(
        stage.run("--home car sync"),
        str![[r#"
block 0  0 new
  roster: 0 cards and 1 introduction taken

"#]],
    );
    snapbox::assert_data_eq!(
        stage.run("--home car offer charger --pay 250000sat").told(4),
        str![[r#"
error: charger is not dealt with
  its introduction is over or withdrawn, or introductions.accept_by no longer names who made it
  ask its introducer for a new one, or take its card by hand: `keyway peer add`

"#]]
    );
}

#[test]
fn a_revoked_peer_is_refused_and_listed_as_such_until_that_is_undone() {
    let stage = Stage::new();
    stage.introduce();
    shows(
        stage.run("--home car peer revoke charger"),
        str![[r#"
charger  [HEX]

"#]],
    );
    let listed = stage.json("--home car peer list");
    assert_eq!(listed[0]["standing"], Value::from("revoked"));
    snapbox::assert_data_eq!(
        stage.run("--home car offer charger --pay 250000sat").told(4),
        str![[r#"
error: charger is not dealt with
  it was revoked here
  `keyway peer revoke --undo charger` takes that back

"#]]
    );
    snapbox::assert_data_eq!(
        stage.run("--home car peer remove charger --force").told(4),
        str![[r#"
error: charger is revoked, and its card is kept
  a roster that lists it would bring it back
  `keyway peer revoke --undo charger` comes first if it shall be forgotten

"#]]
    );
    shows(
        stage.run("--home car peer revoke --undo charger"),
        str![[r#"
charger  [HEX]

"#]],
    );
}

#[test]
fn lines_that_are_not_taken_are_told_and_hinder_no_other() {
    let stage = fleet();
    let good = fs::read_to_string(stage.join("fleet.txt")).unwrap();
    let damaged = good.lines().next().unwrap().replace("keyway-card:A", "keyway-card:B");
    fs::write(stage.join("fleet.txt"), format!("hello\n{damaged}\n{good}")).unwrap();
    shows(
        stage.run("--home car peer import fleet.txt"),
        str![[r#"
1 card and 2 introductions taken
  line 1: neither a card nor an introduction
  line 2: the card's checksum is wrong: a character was lost or changed; copy it again, whole

"#]],
    );
}

#[test]
fn nobody_introduces_himself_or_a_stranger_by_name() {
    let stage = fleet();
    snapbox::assert_data_eq!(
        stage.run("--home car peer introduce car.card").told(4),
        str![[r#"
error: the card is refused
  this is your own card
  give it to the peer, and add the peer's card here

"#]]
    );
    snapbox::assert_data_eq!(
        stage.run("--home car peer introduce nobody").told(1),
        str![[r#"
error: no peer is called `nobody`
  known are: operator
  add its card with `keyway peer add`

"#]]
    );
}
