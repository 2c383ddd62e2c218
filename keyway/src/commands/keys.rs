//! `keys` and `show`.

use std::io::Write;

use bitcoin::hex::DisplayHex;
use keyway_node::{NegotiationView, NodeError, Party};
use keyway_protocol::negotiation::NegotiationId;
use zeroize::Zeroizing;

use crate::amount::{grouped, sat};
use crate::cli::{Keys, Show};
use crate::context::Context;
use crate::error::Error;
use crate::render::json::NegotiationJson;
use crate::render::layout::table;
use crate::render::negotiation;
use crate::ui::Ui;

/// `keyway keys`
pub fn keys(context: &mut Context<'_>, args: &Keys, ui: &Ui) -> Result<(), Error> {
    let served = context.is_served();
    let party = context.party()?;
    if let Some(which) = &args.reveal {
        if served {
            return Err(Error::NotServed);
        }
        // The parser does not see this conflict where --json stands before the command.
        if ui.json() {
            return Err(Error::RevealAsJson);
        }
        return reveal(party, which, ui);
    }
    let tip = party.tip().height;
    let views = party.negotiations()?;
    let json: Vec<NegotiationJson> = views.iter().map(|view| NegotiationJson::new(view, tip)).collect();
    if views.is_empty() {
        ui.say("no negotiations yet: make one with `keyway offer`, or see what came with `keyway sync`");
    }
    ui.data(&json, |_| if views.is_empty() { String::new() } else { rows(&views, ui.width()) })
}

fn rows(views: &[NegotiationView], width: usize) -> String {
    let row = |view: &NegotiationView| {
        let since = view.answer.as_ref().and_then(|answer| answer.block);
        vec![
            negotiation::short(&view.id),
            view.peer.clone(),
            view.fingerprint.map_or("—".to_owned(), |fingerprint| fingerprint.to_string()),
            sat(view.price),
            since.map_or("—".to_owned(), |block| format!("block {}", grouped(block.at.height))),
            negotiation::standing(view),
        ]
    };
    let heading = ["negotiation", "peer", "fingerprint", "price", "since", "state"];
    table(&heading, &views.iter().map(row).collect::<Vec<_>>(), width)
}

/// `keyway show`
pub fn show(context: &mut Context<'_>, args: &Show, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let view = find(party, &args.negotiation)?;
    let json = NegotiationJson::new(&view, party.tip().height);
    ui.data(&json, |_| negotiation::text(&view, party.name().as_str(), ui.paint(), ui.width()))?;
    ui.say(&format!("  as of block {}", grouped(party.tip().height)));
    Ok(())
}

/// The latest negotiation with the peer of that name, or the one whose id begins so.
pub fn find(party: &Party, which: &str) -> Result<NegotiationView, Error> {
    let id = id_of(party, which)?;
    let views = party.negotiations()?;
    let unknown = || NodeError::UnknownNegotiation(which.to_owned()).into();
    views.into_iter().find(|view| view.id == id).ok_or_else(unknown)
}

pub(super) fn id_of(party: &Party, which: &str) -> Result<NegotiationId, Error> {
    let views = party.negotiations()?;
    let named = views.iter().rev().find(|view| view.peer == which);
    named.map_or_else(|| Ok(party.negotiation(which)?), |view| Ok(view.id))
}

/// Shows mk on the terminal alone, after asking there: it must not end in a pipe or a log by accident.
fn reveal(party: &Party, which: &str, ui: &Ui) -> Result<(), Error> {
    let no_terminal = |_| Error::NoTerminal {
        what: "the master key was not shown",
        how: "show it on",
        why: "it must not end in a pipe or a log by accident",
        instead: "run the command on a terminal",
    };
    let id = id_of(party, which)?;
    let mk = party.master_key(id)?.ok_or_else(|| Error::MasterKeyErased(negotiation::short(&id)))?;
    let mut terminal =
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(no_terminal)?;
    let name = negotiation::short(&id);
    write!(terminal, "Show the master key of {name}? Whoever sees it reads every message. Type yes: ")
        .map_err(no_terminal)?;
    let mut answer = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(&terminal), &mut answer).map_err(no_terminal)?;
    if answer.trim() != "yes" {
        return Err(Error::NotConfirmed);
    }
    let hex = Zeroizing::new(mk.expose().to_lower_hex_string());
    writeln!(terminal, "{}", *hex).map_err(no_terminal)?;
    ui.say("  shown on the terminal; nothing was written anywhere else");
    Ok(())
}
