//! An HTTP server that says whatever its script says: the attacker behind a node's address.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyway_chain::Chain;
use keyway_ledger::rpc::{Credentials, Endpoint};
use keyway_ledger::{LedgerError, Rpc};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// What it does with a request.
#[derive(Clone)]
pub enum Say {
    /// A result, as a node would give it.
    Result(Value),
    /// A refusal, as a node would give it.
    Error(i64, &'static str),
    /// These bytes instead of an HTTP answer.
    Bytes(Vec<u8>),
    /// This status and body.
    Status(u16, String),
    /// Closes the connection.
    Close,
    /// Keeps the connection open and says nothing.
    Nothing,
    /// Sends a body that does not end.
    Endless,
    /// Sends a body of which each byte comes late.
    Drip,
}

type Script = HashMap<&'static str, Say>;

pub struct Liar {
    pub port: u16,
    script: Arc<Mutex<Script>>,
    /// The methods that it was asked, in order.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// The Authorization headers that came.
    pub secrets: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Liar {
    /// One that says what a fresh regtest node says, but for `lies`.
    pub fn with(lies: impl IntoIterator<Item = (&'static str, Say)>) -> Self {
        let mut script = honest();
        script.extend(lies);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let liar = Self {
            port: listener.local_addr().unwrap().port(),
            script: Arc::new(Mutex::new(script)),
            asked: Arc::default(),
            secrets: Arc::default(),
            over: Arc::default(),
        };
        let (script, asked) = (Arc::clone(&liar.script), Arc::clone(&liar.asked));
        let (secrets, over) = (Arc::clone(&liar.secrets), Arc::clone(&liar.over));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, asked) = (Arc::clone(&script), Arc::clone(&asked));
                let (secrets, over) = (Arc::clone(&secrets), Arc::clone(&over));
                std::thread::spawn(move || serve(stream, &script, &asked, &secrets, &over));
            }
        });
        liar
    }

    /// From now on it says this.
    pub fn says(&self, method: &'static str, say: Say) {
        self.script.lock().unwrap().insert(method, say);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn rpc(&self) -> Rpc {
        self.rpc_on(Chain::regtest()).unwrap()
    }

    pub fn rpc_on(&self, chain: Chain) -> Result<Rpc, LedgerError> {
        let credentials = Credentials::user("alice", Zeroizing::new("hunter2".to_owned()));
        Rpc::new(chain, Endpoint { url: self.url(), credentials, patience: Duration::from_millis(700) })
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

pub const GENESIS: &str = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

pub fn info(change: impl FnOnce(&mut Value)) -> Say {
    let mut info = json!({
        "chain": "regtest", "blocks": 0, "headers": 0, "bestblockhash": GENESIS, "initialblockdownload": false,
    });
    change(&mut info);
    Say::Result(info)
}

fn honest() -> Script {
    HashMap::from([
        ("getblockchaininfo", info(|_| ())),
        ("getnetworkinfo", Say::Result(json!({ "version": 310_000 }))),
        ("getblockhash", Say::Result(json!(GENESIS))),
        ("getbestblockhash", Say::Result(json!(GENESIS))),
        ("getrawmempool", Say::Result(json!([]))),
    ])
}

fn serve(
    stream: TcpStream,
    script: &Mutex<Script>,
    asked: &Mutex<Vec<String>>,
    secrets: &Mutex<Vec<String>>,
    over: &AtomicBool,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some((request, secret)) = read_request(&mut reader) {
        secrets.lock().unwrap().push(secret);
        let first = request.as_array().map_or(&request, |all| &all[0]);
        let method = first["method"].as_str().unwrap().to_owned();
        asked.lock().unwrap().push(method.clone());
        let script = script.lock().unwrap().clone();
        if !answer(&mut stream, &request, &script, over) {
            return;
        }
    }
}

/// A request's JSON and its credentials.
fn read_request(reader: &mut impl BufRead) -> Option<(Value, String)> {
    let (mut length, mut secret) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let (name, value) = line.split_once(':').unwrap_or((line.trim(), ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => secret = value.trim().to_owned(),
            "" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((serde_json::from_slice(&body).unwrap(), secret))
}

/// `false` when the connection is over. Of several questions at once, each is answered by its own line of the script, if
/// the first one's is an answer.
fn answer(stream: &mut TcpStream, request: &Value, script: &Script, over: &AtomicBool) -> bool {
    let (status, body) = match request.as_array() {
        None => reply(request, script),
        Some(all) => {
            let replies: Vec<Value> = all.iter().map(|one| reply(one, script).1).collect();
            (200, Value::Array(replies))
        }
    };
    let first = request.as_array().map_or(request, |all| &all[0]);
    let sent = match say(first, script) {
        Say::Result(_) | Say::Error(..) => http(stream, status, &body.to_string()),
        Say::Status(status, body) => http(stream, status, &body),
        Say::Bytes(bytes) => {
            let _ = stream.write_all(&bytes);
            return false;
        }
        Say::Close => return false,
        Say::Nothing => return wait_until(over),
        Say::Endless => return pour(stream, over, Duration::ZERO),
        Say::Drip => return pour(stream, over, Duration::from_millis(50)),
    };
    sent.is_ok()
}

fn say(request: &Value, script: &Script) -> Say {
    let method = request["method"].as_str().unwrap();
    script.get(method).cloned().unwrap_or(Say::Error(-32601, "Method not found"))
}

fn reply(request: &Value, script: &Script) -> (u16, Value) {
    let (status, result, error) = match say(request, script) {
        Say::Result(result) => (200, result, Value::Null),
        Say::Error(code, message) => (500, Value::Null, json!({ "code": code, "message": message })),
        _ => (200, Value::Null, Value::Null),
    };
    (status, json!({ "id": request["id"], "result": result, "error": error }))
}

fn http(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    let elsewhere = if status == 302 { "Location: http://127.0.0.1:1/\r\n" } else { "" };
    stream.write_all(format!("{head}{elsewhere}\r\n{body}").as_bytes())
}

fn pour(stream: &mut TcpStream, over: &AtomicBool, pause: Duration) -> bool {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"result\":\"");
    let piece = if pause.is_zero() { vec![b'0'; 1 << 20] } else { vec![b'0'] };
    while !over.load(Ordering::Relaxed) && stream.write_all(&piece).is_ok() {
        std::thread::sleep(pause);
    }
    false
}

fn wait_until(over: &AtomicBool) -> bool {
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
