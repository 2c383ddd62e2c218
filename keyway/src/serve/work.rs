//! The commands of others, done by the process that has the home.

use clap::Parser;
use keyway_ledger::Ledger;
use keyway_node::Party;
use tokio::sync::oneshot;

use super::protocol::{Bytes, Reply, Request};
use crate::cli::Cli;
use crate::commands;
use crate::context::{Context, Files};
use crate::ui::Ui;

/// A command, and who waits for what becomes of it.
pub struct Job {
    /// What is to be done.
    pub request: Request,
    /// Where the outcome goes.
    pub reply: oneshot::Sender<Reply>,
}

/// Does it.
pub fn run(party: &mut Party, ledger: &dyn Ledger, job: Job) {
    let Job { request, reply } = job;
    // Whoever asked may be gone; what was asked for is done all the same.
    let _ = reply.send(reply_to(party, ledger, &request));
}

fn reply_to(party: &mut Party, ledger: &dyn Ledger, request: &Request) -> Reply {
    let args = std::iter::once("keyway").chain(request.args.iter().map(String::as_str));
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            return Reply { code: 2, stdout: Bytes::default(), stderr: error.to_string(), output: None };
        }
    };
    let ui = Ui::captured(&cli.global, request.color, request.width);
    let input = request.input.as_ref().map(|bytes| bytes.0.as_slice());
    let mut output = None;
    let files = Files { input, output: &mut output };
    let outcome = commands::run_served(cli, Context::served(party, ledger, files, &ui), &ui);
    let code = match outcome {
        Ok(()) => 0,
        Err(error) => {
            ui.failed(&error);
            error.kind().exit_code()
        }
    };
    let (stdout, stderr) = ui.into_captured();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Reply { code, stdout: Bytes(stdout), stderr, output: output.map(Bytes) }
}
