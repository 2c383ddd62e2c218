//! `keyway lab`: the paper's eight digits between two homes, and a third that has nothing but the chain and two cards.

use crate::stage::Stage;

const KNOWINGLY: &str = "--i-know-this-is-broken";

#[test]
fn algorithm_4_and_5_by_hand_eight_digits_give_two_homes_a_key_and_whoever_reads_the_chain_too() {
    let stage = Stage::funded();
    stage.ok("--home car fund 4btc");
    stage.ok("--home charger fund 2btc");
    let offer = stage.json(&format!("--home car lab offer charger {KNOWINGLY}"));
    let txid = offer["txid"].as_str().unwrap();
    stage.ok("--home car mine");
    let listed = stage.json("--home charger lab list");
    assert_eq!((&listed[0]["txid"], &listed[0]["role"]), (&offer["txid"], &"responder".into()));
    assert_eq!((&listed[0]["prime"], &listed[0]["answer"]), (&offer["prime"], &serde_json::Value::Null));
    stage.ok(&format!("--home charger lab answer {} {KNOWINGLY}", &txid[..8]));
    stage.ok("--home car mine");
    let key = |home: &str| stage.json(&format!("--home {home} lab key {txid} {KNOWINGLY}"));
    let (car, charger) = (key("car"), key("charger"));
    assert!(car["mk"].is_u64());
    assert_eq!((&car["mk"], &car["sk"], &car["block"]), (&charger["mk"], &charger["sk"], &charger["block"]));
    // Nothing of the home's own secrets is asked for this.
    let broken = stage.json("--home car lab break charger");
    assert_eq!((&broken[0]["mk"], &broken[0]["sk"]), (&car["mk"], &car["sk"]));
    assert!(broken[0]["a"].is_u64() && broken[0]["b"].is_u64());
    let told = stage.ok("--home charger lab break car");
    assert!(told.contains("mk = 0.") && told.contains("µs"), "{told}");
}

#[test]
fn a_third_home_with_two_cards_and_the_chain_has_the_key() {
    let stage = Stage::funded();
    stage.ok(
        "--home mallory init --name mallory --ledger chain --insecure-no-passphrase --words-to mallory.words",
    );
    for home in ["car", "charger"] {
        let card = stage.ok(&format!("--home {home} card"));
        stage.feed("--home mallory peer add -", card.as_bytes()).ok();
    }
    stage.ok("--home charger fund 0.1btc");
    let offer = stage.json(&format!("--home car lab offer charger --digits 6 {KNOWINGLY}"));
    stage.ok("--home car mine");
    let txid = offer["txid"].as_str().unwrap();
    stage.ok(&format!("--home charger lab answer {txid} {KNOWINGLY}"));
    stage.ok("--home car mine");
    let broken = stage.json("--home mallory lab break car charger");
    assert_eq!(broken.as_array().unwrap().len(), 1);
    let car = stage.json(&format!("--home car lab key {txid} {KNOWINGLY}"));
    assert_eq!((&broken[0]["mk"], &broken[0]["sk"]), (&car["mk"], &car["sk"]));
    assert!(stage.run(&format!("--home mallory lab key {txid} {KNOWINGLY}")).explained(1).contains("no key"));
}

#[test]
fn what_is_broken_is_refused_until_one_says_that_one_knows() {
    let stage = Stage::funded();
    for command in ["offer charger", "answer 00", "key 00"] {
        let refused = stage.run(&format!("--home car lab {command}")).explained(4);
        assert!(refused.contains("for study say --i-know-this-is-broken"), "{refused}");
    }
    assert!(
        stage.run(&format!("--home car lab answer 00 {KNOWINGLY}")).explained(1).contains("keyway lab list")
    );
    let refused = stage.run("--home car offer charger --pay 250000sat --suite paper-8digit");
    assert_eq!(refused.code(), Some(2));
    assert!(refused.stderr.contains("keyway lab"), "{}", refused.stderr);
}
