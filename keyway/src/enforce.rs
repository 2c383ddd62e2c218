//! `keyway enforce`: the rule of OP_EXPONENT beside a node, and the node's JSON-RPC with the rule in it.

use std::fs::File;
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hex::DisplayHex;
use keyway_ledger::Rpc;
use keyway_ledger::enforcer::{Enforcer, Heard};
use subtle::ConstantTimeEq;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::cli::{Enforce, LogAs};
use crate::commands::init;
use crate::error::Error;
use crate::files;
use crate::ui::Ui;

/// A block in hexadecimal, and what stands around it.
const MOST_BYTES: usize = 16 << 20;
/// How long a question to the node about its tip lasts, and so how long the end takes.
const ROUND: Duration = Duration::from_secs(1);
const COOKIE: &str = ".cookie";
const USER: &str = "__cookie__";

/// `keyway enforce`
///
/// # Errors
/// What keeps it from starting. Once it runs, it goes on until it is told to stop.
pub fn run(args: &Enforce, ui: &Ui) -> Result<(), Error> {
    if !args.listen.ip().is_loopback() {
        return Err(Error::NotLoopback(args.listen));
    }
    let node = init::node(&args.node, &args.way_in)?;
    let chain = keyway_ledger::rpc::chain_of(node.endpoint()?)?;
    let _held = hold(&args.data)?;
    start_log(args.log);
    let node = Rpc::connect(chain, node.endpoint()?)?;
    let enforcer = Arc::new(Enforcer::new(node, args.data.join("checked"))?);
    enforcer.follow(&mut log)?;
    let key = Arc::new(write_cookie(&args.data.join(COOKIE))?);
    let listener = std::net::TcpListener::bind(args.listen).map_err(|error| listen(args, &error))?;
    listener.set_nonblocking(true).map_err(|error| listen(args, &error))?;
    tracing::info!(height = enforcer.checked().height.to_u32(), listen = %args.listen, "enforcing");
    ui.say("  enforcing OP_EXPONENT; SIGINT ends it");
    let (stop, stopped) = mpsc::channel();
    let served = std::thread::scope(|scope| {
        let following = Arc::clone(&enforcer);
        scope.spawn(move || keep_following(&following, &stopped));
        let served = serve(listener, Asked { enforcer: Arc::clone(&enforcer), key });
        drop(stop);
        served.map_err(|error| listen(args, &error))
    });
    let _ = std::fs::remove_file(args.data.join(COOKIE));
    tracing::info!("stopped");
    served
}

fn listen(args: &Enforce, error: &std::io::Error) -> Error {
    Error::Listen { address: args.listen, what: error.to_string() }
}

/// The folder, for this user and this process alone.
fn hold(folder: &Path) -> Result<File, Error> {
    let failed = |source| Error::Write { path: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = File::create(folder.join("lock")).map_err(failed)?;
    file.try_lock().map_err(|_| Error::EnforcerRuns(folder.to_owned()))?;
    Ok(file)
}

fn start_log(format: LogAs) {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    // A second start in one process changes nothing.
    let _ = match format {
        LogAs::Json => log.json().flatten_event(true).try_init(),
        LogAs::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

/// Draws the password of this run; the file is what nodes write too.
fn write_cookie(path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| Error::Write {
        path: path.to_owned(),
        source: std::io::Error::other("the system gives no randomness"),
    })?;
    let cookie = Zeroizing::new(format!("{USER}:{}", bytes.to_lower_hex_string()));
    // An earlier run that was killed left its own, which opens nothing any more.
    let _ = std::fs::remove_file(path);
    files::write_secret(path, cookie.as_bytes())?;
    Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(cookie.as_bytes()))))
}

/// Until it is told to stop. What fails is tried again: the node may start anew.
fn keep_following(enforcer: &Enforcer, stopped: &Receiver<()>) {
    loop {
        let round = enforcer.wait(ROUND).and_then(|()| enforcer.follow(&mut log));
        let pause = if round.is_ok() { Duration::ZERO } else { ROUND };
        if let Err(error) = round {
            tracing::warn!("{}", error.to_string().lines().next().unwrap_or_default());
        }
        if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

fn log(heard: &Heard) {
    match heard {
        Heard::Checked(at) => tracing::debug!(height = at.height.to_u32(), hash = %at.hash, "checked"),
        Heard::Left { at, .. } => {
            tracing::info!(height = at.height.to_u32(), hash = %at.hash, "left the chain")
        }
        Heard::Invalidated { at, broken } => {
            tracing::warn!(height = at.height.to_u32(), hash = %at.hash, "invalidated: {broken}");
        }
    }
}

/// What an answer takes.
#[derive(Clone)]
struct Asked {
    enforcer: Arc<Enforcer>,
    /// The value of the header that lets one in.
    key: Arc<Zeroizing<String>>,
}

fn serve(listener: std::net::TcpListener, asked: Asked) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let app =
            Router::new().route("/", post(answer)).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(asked);
        tokio::select! {
            served = axum::serve(listener, app) => served,
            _ = term.recv() => Ok(()),
            _ = int.recv() => Ok(()),
        }
    });
    // Questions that wait for a block end with the process.
    runtime.shutdown_background();
    outcome
}

async fn answer(State(asked): State<Asked>, headers: HeaderMap, body: Bytes) -> Response {
    let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    if !bool::from(shown.ct_eq(asked.key.as_bytes())) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(request) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    // The node is asked, and may take its time.
    let answered = tokio::task::spawn_blocking(move || asked.enforcer.answer(&request)).await;
    match answered {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
