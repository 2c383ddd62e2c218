//! `keyway enforce`: homes beside a Bitcoin Core that knows nothing of OP_EXPONENT, with an enforcer between them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyway_ledger::testnode::{Kind, free_port};
use serde_json::{Value, json};

use crate::stage::keyway_in;
use crate::town::{Town, until};

/// An enforcer before a town's node, which ends with this value.
struct Enforcer {
    child: Child,
    port: u16,
}

impl Enforcer {
    fn start(town: &Town) -> Self {
        let port = free_port();
        let child = keyway_in(town.stage.path())
            .args(["enforce", "--node", &town.node.url(), "--data", "enforcer"])
            .args(["--cookie", town.node.cookie().to_str().unwrap()])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut enforcer = Self { child: child.unwrap(), port };
        until("the enforcer answers", || {
            assert!(enforcer.child.try_wait().unwrap().is_none(), "it ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        enforcer
    }

    /// The status line and the body of the answer to a question.
    fn post(&self, authorization: &str, request: &Value) -> (String, String) {
        let body = request.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: it\r\nauthorization: {authorization}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    fn ask(&self, town: &Town, method: &str, params: Value) -> Value {
        let cookie = std::fs::read(town.stage.join("enforcer").join(".cookie")).unwrap();
        let basic = format!("Basic {}", STANDARD.encode(cookie));
        let (_, body) = self.post(&basic, &json!({ "id": 1, "method": method, "params": params }));
        let reply: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(reply["error"], Value::Null, "{reply}");
        reply["result"].clone()
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn init(town: &Town, name: &str, enforcer: &Enforcer) {
    let access = format!("--node http://127.0.0.1:{} --cookie enforcer/.cookie", enforcer.port);
    let rest = format!("--insecure-no-passphrase --words-to {name}.words");
    town.stage.run(&format!("--home {name} init --name {name} {access} {rest}")).ok();
}

#[test]
fn two_homes_before_an_enforcer_agree_by_the_papers_lock_and_a_thiefs_block_does_not_last() {
    let Some(town) = Town::start(Kind::Bitcoin) else { return };
    let enforcer = Enforcer::start(&town);
    init(&town, "car", &enforcer);
    init(&town, "charger", &enforcer);
    town.stage.exchange_cards("car", "charger");
    let address = town.stage.json("--home car status")["address"].clone();
    town.node.call::<Value>("generatetoaddress", &[json!(5), address]);
    town.mine(100);
    let offer = town.stage.json("--home car offer charger --pay 250000 --carrier dynamic --suite ffdhe2048");
    assert_eq!(offer["locked_by"], "op-exponent");
    town.mine(1);
    town.sync("charger");
    let unmined: Vec<String> =
        serde_json::from_value(enforcer.ask(&town, "getrawmempool", json!([]))).unwrap();
    assert_eq!(unmined.len(), 1, "the answer waits with the enforcer");
    assert!(!town.is_pending(), "and not with the node");

    // A thief mines the answer without t's exponentiation being right: without its signature, to be short.
    let answer = enforcer.ask(&town, "getrawtransaction", json!([unmined[0]]));
    let mut theft: bitcoin::Transaction =
        bitcoin::consensus::encode::deserialize_hex(answer.as_str().unwrap()).unwrap();
    let mut items = theft.input[1].witness.to_vec();
    items[1] = vec![9; 32];
    theft.input[1].witness = bitcoin::Witness::from_slice(&items);
    let to = json!("raw(51)");
    let stolen = json!([bitcoin::consensus::encode::serialize_hex(&theft)]);
    let tip = town.node.tip();
    town.node.call::<Value>("generateblock", &[to.clone(), stolen]);
    until("the thief's block is taken back", || town.node.tip() == tip);

    let template = enforcer.ask(&town, "getblocktemplate", json!([{ "rules": ["segwit"] }]));
    assert_eq!(template["transactions"][0]["txid"], unmined[0]);
    town.node.call::<Value>("generateblock", &[to, json!([answer])]);
    town.mine(1);
    town.sync("car");
    town.sync("charger");
    let (car, charger) = (town.key("car"), town.key("charger"));
    assert_eq!((&car["state"], &charger["state"]), (&json!("active"), &json!("active")));
    assert_eq!(car["fingerprint"], charger["fingerprint"]);
}

#[test]
fn without_the_cookie_and_from_elsewhere_nobody_gets_in_and_two_do_not_share_a_folder() {
    let Some(town) = Town::start(Kind::Bitcoin) else { return };
    let enforcer = Enforcer::start(&town);
    let question = json!({ "id": 1, "method": "getblockcount", "params": [] });
    for wrong in ["", "Basic AAAA", "Bearer x"] {
        let (status, body) = enforcer.post(wrong, &question);
        assert!(status.contains("401") && body.is_empty(), "{status} {body}");
    }
    let way = format!("--node {} --cookie {}", town.node.url(), town.node.cookie().display());
    let refused = |more: &str| town.stage.run(&format!("enforce {way} {more}")).explained(1);
    let elsewhere = refused("--data other --listen 0.0.0.0:28332");
    assert!(elsewhere.contains("not an address of this machine alone"), "{elsewhere}");
    let twice = refused("--data enforcer --listen 127.0.0.1:28332");
    assert!(twice.contains("another enforcer"), "{twice}");
}

#[test]
fn beside_a_bare_node_the_papers_lock_is_refused_in_words() {
    let Some(town) = Town::start(Kind::Bitcoin) else { return };
    town.settle();
    let refused = town
        .stage
        .run("--home car offer charger --pay 250000 --carrier dynamic --suite ffdhe2048")
        .explained(4);
    assert!(refused.contains("nobody here enforces OP_EXPONENT"), "{refused}");
}
