//! Two homes and one ledger folder, one command after the other.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use snapbox::str;

use crate::stage::{Run, Stage};

#[track_caller]
fn shows(run: Run, expected: impl snapbox::IntoData) {
    let output = run.masked();
    run.ok();
    snapbox::assert_data_eq!(output, expected);
}

#[test]
fn two_people_agree_a_key_step_by_step_and_read_what_happens() {
    let stage = Stage::new();
    stage.introduce();
    shows(
        stage.run("--home car peer list"),
        str![[r#"
peer              charger
standing          accepted
key               [HEX]
serial            1
expires at block  52 560

"#]],
    );
    shows(
        stage.run("--home car fund 0.05btc"),
        str![[r#"
block 101  [ID]  5 000 000 sat for car in 4 coins

"#]],
    );
    shows(
        stage.run("--home car status"),
        str![[r#"
car · regtest · block 101 ([AGE] ago) · 5 000 000 sat · 4 identity coins
peer     key  epoch  age  state
charger  —    —      —    no negotiation yet

"#]],
    );
    shows(
        stage.run("--home car offer charger --pay 250000sat"),
        str![[r#"
negotiation [ID]  offer [ID] to charger
  26 coins, 13 bits each, together exactly 250 000 sat
  91x vB · fee 916 sat

"#]],
    );
    shows(
        stage.run("--home car show charger"),
        str![[r#"
negotiation  [HEX]
between      car pays charger 250 000 sat
suite        x25519 · carrier value
state        offered, not mined yet
offer        [HEX]
             not mined yet
             26 coins, 13 bits each, together exactly 250 000 sat
             91x vB · fee 916 sat

"#]],
    );
    shows(
        stage.run("--home car mine"),
        str![[r#"
block 102  1 transaction taken in

"#]],
    );
    shows(
        stage.run("--home charger sync"),
        str![[r#"
block 102  102 new
  [ID]  offer of car came with 250 000 sat
  [ID]  answered car in [ID]
  [ID]  key with car: offered, now answered

"#]],
    );
    shows(
        stage.run("--home charger keys"),
        str![[r#"
negotiation  peer  fingerprint              price        since  state
[ID]     car   [FINGERPRINT]  250 000 sat  —      answered

"#]],
    );
    shows(
        stage.run("--home car mine"),
        str![[r#"
block 103  1 transaction taken in

"#]],
    );
    shows(
        stage.run("--home car sync"),
        str![[r#"
block 103  2 new
  [ID]  key with charger: offered, now provisional

"#]],
    );
    shows(
        stage.run("--home car keys"),
        str![[r#"
negotiation  peer     fingerprint              price        since      state
[ID]     charger  [FINGERPRINT]  250 000 sat  block 103  provisional: depth 1 of 2

"#]],
    );
    shows(
        stage.run("--home car mine"),
        str![[r#"
block 104  0 transactions taken in

"#]],
    );
    shows(
        stage.run("--home car sync"),
        str![[r#"
block 104  1 new
  [ID]  key with charger: provisional, now active

"#]],
    );
    shows(
        stage.run("--home charger sync"),
        str![[r#"
block 104  2 new
  [ID]  key with car: answered, now active
  split a coin in [ID], so that offers find confirmed ones

"#]],
    );
    shows(
        stage.run("--home car show charger"),
        str![[r#"
negotiation  [HEX]
between      car pays charger 250 000 sat
suite        x25519 · carrier value
state        active, confirmed by the peer
key          [FINGERPRINT]
offer        [HEX]
             block 102 · [TIME] UTC
             26 coins, 13 bits each, together exactly 250 000 sat
             91x vB · fee 916 sat
answer       [HEX]
             block 103 · [TIME] UTC
             collects the 26 coins; share and proof ride in their sequence numbers
             1 80x vB · fee 1 810 sat
netted       248 190 sat by charger

"#]],
    );
    shows(
        stage.run("--home charger show car"),
        str![[r#"
negotiation  [HEX]
between      car pays charger 250 000 sat
suite        x25519 · carrier value
state        active, not yet confirmed by the peer
key          [FINGERPRINT]
offer        [HEX]
             block 102 · [TIME] UTC
             26 coins, 13 bits each, together exactly 250 000 sat
             91x vB · fee 916 sat
answer       [HEX]
             block 103 · [TIME] UTC
             collects the 26 coins; share and proof ride in their sequence numbers
             1 80x vB · fee 1 810 sat
netted       248 190 sat by charger

"#]],
    );
}

/// A sealed message from one home, opened in the other, all in JSON.
fn message(stage: &Stage, from: &str, to: &str, text: &str) -> (Value, Value) {
    fs::write(stage.join("plain"), text).unwrap();
    let sealed = stage.json(&format!("--home {from} seal {to} plain"));
    fs::write(stage.join("message"), sealed["sealed"].as_str().unwrap()).unwrap();
    (sealed, stage.json(&format!("--home {to} open message")))
}

#[test]
fn by_hand_reaches_what_the_demo_reaches() {
    let demo = Stage::new();
    let shown = &demo.json("demo")["runs"][0];

    let stage = Stage::funded();
    let offered = stage.json("--home car offer charger --pay 250000sat");
    let mined = stage.json("--home car mine");
    assert_eq!(mined["transactions"], 1);
    let synced = stage.json("--home charger sync");
    let events: Vec<&str> =
        synced["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["offer-seen", "answer-sent", "moved"]);
    stage.json("--home car mine 2");
    for home in ["car", "charger"] {
        stage.json(&format!("--home {home} sync"));
    }

    let (first, opened) = message(&stage, "car", "charger", "start at 11 kW");
    assert_eq!(
        (&opened["text"], &opened["peer"], &opened["confirms"]),
        (&"start at 11 kW".into(), &"car".into(), &true.into())
    );
    stage.json("--home car mine");
    for home in ["car", "charger"] {
        stage.json(&format!("--home {home} sync"));
    }
    let (second, answered) = message(&stage, "charger", "car", "started");
    assert_eq!(answered["text"], "started");
    let heights = [&first, &opened, &second, &answered].map(|json| json["height"].as_u64().unwrap());
    assert_eq!(heights[2], heights[0] + 1, "under the keys of two successive blocks");
    assert_eq!((heights[0], heights[2]), (heights[1], heights[3]));

    let [car, charger] = [("car", "charger"), ("charger", "car")]
        .map(|(home, peer)| stage.json(&format!("--home {home} show {peer}")));
    for side in [&car, &charger] {
        assert_eq!(
            (&side["id"], &side["state"], &side["confirmed"]),
            (&offered["id"], &"active".into(), &true.into())
        );
        for name in ["carrier", "suite", "answer_in", "price_sat"] {
            assert_eq!(side[name], shown[name], "{name}");
        }
        for name in ["fee_sat", "coins", "bits"] {
            assert_eq!(side["offer"][name], shown["offer"][name], "{name}");
        }
        assert_eq!(side["netted_sat"], shown["responder"]["netted_sat"]);
        assert_eq!(side["offer"]["txid"], offered["txid"]);
    }
    assert_eq!(car["fingerprint"], charger["fingerprint"]);
    assert_ne!(car["fingerprint"], shown["initiator"]["fingerprint"], "another run has another key");
    assert_eq!(charger["answer"]["fee_sat"], shown["answer"]["fee_sat"]);
}

#[test]
fn money_adds_up_to_the_satoshi_on_both_sides() {
    for (answer_in, price) in [("sequences", 250_000), ("amounts", 2_000_000)] {
        let stage = Stage::funded();
        let before = stage.json("--home car status")["spendable_sat"].as_u64().unwrap();
        assert_eq!(before, 5_000_000);
        stage.ok(&format!("--home car offer charger --pay {price} --answer-in {answer_in}"));
        stage.answer();
        let view = stage.json("--home car show charger");
        let sat = |path: &str| view.pointer(path).unwrap().as_u64().unwrap();
        let (offer_fee, answer_fee) = (sat("/offer/fee_sat"), sat("/answer/fee_sat"));
        let paid_back = sat("/answer/paid_back_sat");
        assert_eq!(paid_back > 0, answer_in == "amounts");
        assert_eq!(sat("/netted_sat"), price - answer_fee - paid_back);

        stage.ok("--home car mine");
        for home in ["car", "charger"] {
            stage.ok(&format!("--home {home} sync"));
        }
        let spendable = |home: &str| {
            let status = stage.json(&format!("--home {home} status"));
            assert_eq!((&status["held_sat"], &status["unmined"]), (&0.into(), &0.into()), "{status}");
            status["spendable_sat"].as_u64().unwrap()
        };
        assert_eq!(spendable("car"), before - price - offer_fee + paid_back);
        // The charger split its coin into four, so that it can offer too.
        let split = price - answer_fee - paid_back - spendable("charger");
        assert!((1..1_000).contains(&split), "the split cost {split} sat");
    }
}

#[test]
fn homes_open_with_a_passphrase_file_or_a_key_file() {
    let stage = Stage::new();
    fs::write(stage.join("passphrase"), "correct horse battery staple\nsecond line\n").unwrap();
    let (car, charger) = ("--home car --passphrase-file passphrase", "--home charger --key-file key");
    stage.ok(&format!("{car} init --name car --ledger chain --words-to car.words"));
    stage.ok(&format!("{charger} init --name charger --ledger chain --words-to charger.words"));
    for (from, to) in [(car, charger), (charger, car)] {
        let card = stage.ok(&format!("{from} card"));
        stage.feed(&format!("{to} peer add -"), card.as_bytes()).ok();
    }
    stage.ok(&format!("{car} fund 1000000sat"));
    stage.ok(&format!("{car} offer charger --pay 100000"));
    // Mining needs no secret.
    stage.ok("--home charger mine");
    stage.ok(&format!("{charger} sync"));
    stage.ok("--home car mine 2");
    stage.ok(&format!("{car} sync"));
    stage.ok(&format!("{charger} sync"));
    let sealed = stage.feed(&format!("{car} seal charger"), b"hello").ok();
    assert_eq!(stage.feed(&format!("{charger} open"), sealed.as_bytes()).ok(), "hello");
    assert_eq!(fs::read(stage.join("key")).unwrap().len(), 32);
    for file in ["key", "car.words", "charger.words"] {
        let mode = fs::metadata(stage.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file} is for its owner alone");
    }
    let words = fs::read_to_string(stage.join("car.words")).unwrap();
    assert_eq!(words.split_whitespace().count(), 24);
}

#[test]
fn the_demo_can_be_gone_on_with_by_hand() {
    let stage = Stage::new();
    let shown = stage.json("demo --home X");
    let id = shown["runs"][0]["negotiation"].as_str().unwrap();
    // The command that the demo ends with.
    let view = stage.json(&format!("--home X/car show {}", &id[..4]));
    assert_eq!(
        (&view["id"], &view["fingerprint"]),
        (&id.into(), &shown["runs"][0]["initiator"]["fingerprint"])
    );
    let sealed = stage.feed("--home X/charger seal car", b"by hand").ok();
    assert_eq!(stage.feed("--home X/car open", sealed.as_bytes()).ok(), "by hand");

    stage.ok("--home X/car sync");
    stage.ok("--home X/car mine");
    let second = stage.json("--home X/car offer charger --pay 60000sat");
    stage.ok("--home X/car mine");
    stage.ok("--home X/charger sync");
    stage.ok("--home X/car mine 2");
    stage.ok("--home X/car sync");
    stage.ok("--home X/charger sync");
    let keys = stage.json("--home X/charger keys");
    let states: Vec<(&Value, &Value)> =
        keys.as_array().unwrap().iter().map(|view| (&view["id"], &view["state"])).collect();
    assert_eq!(states, [(&id.into(), &"superseded".into()), (&second["id"], &"active".into())]);
    // The second key seals; a message under the first still opens.
    let resealed = stage.json("--home X/charger seal car --aad x");
    assert_eq!(resealed["negotiation"], second["id"]);
}

#[test]
fn a_message_may_be_binary_bound_to_public_text_and_longer_than_a_pipe() {
    let stage = Stage::agreed();
    let long: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sealed = stage.feed("--home car seal charger --binary --aad session-7", &long);
    fs::write(stage.join("message"), &sealed.stdout).unwrap();
    assert!(sealed.stdout.len() > long.len() && sealed.stdout.len() < long.len() + 300);
    let opened = stage.run("--home charger open message --aad session-7");
    assert_eq!(opened.stdout, long);
    assert_eq!(opened.code(), Some(0));
}

#[test]
fn homes_that_come_back_after_three_hundred_blocks_follow_and_still_have_the_key() {
    let stage = Stage::agreed();
    let before = stage.json("--home car show charger");
    stage.ok("--home car mine 300");
    for home in ["car", "charger"] {
        stage.ok(&format!("--home {home} sync"));
    }
    let after = stage.json("--home car show charger");
    assert_eq!((&after["fingerprint"], &after["state"]), (&before["fingerprint"], &"active".into()));
    let sealed = stage.feed("--home car seal charger", b"still here").ok();
    assert_eq!(stage.feed("--home charger open", sealed.as_bytes()).ok(), "still here");
}

#[test]
fn what_is_shown_keeps_within_a_narrow_terminal_but_for_what_cannot_be_broken() {
    let stage = Stage::agreed();
    stage.ok("--home car offer charger --pay 60000");
    for args in ["status", "keys", "show charger", "peer list", "config check", "sync"] {
        let mut command = stage.command(&format!("--home car {args}"));
        let shown = stage.finish(command.env("COLUMNS", "48"), b"").ok();
        for line in shown.lines().filter(|line| line.chars().count() > 48) {
            let longest = line.split(' ').map(|word| word.chars().count()).max();
            assert!(longest >= Some(30), "{args}: {line}");
        }
    }
}

#[test]
fn homes_whose_ledger_enforces_op_exponent_agree_by_the_papers_lock() {
    let stage = Stage::new();
    let init = |name: &str, more: &str| {
        let words = format!("--insecure-no-passphrase --words-to {name}.words");
        stage.ok(&format!("--home {name} init --name {name} --ledger chain {words} {more}"));
    };
    init("car", "--enforce-exponent");
    // The ledger enforces it already; this home's card says so after its owner does.
    init("charger", "");
    stage.exchange_cards("car", "charger");
    stage.ok("--home car fund 0.05btc");
    let offer = "--home car offer charger --pay 250000sat --carrier dynamic --suite ffdhe2048";
    let refused = stage.run(offer).explained(4);
    assert!(refused.contains("charger has no prekey for ffdhe2048"), "{refused}");
    let config = stage.join("charger").join("keyway.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("enforce_exponent = false", "enforce_exponent = true")).unwrap();
    fs::write(stage.join("new.card"), stage.ok("--home charger card --renew")).unwrap();
    stage.ok("--home car peer add new.card");
    let offered: Value = stage.json(offer);
    assert_eq!(offered["locked_by"], "op-exponent");
    stage.ok("--home car mine 1");
    stage.ok("--home charger sync");
    stage.ok("--home car mine 2");
    stage.ok("--home car sync");
    let shown = stage.ok("--home car show charger");
    assert!(shown.contains("active") && shown.contains("locked by OP_EXPONENT until block"), "{shown}");
}
