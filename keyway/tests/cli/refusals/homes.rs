//! Homes that do not open, are not made, or are not there.

use std::fs;

use snapbox::str;

use super::{refused, without_terminal};
use crate::stage::Stage;

#[test]
fn only_the_right_passphrase_opens_a_home() {
    let stage = Stage::new();
    let write = |name: &str, text: &str| fs::write(stage.join(name), text).unwrap();
    write("right", "correct horse\n");
    stage.ok("--home car --passphrase-file right init --name car --ledger chain --words-to car.words");
    for wrong in ["Correct horse", "correct horse ", "", "correct horse\u{301}"] {
        write("wrong", wrong);
        let refused = stage.run("--home car --passphrase-file wrong status").explained(1);
        assert!(refused.starts_with("error: wrong passphrase\n"), "{wrong:?}: {refused}");
    }
    write("wrong", "correct horse\r\nbattery");
    stage.ok("--home car --passphrase-file wrong status");
    write("wrong", "staple\ncorrect horse");
    refused(
        stage.run("--home car --passphrase-file wrong status"),
        1,
        str![[r#"
error: wrong passphrase
  it does not open this home's store
  try again; without it only the mnemonic can restore the identity

"#]],
    );
    fs::write(stage.join("bytes"), [0xff, 0xfe, b'\n']).unwrap();
    refused(
        stage.run("--home car --passphrase-file bytes status"),
        1,
        str![[r#"
error: cannot read bytes
  invalid utf-8 sequence of 1 bytes from index 0
  give another file, or - for standard input

"#]],
    );
    refused(
        stage.run("--home car --passphrase-file nowhere status"),
        1,
        str![[r#"
error: cannot read nowhere
  no such file or directory (os error 2)
  give another file, or - for standard input

"#]],
    );
    refused(
        stage.run("--home car --key-file right status"),
        1,
        str![[r#"
error: the key file right is too short
  it has 14 bytes, at least 32 random ones are needed
  let `keyway init` make one

"#]],
    );
    fs::write(stage.join("key"), [7; 32]).unwrap();
    refused(
        stage.run("--home car --key-file key status"),
        1,
        str![[r#"
error: this home's store opens with a passphrase, not with a key file
  it was chosen at `keyway init`
  give it with --passphrase-file FILE, or leave out --key-file and be asked

"#]],
    );
    // Nobody can be asked: there is no terminal.
    refused(
        without_terminal(&stage, "--home car status"),
        1,
        str![[r#"
error: a passphrase is needed, and there is no terminal to ask on
  secrets are never taken from arguments or the environment
  use --passphrase-file FILE or --key-file FILE

"#]],
    );
    stage.ok("--home car --passphrase-file right status");
}

#[test]
fn a_new_home_needs_a_secret_and_a_place_for_its_words() {
    let stage = Stage::new();
    fs::write(stage.join("empty"), "\n").unwrap();
    fs::write(stage.join("short"), [7; 31]).unwrap();
    fs::write(stage.join("taken"), "what stands here stays").unwrap();
    fs::write(stage.join("words"), "these are not the words of any home").unwrap();
    let init =
        |args: &str| without_terminal(&stage, &format!("--home car init --name car --ledger chain {args}"));
    refused(
        init("--words-to w"),
        1,
        str![[r#"
error: a passphrase is needed, and there is no terminal to ask on
  secrets are never taken from arguments or the environment
  use --passphrase-file FILE or --key-file FILE

"#]],
    );
    refused(
        init("--insecure-no-passphrase"),
        1,
        str![[r#"
error: the mnemonic has to be kept, and there is no terminal to show it on
  it is shown once, on the terminal alone, and not kept in the home
  use --words-to FILE

"#]],
    );
    refused(
        init("--words-to w --passphrase-file empty"),
        1,
        str![[r#"
error: the passphrase is empty
  it would protect nothing
  choose another one; --insecure-no-passphrase is for trying out

"#]],
    );
    refused(
        init("--words-to w --key-file short"),
        1,
        str![[r#"
error: the key file short is too short
  it has 31 bytes, at least 32 random ones are needed
  let `keyway init` make one

"#]],
    );
    refused(
        init("--words-to taken --insecure-no-passphrase"),
        1,
        str![[r#"
error: taken exists already
  it was not touched
  name a new file

"#]],
    );
    refused(
        init("--words-from words --insecure-no-passphrase"),
        1,
        str![[r#"
error: these words are no mnemonic
  mnemonic contains an unknown word (word 0)
  give the 12 or 24 English words, in their order, with spaces between

"#]],
    );
    refused(
        init("--words-from nowhere --insecure-no-passphrase"),
        1,
        str![[r#"
error: cannot read nowhere
  no such file or directory (os error 2)
  give another file, or - for standard input

"#]],
    );
    refused(
        init("--words-to no/such/folder/w --insecure-no-passphrase"),
        1,
        str![[r#"
error: cannot write no/such/folder/w
  no such file or directory (os error 2)
  give another place, or make room

"#]],
    );
    assert!(!stage.join("car").exists() && !stage.join("w").exists());
    assert_eq!(fs::read_to_string(stage.join("taken")).unwrap(), "what stands here stays");

    let made = stage.json("--home car init --name car --ledger chain --words-to w --insecure-no-passphrase");
    refused(
        init("--words-to w2 --insecure-no-passphrase"),
        1,
        str![[r#"
error: car is already a Keyway home
  nothing was changed
  choose another folder; a restore that was interrupted goes on with `keyway sync`

"#]],
    );
    assert!(!stage.join("w2").exists());
    assert_eq!(stage.json("--home car card")["key"], made["key"]);

    // The words restore the identity, in another home.
    let again =
        stage.json("--home car2 init --name car --ledger chain --words-from w --insecure-no-passphrase");
    assert_eq!(again["key"], made["key"]);
}

#[test]
fn a_folder_without_a_home_is_told_apart_from_a_home() {
    let stage = Stage::new();
    refused(
        stage.run("--home nowhere status"),
        1,
        str![[r#"
error: nowhere is not a Keyway home
  it has no store.sqlite
  create one with `keyway --home nowhere init`

"#]],
    );
    refused(
        stage.run("--home nowhere mine"),
        1,
        str![[r#"
error: nowhere is not a Keyway home
  it has no store.sqlite
  create one with `keyway --home nowhere init`

"#]],
    );
    refused(
        stage.run("--home nowhere config check"),
        1,
        str![[r#"
error: nowhere is not a Keyway home
  it has no store.sqlite
  create one with `keyway --home nowhere init`

"#]],
    );
    refused(
        stage.run("status"),
        1,
        str![[r#"
error: no folder for the home is known
  neither XDG_DATA_HOME nor HOME is set
  say --home DIR

"#]],
    );
    fs::write(stage.join("file"), "x").unwrap();
    refused(
        stage.run("--home file status"),
        1,
        str![[r#"
error: file is not a Keyway home
  it has no store.sqlite
  create one with `keyway --home file init`

"#]],
    );
    refused(
        stage.run("--home file init --name x --ledger chain --insecure-no-passphrase --words-to w"),
        1,
        str![[r#"
error: cannot create file
  file exists (os error 17)
  check the name and the disk, and try again

"#]],
    );
    assert!(!stage.join("w").exists());
}
