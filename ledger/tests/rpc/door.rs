//! An enforcer's answers over HTTP, so that a ledger can be had through it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Script;
use keyway_chain::{BlockRef, Chain};
use keyway_ledger::Rpc;
use keyway_ledger::contract::Harness;
use keyway_ledger::enforcer::Enforcer;
use keyway_ledger::rpc::{Credentials, Endpoint};
use keyway_ledger::testnode::Kind;
use zeroize::Zeroizing;

use super::harness::Fresh;

/// Bitcoin Core, seen through an enforcer.
pub struct Before {
    behind: Fresh,
    ledger: Rpc,
    _folder: tempfile::TempDir,
}

impl Before {
    /// `None` where there is no such node.
    pub fn start() -> Option<Self> {
        let behind = Fresh::start(Kind::Bitcoin)?;
        let folder = tempfile::tempdir().unwrap();
        let enforcer = Enforcer::new(behind.node.ledger(), folder.path().join("checked")).unwrap();
        let url = open(Arc::new(enforcer));
        let credentials = Credentials::user("anybody", Zeroizing::new(String::new()));
        let endpoint = Endpoint { url, credentials, patience: Duration::from_secs(120) };
        Some(Self { ledger: Rpc::connect(Chain::regtest(), endpoint).unwrap(), behind, _folder: folder })
    }
}

/// Answers whoever asks, as long as the process lives.
fn open(enforcer: Arc<Enforcer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let enforcer = Arc::clone(&enforcer);
            std::thread::spawn(move || answer(&stream, &enforcer));
        }
    });
    url
}

/// `None` if the asker left.
fn answer(stream: &TcpStream, enforcer: &Enforcer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let said = enforcer.answer(&serde_json::from_slice(&body).unwrap());
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", said.len());
    let mut stream = stream;
    stream.write_all((head + &said).as_bytes()).ok()
}

impl Harness for Before {
    type Ledger = Rpc;

    fn ledger(&self) -> &Rpc {
        &self.ledger
    }

    fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        self.behind.mine(blocks, to)
    }

    fn reorganise(&self, remove: u32, add: u32, to: &Script) -> Vec<BlockRef> {
        self.behind.reorganise(remove, add, to)
    }

    fn roll_back(&self, blocks: u32) {
        self.behind.roll_back(blocks);
    }
}
