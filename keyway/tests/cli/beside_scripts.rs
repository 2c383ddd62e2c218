//! The static and the dynamic carrier through real nodes: in data outputs where they are relayed, else in envelopes, which
//! Litecoin Core's 83 bytes always ask for.

use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};

use crate::town::{Town, until};

const PRICE: &str = "2500000sat";
/// Litecoin checks the timeouts of locks in blocks from here on.
const CLTV_HEIGHT: u32 = 1_351;

fn with_each(test: impl Fn(&Town, Kind)) {
    for kind in Kind::ALL {
        if let Some(town) = Town::start(kind) {
            test(&town, kind);
        }
    }
}

fn offer(town: &Town, terms: &str) -> Value {
    town.stage.json(&format!("--home car offer charger --pay {PRICE} {terms}"))
}

fn is_enveloped(kind: Kind, message: &Value) {
    let old = matches!(kind, Kind::Litecoin);
    assert_eq!(message["in_envelope"], old, "{message}");
    assert_eq!(message["commit"].is_object(), old, "{message}");
}

#[test]
fn the_hybrid_suite_is_agreed_over_static_and_dynamic() {
    with_each(|town, kind| {
        town.settle();
        for (keys, carrier) in (1..).zip(["static", "dynamic"]) {
            is_enveloped(kind, &offer(town, &format!("--carrier {carrier} --suite x25519-mlkem768")));
            town.mine(1);
            town.sync("charger");
            town.mine(2);
            town.sync("car");
            town.sync("charger");
            let [car, charger] =
                ["car", "charger"].map(|home| town.stage.json(&format!("--home {home} keys")));
            let [car, charger] = [car, charger].map(|all| all.as_array().unwrap()[keys - 1].clone());
            assert_eq!((&car["state"], &charger["state"]), (&json!("active"), &json!("active")), "{car}");
            assert_eq!(car["fingerprint"], charger["fingerprint"]);
            assert_eq!(car["carrier"], carrier);
            is_enveloped(kind, &charger["answer"]);
        }
        let sealed = town.stage.feed("--home car seal charger", b"start at 11 kW").ok();
        assert_eq!(town.stage.feed("--home charger open", sealed.as_bytes()).ok(), "start at 11 kW");
    });
}

#[test]
fn a_locked_payment_that_nobody_answers_comes_back_when_its_timeout_binds() {
    with_each(|town, kind| {
        town.mine(CLTV_HEIGHT);
        town.settle();
        is_enveloped(kind, &offer(town, "--carrier dynamic --timeout 72"));
        town.mine(71);
        town.sync("car");
        assert_eq!(town.state("car"), "offered", "a block too early");
        assert!(!town.is_pending());
        town.mine(1);
        let synced = town.sync("car");
        assert!(synced.to_string().contains("refund-sent"), "{synced}");
        town.mine(1);
        town.sync("car");
        assert_eq!(town.state("car"), "refunded");
    });
}

#[test]
fn a_killed_node_and_killed_parties_go_on_between_commit_and_answer() {
    with_each(|town, _| {
        town.settle();
        offer(town, "--carrier static --suite x25519-mlkem768");
        let power_cut = || {
            town.node.kill();
            town.node.restart();
            town.revive();
        };
        // What the node held unmined is gone with it, and perhaps its last blocks: the commit and what shows it are
        // sent again.
        power_cut();
        until("the offer is answered", || {
            town.sync("car");
            town.mine(1);
            town.sync("charger");
            town.state("charger") == "answered"
        });
        power_cut();
        until("the key is active", || {
            for home in ["car", "charger"] {
                town.sync(home);
            }
            town.mine(1);
            ["car", "charger"].iter().all(|home| town.state(home) == "active")
        });
    });
}
