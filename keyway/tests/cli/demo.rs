//! `keyway demo`: its options, its sums, and its looks.

use std::fs;

use serde_json::Value;
use snapbox::str;

use crate::stage::Stage;

/// The least price of the value carrier for x25519, in sat (PROTOCOL.md).
const LEAST: u64 = 50_754;

/// Everything that a run says of itself, checked against itself.
fn check(run: &Value, price: u64) {
    let sat = |path: &str| run.pointer(path).unwrap().as_u64().unwrap();
    assert_eq!((sat("/price_sat"), sat("/initiator/paid_sat")), (price, price));
    assert_eq!(sat("/offer/fee_sat"), sat("/initiator/fee_sat"));
    assert_eq!(sat("/answer/fee_sat"), sat("/responder/fee_sat"));
    assert_eq!(sat("/responder/paid_sat"), sat("/answer/paid_back_sat"));
    assert_eq!(price, sat("/responder/netted_sat") + sat("/responder/paid_sat") + sat("/responder/fee_sat"));
    for (tx, other) in [("offer", "answer"), ("answer", "offer")] {
        let txid = run[tx]["txid"].as_str().unwrap();
        assert!(txid.len() == 64 && run[other]["txid"] != run[tx]["txid"], "{tx}");
        assert!(sat(&format!("/{tx}/time")) > 1_700_000_000 && sat(&format!("/{tx}/vbytes")) > 400, "{tx}");
    }
    assert!(sat("/answer/height") > sat("/offer/height"));
    let (initiator, responder) = (&run["initiator"], &run["responder"]);
    assert_eq!(initiator["fingerprint"], responder["fingerprint"]);
    assert_eq!(initiator["fingerprint"].as_str().unwrap().len(), "00:00:00:00:00:00:00:00".len());
    assert_ne!(initiator["key"], responder["key"]);
    assert_eq!((&initiator["confirmed"], &responder["confirmed"]), (&true.into(), &true.into()));
    let sessions = run["sessions"].as_array().unwrap();
    let [first, second] = sessions.as_slice() else { panic!("two messages") };
    assert_eq!(first["height"].as_u64().unwrap() + 1, second["height"].as_u64().unwrap());
    assert_ne!(first["direction"], second["direction"]);
    for session in sessions {
        assert_eq!((&session["opened"], &session["eavesdropper_opened"]), (&true.into(), &false.into()));
    }
    assert_eq!(run["eavesdropper"]["opened"], 0);
    assert!(sat("/eavesdropper/attempts") > 500);
}

fn demo(args: &str) -> Value {
    let stage = Stage::new();
    let shown = stage.json(&format!("demo {args}"));
    assert_eq!(shown["runs"].as_array().unwrap().len(), 1);
    shown["runs"][0].clone()
}

#[test]
fn sums_agree_at_any_price_from_the_least() {
    for price in [LEAST, LEAST + 1, 250_000, 1_234_567, 100_000_000] {
        check(&demo(&format!("--pay {price}")), price);
    }
    check(&demo("--pay 0.005btc"), 500_000);
}

#[test]
fn the_answer_may_ride_in_amounts_paid_back() {
    let run = demo("--answer-in amounts --suite x25519 --carrier value --pay 300000sat");
    check(&run, 300_000);
    assert_eq!(
        (&run["answer_in"], &run["suite"], &run["carrier"]),
        (&"amounts".into(), &"x25519".into(), &"value".into())
    );
    assert!(run["responder"]["paid_sat"].as_u64().unwrap() > 40_000);
    assert_eq!(demo("")["responder"]["paid_sat"], 0);
}

#[test]
fn all_carriers_are_shown_one_after_the_other_and_cost_what_was_said_beforehand() {
    let stage = Stage::new();
    let told: Value = serde_json::from_str(&stage.ok("--json demo --carrier all")).unwrap();
    let runs = told["runs"].as_array().unwrap();
    let carriers: Vec<&str> = runs.iter().map(|run| run["carrier"].as_str().unwrap()).collect();
    assert_eq!(carriers, ["value", "static", "dynamic", "dynamic"]);
    let locks: Vec<Option<&str>> = runs.iter().map(|run| run["offer"]["locked_by"].as_str()).collect();
    assert_eq!(locks, [None, None, Some("hash"), Some("op-exponent")]);
    for run in runs {
        check(run, 250_000);
        let [carrier, suite] = ["carrier", "suite"].map(|name| run[name].as_str().unwrap());
        let command = format!("--json cost --pay 250000 --carrier {carrier} --suite {suite}");
        let cost: Value = serde_json::from_str(&stage.ok(&command)).unwrap();
        for (part, name) in [("offer", "vbytes"), ("answer", "vbytes")] {
            let (said, is) = (cost[part][name].as_u64().unwrap(), run[part][name].as_u64().unwrap());
            // Signatures are a byte shorter now and then, and the value carrier's answer has many.
            assert!(said >= is && said - is <= 1 + is / 200, "{part} of {command}: {said}, was {is}");
        }
        let (said, is) = (&cost["netted_sat"], &run["responder"]["netted_sat"]);
        assert!(said.as_u64().unwrap().abs_diff(is.as_u64().unwrap()) <= 10, "{said}, was {is}");
    }
    let text = stage.ok("demo --carrier dynamic --suite x25519 --home other");
    assert!(text.contains("locked until block"), "{text}");
}

#[test]
fn one_satoshi_below_the_least_price_is_refused_and_leaves_nothing_behind() {
    let stage = Stage::new();
    for args in [format!("demo --pay {}", LEAST - 1), format!("demo --home X --pay {}", LEAST - 1)] {
        let refused = stage.run(&args).explained(4);
        snapbox::assert_data_eq!(
            refused,
            str![[r#"
error: 50753 sat is too little for the value carrier
  its 33 bytes and their checksum need at least 50754 sat, in 40 outputs
  pay more

"#]]
        );
        assert_eq!(fs::read_dir(stage.path()).unwrap().count(), 0);
    }
    let refused = stage.run("demo --pay 60000 --answer-in amounts").explained(4);
    snapbox::assert_data_eq!(
        refused,
        str![[r#"
error: 60000 sat is too little: collecting it would cost the responder 75866 sat
  the answer's fee and the amounts that it pays back come out of the price
  pay more than 75866 sat, or wait for lower fees

"#]]
    );
    assert_eq!(fs::read_dir(stage.path()).unwrap().count(), 0);
}

#[test]
fn an_earlier_demo_is_kept_unless_it_is_told_to_go() {
    let stage = Stage::new();
    let home = |args: &str| {
        let run = &stage.json(args)["runs"][0];
        (run["home"].as_str().unwrap().to_owned(), run["negotiation"].as_str().unwrap().to_owned())
    };
    let (first, first_id) = home("demo");
    let (second, second_id) = home("demo");
    assert_eq!((first.as_str(), second.as_str()), ("keyway-demo", "keyway-demo-2"));
    let show = |home: &str, id: &str| stage.run(&format!("--home {home}/car show {id}"));
    show("keyway-demo", &first_id).ok();
    show("keyway-demo-2", &second_id).ok();

    snapbox::assert_data_eq!(
        stage.run("demo --home keyway-demo").explained(1),
        str![[r#"
error: keyway-demo holds an earlier demo
  it is kept, so that you can go on with it by hand
  use --fresh to replace it, or --home DIR for another place

"#]]
    );
    show("keyway-demo", &first_id).ok();
    fs::write(stage.join("keyway-demo/notes"), "mine").unwrap();
    let (fresh, _) = home("demo --fresh");
    assert_eq!(fresh, "keyway-demo");
    assert_eq!(show("keyway-demo", &first_id).code(), Some(1), "it was replaced");
    assert_eq!(fs::read_to_string(stage.join("keyway-demo/notes")).unwrap(), "mine");
    show("keyway-demo-2", &second_id).ok();
}

#[test]
fn a_folder_with_other_things_in_it_is_not_touched() {
    let stage = Stage::new();
    fs::create_dir(stage.join("photos")).unwrap();
    fs::write(stage.join("photos/1.jpg"), "x").unwrap();
    for args in ["demo --home photos", "demo --home photos --fresh"] {
        snapbox::assert_data_eq!(
            stage.run(args).explained(1),
            str![[r#"
error: photos is not a folder of the demo
  it is not empty, and nothing in it was touched
  use --home DIR with a folder that does not exist

"#]]
        );
    }
    assert_eq!(fs::read_dir(stage.join("photos")).unwrap().count(), 1);
    fs::write(stage.join("file"), "x").unwrap();
    snapbox::assert_data_eq!(
        stage.run("demo --home file").explained(1),
        str![[r#"
error: cannot read file
  not a directory (os error 20)
  use --home DIR for another place

"#]]
    );
    assert_eq!(fs::read_to_string(stage.join("file")).unwrap(), "x");
}

#[test]
fn the_story_is_plain_text_in_a_pipe_and_coloured_on_demand() {
    let stage = Stage::new();
    let run = stage.run("demo");
    assert_eq!((run.stderr.as_str(), run.text().contains('\x1b')), ("", false));
    snapbox::assert_data_eq!(
        run.masked().replace(crate::stage::KEYWAY, "keyway"),
        str![[r#"
Keyway · embedded ledger (Bitcoin Core's own validation, regtest) · suite x25519 · carrier value

  car [ID] pays 250 000 sat to charger [ID] · cards exchanged and checked ✓

  block 102  [TIME]  offer   [ID]  26 coins, 13 bits each, together exactly 250 000 sat
                                        91x vB · fee 916 sat · paid by car
  block 103  [TIME]  answer  [ID]  collects the 26 coins; share and proof ride in their
                                        sequence numbers
                                        1 80x vB · fee 1 810 sat · charger nets 248 190 sat
  block 104  [TIME]  key     car     [FINGERPRINT]
                               charger [FINGERPRINT] the same ✓
                               depth 2 · both confirmed ✓

  block 104  [TIME]  sealed  car → charger “start at 11 kW” opened ✓
  block 105  [TIME]  sealed  charger → car “started” opened ✓
                               under a new session key, and no message was spent on it
  an eavesdropper with all 105 blocks, both cards and both messages: 852 attempts, opened nothing ✓

Kept in keyway-demo, without a passphrase: for trying out only. Go on by hand:
  keyway --home keyway-demo/car show [ID]

"#]]
    );
    assert!(stage.ok("demo --color always").contains("\x1b[1m"));
    let mut forced = stage.command("demo --color always --json");
    assert!(!stage.finish(&mut forced, b"").ok().contains('\x1b'), "JSON has no colours");
}

#[test]
fn the_story_keeps_within_a_narrow_terminal() {
    let stage = Stage::new();
    for width in [40, 59, 60, 79, 80, 100, 200] {
        let mut command = crate::stage::keyway_in(stage.path());
        let run = stage
            .finish(command.env("COLUMNS", width.to_string()).args(["demo", "--home", "X", "--fresh"]), b"");
        for line in run.ok().lines().filter(|line| !line.contains("--home")) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
