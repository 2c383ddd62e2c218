//! A door before a real node: it lets through, or does what a node in trouble does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What whoever knocks finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// The node.
    Node,
    /// A web server of something else.
    Website,
    /// A node that reads its blocks, as after a start.
    Starting,
    /// One that knows nobody.
    Stranger,
    /// One with more questions than it has threads.
    Busy,
    /// One that ends as soon as it is asked.
    Gone,
    /// Another chain's.
    OtherChain,
    /// One that takes the question and says nothing.
    Silent,
}

/// Where a home's node seems to be. Its thread ends with the process.
pub struct Door {
    port: u16,
    behind: Arc<Mutex<Behind>>,
}

impl Door {
    /// Before the node at `node`, letting through.
    pub fn before(node: &str) -> Self {
        let node = node.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door =
            Self { port: listener.local_addr().unwrap().port(), behind: Arc::new(Mutex::new(Behind::Node)) };
        let behind = Arc::clone(&door.behind);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (node, behind) = (node.clone(), *behind.lock().unwrap());
                // Whoever knocked may leave at any time.
                std::thread::spawn(move || drop(open(stream, behind, &node)));
            }
        });
        door
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on, whoever knocks finds this.
    pub fn shows(&self, behind: Behind) {
        *self.behind.lock().unwrap() = behind;
    }
}

const LITECOIN: &str = "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2";

fn open(stream: TcpStream, behind: Behind, node: &str) -> std::io::Result<()> {
    if behind == Behind::Node {
        return pass_on(stream, TcpStream::connect(node)?);
    }
    let question = question(&stream)?;
    let info = r#"{"chain":"main","blocks":0,"headers":0,"initialblockdownload":false,"#;
    match behind {
        Behind::Node | Behind::Gone => Ok(()),
        Behind::Website => say(stream, "200 OK", "<html>It works!</html>"),
        Behind::Busy => say(stream, "503 Service Unavailable", "Work queue depth exceeded"),
        Behind::Stranger => say(stream, "401 Unauthorized", ""),
        Behind::Starting => {
            let error = r#"{"code":-28,"message":"Loading block index…"}"#;
            say(stream, "500 Internal Server Error", &format!(r#"{{"id":0,"result":null,"error":{error}}}"#))
        }
        Behind::OtherChain => {
            let result = if question.contains("getblockchaininfo") {
                format!(r#"{info}"bestblockhash":"{LITECOIN}"}}"#)
            } else if question.contains("getnetworkinfo") {
                r#"{"version":310000}"#.to_owned()
            } else {
                format!(r#""{LITECOIN}""#)
            };
            say(stream, "200 OK", &format!(r#"{{"id":0,"result":{result},"error":null}}"#))
        }
        // Until whoever asked has had enough.
        Behind::Silent => stream.take(1).read_to_end(&mut Vec::new()).map(drop),
    }
}

/// All that was asked.
fn question(stream: &TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn say(mut stream: TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes())
}

fn pass_on(asker: TcpStream, node: TcpStream) -> std::io::Result<()> {
    let (mut from, mut to) = (asker.try_clone()?, node.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (node, asker);
    let _ = std::io::copy(&mut from, &mut to);
    to.shutdown(Shutdown::Both)
}
