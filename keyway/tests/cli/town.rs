//! A real node, and homes beside it.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use keyway_ledger::testnode::{Kind, TestNode};
use serde_json::{Value, json};

use crate::stage::{Run, Stage, keyway_in};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for it.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A node, and homes beside it.
pub struct Town {
    pub node: TestNode,
    pub stage: Stage,
}

impl Town {
    pub fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, &[])
    }

    /// With more arguments for the node.
    pub fn start_with(kind: Kind, extra: &[&str]) -> Option<Self> {
        let town = Self { node: TestNode::start_with(kind, extra)?, stage: Stage::new() };
        // A node that sees no recent block believes that it is behind.
        town.mine(1);
        Some(town)
    }

    pub fn mine(&self, blocks: u32) {
        self.node.mine(blocks, &ScriptBuf::from_bytes(vec![0x51]));
    }

    pub fn mine_empty(&self, blocks: u32) {
        self.node.mine_empty(blocks, &ScriptBuf::from_bytes(vec![0x51]));
    }

    /// Makes a home beside the node.
    pub fn init(&self, name: &str, more: &str) -> Run {
        let access = format!("--node {} --cookie {}", self.node.url(), self.node.cookie().display());
        let rest = format!("--insecure-no-passphrase --words-to {name}.words {more}");
        self.stage.run(&format!("--home {name} init --name {name} {access} {rest}"))
    }

    /// Two homes that know each other; the car has coins that can be spent, and the node has all on disk.
    pub fn settle(&self) {
        self.init("car", "").ok();
        self.init("charger", "").ok();
        self.stage.exchange_cards("car", "charger");
        let address = self.stage.json("--home car status")["address"].clone();
        self.node.call::<Value>("generatetoaddress", &[json!(5), address]);
        self.mine(100);
        // It flushes what it counts.
        self.node.call::<Value>("gettxoutsetinfo", &[]);
    }

    /// Changes a home's configuration.
    pub fn edit(&self, home: &str, from: &str, to: &str) {
        let path = self.stage.join(home).join("keyway.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    }

    pub fn sync(&self, home: &str) -> Value {
        self.stage.json(&format!("--home {home} sync"))
    }

    /// The home's first negotiation.
    pub fn key(&self, home: &str) -> Value {
        self.stage.json(&format!("--home {home} keys"))[0].clone()
    }

    /// A negotiation of the home by its id.
    pub fn shown(&self, home: &str, id: &str) -> Value {
        self.stage.json(&format!("--home {home} show {id}"))
    }

    /// How far the home has followed.
    pub fn height(&self, home: &str) -> u64 {
        self.stage.json(&format!("--home {home} status"))["height"].as_u64().unwrap()
    }

    /// Waits until the homes have followed to the node's tip.
    pub fn caught_up(&self, homes: &[&str]) {
        let height = u64::from(self.node.tip().height.to_u32());
        for home in homes {
            until("the home has followed", || self.height(home) == height);
        }
    }

    pub fn state(&self, home: &str) -> String {
        self.key(home)["state"].as_str().unwrap_or("nothing").to_owned()
    }

    /// Whether the node holds an unmined transaction.
    pub fn is_pending(&self) -> bool {
        !self.node.call::<Vec<String>>("getrawmempool", &[]).is_empty()
    }

    /// A node that was killed has old blocks only, and believes that it is behind until it sees a new one.
    pub fn revive(&self) {
        self.mine_empty(1);
    }

    /// Starts a home's service and waits until it can be asked.
    pub fn serve(&self, home: &str) -> Served {
        let log = self.stage.join(format!("{home}.log"));
        let socket = self.stage.join(home).join("control.sock");
        let child = keyway_in(self.stage.path())
            .args(["--home", home, "serve", "--log", "json"])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn();
        let mut served = Served { child: child.unwrap(), log };
        until("the service can be asked", || {
            assert!(served.child.try_wait().unwrap().is_none(), "it ended: {}", served.log());
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        served
    }
}

/// A home's service, which ends with this value.
pub struct Served {
    pub child: Child,
    log: std::path::PathBuf,
}

impl Served {
    /// What it has logged so far, in whole lines.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    }

    /// Ends it as a failing power supply would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}
