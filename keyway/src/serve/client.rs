//! The other end: a command whose home `keyway serve` has open.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes as Body;
use hyper_util::rt::TokioIo;

use super::protocol::{Bytes, Reply, Request};
use super::socket_of;
use crate::cli::params::{ParamsAction, ParamsPublish};
use crate::cli::{BackupArgs, Cli, Command, EvidenceAction, Offer, PeerAction};
use crate::commands::{backup, cards, evidence, params, revoke};
use crate::error::Error;
use crate::ui::Ui;
use crate::{files, unlock};

/// More than the largest message takes in base64.
const MOST: usize = 256 << 20;

/// Has the command done by the process that serves its home, if there is one: its exit code then.
///
/// # Errors
/// What the command names cannot be read, or the other process does not answer.
pub fn forward(cli: &Cli, args: &[OsString], ui: &Ui) -> Result<Option<u8>, Error> {
    if !is_servable(&cli.command) {
        return Ok(None);
    }
    // Without a home the command itself says what is wrong.
    let Ok(home) = unlock::home(&cli.global) else { return Ok(None) };
    let Ok(stream) = UnixStream::connect(socket_of(&home)) else { return Ok(None) };
    // Who asks for it is asked, not the process that does it.
    let confirmed = match &cli.command {
        Command::Revoke(args) if !args.yes => {
            revoke::confirm(&args.negotiation)?;
            Some("--yes".to_owned())
        }
        _ => None,
    };
    let told = args.iter().skip(1).map(|arg| spelled(&cli.command, arg));
    let request = Request {
        args: with_option(told.collect(), confirmed),
        input: input(&cli.command)?.map(Bytes),
        width: Some(ui.width()),
        color: ui.in_color(),
    };
    if let Command::Backup(args) = &cli.command {
        return backup(stream, args, ui).map(Some);
    }
    let file = output(&cli.command);
    file.map_or(Ok(()), files::check_absent)?;
    let reply = ask(stream, &request)?;
    if let (Some(path), Some(Bytes(bytes))) = (file, &reply.output) {
        files::write_new(path, bytes)?;
    }
    match &cli.command {
        Command::Evidence { action: EvidenceAction::Export(args) } if reply.code == 0 => {
            evidence::hand_over(&reply.stdout.0, args, ui)?;
        }
        _ => ui.bytes(&reply.stdout.0)?,
    }
    let _ = std::io::stderr().lock().write_all(reply.stderr.as_bytes());
    Ok(Some(reply.code))
}

/// The arguments with one option more, which stands before `--` where that is.
fn with_option(mut args: Vec<String>, option: Option<String>) -> Vec<String> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    args.splice(end..end, option);
    args
}

/// As `keyway --json backup` tells it.
#[derive(serde::Deserialize)]
struct Text {
    backup: String,
}

/// The text comes from the other process; this one writes it where it was asked to.
fn backup(stream: UnixStream, args: &BackupArgs, ui: &Ui) -> Result<u8, Error> {
    let json = ui.json().then(|| "--json".to_owned());
    let request = Request {
        args: json.into_iter().chain(["backup".to_owned()]).collect(),
        input: None,
        width: None,
        color: ui.in_color(),
    };
    let Reply { code, stdout, stderr, .. } = ask(stream, &request)?;
    if code != 0 || backup::to_stdout(args) {
        ui.bytes(&stdout.0)?;
        let _ = std::io::stderr().lock().write_all(stderr.as_bytes());
        return Ok(code);
    }
    let text = if ui.json() {
        let text: Text =
            serde_json::from_slice(&stdout.0).map_err(|error| Error::Served(error.to_string()))?;
        text.backup
    } else {
        String::from_utf8(stdout.0).map_err(|error| Error::Served(error.to_string()))?
    };
    backup::deliver(&text, args, ui)?;
    Ok(0)
}

/// An argument as the other process needs it: of a trace, the card itself instead of the file that holds it.
fn spelled(command: &Command, arg: &OsString) -> String {
    let text = arg.to_string_lossy().into_owned();
    let Command::Trace(args) = command else { return text };
    let is_party = [&args.whom, &args.with].into_iter().flatten().any(|party| *party == text);
    let path = if is_party { cards::file_beside(&text) } else { None };
    let card = path.and_then(|path| files::read(path, files::CARD).ok());
    card.and_then(|card| Some(std::str::from_utf8(&card).ok()?.trim().to_owned())).unwrap_or(text)
}

/// Whether the command works with an open home.
fn is_servable(command: &Command) -> bool {
    match command {
        Command::Card(_)
        | Command::Backup(_)
        | Command::Peer { .. }
        | Command::Offer(_)
        | Command::Psbt(_)
        | Command::Submit(_)
        | Command::Cancel(_)
        | Command::Rotate(_)
        | Command::Revoke(_)
        | Command::Sync
        | Command::Show(_)
        | Command::Trace(_)
        | Command::Evidence { action: EvidenceAction::Export(_) }
        | Command::Seal(_)
        | Command::Open(_)
        | Command::Lab { .. }
        | Command::Status => true,
        Command::Params { action: ParamsAction::Publish(args) } => args.group.is_some(),
        Command::Params { action } => !matches!(action, ParamsAction::Generate(_)),
        Command::Keys(keys) => keys.reveal.is_none(),
        _ => false,
    }
}

/// The bytes of the file that a command names: the other process may stand in another folder.
fn input(command: &Command) -> Result<Option<Vec<u8>>, Error> {
    let read = |path: &Path, most| files::read(path, most).map(|bytes| Some(bytes.to_vec()));
    match command {
        Command::Seal(args) => read(&args.file, files::MESSAGE),
        Command::Open(args) => read(&args.file, files::SEALED),
        Command::Offer(Offer { params: Some(path), .. })
        | Command::Params { action: ParamsAction::Publish(ParamsPublish { group: Some(path), .. }) } => {
            read(path, files::GROUP)
        }
        Command::Params { action: ParamsAction::Check(args) } if params::txid(&args.group).is_none() => {
            read(Path::new(&args.group), files::GROUP)
        }
        Command::Submit(args) => read(&args.file, files::PSBT),
        Command::Peer { action: PeerAction::Add(args) } => match cards::file_of(&args.card)? {
            Some(path) => read(path, files::CARD),
            None => Ok(None),
        },
        Command::Peer { action: PeerAction::Import(args) } => read(&args.file, files::ROSTER),
        Command::Peer { action: PeerAction::Introduce(args) } => match cards::file_beside(&args.whom) {
            Some(path) => read(path, files::CARD),
            None => Ok(None),
        },
        Command::Evidence { action: EvidenceAction::Export(args) } => match &args.join {
            Some(path) => read(path, keyway_evidence::MOST_BYTES),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The new file that a command names.
fn output(command: &Command) -> Option<&Path> {
    let file = match command {
        Command::Offer(args) => args.psbt.as_deref(),
        Command::Psbt(args) => Some(args.file.as_path()),
        _ => None,
    };
    file.filter(|path| path.as_os_str() != "-")
}

fn ask(stream: UnixStream, request: &Request) -> Result<Reply, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Served(error.to_string());
    let body = serde_json::to_vec(request).map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.map_err(|error| failed(&error))?.block_on(exchange(stream, body))?;
    serde_json::from_slice(&answer).map_err(|error| failed(&error))
}

async fn exchange(stream: UnixStream, body: Vec<u8>) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Served(error.to_string());
    stream.set_nonblocking(true).map_err(|error| failed(&error))?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let request = hyper::Request::post("/v1/run")
        .header("host", "keyway")
        .header("content-type", "application/json")
        .body(Full::new(Body::from(body)))
        .map_err(|error| failed(&error))?;
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let status = response.status();
    let answer =
        Limited::new(response.into_body(), MOST).collect().await.map_err(|error| failed(&error))?.to_bytes();
    if status.is_success() {
        Ok(answer.to_vec())
    } else {
        Err(Error::Served(format!("HTTP status {}", status.as_u16())))
    }
}
