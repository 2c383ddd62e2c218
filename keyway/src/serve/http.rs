//! The control API: HTTP on the home's socket (docs/control-api.yaml).

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Json, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use keyway_node::Signal;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::metrics::Metrics;
use super::protocol::{Bytes, Reply, Request};
use super::work::Job;
use crate::error::Error;

/// The largest message to be sealed, in base64, and what stands around it.
const MOST_BYTES: usize = 160 << 20;
/// How long answers under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// What the server needs of the rest.
#[derive(Clone)]
pub struct Control {
    /// To the loop.
    pub tell: Sender<Signal<Job>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Serves until the loop ended, or a signal has it end.
///
/// # Errors
/// If the system refuses what a server needs.
pub fn serve(
    listener: UnixListener,
    control: Control,
    mut ended: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        super::end(&control.tell);
        Error::Served(error.to_string())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let outcome = runtime.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let server = tokio::spawn(axum::serve(listener, app(control.clone())).into_future());
        tokio::select! {
            _ = term.recv() => tracing::info!("told to stop by SIGTERM"),
            _ = int.recv() => tracing::info!("told to stop by SIGINT"),
            _ = &mut ended => {}
        }
        super::end(&control.tell);
        // The loop answers what it was asked before, then hears of the end. If it ended, this is over at once.
        let _ = tokio::time::timeout(GRACE, &mut ended).await;
        server.abort();
        Ok(())
    });
    outcome.map_err(failed)
}

/// The routes.
fn app(control: Control) -> Router {
    Router::new()
        .route("/v1/run", post(run))
        .route("/v1/status", get(|State(c): State<Control>| command(c, ["status"], None)))
        .route("/v1/card", get(|State(c): State<Control>| command(c, ["card"], None)))
        .route("/v1/backup", get(|State(c): State<Control>| command(c, ["backup"], None)))
        .route("/v1/peers", get(|State(c): State<Control>| command(c, ["peer", "list"], None)).post(add_peer))
        .route("/v1/negotiations", get(|State(c): State<Control>| command(c, ["keys"], None)))
        .route("/v1/negotiations/{which}", get(show))
        .route("/v1/negotiations/{which}/psbt", get(psbt))
        .route("/v1/negotiations/{which}/cancel", post(cancel))
        .route("/v1/negotiations/{which}/revoke", post(revoke))
        .route("/v1/offers", post(offer))
        .route("/v1/prepared-offers", post(prepare))
        .route("/v1/submissions", post(submit))
        .route("/v1/seal", post(seal))
        .route("/v1/open", post(open))
        .route("/v1/sync", post(|State(c): State<Control>| command(c, ["sync"], None)))
        .route("/v1/api.yaml", get(|| async { include_str!("../../../docs/control-api.yaml") }))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(control)
}

/// Hands a command to the loop and waits for its outcome.
async fn ask(control: &Control, request: Request) -> Result<Reply, StatusCode> {
    let (reply, outcome) = oneshot::channel();
    let job = Signal::Job(Job { request, reply });
    control.tell.send(job).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    outcome.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn run(State(control): State<Control>, Json(request): Json<Request>) -> Response {
    match ask(&control, request).await {
        Ok(reply) => Json(reply).into_response(),
        Err(status) => status.into_response(),
    }
}

/// A command's JSON as the body; its exit code as the status.
async fn command<const N: usize>(control: Control, args: [&str; N], input: Option<Bytes>) -> Response {
    command_of(control, args.into_iter(), input).await
}

async fn command_of<'a>(
    control: Control,
    args: impl Iterator<Item = &'a str>,
    input: Option<Bytes>,
) -> Response {
    let args = std::iter::once("--json").chain(args).map(ToOwned::to_owned).collect();
    match ask(&control, Request { args, input, width: None, color: false }).await {
        Ok(Reply { code: 0, stdout, .. }) => json(StatusCode::OK, stdout.0),
        Ok(Reply { code, stderr, .. }) => json(status_of(code), stderr.into_bytes()),
        Err(status) => status.into_response(),
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// `keyway help exit-codes`, as HTTP says it.
fn status_of(code: u8) -> StatusCode {
    match code {
        2 => StatusCode::BAD_REQUEST,
        3 => StatusCode::CONFLICT,
        4 => StatusCode::UNPROCESSABLE_ENTITY,
        5 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn show(State(control): State<Control>, Path(which): Path<String>) -> Response {
    command(control, ["show", "--", &which], None).await
}

async fn psbt(State(control): State<Control>, Path(which): Path<String>) -> Response {
    command(control, ["psbt", "--", &which], None).await
}

async fn cancel(State(control): State<Control>, Path(which): Path<String>) -> Response {
    command(control, ["cancel", "--", &which], None).await
}

async fn revoke(State(control): State<Control>, Path(which): Path<String>) -> Response {
    command(control, ["revoke", "--yes", "--", &which], None).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPeer {
    card: String,
}

async fn add_peer(State(control): State<Control>, Json(new): Json<NewPeer>) -> Response {
    command(control, ["peer", "add", "-"], Some(Bytes(new.card.into_bytes()))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOffer {
    peer: String,
    price_sat: u64,
}

async fn offer(State(control): State<Control>, Json(new): Json<NewOffer>) -> Response {
    let price = format!("{}sat", new.price_sat);
    command(control, ["offer", "--pay", &price, "--", &new.peer], None).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPrepared {
    peer: String,
    price_sat: u64,
    #[serde(default)]
    carrier: Option<String>,
    #[serde(default)]
    suite: Option<String>,
}

async fn prepare(State(control): State<Control>, Json(new): Json<NewPrepared>) -> Response {
    let price = format!("{}sat", new.price_sat);
    let carrier = new.carrier.map(|carrier| format!("--carrier={carrier}"));
    let suite = new.suite.map(|suite| format!("--suite={suite}"));
    let terms = carrier.iter().chain(&suite).map(String::as_str);
    let args = ["offer", "--psbt", "-", "--pay", &price].into_iter().chain(terms).chain(["--", &new.peer]);
    command_of(control, args, None).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    psbt: String,
}

async fn submit(State(control): State<Control>, Json(new): Json<Submission>) -> Response {
    command(control, ["submit", "-"], Some(Bytes(new.psbt.into_bytes()))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSeal {
    to: String,
    plaintext: Bytes,
    #[serde(default)]
    aad: String,
}

async fn seal(State(control): State<Control>, Json(message): Json<ToSeal>) -> Response {
    let aad = format!("--aad={}", message.aad);
    command(control, ["seal", &aad, "--", &message.to, "-"], Some(message.plaintext)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToOpen {
    sealed: String,
    #[serde(default)]
    aad: String,
}

async fn open(State(control): State<Control>, Json(message): Json<ToOpen>) -> Response {
    let aad = format!("--aad={}", message.aad);
    command(control, ["open", &aad, "-"], Some(Bytes(message.sealed.into_bytes()))).await
}

async fn metrics(State(control): State<Control>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], control.metrics.text()).into_response()
}
