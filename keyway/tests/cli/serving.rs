//! Parties that run by themselves: `keyway serve`, two processes over one real node.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use keyway_ledger::testnode::Kind;
use serde_json::{Value, json};

use crate::town::{Served, Town, until};

/// Every node there is.
fn with_each(test: impl Fn(Town)) {
    Kind::ALL.into_iter().filter_map(Town::start).for_each(test);
}

/// An offer under way between two served homes.
fn offered(town: &Town) -> [Served; 2] {
    town.settle();
    let served = [town.serve("car"), town.serve("charger")];
    town.stage.ok("--home car offer charger --pay 2500000sat");
    served
}

/// Until both have the same key, mining as miners do.
fn agreed(town: &Town) -> Value {
    town.mine(1);
    // Where the node was killed, what the charger says may be older than what it sent again.
    until("the offer is answered", || town.state("charger") == "answered" && town.is_pending());
    town.mine(2);
    for home in ["car", "charger"] {
        until("the key is active", || town.state(home) == "active");
    }
    let (car, charger) = (town.key("car"), town.key("charger"));
    assert_eq!(car["fingerprint"], charger["fingerprint"]);
    assert!(car["fingerprint"].is_string());
    car["fingerprint"].clone()
}

#[test]
fn two_served_parties_agree_without_anybody_at_the_keyboard() {
    with_each(|town| {
        let _served = offered(&town);
        agreed(&town);
        let sealed = town.stage.feed("--home car seal charger", b"start at 11 kW").ok();
        until("the charger has the block", || {
            town.stage.json("--home charger status")["height"]
                == town.stage.json("--home car status")["height"]
        });
        assert_eq!(town.stage.feed("--home charger open", sealed.as_bytes()).ok(), "start at 11 kW");
    });
}

#[test]
fn a_key_that_a_reorganisation_takes_back_returns_by_itself() {
    with_each(|town| {
        let _served = offered(&town);
        let before = agreed(&town);
        town.node.roll_back(3);
        for home in ["car", "charger"] {
            until("the key is taken back", || town.state(home) != "active");
        }
        // The offer is unmined again too.
        let after = agreed(&town);
        assert_eq!(before, after);
    });
}

#[test]
fn killed_parties_and_a_killed_node_go_on_where_they_were() {
    with_each(|town| {
        let [car, charger] = offered(&town);
        car.kill();
        town.mine(1);
        until("the offer is answered", || town.state("charger") == "answered");
        charger.kill();
        // What the node had not yet written to disk is gone with it.
        town.node.kill();
        let _served = [town.serve("car"), town.serve("charger")];
        town.node.restart();
        town.revive();
        until("the offer is sent again", || town.is_pending());
        agreed(&town);
    });
}

#[test]
fn a_party_that_is_told_to_stop_leaves_its_home_in_order() {
    with_each(|town| {
        town.settle();
        let before = town.key("car");
        for signal in ["-TERM", "-INT"] {
            let mut served = town.serve("car");
            let pid = served.child.id().to_string();
            assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
            assert!(served.child.wait().unwrap().success());
            assert!(!town.stage.join("car/control.sock").exists());
            assert_eq!(town.key("car"), before);
        }
    });
}

#[test]
fn what_only_one_may_do_is_refused_while_a_party_is_served() {
    with_each(|town| {
        town.settle();
        let _served = town.serve("car");
        for command in ["serve", "keys --reveal charger"] {
            let error = town.stage.run(&format!("--home car {command}")).explained(1);
            assert!(error.contains("in use by another process"), "{error}");
        }
        let error = town.stage.run("--home car offer nobody --pay 1000000sat").explained(1);
        assert!(error.contains("nobody"), "{error}");
        let error = town.stage.run("--home car --json offer charger --pay 1sat");
        assert_eq!(error.code(), Some(4), "{}", error.stderr);
        assert!(serde_json::from_str::<Value>(&error.stderr).unwrap()["error"]["kind"] == "refused");
    });
}

/// One exchange over a home's control socket: the status and the body.
pub fn http(town: &Town, home: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
    let mut stream = UnixStream::connect(town.stage.join(home).join("control.sock")).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: keyway\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_program_does_over_http_what_people_do_on_the_command_line() {
    with_each(|town| {
        town.settle();
        let _served = [town.serve("car"), town.serve("charger")];
        let ask = |home: &str, method: &str, path: &str, body: Value| {
            let (status, body) = http(&town, home, method, path, &body);
            (status, serde_json::from_str::<Value>(&body).unwrap_or(Value::String(body)))
        };
        let (status, offer) =
            ask("car", "POST", "/v1/offers", json!({ "peer": "charger", "price_sat": 2_500_000 }));
        assert_eq!((status, offer["price_sat"].as_u64()), (200, Some(2_500_000)), "{offer}");
        agreed(&town);
        let id = offer["id"].as_str().unwrap();
        let (_, shown) = ask("charger", "GET", &format!("/v1/negotiations/{id}"), Value::Null);
        assert_eq!(shown["state"], "active", "{shown}");
        let (_, sealed) =
            ask("car", "POST", "/v1/seal", json!({ "to": "charger", "plaintext": "aGVsbG8=", "aad": "--x" }));
        ask("charger", "POST", "/v1/sync", Value::Null);
        let (_, opened) =
            ask("charger", "POST", "/v1/open", json!({ "sealed": sealed["sealed"], "aad": "--x" }));
        assert_eq!(opened["text"], "hello", "{opened}");
        let (status, error) = ask("car", "POST", "/v1/offers", json!({ "peer": "charger", "price_sat": 1 }));
        assert_eq!((status, error["error"]["kind"].as_str()), (422, Some("refused")), "{error}");
        assert_eq!(ask("car", "POST", "/v1/offers", json!({ "peer": "--help" })).0, 422);
        assert_eq!(ask("car", "GET", "/v1/peers", Value::Null).1[0]["name"], "charger");
        let (_, metrics) = ask("car", "GET", "/metrics", Value::Null);
        let metrics = metrics.as_str().unwrap();
        assert!(
            metrics.contains("keyway_negotiations{state=\"active\",party=\"car\"} 1")
                || metrics.contains("keyway_negotiations{party=\"car\",state=\"active\"} 1"),
            "{metrics}"
        );
        assert!(ask("car", "GET", "/v1/api.yaml", Value::Null).1.as_str().unwrap().starts_with("openapi"));
    });
}

#[test]
fn an_offer_that_miners_pass_over_is_replaced_by_one_that_pays_more() {
    with_each(|town| raises(&town, "replacement"));
}

#[test]
fn where_nodes_take_no_replacement_a_child_pays_for_its_parent() {
    // Bitcoin Core takes replacements always.
    if let Some(town) = Town::start_with(Kind::Litecoin, &["-mempoolreplacement=0"]) {
        raises(&town, "child");
    }
}

fn raises(town: &Town, way: &str) {
    town.settle();
    town.edit("car", "bump_after_blocks = 3", "bump_after_blocks = 1");
    let served = [town.serve("car"), town.serve("charger")];
    // Splitting coins is under way or done; the offer must be the only one that waits.
    let first = town.stage.json("--home car offer charger --pay 2500000sat");
    until("the fee is raised", || {
        town.mine_empty(1);
        served[0].log().lines().any(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["message"] == "fee raised" && line["waiting"] == first["txid"] && line["way"] == way
        })
    });
    agreed(town);
    assert_eq!(town.key("car")["id"], first["id"], "the negotiation is the same");
}
