//! Offers that are given up beside a real node, with replacement and without.

use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};

use crate::town::{Town, until};

fn with_each(test: impl Fn(Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(test);
}

/// Litecoin Core as it comes: it takes nothing in the place of what it holds. Bitcoin Core always does.
fn without_replacement() -> Option<Town> {
    Town::start_with(Kind::Litecoin, &["-mempoolreplacement=0"])
}

fn offer(town: &Town) -> Value {
    town.stage.json("--home car offer charger --pay 2500000sat")
}

fn spendable(town: &Town) -> u64 {
    town.stage.json("--home car status")["spendable_sat"].as_u64().unwrap()
}

fn is_pending(town: &Town, txid: &Value) -> bool {
    town.node.call::<Vec<Value>>("getrawmempool", &[]).contains(txid)
}

#[test]
fn an_offer_is_replaced_by_the_return_of_its_coin() {
    with_each(|town| {
        town.settle();
        town.sync("car");
        let had = spendable(&town);
        let sent = offer(&town);
        let back = town.stage.json("--home car cancel charger");
        assert_eq!(back["outcome"], "sent", "{back}");
        assert!(is_pending(&town, &back["txid"]) && !is_pending(&town, &sent["txid"]));
        let shown = town.stage.ok("--home car show charger");
        assert!(shown.contains("given up"), "{shown}");
        town.mine(1);
        town.sync("car");
        assert_eq!(town.state("car"), "expired");
        assert_eq!(spendable(&town), had - back["fee_sat"].as_u64().unwrap());
        let error = town.stage.run("--home car cancel charger").explained(4);
        assert!(error.contains("is over"), "{error}");
    });
}

#[test]
fn without_replacement_the_return_waits_until_the_node_drops_the_offer() {
    let Some(town) = without_replacement() else { return };
    town.settle();
    town.sync("car");
    let had = spendable(&town);
    let sent = offer(&town);
    let told = town.stage.ok("--home car cancel charger");
    assert!(told.contains("the ledger keeps it for now (txn-mempool-conflict)"), "{told}");
    let shown = town.stage.json("--home car show charger");
    assert!(shown["waiting"].as_str().unwrap().contains("given up"), "{shown}");
    // A node that is killed forgets what is not mined.
    town.node.kill();
    town.node.restart();
    town.revive();
    town.sync("car");
    assert!(!is_pending(&town, &sent["txid"]));
    let back = town.stage.json("--home car cancel charger");
    assert_eq!(back["outcome"], "sent", "{back}");
    town.mine(1);
    town.sync("car");
    assert_eq!(town.state("car"), "expired");
    assert_eq!(spendable(&town), had - back["fee_sat"].as_u64().unwrap());
}

#[test]
fn without_replacement_an_offer_that_is_mined_after_all_leads_to_its_key() {
    let Some(town) = without_replacement() else { return };
    town.settle();
    offer(&town);
    assert_eq!(town.stage.json("--home car cancel charger")["outcome"], "waits");
    town.mine(1);
    town.sync("charger");
    town.mine(2);
    town.sync("car");
    town.sync("charger");
    assert_eq!(town.state("car"), "active");
    assert_eq!(town.key("car")["fingerprint"], town.key("charger")["fingerprint"]);
}

#[test]
fn the_service_gives_up_what_waits_too_long_though_it_is_killed_in_between() {
    with_each(|town| {
        town.settle();
        town.edit("car", "give_up_blocks = 1008", "give_up_blocks = 4");
        let first = town.serve("car");
        let sent = offer(&town);
        town.mine_empty(2);
        until("the service has followed", || {
            town.stage.json("--home car status")["height"] == town.node.tip().height.to_u32()
        });
        first.kill();
        town.mine_empty(1);
        let served = town.serve("car");
        assert!(
            is_pending(&town, &sent["txid"])
                || !town.node.call::<Vec<Value>>("getrawmempool", &[]).is_empty()
        );
        town.mine_empty(2);
        until("it is given up", || {
            served.log().lines().any(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["message"] == "offer given up" && line["negotiation"] == sent["id"]
            })
        });
        served.kill();
        let _served = town.serve("car");
        town.mine(1);
        until("it has expired", || town.state("car") == "expired");
        assert_eq!(town.stage.json("--home car keys")[0]["id"], json!(sent["id"]));
    });
}
