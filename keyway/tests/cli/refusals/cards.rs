//! Cards that are not accepted, and chains that are told apart.

use std::fs;

use snapbox::str;

use super::refused;
use crate::stage::Stage;

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
