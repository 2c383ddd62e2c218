//! A real node on a regtest chain of its own, for tests: `litecoind` or `bitcoind`, if the machine has it.
//!
//! Where a node is missing, a test says so and ends: see [`TestNode::start`].
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are for tests: they fail by panicking"
)]

mod program;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bitcoin::{BlockHash, Script};
use keyway_chain::{BlockRef, Chain, Height};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::program::Kind;
use crate::rpc::{Credentials, Endpoint, Rpc};

/// How long a node may take to start, stop or answer before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running node, which ends with this value.
pub struct TestNode {
    kind: Kind,
    program: PathBuf,
    folder: TempDir,
    port: u16,
    extra: Mutex<Vec<String>>,
    child: Mutex<Option<Child>>,
    control: Rpc,
}

impl TestNode {
    /// A fresh node, or `None`, with a line on stderr that says why, where the machine has none.
    pub fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, &[])
    }

    /// As [`start`](Self::start), with more arguments.
    pub fn start_with(kind: Kind, extra: &[&str]) -> Option<Self> {
        let program = kind.program()?;
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        // Between our look for a free port and the node's use of it somebody else may take it.
        for _ in 0..10 {
            let node = Self::prepare(kind, program.clone(), extra.clone());
            if node.launch() {
                return Some(node);
            }
        }
        panic!("{} does not start", program.display());
    }

    fn prepare(kind: Kind, program: PathBuf, extra: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let control = Rpc::new(kind.chain(), endpoint(kind, port, folder.path().to_owned())).unwrap();
        Self { kind, program, folder, port, extra: Mutex::new(extra), child: Mutex::new(None), control }
    }

    /// Starts the program and waits until it answers. `false` if it ended instead.
    fn launch(&self) -> bool {
        let mut child = Command::new(&self.program)
            .args(self.kind.arguments(self.folder.path(), self.port))
            .args(self.extra.lock().unwrap_or_else(PoisonError::into_inner).iter())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.try_call::<Value>("getblockcount", &[]).is_ok() {
                *self.child() = Some(child);
                return true;
            }
            assert!(Instant::now() < deadline, "{} does not answer", self.program.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which node it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its address.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Its cookie file.
    pub fn cookie(&self) -> PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// The way to it.
    pub fn endpoint(&self) -> Endpoint {
        endpoint(self.kind, self.port, self.folder.path().to_owned())
    }

    /// A ledger over it.
    pub fn ledger(&self) -> Rpc {
        Rpc::connect(self.kind.chain(), self.endpoint()).unwrap()
    }

    /// Asks it anything.
    pub fn call<T: DeserializeOwned>(&self, method: &str, params: &[Value]) -> T {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// As [`call`](Self::call), for questions it may refuse.
    ///
    /// # Errors
    /// Its refusal, or that it is not there.
    pub fn try_call<T: DeserializeOwned>(&self, method: &str, params: &[Value]) -> Result<T, String> {
        self.control.raw(method, params)
    }

    /// Its tip.
    pub fn tip(&self) -> BlockRef {
        let height = self.call("getblockcount", &[]);
        self.block_at(height)
    }

    fn block_at(&self, height: u32) -> BlockRef {
        BlockRef::new(Height::new(height), self.call("getblockhash", &[json!(height)]))
    }

    /// Mines blocks that pay `to` and hold all unmined transactions.
    pub fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        self.mine_until(blocks, |left| {
            let params = [json!(left), json!(raw(to))];
            self.try_call::<Value>("generatetodescriptor", &params).map(drop)
        })
    }

    /// Mines blocks that pay `to` and hold nothing else.
    pub fn mine_empty(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        self.mine_until(blocks, |_| {
            self.try_call::<Value>("generateblock", &[json!(raw(to)), json!([])]).map(drop)
        })
    }

    /// A block that replaces one of the same second and content is that same block, which the node just
    /// took away: then the clock must move.
    fn mine_until(&self, blocks: u32, step: impl Fn(u32) -> Result<(), String>) -> Vec<BlockRef> {
        let first = self.tip().height.next().to_u32();
        let (mut attempt, mut last) = (0, String::new());
        loop {
            let left = (first + blocks).saturating_sub(self.tip().height.next().to_u32());
            if left == 0 {
                break;
            }
            if let Err(refusal) = step(left) {
                assert!(attempt < 50, "{refusal}; before: {last}");
                self.move_clock(attempt);
                (attempt, last) = (attempt + 1, refusal);
            }
        }
        if attempt > 0 {
            self.call::<Value>("setmocktime", &[json!(0)]);
        }
        (first..first + blocks).map(|height| self.block_at(height)).collect()
    }

    fn move_clock(&self, attempt: u64) {
        let info: Value = self.call("getblockchaininfo", &[]);
        let median = info.get("mediantime").and_then(Value::as_u64).expect("a node knows its time");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.call::<Value>("setmocktime", &[json!(now.max(median) + 2 + attempt)]);
    }

    /// Takes the last blocks away and puts nothing in their place.
    pub fn roll_back(&self, blocks: u32) {
        let height = self.tip().height.next().minus(blocks).to_u32();
        self.invalidate(self.block_at(height).hash);
    }

    /// Takes a block away, with all that rest on it.
    pub fn invalidate(&self, block: BlockHash) {
        self.call::<Value>("invalidateblock", &[json!(block)]);
    }

    /// Ends it as a failing power supply would.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it in an orderly way.
    pub fn stop(&self) {
        self.call::<Value>("stop", &[]);
        if let Some(mut child) = self.child().take() {
            child.wait().unwrap();
        }
    }

    /// Starts it again, in the same place.
    pub fn restart(&self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        while !self.launch() {
            assert!(Instant::now() < deadline, "{} does not start again", self.program.display());
        }
    }

    /// Ends it in an orderly way and starts it again with other additional arguments.
    pub fn restart_with(&self, extra: &[&str]) {
        self.stop();
        let extra = extra.iter().map(ToString::to_string).collect();
        *self.extra.lock().unwrap_or_else(PoisonError::into_inner) = extra;
        self.restart();
    }

    /// Makes it hold its breath: it neither answers nor closes connections.
    pub fn freeze(&self) {
        let pid = self.signal("-STOP");
        let deadline = Instant::now() + PATIENCE;
        while !threads_stand_still(&pid) {
            assert!(Instant::now() < deadline, "{} does not stand still", self.program.display());
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        drop(self.signal("-CONT"));
    }

    fn signal(&self, signal: &str) -> String {
        let pid = self.child().as_ref().map(|child| child.id().to_string()).expect("it runs");
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        pid
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A signal is on its way for a while: each thread stops when it hears of it.
fn threads_stand_still(pid: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.map(Result::unwrap).all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't']))
    })
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn endpoint(kind: Kind, port: u16, folder: PathBuf) -> Endpoint {
    let cookie = folder.join(kind.cookie());
    Endpoint { url: url(port), credentials: Credentials::cookie(cookie), patience: PATIENCE }
}

fn raw(script: &Script) -> String {
    format!("raw({})", script.to_hex_string())
}

/// The chain of every node of this kind.
impl Kind {
    /// Its regtest chain.
    pub fn chain(self) -> Chain {
        Chain::named(self.chain_name()).unwrap()
    }
}
