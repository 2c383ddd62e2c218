//! Questions to a node and its answers: JSON-RPC over HTTP, with every answer bounded in size and time.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;
use ureq::http::StatusCode;

use super::credentials::Credentials;

/// Most bytes of an ordinary answer.
pub(super) const SMALL: u64 = 1 << 20;
/// Most bytes of a block or transaction, in hex or with the details of its inputs.
pub(super) const LARGE: u64 = 32 << 20;
/// A node that is there takes a connection at once.
const CONNECT: Duration = Duration::from_secs(5);

/// Why a question got no answer.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// The way to the node, or its silence.
    #[error("{0}")]
    Transport(String),
    /// The node does not accept the credentials, or there are none to give.
    #[error("{0}")]
    Credentials(String),
    /// The node says no.
    #[error("{message} (code {code})")]
    Node {
        /// Its number for the reason.
        code: i64,
        /// Its words.
        message: String,
    },
    /// What came is no answer.
    #[error("{0}")]
    Garbage(String),
}

impl CallError {
    /// The node's number for its refusal.
    pub(super) fn code(&self) -> Option<i64> {
        match self {
            Self::Node { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// One question.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) params: Vec<Value>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: &'a str, params: impl Into<Vec<Value>>) -> Self {
        Self { method, params: params.into() }
    }

    fn to_json(&self, id: usize) -> Value {
        serde_json::json!({ "jsonrpc": "1.0", "id": id, "method": self.method, "params": self.params })
    }
}

/// One answer as it came.
#[derive(Deserialize)]
struct Reply<'a> {
    id: Option<usize>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<NodeError>,
}

#[derive(Deserialize)]
struct NodeError {
    code: i64,
    message: String,
}

impl Reply<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, CallError> {
        if let Some(NodeError { code, message }) = self.error {
            return Err(CallError::Node { code, message: clipped(&message) });
        }
        serde_json::from_str(self.result.map_or("null", RawValue::get)).map_err(garbage)
    }
}

/// The way to one node.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    credentials: Credentials,
    patience: Duration,
}

impl Client {
    /// `url` is a checked `http://host:port`; `patience` is how long an answer may take.
    pub(super) fn new(url: String, credentials: Credentials, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // Credentials go to the node and to nobody between.
            .proxy(None)
            .timeout_connect(Some(CONNECT.min(patience)))
            // A node that shuts down waits for idle connections, up to half a minute.
            .max_idle_connections(0)
            .build();
        Self { agent: config.into(), url, credentials, patience }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Asks one question.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Into<Vec<Value>>,
    ) -> Result<T, CallError> {
        self.ask(&Call::new(method, params), LARGE, Duration::ZERO)
    }

    /// Asks one question whose answer has at most `limit` bytes and may take `longer` than others.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        limit: u64,
        longer: Duration,
    ) -> Result<T, CallError> {
        read_reply(&self.exchange(&call.to_json(0), limit, longer)?)
    }

    /// Asks several questions at once; the answers come in the order of the questions.
    pub(super) fn batch<T: DeserializeOwned>(
        &self,
        calls: &[Call<'_>],
        limit: u64,
    ) -> Result<Vec<Result<T, CallError>>, CallError> {
        let request = calls.iter().enumerate().map(|(id, call)| call.to_json(id)).collect();
        read_batch(&self.exchange(&Value::Array(request), limit, Duration::ZERO)?, calls)
    }

    /// A node that started anew has a new cookie; one that is busy closes connections: one more try.
    pub(super) fn exchange(
        &self,
        request: &Value,
        limit: u64,
        longer: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let body = request.to_string();
        match self.post(&body, limit, longer) {
            Err(Failed::Unauthorized) if self.credentials.renew() => {}
            Err(Failed::Closed(_)) => {}
            other => return other.map_err(|failed| self.explain(failed)),
        }
        self.post(&body, limit, longer).map_err(|failed| self.explain(failed))
    }

    fn post(&self, body: &str, limit: u64, longer: Duration) -> Result<Vec<u8>, Failed> {
        let header = self.credentials.header().map_err(Failed::NoCredentials)?;
        let response = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(self.patience + longer))
            .build()
            .header("authorization", header.as_str())
            .header("connection", "close")
            .content_type("application/json")
            .send(body);
        let mut response = response.map_err(Failed::of)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(Failed::of)?;
        match status {
            // A refusal comes with status 500 (404 for an unknown method), and says so in its body.
            StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR => Ok(body),
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if body.starts_with(b"{") => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failed::Unauthorized),
            StatusCode::SERVICE_UNAVAILABLE => Err(Failed::Other("it is too busy".to_owned())),
            other => Err(Failed::Other(format!("it answers with HTTP status {}", other.as_u16()))),
        }
    }

    fn explain(&self, failed: Failed) -> CallError {
        match failed {
            Failed::Unauthorized => CallError::Credentials(self.credentials.refused()),
            Failed::NoCredentials(why) => CallError::Credentials(why),
            Failed::Closed(why) | Failed::Other(why) => CallError::Transport(why),
            Failed::TooLong(limit) => CallError::Garbage(format!("it has more than {limit} bytes")),
        }
    }
}

/// The answer to one question.
pub(super) fn read_reply<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CallError> {
    let reply: Reply<'_> = serde_json::from_slice(bytes).map_err(garbage)?;
    reply.read()
}

/// The answers to several questions, in their order.
pub(super) fn read_batch<T: DeserializeOwned>(
    bytes: &[u8],
    calls: &[Call<'_>],
) -> Result<Vec<Result<T, CallError>>, CallError> {
    let mut replies: Vec<Reply<'_>> = serde_json::from_slice(bytes).map_err(garbage)?;
    replies.sort_by_key(|reply| reply.id);
    if !replies.iter().map(|reply| reply.id).eq((0..calls.len()).map(Some)) {
        return Err(CallError::Garbage("the answers are not those to the questions".to_owned()));
    }
    Ok(replies.into_iter().map(Reply::read).collect())
}

/// What went wrong on the way.
enum Failed {
    Unauthorized,
    NoCredentials(String),
    /// The connection ended.
    Closed(String),
    TooLong(u64),
    Other(String),
}

impl Failed {
    fn of(error: ureq::Error) -> Self {
        use std::io::ErrorKind as Io;
        match error {
            ureq::Error::BodyExceedsLimit(limit) => Self::TooLong(limit),
            ureq::Error::Timeout(_) => Self::Other("it took too long to answer".to_owned()),
            ureq::Error::Io(error) => match error.kind() {
                Io::ConnectionRefused => Self::Other("nothing listens there".to_owned()),
                Io::BrokenPipe | Io::ConnectionReset | Io::ConnectionAborted | Io::UnexpectedEof => {
                    Self::Closed("it closed the connection".to_owned())
                }
                _ => Self::Other(error.to_string()),
            },
            other => Self::Other(clipped(&other.to_string())),
        }
    }
}

fn garbage(error: serde_json::Error) -> CallError {
    CallError::Garbage(clipped(&error.to_string()))
}

/// A stranger's words, short and without what would move a terminal's cursor.
pub(super) fn clipped(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect()
}
