//! Reorganisations of a real node under each step of a negotiation, beside two served parties.

use keyway_ledger::testnode::Kind;
use serde_json::Value;

use crate::town::{Served, Town, until};

const HOMES: [&str; 2] = ["car", "charger"];

fn with_each(test: impl Fn(&Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(|town| test(&town));
}

/// Two served homes, and an offer that is not mined. The charger answers at the depth of two.
fn offered(town: &Town, terms: &str) -> [Served; 2] {
    town.settle();
    town.edit("charger", "offer_depth = 1", "offer_depth = 2");
    let served = HOMES.map(|home| town.serve(home));
    town.stage.ok(&format!("--home car offer charger --pay 2500000sat {terms}"));
    served
}

/// The last blocks leave, and a longer branch without anybody's transaction takes their place.
fn replace(town: &Town, blocks: u32) {
    town.node.roll_back(blocks);
    town.mine_empty(blocks + 1);
    town.caught_up(&HOMES);
}

fn all_are(town: &Town, state: &str) {
    for home in HOMES {
        until(&format!("the {home}'s is {state}"), || town.state(home) == state);
    }
}

fn answered(town: &Town) {
    town.mine(2);
    until("the offer is answered", || town.state("charger") == "answered");
}

/// The key that both have.
fn agreed(town: &Town) -> Value {
    all_are(town, "active");
    let [car, charger] = HOMES.map(|home| town.key(home));
    assert!(car["fingerprint"].is_string(), "{car}");
    assert_eq!(car["fingerprint"], charger["fingerprint"]);
    car["fingerprint"].clone()
}

#[test]
fn an_offer_that_leaves_before_it_is_answered_is_mined_again_and_answered_once() {
    with_each(|town| {
        let _served = offered(town, "");
        town.mine(1);
        until("the charger sees the offer", || town.key("charger")["offer"]["height"].is_number());
        replace(town, 1);
        let unmined = town.key("car");
        assert_eq!((unmined["state"].as_str(), unmined["offer"]["height"].as_u64()), (Some("offered"), None));
        until("the offer waits to be mined again", || town.is_pending());
        answered(town);
        town.mine(2);
        agreed(town);
        for home in HOMES {
            let keys = town.stage.json(&format!("--home {home} keys"));
            assert_eq!(keys.as_array().map(Vec::len), Some(1), "{keys}");
        }
    });
}

#[test]
fn an_answer_that_leaves_is_sent_again_and_gives_the_same_key() {
    with_each(|town| loses_its_answer(town, "--carrier value"));
}

#[test]
fn an_answer_that_opened_a_lock_and_left_is_sent_again_and_gives_the_same_key() {
    with_each(|town| loses_its_answer(town, "--carrier dynamic"));
}

fn loses_its_answer(town: &Town, terms: &str) {
    let _served = offered(town, terms);
    answered(town);
    town.mine(1);
    all_are(town, "provisional");
    let before = town.key("car")["fingerprint"].clone();
    replace(town, 1);
    all_are(town, "answered");
    until("the answer waits to be mined again", || town.is_pending());
    town.mine(2);
    assert_eq!(agreed(town), before);
}

#[test]
fn under_an_active_key_what_was_sealed_on_the_lost_branch_says_so_and_the_key_returns() {
    with_each(|town| {
        let _served = offered(town, "");
        answered(town);
        town.mine(2);
        let before = agreed(town);
        town.mine(1);
        town.caught_up(&HOMES);
        let lost = town.stage.feed("--home car seal charger", b"on the branch that loses").ok();
        let opening = |code: i32| town.stage.feed("--home charger open", lost.as_bytes()).explained(code);
        // The block that it was sealed under leaves, the key stays.
        replace(town, 1);
        assert_eq!(agreed(town), before);
        let refusal = opening(3);
        assert!(refusal.contains("the sender follows another branch"), "{refusal}");
        // Offer and answer leave too.
        replace(town, 6);
        let refusal = opening(3);
        assert!(refusal.contains("it is offered"), "{refusal}");
        // Both wait to be mined again, and may be in one block.
        until("the key is active again", || {
            town.mine(1);
            HOMES.iter().all(|home| town.state(home) == "active")
        });
        assert_eq!(agreed(town), before);
        town.caught_up(&HOMES);
        let message = town.stage.feed("--home car seal charger", b"on the one that wins").ok();
        assert_eq!(town.stage.feed("--home charger open", message.as_bytes()).ok(), "on the one that wins");
        let refusal = opening(1);
        assert!(refusal.contains("lies below the key's first block"), "{refusal}");
    });
}
