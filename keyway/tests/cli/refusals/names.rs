//! Names that mean nothing, or several things.

use snapbox::str;

use super::{refused, without_terminal};
use crate::stage::Stage;

#[test]
fn names_that_are_unknown_or_may_mean_several_are_refused_with_the_candidates() {
    let stage = Stage::agreed();
    stage.ok(
        "--home chalet init --name chalet --ledger chain --insecure-no-passphrase --words-to chalet.words",
    );
    stage.exchange_cards("car", "chalet");
    refused(
        stage.run("--home car offer boat --pay 60000"),
        1,
        str![[r#"
error: no peer is called `boat`
  known are: chalet, charger
  add its card with `keyway peer add`

"#]],
    );
    refused(
        stage.run("--home car offer cha --pay 60000"),
        1,
        str![[r#"
error: `cha` is ambiguous
  it may mean: chalet, charger
  give more characters

"#]],
    );
    refused(
        stage.run("--home car seal boat"),
        1,
        str![[r#"
error: no peer is called `boat`
  known are: chalet, charger
  add its card with `keyway peer add`

"#]],
    );
    refused(
        stage.run("--home car seal cha"),
        1,
        str![[r#"
error: `cha` is ambiguous
  it may mean: chalet, charger
  give more characters

"#]],
    );
    refused(
        stage.run("--home car seal chalet"),
        1,
        str![[r#"
error: there is no active key with chalet
  no negotiation has one that is deep enough in the chain
  make an offer, or `keyway sync` after the next block

"#]],
    );
    refused(
        stage.run("--home car show boat"),
        1,
        str![[r#"
error: no negotiation matches `boat`
  `keyway keys` lists them
  run `keyway sync` first if it is new

"#]],
    );
    refused(
        stage.run("--home car seal abcdef"),
        1,
        str![[r#"
error: no negotiation matches `abcdef`
  `keyway keys` lists them
  run `keyway sync` first if it is new

"#]],
    );
    refused(
        stage.run("--home car peer remove boat"),
        1,
        str![[r#"
error: no peer is called `boat`
  known are: chalet, charger
  add its card with `keyway peer add`

"#]],
    );
    refused(
        stage.run("--home car peer remove charger"),
        4,
        str![[r#"
error: the peer charger has negotiations in this home
  removing its card would leave them unreadable
  use --force if that is meant

"#]],
    );
    refused(
        stage.run("--home car keys --reveal boat"),
        1,
        str![[r#"
error: no negotiation matches `boat`
  `keyway keys` lists them
  run `keyway sync` first if it is new

"#]],
    );
    refused(
        without_terminal(&stage, "--home car keys --reveal charger"),
        1,
        str![[r#"
error: the master key was not shown, and there is no terminal to show it on
  it must not end in a pipe or a log by accident
  run the command on a terminal

"#]],
    );
    stage.feed("--home car seal charg", b"hello").ok();
    stage.ok("--home car peer remove chal");
}

#[test]
fn two_negotiations_that_begin_alike_are_told_apart() {
    let stage = Stage::agreed();
    // Seventeen ids: two begin with the same hex digit.
    let mut ids = vec![stage.json("--home car keys")[0]["id"].as_str().unwrap().to_owned()];
    while !ids.iter().enumerate().any(|(at, id)| ids[..at].iter().any(|other| other[..1] == id[..1])) {
        let offered = stage.json("--home car offer charger --pay 60000");
        ids.push(offered["id"].as_str().unwrap().to_owned());
        stage.ok("--home car mine");
    }
    let last = ids.last().unwrap();
    let twin = ids.iter().find(|id| id[..1] == last[..1]).unwrap();
    let refused = stage.run(&format!("--home car show {}", &last[..1])).explained(1);
    assert!(refused.contains("is ambiguous"), "{refused}");
    let plain = stage.run(&format!("--home car show {}", &last[..1])).stderr;
    assert!(plain.contains(&last[..8]) && plain.contains(&twin[..8]), "{plain}");
    assert_eq!(stage.json(&format!("--home car show {}", &last[..16]))["id"], last.as_str());
}
