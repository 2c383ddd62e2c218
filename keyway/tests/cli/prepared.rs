//! Offers that an operator's own wallet funds, on the command line: `offer --psbt`, `submit`, `cancel`.

use bitcoin::{Amount, Block, Psbt, ScriptBuf};
use keyway_chain::{Chain, Height};
use keyway_ledger::testnode::Kind;
use keyway_ledger::{Embedded, Ledger};
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::stage::Stage;
use crate::town::{Town, until};

/// A wallet beside the node with three coins that can be spent.
fn operator(town: &Town) -> Operator {
    let mut operator = Operator::new(&town.node.kind().chain(), "wpkh(KEY)");
    for _ in 0..3 {
        town.node.mine(1, &operator.script());
    }
    town.mine(100);
    follow(&mut operator, town);
    operator
}

fn follow(operator: &mut Operator, town: &Town) {
    operator.follow(town.node.tip().height.to_u32(), |height| {
        let hash: Value = town.node.call("getblockhash", &[json!(height)]);
        let block: String = town.node.call("getblock", &[hash, json!(0)]);
        bitcoin::consensus::encode::deserialize_hex::<Block>(&block).unwrap()
    });
}

fn psbt_in(text: &str) -> Psbt {
    text.trim().parse().unwrap()
}

fn with_each(test: impl Fn(Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(test);
}

#[test]
fn an_operators_wallet_pays_for_an_offer_beside_a_real_node() {
    with_each(|town| {
        town.settle();
        let mut operator = operator(&town);
        town.sync("car");
        let had = town.stage.json("--home car status")["spendable_sat"].clone();
        let wallet = operator.balance();
        for (number, terms) in ["", "--carrier dynamic --suite x25519"].into_iter().enumerate() {
            let file = format!("offer-{number}.psbt");
            let args = format!("--home car offer charger --pay 2500000sat {terms} --psbt {file}");
            let told = town.stage.run(&args);
            assert!(told.stderr.contains(&format!("keyway submit {file}")), "{}", told.stderr);
            assert!(told.ok().contains("another wallet adds 2 500 000 sat and the fee"));
            let prepared = std::fs::read_to_string(town.stage.join(&file)).unwrap();
            let signed = operator.funded(&psbt_in(&prepared).serialize());
            let sent = town.stage.feed("--home car --json submit", signed.to_string().as_bytes()).json();
            assert_eq!(sent["price_sat"], 2_500_000, "{sent}");
            assert!(town.is_pending());
            town.mine(1);
            town.sync("charger");
            town.mine(2);
            town.sync("car");
            town.sync("charger");
            let shown = town.stage.json(&format!("--home car show {}", sent["id"].as_str().unwrap()));
            assert_eq!((&shown["state"], &shown["offer"]["fee_sat"]), (&json!("active"), &sent["fee_sat"]));
            follow(&mut operator, &town);
        }
        assert_eq!(town.stage.json("--home car status")["spendable_sat"], had, "the home paid nothing");
        let paid = (wallet - operator.balance()).to_sat();
        assert!((5_000_000..5_010_000).contains(&paid), "{paid}");
    });
}

#[test]
fn a_program_prepares_and_submits_an_offer_over_http_and_people_through_the_service() {
    with_each(|town| {
        town.settle();
        let mut operator = operator(&town);
        let _served = town.serve("car");
        until("the service has followed", || {
            town.stage.json("--home car status")["height"] == town.node.tip().height.to_u32()
        });
        let ask = |method: &str, path: &str, body: Value| {
            let (status, body) = crate::serving::http(&town, "car", method, path, &body);
            (status, serde_json::from_str::<Value>(&body).unwrap())
        };
        let new = json!({ "peer": "charger", "price_sat": 2_500_000, "carrier": "value" });
        let (status, prepared) = ask("POST", "/v1/prepared-offers", new);
        assert_eq!((status, &prepared["price_sat"]), (200, &json!(2_500_000)), "{prepared}");
        let id = prepared["id"].as_str().unwrap();
        let (_, again) = ask("GET", &format!("/v1/negotiations/{id}/psbt"), Value::Null);
        assert_eq!(again["psbt"], prepared["psbt"]);
        let psbt = psbt_in(prepared["psbt"].as_str().unwrap());
        let (status, error) = ask("POST", "/v1/submissions", json!({ "psbt": prepared["psbt"] }));
        assert_eq!((status, &error["error"]["kind"]), (422, &json!("refused")), "{error}");
        let signed = operator.funded(&psbt.serialize()).to_string();
        let (status, sent) = ask("POST", "/v1/submissions", json!({ "psbt": signed }));
        assert_eq!((status, &sent["id"]), (200, &prepared["id"]), "{sent}");

        // The file stands where the command was typed, not where the service runs.
        town.stage.ok("--home car offer charger --pay 2500000sat --psbt second.psbt");
        let second = std::fs::read_to_string(town.stage.join("second.psbt")).unwrap();
        assert_eq!(psbt_in(&second).unsigned_tx.input.len(), 1);
        let error =
            town.stage.run("--home car offer charger --pay 2500000sat --psbt second.psbt").explained(1);
        assert!(error.contains("exists already"), "{error}");
        let second = town.stage.json("--home car keys");
        let second = second.as_array().unwrap().iter().find(|view| view["id"] != sent["id"]).unwrap();
        assert!(second["waiting"].as_str().unwrap().starts_with("prepared"), "{second}");
        let path = format!("/v1/negotiations/{}/cancel", second["id"].as_str().unwrap());
        let (status, cancelled) = ask("POST", &path, Value::Null);
        assert_eq!((status, &cancelled["outcome"]), (200, &json!("unsigned")), "{cancelled}");
    });
}

#[test]
fn a_prepared_offer_is_told_printed_again_edited_in_vain_and_given_up() {
    let stage = Stage::funded();
    stage.ok("--home car sync");
    let run = stage.run("--home car offer charger --pay 60000 --psbt -");
    assert!(run.stderr.contains("prepared\n  "), "{}", run.stderr);
    assert!(run.stderr.contains("`keyway submit FILE` takes it up to block 245"), "{}", run.stderr);
    let psbt = run.ok();
    assert_eq!(stage.ok("--home car psbt charger"), psbt);
    let status = stage.json("--home car status");
    assert_eq!(status["lent_sat"], 1_250_000, "{status}");
    let told = stage.ok("--home car status").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("1 250 000 sat lent to prepared offers"), "{told}");
    let shown = stage.ok("--home car show charger");
    assert!(shown.contains("prepared: its PSBT, funded and signed, is taken up to block 245"), "{shown}");

    let error = stage.feed("--home car submit", psbt.as_bytes()).explained(4);
    assert!(error.contains("no input but the home's"), "{error}");
    let mut edited = psbt_in(&psbt);
    edited.unsigned_tx.output[2].value += Amount::ONE_SAT;
    let error = stage.feed("--home car submit -", edited.to_string().as_bytes()).explained(4);
    assert!(error.contains("error: output 2 pays"), "{error}");
    let mut edited = psbt_in(&psbt);
    edited.unsigned_tx.output[0].script_pubkey = ScriptBuf::new_op_return([7]);
    let error = stage.feed("--home car submit", &edited.serialize()).explained(4);
    assert!(error.contains("output 0 pays another script"), "{error}");
    stage.feed("--home car submit", b"not base64!").explained(4);

    let told = stage.ok("--home car cancel charger");
    assert!(told.contains("given up: nothing was signed, and its coin is free"), "{told}");
    assert_eq!(stage.json("--home car show charger")["state"], "expired");
    let error = stage.feed("--home car submit", psbt.as_bytes()).explained(4);
    assert!(error.contains("the offer of this PSBT was given up"), "{error}");
    stage.run("--home car psbt charger").explained(1);
    stage.run("--home car cancel charger").explained(4);
}

/// A wallet with money on a stage's ledger.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn operator_on(stage: &Stage) -> Operator {
    let ledger = Embedded::open(stage.join("chain")).unwrap();
    let mut operator = Operator::new(&Chain::regtest(), "wpkh(KEY)");
    ledger.mine(1, &operator.script()).unwrap();
    ledger.mine(100, &ScriptBuf::from_bytes(vec![0x51])).unwrap();
    operator.follow(ledger.tip().unwrap().height.to_u32(), |height| {
        let at = ledger.block_at(Height::new(height)).unwrap().unwrap();
        bitcoin::consensus::deserialize(&ledger.block(&at.hash).unwrap().unwrap()).unwrap()
    });
    operator
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn preparing_and_submitting_survive_kill_9_before_every_third_of_their_changes() {
    let stage = Stage::funded();
    let mut operator = operator_on(&stage);
    stage.ok("--home car sync");
    let had = stage.json("--home car status")["spendable_sat"].as_u64().unwrap();
    let prepare = "--home car offer charger --pay 60000 --psbt -";
    let mut killed = 0;
    for n in (0..).step_by(3) {
        let Some(ended) = crate::steps::kill_before(&stage.command(prepare), stage.path(), n) else {
            return println!("skipped: no process may be traced here");
        };
        let status = stage.json("--home car status");
        let [spendable, lent] = ["spendable_sat", "lent_sat"].map(|name| status[name].as_u64().unwrap());
        assert_eq!(spendable + lent, had, "killed before change {n}");
        // Either nothing is prepared, or all of it: it is printed again.
        let waits = stage.run("--home car psbt charger").code() == Some(0);
        assert_eq!(waits, lent > 0, "killed before change {n}");
        if !ended.killed {
            break;
        }
        killed += 1;
        if waits {
            stage.ok("--home car cancel charger");
        }
    }
    assert!(killed > 2, "only {killed} changes");

    let prepared = stage.ok("--home car psbt charger");
    let signed = operator.funded(&psbt_in(&prepared).serialize()).to_string();
    std::fs::write(stage.join("signed.psbt"), signed).unwrap();
    let submit = "--home car submit signed.psbt";
    for n in (0..).step_by(3) {
        let ended = crate::steps::kill_before(&stage.command(submit), stage.path(), n).unwrap();
        let status = stage.json("--home car status");
        let [spendable, lent] = ["spendable_sat", "lent_sat"].map(|name| status[name].as_u64().unwrap());
        assert_eq!(spendable + lent, had, "killed before change {n}");
        if !ended.killed {
            break;
        }
    }
    let sent = stage.json(submit);
    assert_eq!(sent["id"], stage.json("--home car show charger")["id"]);
    stage.answer();
    assert_eq!(stage.json("--home car show charger")["state"], "active");
    assert_eq!(stage.json("--home car status")["spendable_sat"], had);
}
