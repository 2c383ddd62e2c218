//! `offer --psbt`, `psbt`, `submit` and `cancel`: offers that another wallet funds, and offers that are given up.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::Amount;
use keyway_node::{Cancelled, NegotiationView, OfferRequest, PreparedOffer, PsbtRefused};
use serde::Serialize;

use super::keys::find;
use super::offer;
use crate::amount::{grouped, sat};
use crate::cli::{Cancel, Psbt, Submit};
use crate::context::Context;
use crate::error::Error;
use crate::render::json::{CarriageJson, answer_in};
use crate::render::negotiation::{ends, short, spread};
use crate::ui::Ui;
use crate::{files, progress};

/// What every PSBT of bytes begins with; no base64 does.
const MAGIC: &[u8] = b"psbt\xff";

#[derive(Serialize)]
struct PreparedJson {
    id: String,
    peer: String,
    suite: String,
    carrier: String,
    answer_in: &'static str,
    price_sat: u64,
    lent_sat: u64,
    last_output: usize,
    until_height: u32,
    #[serde(flatten)]
    carriage: Option<CarriageJson>,
    psbt: String,
}

/// `keyway offer --psbt`
pub fn prepare(context: &mut Context<'_>, request: &OfferRequest, file: &Path, ui: &Ui) -> Result<(), Error> {
    let (party, ledger) = context.party_and_ledger()?;
    let prepared = party.prepare(ledger, request)?;
    hand_out(context, &prepared, request, file, ui)
}

/// `keyway psbt`
pub fn print(context: &mut Context<'_>, args: &Psbt, ui: &Ui) -> Result<(), Error> {
    context.check_absent(&args.file)?;
    let party = context.party()?;
    let view = find(party, &args.negotiation)?;
    let prepared = party.prepared(view.id)?;
    hand_out(context, &prepared, &request_of(&view), &args.file, ui)
}

fn hand_out(
    context: &mut Context<'_>,
    prepared: &PreparedOffer,
    request: &OfferRequest,
    file: &Path,
    ui: &Ui,
) -> Result<(), Error> {
    let psbt = STANDARD.encode(&prepared.psbt);
    let to_stdout = file.as_os_str() == "-";
    if !to_stdout {
        context.write(file, format!("{psbt}\n").into_bytes())?;
    }
    let told = told(prepared, request);
    let json = json(prepared, request, psbt);
    ui.data(&json, |json| if to_stdout { json.psbt.clone() } else { told.clone() })?;
    if to_stdout {
        ui.say(&told);
    }
    let (back, until) = (if to_stdout { Path::new("FILE") } else { file }, grouped(prepared.until.to_u32()));
    ui.say(&format!("  funded and signed, `keyway submit {}` takes it up to block {until}", back.display()));
    Ok(())
}

fn told(prepared: &PreparedOffer, request: &OfferRequest) -> String {
    let message =
        prepared.carriage.map_or_else(String::new, |it| format!("\n  {}", spread(it, request.price)));
    format!(
        "negotiation {}  offer to {}, prepared{message}\n  another wallet adds {} and the fee: its inputs behind \
         input 0, its outputs behind output {}",
        short(&prepared.id),
        request.peer,
        sat(request.price),
        prepared.last_output
    )
}

fn json(prepared: &PreparedOffer, request: &OfferRequest, psbt: String) -> PreparedJson {
    PreparedJson {
        id: prepared.id.to_string(),
        peer: request.peer.clone(),
        suite: request.suite.to_string(),
        carrier: request.carrier.to_string(),
        answer_in: answer_in(request.carrier, request.form),
        price_sat: request.price.to_sat(),
        lent_sat: prepared.lent.to_sat(),
        last_output: prepared.last_output,
        until_height: prepared.until.to_u32(),
        carriage: prepared.carriage.map(CarriageJson::from),
        psbt,
    }
}

/// `keyway submit`
pub fn submit(context: &mut Context<'_>, args: &Submit, ui: &Ui) -> Result<(), Error> {
    let psbt = decoded(&context.read(&args.file, files::PSBT)?)?;
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let sent = party.submit(ledger, &psbt)?;
    let view = find(party, &sent.id.to_string())?;
    offer::tell(&request_of(&view), &sent, ui)
}

/// Base64, white space at its ends apart, or the bytes themselves.
fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.starts_with(MAGIC) {
        return Ok(bytes.to_vec());
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let unreadable = |error: base64::DecodeError| PsbtRefused::Unreadable(error.to_string());
    Ok(STANDARD.decode(text).map_err(unreadable).map_err(keyway_node::NodeError::from)?)
}

/// `keyway cancel`
pub fn cancel(context: &mut Context<'_>, args: &Cancel, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct CancelledJson {
        id: String,
        peer: String,
        outcome: &'static str,
        txid: Option<String>,
        fee_sat: Option<u64>,
        why: Option<String>,
    }
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let view = find(party, &args.negotiation)?;
    let cancelled = party.cancel(ledger, view.id)?;
    let (outcome, told) = match &cancelled {
        Cancelled::Unsigned => ("unsigned", "nothing was signed, and its coin is free".to_owned()),
        Cancelled::Sent { txid, fee } => {
            ("sent", format!("its coin comes back in {}, which pays {} to miners", ends(*txid), sat(*fee)))
        }
        Cancelled::Waits { why, .. } => {
            ("waits", format!("the ledger keeps it for now ({why}), and it may be mined yet"))
        }
    };
    let (txid, fee, why) = match cancelled {
        Cancelled::Unsigned => (None, None, None),
        Cancelled::Sent { txid, fee } => (Some(txid), Some(fee), None),
        Cancelled::Waits { txid, fee, why } => (Some(txid), Some(fee), Some(why)),
    };
    let json = CancelledJson {
        id: view.id.to_string(),
        peer: view.peer.clone(),
        outcome,
        txid: txid.map(|txid| txid.to_string()),
        fee_sat: fee.map(Amount::to_sat),
        why,
    };
    ui.data(&json, |_| format!("negotiation {}  offer to {} given up: {told}", short(&view.id), view.peer))?;
    if outcome != "unsigned" {
        ui.say("  once that is mined, its other coins are free too; `keyway sync` goes on with it");
    }
    Ok(())
}

/// What was asked for, as the negotiation shows it.
fn request_of(view: &NegotiationView) -> OfferRequest {
    OfferRequest {
        peer: view.peer.clone(),
        price: view.price,
        suite: view.suite,
        carrier: view.carrier,
        form: view.form,
        force: true,
        timeout: None,
        group: None,
    }
}
