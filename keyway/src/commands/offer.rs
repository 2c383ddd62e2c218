//! `offer` and `rotate`.

use keyway_node::{Chosen, OfferRequest, OfferSent};
use serde::Serialize;

use super::{params, prepared};
use crate::cli::{Offer, Rotate};
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::progress;
use crate::render::json::{CarriageJson, CostsJson, answer_in};
use crate::render::negotiation::{committed, costs, ends, short, spread};
use crate::ui::Ui;

#[derive(Serialize)]
struct Offered {
    id: String,
    peer: String,
    suite: String,
    carrier: String,
    answer_in: &'static str,
    price_sat: u64,
    txid: String,
    vbytes: u64,
    fee_sat: u64,
    commit: Option<CostsJson>,
    #[serde(flatten)]
    carriage: CarriageJson,
}

/// `keyway offer`
pub fn run(context: &mut Context<'_>, args: &Offer, ui: &Ui) -> Result<(), Error> {
    let peer = context.party()?.peer(&args.peer)?.permanent().name.to_string();
    let mut request = OfferRequest {
        peer: peer.clone(),
        price: args.pay.0,
        suite: args.terms.suite(),
        carrier: args.terms.carrier,
        form: args.terms.answer_in.into(),
        force: args.terms.force,
        timeout: args.timeout,
        group: group(context, args, ui)?,
    };
    if let Some(file) = &args.psbt {
        // Before anything is stored, so that the first try is the only one.
        context.check_absent(file)?;
    }
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    if let Some(txid) = &args.published {
        request.group = Some(party.published_group(txid)?);
    }
    if let Some(file) = &args.psbt {
        return prepared::prepare(context, &request, file, ui);
    }
    let sent = party.offer(ledger, &request)?;
    tell(&request, &sent, ui)
}

/// The group that the command names.
fn group(context: &mut Context<'_>, args: &Offer, ui: &Ui) -> Result<Option<Chosen>, Error> {
    let Some(path) = &args.params else { return Ok(None) };
    let numbers = params::parse(path, &context.read(path, files::GROUP)?)?;
    ui.say("  warning: this group is that of whoever made the file; ffdhe3072 has one that everybody knows");
    Ok(Some(Chosen { numbers, published: None }))
}

/// `keyway rotate`
pub fn rotate(context: &mut Context<'_>, args: &Rotate, ui: &Ui) -> Result<(), Error> {
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let request = party.same_again(&args.peer, args.pay.map(|pay| pay.0))?;
    let sent = party.offer(ledger, &request)?;
    tell(&request, &sent, ui)
}

/// Tells of an offer that was sent.
pub fn tell(request: &OfferRequest, sent: &OfferSent, ui: &Ui) -> Result<(), Error> {
    ui.data(&json(request, sent), |_| {
        let message = spread(sent.carriage, request.price);
        let spent = costs(keyway_node::Costs { vbytes: sent.vbytes, fee: Some(sent.fee) });
        let envelope = committed(sent.commit);
        format!(
            "negotiation {}  offer {} to {}\n  {message}\n  {spent}{envelope}",
            short(&sent.id),
            ends(sent.txid),
            request.peer
        )
    })?;
    ui.say("  sent; when it is mined, the peer's `keyway sync` answers it");
    Ok(())
}

fn json(request: &OfferRequest, sent: &OfferSent) -> Offered {
    Offered {
        id: sent.id.to_string(),
        peer: request.peer.clone(),
        suite: request.suite.to_string(),
        carrier: request.carrier.to_string(),
        answer_in: answer_in(request.carrier, request.form),
        price_sat: request.price.to_sat(),
        txid: sent.txid.to_string(),
        vbytes: sent.vbytes,
        fee_sat: sent.fee.to_sat(),
        commit: sent.commit.map(CostsJson::from),
        carriage: sent.carriage.into(),
    }
}
