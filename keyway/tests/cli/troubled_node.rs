//! A node in trouble: each command says what is wrong in three parts, and a served party goes on when it is over.

use keyway_ledger::testnode::{Kind, free_port};
use serde_json::Value;

use crate::door::{Behind, Door};
use crate::town::{Served, Town, until};

/// Each trouble, and words that tell it from the others.
const TROUBLES: [(Behind, &str); 6] = [
    (Behind::Website, "cannot be right"),
    (Behind::Starting, "is starting"),
    (Behind::Stranger, "gives no access"),
    (Behind::Busy, "too busy"),
    (Behind::Gone, "closed the connection"),
    (Behind::OtherChain, "is on litecoin, not on"),
];

fn with_each(test: impl Fn(&Town, &Door)) {
    for town in Kind::ALL.into_iter().filter_map(Town::start) {
        let door = Door::before(&town.node.url());
        town.settle();
        for home in ["car", "charger"] {
            town.edit(home, &town.node.url(), &door.url());
        }
        test(&town, &door);
    }
}

#[test]
fn each_command_that_needs_the_node_says_what_is_wrong_with_it() {
    with_each(|town, door| {
        town.sync("car");
        for (behind, expected) in TROUBLES {
            door.shows(behind);
            for command in ["sync", "offer charger --pay 2500000sat", "rotate charger"] {
                let error = town.stage.run(&format!("--home car {command}")).explained(5);
                assert!(error.contains(expected), "{behind:?}, {command}: {error}");
                let json = town.stage.run(&format!("--home car --json {command}"));
                let json: Value = serde_json::from_str(&json.stderr).unwrap();
                assert_eq!(json["error"]["kind"], "ledger", "{behind:?}, {command}: {json}");
                for part in ["what", "why", "do"] {
                    assert!(json["error"][part].is_string(), "{behind:?}, {command}: {json}");
                }
            }
            // What needs no node works without one.
            for command in ["status", "keys", "card", "peer list", "config check"] {
                town.stage.ok(&format!("--home car {command}"));
            }
        }
        door.shows(Behind::Node);
        town.sync("car");
        assert_eq!(town.stage.json("--home car keys"), serde_json::json!([]), "nothing was offered");
    });
}

#[test]
fn a_served_party_goes_on_after_each_trouble_of_its_node() {
    with_each(|town, door| {
        let served = [town.serve("car"), town.serve("charger")];
        for (behind, expected) in TROUBLES {
            // What is there now may be another one than before.
            door.shows(Behind::Gone);
            town.stage.run("--home car sync").explained(5);
            door.shows(behind);
            town.mine_empty(1);
            // It answers whoever asks, and refuses in words what takes the node.
            for command in ["sync", "offer charger --pay 2500000sat"] {
                let error = town.stage.run(&format!("--home car {command}")).explained(5);
                assert!(error.contains(expected), "{behind:?}, {command}: {error}");
            }
            assert!(town.height("car") < u64::from(town.node.tip().height.to_u32()), "{behind:?}");
            door.shows(Behind::Node);
            town.caught_up(&["car", "charger"]);
        }
        door.shows(Behind::Silent);
        for party in &served {
            until("the silence is told", || warned(party, "took too long"));
        }
        door.shows(Behind::Node);
        town.caught_up(&["car", "charger"]);
        town.stage.ok("--home car offer charger --pay 2500000sat");
        town.mine(1);
        until("the offer is answered", || town.state("charger") == "answered");
        town.mine(2);
        for home in ["car", "charger"] {
            until("the key is active", || town.state(home) == "active");
        }
        assert_eq!(town.key("car")["fingerprint"], town.key("charger")["fingerprint"]);
    });
}

/// Whether a warning of the log holds these words.
fn warned(served: &Served, words: &str) -> bool {
    served.log().lines().any(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["level"] == "WARN" && line["message"].as_str().is_some_and(|text| text.contains(words))
    })
}

#[test]
fn a_service_begins_before_its_node_and_ends_where_waiting_does_not_help() {
    with_each(|town, door| {
        for (behind, expected) in [TROUBLES[2], TROUBLES[5]] {
            door.shows(behind);
            let error = town.stage.run("--home car serve").explained(5);
            assert!(error.contains(expected), "{behind:?}: {error}");
        }
        for behind in [Behind::Starting, Behind::Gone] {
            door.shows(behind);
            let served = town.serve("car");
            door.shows(Behind::Node);
            town.mine(1);
            town.caught_up(&["car"]);
            drop(served);
        }
        // Nobody at all is there.
        let nowhere = format!("http://127.0.0.1:{}", free_port());
        town.edit("car", &door.url(), &nowhere);
        let served = town.serve("car");
        until("it is told", || warned(&served, "nothing listens there"));
        let error = town.stage.run("--home car sync").explained(5);
        assert!(error.contains("nothing listens there"), "{error}");
    });
}
