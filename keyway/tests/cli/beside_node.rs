//! Homes beside a full node: the real `litecoind`, and `bitcoind` where there is one.

use std::time::{SystemTime, UNIX_EPOCH};

use keyway_ledger::testnode::{Kind, TestNode, free_port};
use serde_json::{Value, json};

use crate::town::Town;

/// Offer, answer, and blocks until the key is active.
fn agree(town: &Town) {
    town.stage.ok("--home car offer charger --pay 2500000sat");
    town.mine(1);
    town.sync("charger");
    town.mine(2);
    town.sync("car");
    town.sync("charger");
}

fn with_each(test: impl Fn(Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(test);
}

#[test]
fn two_homes_beside_one_node_agree_a_key_by_hand() {
    with_each(|town| {
        town.settle();
        agree(&town);
        let (car, charger) = (town.key("car"), town.key("charger"));
        assert_eq!(car["state"], "active", "{car}");
        assert_eq!(charger["state"], "active", "{charger}");
        assert!(car["fingerprint"].is_string());
        assert_eq!(car["fingerprint"], charger["fingerprint"]);
        let sealed = town.stage.feed("--home car seal charger", b"start at 11 kW").ok();
        assert_eq!(town.stage.feed("--home charger open", sealed.as_bytes()).ok(), "start at 11 kW");
    });
}

#[test]
fn a_key_whose_answer_is_reorganised_away_comes_back_when_it_is_mined_again() {
    with_each(|town| {
        town.settle();
        agree(&town);
        let before = town.key("car")["fingerprint"].clone();
        // The answer's block and the one on it leave, and nothing comes in their place.
        town.node.roll_back(2);
        for home in ["car", "charger"] {
            assert_eq!(town.sync(home)["disconnected"], 2);
            assert_ne!(town.key(home)["state"], "active");
        }
        town.mine(2);
        for home in ["car", "charger"] {
            town.sync(home);
            assert_eq!(town.key(home)["state"], "active");
            assert_eq!(town.key(home)["fingerprint"], before);
        }
    });
}

#[test]
fn the_chain_is_the_nodes_and_the_configuration_says_so() {
    with_each(|town| {
        let chain = town.node.kind().chain();
        let made: Value = serde_json::from_str(&town.init("car", "--json").ok()).unwrap();
        assert_eq!(
            (made["chain"].as_str(), made["ledger"].as_str()),
            (Some(chain.name()), Some(&*town.node.url()))
        );
        assert!(made["address"].as_str().unwrap().starts_with(&format!("{}1q", chain.hrp())));
        let config = town.stage.ok("--home car config check");
        assert!(config.contains(&town.node.url()) && config.contains("ledger.cookie"), "{config}");
    });
}

#[test]
fn each_way_to_miss_a_node_is_told_in_its_own_words() {
    with_each(|town| {
        let init = |more: &str| {
            let args = "init --name car --insecure-no-passphrase --words-to car.words";
            town.stage.run(&format!("--home car {args} {more}")).explained(5)
        };
        let (url, cookie) = (town.node.url(), town.node.cookie().display().to_string());
        let chain = town.node.kind().chain();
        let nowhere = format!("http://127.0.0.1:{}", free_port());
        let cases = [
            (format!("--node {url}"), "no way into the node"),
            (format!("--node {url} --cookie nowhere"), "gives no access"),
            (format!("--node {nowhere} --cookie {cookie}"), "does not answer"),
            (format!("--node {url} --cookie {cookie} --chain litecoin"), "not on litecoin"),
        ];
        for (more, expected) in cases {
            let error = init(&more);
            assert!(error.contains(expected), "{error}");
            assert!(!town.stage.join("car").exists() && !town.stage.join("car.words").exists());
        }

        town.init("car", "").ok();
        let config = town.stage.join("car/keyway.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let edited = |from: &str, to: &str| {
            assert!(text.contains(from));
            std::fs::write(&config, text.replace(from, to)).unwrap();
            town.stage.run("--home car sync")
        };
        let other = if chain.name() == "regtest" { "litecoin" } else { "regtest" };
        let named = format!("chain = \"{}\"", chain.name());
        let error = edited(&named, &format!("chain = \"{other}\"")).explained(5);
        assert!(error.contains(&format!("this home is for {}", chain.name())), "{error}");
        let error = edited("url = ", "uri = ").explained(1);
        assert!(error.contains("uri"), "{error}");
        let error = edited(&url, &nowhere).explained(5);
        assert!(error.contains("nothing listens there"), "{error}");
    });
}

#[test]
fn what_only_the_embedded_ledger_can_do_is_refused_beside_a_node() {
    with_each(|town| {
        town.init("car", "").ok();
        for command in ["mine", "fund 0.05btc"] {
            let error = town.stage.run(&format!("--home car {command}")).explained(1);
            assert!(error.contains("only the embedded ledger"), "{error}");
        }
    });
}

#[test]
fn a_node_that_still_synchronises_is_waited_for() {
    with_each(|town| {
        town.settle();
        let Some(behind) = TestNode::start(town.node.kind()) else { return };
        for height in 1..=town.node.tip().height.to_u32() {
            let hash: Value = town.node.call("getblockhash", &[json!(height)]);
            let block: Value = town.node.call("getblock", &[hash.clone(), json!(0)]);
            behind.call::<Value>("submitblock", &[block]);
        }
        town.mine(5);
        // A node that starts anew is behind until its last block is of today; its today is next week.
        let week = std::time::Duration::from_secs(7 * 24 * 3_600);
        let then = (SystemTime::now() + week).duration_since(UNIX_EPOCH).unwrap().as_secs();
        behind.restart_with(&[&format!("-mocktime={then}")]);
        for height in 1..=town.node.tip().height.to_u32() {
            let hash: Value = town.node.call("getblockhash", &[json!(height)]);
            let header: Value = town.node.call("getblockheader", &[hash, json!(false)]);
            behind.call::<Value>("submitheader", &[header]);
        }
        let config = town.stage.join("car/keyway.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace(&town.node.url(), &behind.url());
        let cookies = (town.node.cookie().display().to_string(), behind.cookie().display().to_string());
        std::fs::write(&config, text.replace(&cookies.0, &cookies.1)).unwrap();
        let error = town.stage.run("--home car offer charger --pay 2500000sat").explained(5);
        assert!(error.contains("still synchronising"), "{error}");
    });
}
