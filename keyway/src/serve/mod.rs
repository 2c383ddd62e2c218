//! `keyway serve`: a party that runs by itself, and what other commands and programs ask of it.

mod client;
mod http;
mod log;
mod metrics;
mod protocol;
mod work;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use keyway_ledger::rpc::Endpoint;
use keyway_ledger::{Fault, Ledger, Rpc};
use keyway_node::{LedgerConfig, Notice, Party, Service, Signal, Stop, watch_tip};

use tokio::sync::oneshot;

pub use self::client::forward;
use self::metrics::Metrics;
use self::work::Job;
use crate::cli::{Global, Serve};
use crate::error::Error;
use crate::ui::Ui;
use crate::unlock;

/// How long an answer of the node may take: so long may a command wait behind a node that stands still.
const PATIENCE: Duration = Duration::from_secs(20);
/// The control socket in a home.
const SOCKET: &str = "control.sock";

/// `keyway serve`
///
/// # Errors
/// What keeps it from starting. Once it runs, it goes on until it is told to stop.
pub fn run(global: &Global, args: &Serve, ui: &Ui) -> Result<(), Error> {
    let party = unlock::party(global, ui)?;
    log::start(args.log);
    let ledger = ledger(&party)?;
    let socket = socket_of(party.dir());
    let listener = listen(&socket)?;
    let metrics = Arc::new(Metrics::new(party.name().as_str()));
    let (tell, inbox) = mpsc::channel::<Signal<Job>>();
    let stop = Stop::default();
    tracing::info!(name = %party.name(), node = ?ledger, socket = %socket.display(), "serving");
    let served = std::thread::scope(|scope| {
        let control = http::Control { tell: tell.clone(), metrics: Arc::clone(&metrics) };
        let (tell_ended, ended) = oneshot::channel();
        let server = scope.spawn(|| http::serve(listener, control, ended));
        scope.spawn(|| watch_tip(&ledger, &stop, &tell));
        let service = Service::new(party, &ledger);
        let party = service.run(&inbox, work::run, |party, notice| heard(party, &notice, &metrics));
        stop.now();
        // What was asked while stopping is answered with an error.
        drop(inbox);
        drop(party);
        // The server may have failed before.
        let _ = tell_ended.send(());
        server.join().unwrap_or_else(|_| Err(Error::Served("its control server panicked".to_owned())))
    });
    let _ = std::fs::remove_file(&socket);
    tracing::info!("stopped");
    served
}

fn ledger(party: &Party) -> Result<Rpc, Error> {
    let config = party.config();
    let LedgerConfig::Node(node) = &config.ledger else { return Err(Error::ServeNeedsNode) };
    let endpoint = Endpoint { patience: PATIENCE, ..node.endpoint()? };
    let ledger = Rpc::new(config.chain.clone(), endpoint)?;
    match ledger.tip() {
        // It may start later than this process.
        Err(error) if error.fault() == Fault::Backend => tracing::warn!("{}", first_line(&error)),
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    Ok(ledger)
}

/// Where a home's control socket is.
fn socket_of(home: &Path) -> PathBuf {
    home.join(SOCKET)
}

/// For this user alone. An earlier process may have left its socket: the home's lock says that it is gone.
fn listen(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Logs and counts what happened.
fn heard(party: &Party, notice: &Notice<'_>, metrics: &Metrics) {
    log::notice(party, notice);
    metrics.notice(party, notice);
}

fn first_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Tells the loop to end.
fn end(tell: &Sender<Signal<Job>>) {
    // If nobody hears it, it has ended already.
    let _ = tell.send(Signal::Stop);
}
