//! Hundreds of offers of one identity to a peer that does not answer, beside a real node.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};

use crate::town::{Town, until};

/// Mined and unanswered.
const MANY: usize = 200;
/// The offer's id; nothing if the home says "not yet". Over HTTP, as a program with so many would ask.
fn offer(town: &Town) -> Option<String> {
    let new = json!({ "peer": "charger", "price_sat": 2_500_000 });
    let (status, body) = crate::serving::http(town, "car", "POST", "/v1/offers", &new);
    let body: Value = serde_json::from_str(&body).unwrap();
    match status {
        409 => None,
        _ => Some(body["id"].as_str().unwrap_or_else(|| panic!("{status} {body}")).to_owned()),
    }
}

fn followed(town: &Town) {
    until("the service has followed", || {
        town.stage.json("--home car status")["height"] == town.node.tip().height.to_u32()
    });
}

/// As many offers as the home makes before it says "not yet".
fn until_not_yet(town: &Town) -> Vec<String> {
    std::iter::from_fn(|| offer(town)).collect()
}

fn keys(town: &Town) -> HashMap<String, Value> {
    let keys = town.stage.json("--home car keys");
    keys.as_array().unwrap().iter().map(|key| (key["id"].as_str().unwrap().to_owned(), key.clone())).collect()
}

/// Prints how long it took, for whoever looks for what grew.
fn clocked<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    println!("{what}: {:?}", started.elapsed());
    done
}

#[test]
fn two_hundred_offers_that_nobody_answers_are_mined_and_told_and_expire() {
    let Some(town) = Town::start(Kind::Litecoin) else { return };
    town.settle();
    let address = town.stage.json("--home car status")["address"].clone();
    town.node.call::<Value>("generatetoaddress", &[json!(20), address]);
    town.mine(100);
    let served = town.serve("car");
    followed(&town);

    let started = Instant::now();
    let mut made = Vec::new();
    while made.len() < MANY {
        let more = until_not_yet(&town);
        assert!(!more.is_empty(), "the home is stuck after {} offers", made.len());
        made.extend(more);
        town.mine(1);
        followed(&town);
    }
    println!("{} offers: {:?}", made.len(), started.elapsed());
    let ids: HashSet<&String> = made.iter().collect();
    assert_eq!(ids.len(), made.len(), "each is a negotiation of its own");
    let told = clocked("keys", || keys(&town));
    assert_eq!(told.len(), made.len(), "none is lost");
    for id in &made {
        let view = &told[id];
        assert_eq!(view["state"], "offered", "{view}");
        assert!(view["offer"]["height"].is_u64(), "it is mined: {view}");
    }

    // As many as the coins allow, and none of them mined.
    let unmined = until_not_yet(&town);
    assert!((15..=20).contains(&unmined.len()), "{}", unmined.len());
    town.stage.run("--home car offer charger --pay 2500000sat").explained(3);
    let status = clocked("status, served", || town.stage.json("--home car status"));
    assert_eq!(status["unmined"], unmined.len(), "{status}");
    let pool: HashSet<Value> = town.node.call("getrawmempool", &[]);
    let told = keys(&town);
    assert!(unmined.iter().all(|id| pool.contains(&told[id]["offer"]["txid"])), "none is lost");

    served.kill();
    clocked("status", || town.stage.json("--home car status"));
    town.mine(1);
    let synced = clocked("sync", || town.sync("car"));
    assert_eq!(synced["connected"], 1, "{synced}");
    let money = town.stage.json("--home car status");
    town.mine_empty(1_008);
    let started = Instant::now();
    let synced = town.sync("car");
    println!("1 008 blocks, and all offers expire: {:?}", started.elapsed());
    let expired =
        synced["events"].as_array().unwrap().iter().filter(|event| event["to"] == "expired").count();
    assert_eq!(expired, made.len() + unmined.len());
    clocked("sync, when nothing is new", || town.sync("car"));
    assert!(keys(&town).values().all(|key| key["state"] == "expired"));
    let after = town.stage.json("--home car status");
    assert_eq!((&after["spendable_sat"], &after["unmined"]), (&money["spendable_sat"], &json!(0)));
}
