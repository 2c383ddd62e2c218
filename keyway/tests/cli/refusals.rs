//! Wrong input: what the error says, its exit code, and that the right command works afterwards.

use std::fs;

use serde_json::Value;
use snapbox::{IntoData, str};

use crate::stage::{Run, Stage};

/// An error in three parts, told on standard error alone.
#[track_caller]
fn refused(run: Run, code: i32, expected: impl IntoData) {
    snapbox::assert_data_eq!(run.explained(code), expected);
}

#[test]
fn a_card_that_cannot_be_accepted_is_refused_and_the_right_one_still_is() {
    let stage = Stage::new();
    stage.introduce();
    stage.ok("--home car peer remove charger");
    let card = stage.ok("--home charger card").trim().to_owned();
    let add = |text: &str| stage.feed("--home car peer add -", text.as_bytes());

    // A length that no base64 has; at another cut the checksum speaks, now and then.
    let cut = "keyway-card:".len() + (card.len() - "keyway-card:".len()) / 4 * 4 - 3;
    refused(
        add(&card[..cut]),
        1,
        str![[r#"
error: the card cannot be accepted
  not a card: it is not base64url after `keyway-card:`
  copy it again, whole, as `keyway card` prints it

"#]],
    );
    let middle = card.len() / 2;
    let other = if card.as_bytes()[middle] == b'A' { "B" } else { "A" };
    refused(
        add(&format!("{}{other}{}", &card[..middle], &card[middle + 1..])),
        1,
        str![[r#"
error: the card cannot be accepted
  the card's checksum is wrong: a character was lost or changed
  copy it again, whole

"#]],
    );
    refused(
        add("hello"),
        1,
        str![[r#"
error: the card cannot be accepted
  not a card: it must begin with `keyway-card:`
  copy it again, whole, as `keyway card` prints it

"#]],
    );
    refused(
        stage.run("--home car peer add chargers.card"),
        2,
        str![[r#"
error: `chargers.card` is neither a card nor a file
  a card begins with `keyway-card:`
  give its whole text, the file it is in, or - for standard input

"#]],
    );
    refused(
        add(&stage.ok("--home car card")),
        4,
        str![[r#"
error: the card is refused
  this is your own card
  give it to the peer, and add the peer's card here

"#]],
    );
    fs::write(stage.join("garbage"), [0xff, 0xfe, 0x00]).unwrap();
    refused(
        stage.run("--home car peer add garbage"),
        1,
        str![[r#"
error: the card cannot be accepted
  not a card: it must begin with `keyway-card:`
  copy it again, whole, as `keyway card` prints it

"#]],
    );

    add(&card).ok();
    assert_eq!(stage.json("--home car peer list")[0]["name"], "charger");
}

#[test]
fn an_old_card_and_a_card_with_a_taken_name_are_refused() {
    let stage = Stage::funded();
    let old = stage.ok("--home charger card");
    let renewed = stage.ok("--home charger card --renew");
    stage.feed("--home car peer add -", renewed.as_bytes()).ok();
    refused(
        stage.feed("--home car peer add -", old.as_bytes()),
        4,
        str![[r#"
error: the card is refused
  the card has serial 1, and serial 2 is already known: it is an old card
  nothing needs doing: the newer one is kept

"#]],
    );
    assert_eq!(stage.json("--home car peer list")[0]["serial"], 2);

    stage.ok(
        "--home other init --name charger --ledger chain --insecure-no-passphrase --words-to other.words",
    );
    let impostor = stage.ok("--home other card");
    refused(
        stage.feed("--home car peer add -", impostor.as_bytes()),
        4,
        str![[r#"
error: the card is refused
  another peer is already called charger
  remove it first if this one shall take its place

"#]],
    );
    stage.ok("--home car offer charger --pay 60000");
}

#[test]
fn other_chains_are_told_apart() {
    let stage = Stage::funded();
    refused(
        stage.run("--home x init --name x --chain bitcoin --words-to x.words --insecure-no-passphrase"),
        2,
        str![[r#"
error: no ledger for bitcoin is known
  the embedded ledger is for regtest
  name a node of bitcoin with --node URL, or use --chain regtest

"#]],
    );
    assert!(!stage.join("x").exists() && !stage.join("x.words").exists());

    let config = stage.join("car/keyway.toml");
    let right = fs::read_to_string(&config).unwrap();
    fs::write(&config, right.replace("\"regtest\"", "\"litecoin-regtest\"")).unwrap();
    refused(
        stage.run("--home car status"),
        1,
        str![[r#"
error: the configuration car/keyway.toml is wrong
  ledger.kind: the embedded ledger is for regtest, not litecoin-regtest
  correct the file, and look at it with `keyway config check`

"#]],
    );
    fs::write(&config, right).unwrap();
    stage.ok("--home car offer charger --pay 60000");
}

/// A card of another chain, as its owner would sign it there.
#[test]
fn a_card_of_another_chain_is_refused_by_name() {
    use keyway_chain::Chain;
    use keyway_protocol::card::{Card, Permanent, Renewable};
    use keyway_protocol::identity::Seed;

    let words =
        "legal winner thank year wave sausage worth useful legal winner thank yellow".parse().unwrap();
    let chain = Chain::named("litecoin").unwrap();
    let seed = Seed::derive(&words, &chain).unwrap();
    let permanent = Permanent::of("boat".parse().unwrap(), &chain, &seed.identity, &seed.sealing);
    let renewable = Renewable {
        serial: 1,
        expiry: keyway_chain::Height::new(1_000_000),
        suites: vec![1],
        carriers: vec![1],
        prekeys: Vec::new(),
    };
    let card = Card::sign(permanent, renewable, &seed.identity).unwrap().to_string();
    let stage = Stage::funded();
    refused(
        stage.feed("--home car peer add -", card.as_bytes()),
        4,
        str![[r#"
error: the card is refused
  the card is for chain litecoin, this node is on regtest
  ask its owner for the card of a home on this chain

"#]],
    );
    assert_eq!(stage.json("--home car peer list").as_array().unwrap().len(), 1);
}

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

/// Run in a session of its own, so that /dev/tty is nobody's.
fn without_terminal(stage: &Stage, args: &str) -> Run {
    let mut command = std::process::Command::new("setsid");
    command.arg("--wait").arg(crate::stage::KEYWAY).args(args.split_whitespace()).current_dir(stage.path());
    stage.finish(&mut command, b"")
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
fn money_that_does_not_suffice_is_refused_with_what_is_missing() {
    let stage = Stage::funded();
    refused(
        stage.run("--home car offer charger --pay 50753"),
        4,
        str![[r#"
error: 50753 sat is too little for the value carrier
  its 33 bytes and their checksum need at least 50754 sat, in 40 outputs
  pay more

"#]],
    );
    refused(
        stage.run("--home car offer charger --pay 0"),
        4,
        str![[r#"
error: 0 sat is too little for the value carrier
  its 33 bytes and their checksum need at least 50754 sat, in 40 outputs
  pay more

"#]],
    );
    refused(
        stage.run("--home car offer charger --pay 60000 --answer-in amounts"),
        4,
        str![[r#"
error: 60000 sat is too little: collecting it would cost the responder 75866 sat
  the answer's fee and the amounts that it pays back come out of the price
  pay more than 75866 sat, or wait for lower fees

"#]],
    );
    refused(
        stage.run("--home car offer charger --pay 0.06btc"),
        1,
        str![[r#"
error: not enough funds: 1000872 sat are missing
  6000872 sat are needed, fee included, and 5000000 sat can be spent
  send more to [ADDRESS]; on the embedded ledger by `keyway fund`

"#]],
    );
    refused(
        stage.run("--home charger offer car --pay 60000"),
        1,
        str![[r#"
error: not enough funds: 61226 sat are missing
  61226 sat are needed, fee included, and 0 sat can be spent
  send more to [ADDRESS]; on the embedded ledger by `keyway fund`

"#]],
    );
    refused(
        stage.run("--home car fund 39999"),
        2,
        str![[r#"
error: 39999 sat is too little to fund a home
  it is split into 4 coins of at least 10000 sat
  ask for 40000 sat or more

"#]],
    );
    let lacking = stage.run("--home car --json offer charger --pay 0.06btc");
    let error: Value = serde_json::from_str(&lacking.stderr).unwrap();
    snapbox::assert_data_eq!(
        crate::stage::masked(&error.to_string(), stage.path()),
        str![[
            r#"{"error":{"do":"send more to [ADDRESS]; on the embedded ledger by `keyway fund`","kind":"failed","what":"not enough funds: 1000872 sat are missing","why":"6000872 sat are needed, fee included, and 5000000 sat can be spent"}}"#
        ]]
    );

    assert_eq!(stage.json("--home car keys").as_array().unwrap().len(), 0, "nothing was kept");
    stage.ok("--home car fund 0.02btc");
    stage.ok("--home car offer charger --pay 0.06btc");
}

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

#[test]
fn every_confirmed_coin_in_use_says_come_back_later() {
    let stage = Stage::funded();
    for _ in 0..4 {
        stage.ok("--home car offer charger --pay 60000");
    }
    refused(
        stage.run("--home car offer charger --pay 60000"),
        3,
        str![[r#"
error: not yet: every confirmed coin is in use
  an offer must spend a confirmed coin first
  run it again after the next block

"#]],
    );
    stage.ok("--home car mine");
    stage.ok("--home car offer charger --pay 60000");
}

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    let stage = Stage::funded();
    for (args, told) in [
        ("", "Usage: keyway"),
        ("frobnicate", "unrecognized subcommand 'frobnicate'"),
        ("ofer", "a similar subcommand exists: 'offer'"),
        ("demo --pya 1", "unexpected argument '--pya'"),
        ("demo --pay 12euro", "write it as 250000sat, '250 000 sat', 0.0025btc, or a plain number of sat"),
        ("demo --pay -5", "unexpected argument '-5'"),
        ("demo --pay 0.5sat", "a satoshi has no parts"),
        ("demo --pay 21000001btc", "only 21 million bitcoins"),
        ("demo --suite rot13", "no suite is called `rot13`; known are: x25519"),
        ("demo --carrier pigeon", "no carrier is called `pigeon`; known are: value, static, dynamic"),
        ("cost --pay 250000 --carrier pigeon", "known are: value, static, dynamic"),
        ("cost", "--pay <AMOUNT>"),
        ("demo --answer-in songs", "possible values: sequences, amounts"),
        ("--home car mine 0", "0 is not in 1..=100000"),
        ("--home car mine many", "invalid digit"),
        ("--home car offer charger", "--pay <AMOUNT>"),
        ("--home car card --key-file a --passphrase-file b", "cannot be used with"),
        ("--home x init --name x --chain dogecoin", "no chain is called `dogecoin`"),
        ("--home x init --name no/slash", "a name has 1 to 32 characters"),
        ("--color mauve status", "possible values: auto, always, never"),
        ("completions tcsh", "possible values:"),
        ("help frobnicate", "there is no help for `frobnicate`"),
        ("peer", "Usage: keyway peer"),
        ("--home car keys --reveal charger --json", "cannot be used with"),
        ("--home car --json keys --reveal charger", "the master key is not given as JSON"),
    ] {
        let run = stage.run(args);
        let text = run.stderr.clone();
        assert_eq!((run.code(), run.text().as_str()), (Some(2), ""), "{args}: {text}");
        assert!(text.contains(told), "{args}: {text}");
        let json = stage.run(&format!("--json {args}"));
        if !["", "peer"].contains(&args) {
            let error: Value =
                serde_json::from_str(&json.stderr).unwrap_or_else(|_| panic!("{args}: {}", json.stderr));
            assert_eq!((json.code(), &error["error"]["kind"]), (Some(2), &"usage".into()), "{args}");
            assert!(error["error"]["what"].is_string() && error["error"]["do"].is_string(), "{error}");
        }
    }
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

#[test]
fn whoever_stops_reading_is_no_error() {
    let stage = Stage::agreed();
    for args in
        ["demo", "--help", "--home car show charger", "--json --home car keys", "man", "completions bash"]
    {
        let mut command = stage.command(args);
        let child = command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{args}: {stderr}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let stage = Stage::agreed();
    if !std::path::Path::new("/dev/full").exists() {
        eprintln!("skipped: this system has no /dev/full");
        return;
    }
    for args in ["--home car show charger", "--home car card", "demo"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = stage.command(args);
        let child =
            command.stdin(std::process::Stdio::null()).stdout(full).stderr(std::process::Stdio::piped());
        let output = child.spawn().unwrap().wait_with_output().unwrap();
        refused(
            Run::new(output, stage.path()),
            1,
            str![[r#"
error: cannot write to standard output
  no space left on device (os error 28)
  send the output somewhere else

"#]],
        );
    }
}
