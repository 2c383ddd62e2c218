//! `keyway lab`: the paper's value channel to the letter, and what breaks it.

use std::time::Instant;

use bitcoin::hex::DisplayHex;
use keyway_carriers::paper::{MasterKey, logarithm};
use keyway_node::{KnownToBeBroken, Party, Study, StudySeen, StudySent, studies_between};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::Role;
use serde::Serialize;

use crate::amount::grouped;
use crate::cli::lab::{LabAction, LabAnswer, LabBreak, LabKey, LabOffer};
use crate::context::Context;
use crate::error::Error;
use crate::progress;
use crate::render::layout::table;
use crate::render::negotiation::{costs, ends};
use crate::ui::Ui;

/// `keyway lab`
///
/// # Errors
/// Those of the party and its ledger.
pub fn run(context: &mut Context<'_>, action: &LabAction, ui: &Ui) -> Result<(), Error> {
    match action {
        LabAction::Offer(args) => offer(context, args, ui),
        LabAction::Answer(args) => answer(context, args, ui),
        LabAction::List => list(context, ui),
        LabAction::Key(args) => key(context, args, ui),
        LabAction::Break(args) => open(context, args, ui),
    }
}

#[derive(Serialize)]
struct SentJson {
    txid: String,
    vbytes: u64,
    fee_sat: Option<u64>,
    share: u64,
    generator: u64,
    prime: u64,
}

#[derive(Serialize)]
struct AnswerJson {
    txid: String,
    height: u32,
    share: u64,
}

#[derive(Serialize)]
struct ListedJson {
    txid: String,
    height: u32,
    role: &'static str,
    peer: String,
    share: u64,
    generator: u64,
    prime: u64,
    answer: Option<AnswerJson>,
    agreed: bool,
}

#[derive(Serialize)]
struct KeyJson {
    txid: String,
    mk: u64,
    height: u32,
    block: String,
    sk: String,
}

#[derive(Serialize)]
struct BrokenJson {
    txid: String,
    height: u32,
    initiator: String,
    responder: String,
    share: u64,
    generator: u64,
    prime: u64,
    answer: Option<AnswerJson>,
    a: Option<u64>,
    b: Option<u64>,
    mk: Option<u64>,
    microseconds: u64,
    at_height: u32,
    sk: Option<String>,
}

fn offer(context: &mut Context<'_>, args: &LabOffer, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let knowing = KnownToBeBroken::on(&party.config().chain, args.i_know_this_is_broken)?;
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let sent = party.study_offer(ledger, &args.peer, args.digits, knowing)?;
    tell(&sent, ui)?;
    ui.say(&format!(
        "  sent; when it is mined, the peer answers it: `keyway lab answer {}`",
        short(&sent.txid)
    ));
    Ok(())
}

fn answer(context: &mut Context<'_>, args: &LabAnswer, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let knowing = KnownToBeBroken::on(&party.config().chain, args.i_know_this_is_broken)?;
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    tell(&party.study_answer(ledger, &args.offer, knowing)?, ui)?;
    ui.say("  sent; when it is mined, both have mk, and so has everybody: `keyway lab break`");
    Ok(())
}

fn tell(sent: &StudySent, ui: &Ui) -> Result<(), Error> {
    let json = SentJson {
        txid: sent.txid.to_string(),
        vbytes: sent.costs.vbytes,
        fee_sat: sent.costs.fee.map(bitcoin::Amount::to_sat),
        share: sent.share.unwrap_or(sent.offer.share),
        generator: sent.offer.generator,
        prime: sent.offer.prime,
    };
    ui.data(&json, |json| {
        let paid = match sent.share {
            Some(share) => format!("answer {}\n  B = {}", ends(&json.txid), point(share)),
            None => format!(
                "offer {}\n  A = {}\n  g = {}\n  p = {}",
                ends(&json.txid),
                point(json.share),
                point(json.generator),
                point(json.prime)
            ),
        };
        format!("{paid}\n  {}", costs(sent.costs))
    })
}

fn list(context: &mut Context<'_>, ui: &Ui) -> Result<(), Error> {
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let listed: Vec<ListedJson> = party.studies()?.iter().map(|study| listed(party, study)).collect();
    if listed.is_empty() {
        ui.say("no such negotiation with a peer is on the chain");
    }
    ui.data(&listed, |listed| {
        if listed.is_empty() {
            return String::new();
        }
        let row = |it: &ListedJson| {
            let answer = it.answer.as_ref().map_or("not answered".to_owned(), |answer| point(answer.share));
            let head = vec![short(&it.txid), grouped(it.height), it.role.to_owned(), it.peer.clone()];
            [head, vec![point(it.share), point(it.generator), point(it.prime), answer]].concat()
        };
        let rows: Vec<_> = listed.iter().map(row).collect();
        table(&["offer", "block", "role", "peer", "A", "g", "p", "B"], &rows, ui.width())
    })
}

fn listed(party: &Party, study: &Study) -> ListedJson {
    let seen = &study.seen;
    let (role, peer) = match study.role {
        Role::Initiator => ("initiator", seen.responder),
        Role::Responder => ("responder", seen.initiator),
    };
    ListedJson {
        txid: seen.txid.to_string(),
        height: seen.block.at.height.to_u32(),
        role,
        peer: name(party, peer),
        share: seen.offer.share,
        generator: seen.offer.generator,
        prime: seen.offer.prime,
        answer: answer_of(seen),
        agreed: study.key.is_some(),
    }
}

fn key(context: &mut Context<'_>, args: &LabKey, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    KnownToBeBroken::on(&party.config().chain, args.i_know_this_is_broken)?;
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let begins =
        |study: &Study| !args.offer.is_empty() && study.seen.txid.to_string().starts_with(&args.offer);
    let found = party
        .studies()?
        .into_iter()
        .find_map(|study| Some((study.seen, study.key.filter(|_| begins(&study))?)));
    let (seen, mk) = found.ok_or_else(|| Error::NoStudyKey(args.offer.clone()))?;
    let tip = party.tip();
    let json = KeyJson {
        txid: seen.txid.to_string(),
        mk: mk.0,
        height: tip.height.to_u32(),
        block: tip.hash.to_string(),
        sk: mk.session_key(&tip.hash).to_lower_hex_string(),
    };
    ui.data(&json, |json| {
        format!("mk {}\nsk {}\n  under block {}", point(json.mk), json.sk, grouped(json.height))
    })
}

fn open(context: &mut Context<'_>, args: &LabBreak, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let one = party.peer(&args.peer)?.permanent().key;
    let other = match &args.other {
        Some(other) => party.peer(other)?.permanent().key,
        None => party.key(),
    };
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let Some(after) = party.birthday() else { return ui.data(&Vec::<BrokenJson>::new(), |_| String::new()) };
    let seen = studies_between(ledger, after, [one, other], &mut |_| ())?;
    let broken: Vec<BrokenJson> = seen.iter().map(|seen| broken(party, seen)).collect();
    if broken.is_empty() {
        ui.say("no such negotiation between the two is on the chain");
    }
    ui.data(&broken, |broken| broken.iter().map(text).collect::<Vec<_>>().join("\n"))
}

/// All that an eavesdropper does; nothing of this home's secrets comes near.
fn broken(party: &Party, seen: &StudySeen) -> BrokenJson {
    let (offer, tip) = (seen.offer, party.tip());
    let started = Instant::now();
    let a = logarithm(offer.generator, offer.share, offer.prime);
    let b = seen.answer.and_then(|(_, _, share)| logarithm(offer.generator, share, offer.prime));
    let mk: Option<MasterKey> = a.zip(seen.answer).map(|(a, (_, _, share))| offer.master_key(a, share));
    let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    BrokenJson {
        txid: seen.txid.to_string(),
        height: seen.block.at.height.to_u32(),
        initiator: name(party, seen.initiator),
        responder: name(party, seen.responder),
        share: offer.share,
        generator: offer.generator,
        prime: offer.prime,
        answer: answer_of(seen),
        a,
        b,
        mk: mk.map(|mk| mk.0),
        microseconds,
        at_height: tip.height.to_u32(),
        sk: mk.map(|mk| mk.session_key(&tip.hash).to_lower_hex_string()),
    }
}

fn text(it: &BrokenJson) -> String {
    let known = |number: Option<u64>| number.map_or("not known".to_owned(), grouped);
    let mut lines = vec![
        format!(
            "offer {} in block {}: {} to {}",
            short(&it.txid),
            grouped(it.height),
            it.initiator,
            it.responder
        ),
        format!("  p = {}, g = {}, A = {}", point(it.prime), point(it.generator), point(it.share)),
        format!("  a = {}", known(it.a)),
    ];
    match &it.answer {
        None => lines.push("  not answered yet".to_owned()),
        Some(answer) => lines.extend([
            format!("  B = {} in block {}", point(answer.share), grouped(answer.height)),
            format!("  b = {}", known(it.b)),
            format!("  mk = {}", it.mk.map_or("not known".to_owned(), point)),
            format!(
                "  sk = {} under block {}",
                it.sk.as_deref().unwrap_or("not known"),
                grouped(it.at_height)
            ),
        ]),
    }
    lines.push(format!("  found in {} µs", grouped(it.microseconds)));
    lines.join("\n")
}

fn answer_of(seen: &StudySeen) -> Option<AnswerJson> {
    seen.answer.map(|(txid, block, share)| AnswerJson {
        txid: txid.to_string(),
        height: block.at.height.to_u32(),
        share,
    })
}

/// As the paper writes numbers: eight digits behind the point.
fn point(number: u64) -> String {
    format!("0.{number:08}")
}

fn short(txid: &impl ToString) -> String {
    txid.to_string().chars().take(8).collect()
}

fn name(party: &Party, key: PartyKey) -> String {
    let peer = party.peers().iter().find(|card| card.permanent().key == key);
    let own = (key == party.key()).then(|| party.name().to_string());
    own.or_else(|| peer.map(|card| card.permanent().name.to_string())).unwrap_or_else(|| ends(key))
}
