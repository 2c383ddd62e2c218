//! Messages that do not open, or not yet.

use std::fs;

use snapbox::str;

use super::refused;
use crate::stage::Stage;

#[test]
fn a_sealed_message_opens_once_unchanged_and_for_the_other_side_alone() {
    let stage = Stage::agreed();
    let sealed = stage.feed("--home car seal charger --aad session-7", b"start").ok();
    let open = |home: &str, text: &str, more: &str| {
        stage.feed(&format!("--home {home} open {more}"), text.as_bytes())
    };

    let flipped = flip(sealed.trim(), sealed.trim().len() - 10);
    refused(
        open("charger", &flipped, "--aad session-7"),
        1,
        str![[r#"
error: the message does not open
  it was changed on the way, or sealed with another key or other public text
  ask the sender to seal it again, with the same --aad on both sides

"#]],
    );
    refused(
        open("charger", &sealed, ""),
        1,
        str![[r#"
error: the message does not open
  it was changed on the way, or sealed with another key or other public text
  ask the sender to seal it again, with the same --aad on both sides

"#]],
    );
    // One character more than whole groups of four: base64 of nothing, whatever the character.
    let cut = "keyway-sealed:".len() + 4 * 20 + 1;
    refused(
        open("charger", &sealed[..cut], "--aad session-7"),
        1,
        str![[r#"
error: this is no message to open
  not a sealed message: it is not base64url after `keyway-sealed:`
  give it whole, as `keyway seal` wrote it

"#]],
    );
    refused(
        open("charger", "hello", ""),
        1,
        str![[r#"
error: this is no message to open
  not a sealed message: it must begin with `keyway-sealed:`
  give it whole, as `keyway seal` wrote it

"#]],
    );
    refused(
        open("charger", "", ""),
        1,
        str![[r#"
error: this is no message to open
  not a sealed message: it must begin with `keyway-sealed:`
  give it whole, as `keyway seal` wrote it

"#]],
    );
    refused(
        open("car", &sealed, "--aad session-7"),
        4,
        str![[r#"
error: this home sealed the message itself
  it opens for the other side, charger, alone
  send it there

"#]],
    );
    stage.ok("--home boat init --name boat --ledger chain --insecure-no-passphrase --words-to boat.words");
    refused(
        open("boat", &sealed, "--aad session-7"),
        1,
        str![[r#"
error: the message is not for this home
  it was sealed under negotiation [HEX], which is not known here
  run `keyway sync` if that is new; else give it to whom it is for

"#]],
    );
    refused(
        stage.run("--home charger open nowhere"),
        1,
        str![[r#"
error: cannot read nowhere
  no such file or directory (os error 2)
  give another file, or - for standard input

"#]],
    );

    assert_eq!(open("charger", &sealed, "--aad session-7").ok(), "start");
    refused(
        open("charger", &sealed, "--aad session-7"),
        4,
        str![[r#"
error: the message was opened before
  somebody sent it twice
  use --again to open it once more

"#]],
    );
    assert_eq!(open("charger", &sealed, "--aad session-7 --again").ok(), "start");
}

/// Another character of the alphabet in that place.
fn flip(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[test]
fn a_key_that_is_not_deep_enough_yet_says_come_back_later() {
    let stage = Stage::funded();
    stage.ok("--home car offer charger --pay 60000");
    refused(
        stage.run("--home car seal charger"),
        3,
        str![[r#"
error: the key of negotiation [ID] seals no messages
  it is offered
  wait for the answer to be mined, then `keyway sync`

"#]],
    );
    let id = stage.json("--home car keys")[0]["id"].as_str().unwrap()[..8].to_owned();
    refused(
        stage.run(&format!("--home car seal {id}")),
        3,
        str![[r#"
error: the key of negotiation [ID] seals no messages
  it is offered
  wait for the answer to be mined, then `keyway sync`

"#]],
    );
    stage.ok("--home car mine");
    stage.ok("--home charger sync");
    stage.ok("--home car mine");
    stage.ok("--home car sync");
    refused(
        stage.run(&format!("--home car seal {id}")),
        3,
        str![[r#"
error: the key of negotiation [ID] seals no messages
  it is provisional: its answer has depth 1 of 2
  run `keyway sync` after the next block

"#]],
    );
    stage.ok("--home car mine");
    stage.ok("--home car sync");
    stage.feed(&format!("--home car seal {id}"), b"now").ok();
}

#[test]
fn a_message_of_a_block_that_the_ledger_does_not_have_says_come_back_later() {
    let stage = Stage::agreed();
    // The charger sees a ledger that stands still.
    crate::stage::copy_folder(&stage.join("chain"), &stage.join("still"));
    let config = stage.join("charger/keyway.toml");
    let right = fs::read_to_string(&config).unwrap();
    fs::write(&config, right.replace("../chain", "../still")).unwrap();
    stage.ok("--home car mine 3");
    stage.ok("--home car sync");
    let sealed = stage.feed("--home car seal charger", b"ahead").ok();
    refused(
        stage.feed("--home charger open", sealed.as_bytes()),
        3,
        str![[r#"
error: the message does not open
  block 107 is not known here, the chain is at 104: this node is behind, try again after its next block
  run `keyway sync` and try again

"#]],
    );
    fs::write(&config, right).unwrap();
    assert_eq!(stage.feed("--home charger open", sealed.as_bytes()).ok(), "ahead");
}
