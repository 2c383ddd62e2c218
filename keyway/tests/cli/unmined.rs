//! Offers that miners pass over, because they pay too little or as much as they may.

use keyway_ledger::testnode::Kind;
use serde_json::Value;

use crate::town::{Town, until};

/// Ten satoshis for each virtual byte, in coins per kilobyte.
const DEAR: &str = "-minrelaytxfee=0.00010000";
const CEILING: &str = "ceiling_sat_per_vb = 100";

fn with_each(test: impl Fn(&Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(|town| test(&town));
}

/// Two homes, of which the car pays at most two satoshis for each virtual byte, and has no patience.
fn settle(town: &Town) {
    town.settle();
    town.edit("car", CEILING, "ceiling_sat_per_vb = 2");
    town.edit("car", "bump_after_blocks = 3", "bump_after_blocks = 1");
}

#[test]
fn where_the_node_asks_for_more_than_the_ceiling_no_offer_is_made() {
    with_each(|town| {
        settle(town);
        town.node.restart_with(&[DEAR]);
        town.revive();
        town.sync("car");
        let before = town.stage.json("--home car status");
        for _ in 0..2 {
            let error = town.stage.run("--home car offer charger --pay 2500000sat").explained(4);
            assert!(error.contains("min relay fee not met"), "{error}");
            assert!(error.contains("fees.ceiling_sat_per_vb"), "{error}");
        }
        let after = town.stage.json("--home car status");
        for unchanged in ["spendable_sat", "coins", "unmined"] {
            assert_eq!(before[unchanged], after[unchanged], "{unchanged}");
        }
        assert_eq!(town.stage.json("--home car keys"), serde_json::json!([]));
        town.edit("car", "ceiling_sat_per_vb = 2", CEILING);
        town.stage.ok("--home car offer charger --pay 2500000sat");
    });
}

#[test]
fn an_offer_at_the_ceiling_says_so_and_is_mined_once_the_ceiling_is_raised() {
    with_each(|town| {
        settle(town);
        let offer = town.stage.json("--home car offer charger --pay 2500000sat");
        // The node's minimum rises above what was paid, and above what may be paid: its pool is emptied of it.
        town.node.restart_with(&[DEAR]);
        town.revive();
        until("the node lets go of it", || !town.is_pending());
        let synced = town.sync("car")["events"].to_string();
        assert!(synced.contains("\"refused\"") && synced.contains("min relay fee not met"), "{synced}");
        let served = town.serve("car");
        town.mine_empty(3);
        town.caught_up(&["car"]);
        let shown = town.shown("car", offer["id"].as_str().unwrap());
        assert_eq!(shown["state"], "offered", "{shown}");
        assert!(
            shown["waiting"].as_str().unwrap().contains("fees.ceiling_sat_per_vb, which is 2"),
            "{shown}"
        );
        for command in ["show charger", "status"] {
            let told = town.stage.ok(&format!("--home car {command}"));
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains("not mined") && told.contains("fees.ceiling_sat_per_vb"), "{told}");
        }
        assert!(!raised(&served.log(), &offer), "nothing was left to raise");
        drop(served);

        town.edit("car", "ceiling_sat_per_vb = 2", CEILING);
        let served = [town.serve("car"), town.serve("charger")];
        until("the fee is raised", || {
            town.mine_empty(1);
            raised(&served[0].log(), &offer)
        });
        town.mine(1);
        until("the offer is answered", || town.state("charger") == "answered");
        town.mine(2);
        for home in ["car", "charger"] {
            until("the key is active", || town.state(home) == "active");
        }
        assert_eq!(town.key("car")["id"], offer["id"], "the negotiation is the same");
    });
}

/// Whether a log says that this offer's fee was raised.
fn raised(log: &str, offer: &Value) -> bool {
    log.lines().any(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["message"] == "fee raised" && line["waiting"] == offer["txid"]
    })
}
