//! `revoke`.

use std::io::{BufRead, BufReader, Write};

use bitcoin::{Amount, Txid};
use keyway_chain::Depth;
use keyway_node::Revocation;
use serde::Serialize;

use super::keys::find;
use crate::amount::sat;
use crate::cli::Revoke;
use crate::context::Context;
use crate::error::Error;
use crate::progress;
use crate::render::negotiation::short;
use crate::ui::Ui;

#[derive(Serialize)]
struct RevokedJson {
    id: String,
    peer: String,
    outcome: &'static str,
    txid: String,
    fee_sat: Option<u64>,
    why: Option<String>,
    depth: u32,
    key_depth: u32,
}

/// `keyway revoke`
pub fn run(context: &mut Context<'_>, args: &Revoke, ui: &Ui) -> Result<(), Error> {
    if !args.yes {
        if context.is_served() {
            // Nobody sits at the process that serves the home.
            return Err(Error::NotRevoked);
        }
        find(context.party()?, &args.negotiation)?;
        confirm(&args.negotiation)?;
    }
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let view = find(party, &args.negotiation)?;
    let (outcome, txid, fee, why, has) = match party.revoke(ledger, view.id)? {
        Revocation::Sent { txid, fee } => ("sent", txid, Some(fee), None, Depth::UNMINED),
        Revocation::Waits { txid, fee, why } => ("waits", txid, Some(fee), Some(why), Depth::UNMINED),
        Revocation::Mined { txid, has, .. } => ("mined", txid, None, None, has),
    };
    let told = told(outcome, txid, fee, why.as_deref(), (has, view.key_depth));
    let json = RevokedJson {
        id: view.id.to_string(),
        peer: view.peer.clone(),
        outcome,
        txid: txid.to_string(),
        fee_sat: fee.map(Amount::to_sat),
        why,
        depth: has.to_u32(),
        key_depth: view.key_depth.to_u32(),
    };
    ui.data(&json, |_| format!("negotiation {}  keys with {} {told}", short(&view.id), view.peer))?;
    if outcome != "mined" {
        ui.say(&format!(
            "  both sides stop using them when it has depth {}; until then they are used",
            view.key_depth
        ));
    }
    Ok(())
}

fn told(
    outcome: &str,
    txid: Txid,
    fee: Option<Amount>,
    why: Option<&str>,
    (has, wants): (Depth, Depth),
) -> String {
    let fee = fee.map_or_else(String::new, |fee| format!(", which pays {} to miners", sat(fee)));
    match (outcome, why) {
        ("sent", _) => format!("revoked in {txid}{fee}"),
        ("mined", _) if has >= wants => format!("were revoked in {txid}"),
        ("mined", _) => format!("are being revoked in {txid}: depth {has} of {wants}"),
        (_, why) => format!(
            "revoked in {txid}{fee}; the ledger does not take it now ({}), and it is sent again",
            why.unwrap_or_default()
        ),
    }
}

/// Asks on the terminal.
///
/// # Errors
/// [`Error::NotRevoked`]; [`Error::NoTerminal`].
pub fn confirm(whom: &str) -> Result<(), Error> {
    let no_terminal = |_| Error::NoTerminal {
        what: "nothing was revoked",
        how: "ask on",
        why: "a revocation cannot be taken back",
        instead: "run the command on a terminal, or use --yes",
    };
    let mut terminal =
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(no_terminal)?;
    write!(
        terminal,
        "Revoke the keys with {whom}? Both sides stop using them, and all can see it. Type yes: "
    )
    .map_err(no_terminal)?;
    let mut answer = String::new();
    BufReader::new(&terminal).read_line(&mut answer).map_err(no_terminal)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Error::NotRevoked) }
}
