//! `keyway trace`: the negotiations that the chain shows.

use std::collections::BTreeMap;

use keyway_carriers::script::liveness::lineage::{Coin, What};
use keyway_chain::Height;
use keyway_evidence::trace::{CoinStep, Ending, Traced};
use keyway_ledger::Ledger;
use keyway_node::{OwnView, Party, PeerError, Scan, TraceView};
use keyway_protocol::card::Card;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::NegotiationId;
use serde::Serialize;

use crate::amount::{grouped, sat};
use crate::cli::Trace;
use crate::context::Context;
use crate::error::Error;
use crate::progress;
use crate::render::evidence::PlacedJson;
use crate::render::json::UsedGroupJson;
use crate::render::layout::hanging;
use crate::render::negotiation::{ends, group, short};
use crate::render::time::date_and_time;
use crate::ui::Ui;

use super::cards;
use super::evidence::side;

/// What was found, and by looking where.
struct Found {
    views: Vec<TraceView>,
    as_of: Height,
    from: Height,
    scanned: bool,
    unreadable: usize,
}

/// `keyway trace`
pub fn run(context: &mut Context<'_>, args: &Trace, ui: &Ui) -> Result<(), Error> {
    let mut names = Names::default();
    let whom = args.whom.as_deref().map(|whom| names.resolve(context, whom)).transpose()?;
    let with = args.with.as_deref().map(|with| names.resolve(context, with)).transpose()?;
    let party = context.party()?;
    names.learn(party);
    let own = party.key();
    let pair = match (whom, with) {
        (None, _) => None,
        (Some(one), None) if one == own => None,
        (Some(one), other) => Some((one, other.unwrap_or(own))),
    };
    let is_own = |(one, other): (PartyKey, PartyKey)| {
        let peer = if one == own { other } else { one };
        let is_known = party.peers().iter().any(|card| card.permanent().key == peer);
        ((one == own || other == own) && is_known).then_some(peer)
    };
    let mut found = match pair {
        None => followed(party, None)?,
        Some(pair) => match is_own(pair).filter(|_| !args.scan) {
            Some(peer) => followed(party, Some(peer))?,
            None => scanned(context, pair, args, ui)?,
        },
    };
    let (from, to) = (args.from.unwrap_or(0), args.to.unwrap_or(u32::MAX));
    found.views.retain(|view| (from..=to).contains(&view.traced.offer.block.height.to_u32()));
    tell(&found, &names, ui)
}

fn followed(party: &Party, with: Option<PartyKey>) -> Result<Found, Error> {
    let views = party.trace(with)?;
    let from = party.birthday_height();
    Ok(Found { views, as_of: party.tip().height, from, scanned: false, unreadable: 0 })
}

fn scanned(
    context: &mut Context<'_>,
    (one, other): (PartyKey, PartyKey),
    args: &Trace,
    ui: &Ui,
) -> Result<Found, Error> {
    let (party, ledger) = context.party_and_ledger()?;
    let (from, to) = (Height::new(args.from.unwrap_or(0)), args.to.map(Height::new));
    let tip = ledger.tip()?.height;
    let blocks = u64::from(tip.to_u32().saturating_sub(from.to_u32())) + 1;
    let bar = progress::bar(ui, "reading the chain", "blocks", blocks);
    let mut scan = Scan::new([one, other]);
    let as_of = scan.run(ledger, from, to, &mut |_| bar.advance(1))?;
    drop(bar);
    let chain = Ledger::chain(ledger);
    let traced = scan.negotiations(chain, as_of);
    // What this home knows of them, if it is one of the two.
    let own = party.trace(None)?;
    let known = |id| own.iter().find(|view| view.traced.negotiation == id).and_then(|view| view.own.clone());
    let views =
        traced.into_iter().map(|traced| TraceView { own: known(traced.negotiation), traced }).collect();
    Ok(Found { views, as_of, from, scanned: true, unreadable: scan.unreadable(chain) })
}

/// Names by key: those of cards.
#[derive(Default)]
struct Names(BTreeMap<PartyKey, String>);

impl Names {
    /// A peer's name, this party's, a key, a card's text or a file that holds it.
    fn resolve(&mut self, context: &mut Context<'_>, text: &str) -> Result<PartyKey, Error> {
        if let Some(key) = key(text) {
            return Ok(key);
        }
        let party = context.party()?;
        if party.name().as_str() == text {
            return Ok(party.key());
        }
        let unknown = match party.peer(text) {
            Ok(card) => return Ok(card.permanent().key),
            Err(unknown) => unknown,
        };
        let card: Card = match cards::text_of(context, text) {
            Ok(card) => card.parse().map_err(PeerError::Card)?,
            Err(_) => return Err(unknown.into()),
        };
        let permanent = card.permanent();
        let home = context.party()?.card().permanent().chain;
        if permanent.chain != home {
            let refused =
                keyway_protocol::card::CardRefused::ForeignChain { expected: home, found: permanent.chain };
            return Err(PeerError::CardRefused(refused).into());
        }
        self.0.insert(permanent.key, permanent.name.to_string());
        Ok(permanent.key)
    }

    fn learn(&mut self, party: &Party) {
        let cards = party.peers().iter().chain([party.card()]).map(Card::permanent);
        self.0.extend(cards.map(|card| (card.key, card.name.to_string())));
    }

    fn of(&self, key: PartyKey) -> String {
        self.0.get(&key).cloned().unwrap_or_else(|| ends(key))
    }
}

fn key(text: &str) -> Option<PartyKey> {
    let bytes = <Vec<u8> as bitcoin::hex::FromHex>::from_hex(text).ok()?;
    PartyKey::from_slice(&bytes).ok()
}

#[derive(Serialize)]
struct TraceJson {
    as_of_height: u32,
    from_height: u32,
    scanned: bool,
    unreadable: usize,
    negotiations: Vec<NegotiationJson>,
}

#[derive(Serialize)]
struct WhoJson {
    key: String,
    name: Option<String>,
}

#[derive(Serialize)]
struct NegotiationJson {
    negotiation: String,
    initiator: WhoJson,
    responder: WhoJson,
    carrier: &'static str,
    suite: Option<&'static str>,
    suites_by_length: Vec<&'static str>,
    price_sat: u64,
    message_bytes: Option<usize>,
    in_envelope: Option<bool>,
    locked_sat: Option<u64>,
    timeout_height: Option<u32>,
    offer: PlacedJson,
    ending: &'static str,
    ended: Option<PlacedJson>,
    why: Option<String>,
    superseded_by: Option<String>,
    coin: Vec<CoinStepJson>,
    own: Option<OwnJson>,
}

#[derive(Serialize)]
struct CoinStepJson {
    what: &'static str,
    #[serde(flatten)]
    placed: PlacedJson,
    amount_sat: u64,
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
}

impl CoinStepJson {
    fn new(step: &CoinStep) -> Self {
        let id = |coin: &Coin| Some(coin.names.negotiation.to_string());
        let (what, amount, from, to, by) = match &step.what {
            What::Created(coin) => ("created", coin.amount, None, id(coin), None),
            What::Moved { from, to } => ("moved", to.amount, id(from), id(to), None),
            What::Revoked { coin, by } => {
                ("revoked", coin.amount, id(coin), None, by.map(|key| key.to_string()))
            }
        };
        Self { what, placed: PlacedJson::new(&step.at), amount_sat: amount.to_sat(), from, to, by }
    }
}

#[derive(Serialize)]
struct OwnJson {
    role: &'static str,
    state: &'static str,
    suite: &'static str,
    group: Option<UsedGroupJson>,
    fingerprint: Option<String>,
    confirmed: bool,
    revoked: bool,
}

impl NegotiationJson {
    fn new(view: &TraceView, names: &Names) -> Self {
        let Traced { negotiation, offer, seen, ending, .. } = &view.traced;
        let who = |key: PartyKey| WhoJson { key: key.to_string(), name: names.0.get(&key).cloned() };
        let beside = seen.beside_payment();
        let (why, superseded_by) = match ending {
            Ending::Declined { why, .. } => (Some(why.to_string()), None),
            Ending::Answered { superseded_by, .. } => (None, superseded_by.map(|id| id.to_string())),
            _ => (None, None),
        };
        Self {
            negotiation: negotiation.to_string(),
            initiator: who(seen.author()),
            responder: who(seen.recipient()),
            carrier: seen.carrier().name(),
            suite: seen.message().open().map(|offer| offer.suite().name()),
            suites_by_length: match seen.message().open() {
                Some(_) => Vec::new(),
                None => seen.suites().iter().map(|suite| suite.name()).collect(),
            },
            price_sat: seen.price().to_sat(),
            message_bytes: beside.map(|(bytes, _)| bytes),
            in_envelope: beside.map(|(_, way)| way == keyway_carriers::script::Way::Envelope),
            locked_sat: seen.locked().map(|locked| locked.amount.to_sat()),
            timeout_height: seen.timeout().map(Height::to_u32),
            offer: PlacedJson::new(offer),
            ending: ending.name(),
            ended: ending.at().map(PlacedJson::new),
            why,
            superseded_by,
            coin: view.traced.coin.iter().map(CoinStepJson::new).collect(),
            own: view.own.as_ref().map(|own| OwnJson {
                role: side(own.role),
                state: own.state.name(),
                suite: own.suite.name(),
                group: own.group.map(UsedGroupJson::from),
                fingerprint: own.fingerprint.map(|it| it.to_string()),
                confirmed: own.confirmed,
                revoked: own.revoked,
            }),
        }
    }
}

fn tell(found: &Found, names: &Names, ui: &Ui) -> Result<(), Error> {
    let json = TraceJson {
        as_of_height: found.as_of.to_u32(),
        from_height: found.from.to_u32(),
        scanned: found.scanned,
        unreadable: found.unreadable,
        negotiations: found.views.iter().map(|view| NegotiationJson::new(view, names)).collect(),
    };
    ui.data(&json, |_| {
        found.views.iter().map(|view| text(view, names, ui.width())).collect::<Vec<_>>().join("\n\n")
    })?;
    if found.views.is_empty() {
        ui.say("the chain shows no negotiation of them");
    }
    if found.unreadable > 0 {
        let count = found.unreadable;
        ui.say(&format!(
            "  {count} more payments between them spend coins older than the scan: begin lower, with --from"
        ));
    }
    let way = if found.scanned { "read from the ledger" } else { "as this home followed the chain" };
    ui.say(&format!("  {way}, blocks {} to {}", grouped(found.from), grouped(found.as_of)));
    Ok(())
}

fn text(view: &TraceView, names: &Names, width: usize) -> String {
    let Traced { negotiation, offer, seen, ending, coin } = &view.traced;
    let line = |placed: &keyway_evidence::Placed, what: &str, text: &str| {
        let (height, time) = (grouped(placed.block.height), date_and_time(placed.time));
        let head = format!("  block {height}  {time}  {what:<8}");
        hanging(&head, &format!("{}{text}", ends(placed.txid)), width)
    };
    let mut lines = vec![
        format!(
            "{}  {} pays {}  {}",
            short(negotiation),
            names.of(seen.author()),
            names.of(seen.recipient()),
            ending.name()
        ),
        line(offer, "offer", &format!("  {} · {}", sat(seen.price()), how(view))),
    ];
    if let Some(at) = ending.at() {
        let (what, why) = match ending {
            Ending::Answered { superseded_by: Some(later), .. } => {
                ("answer", format!("  superseded by {}", short(later)))
            }
            Ending::Answered { .. } => ("answer", String::new()),
            Ending::Declined { why, .. } => ("declined", format!("  {why}")),
            Ending::Refunded { .. } => ("refund", "  the locked payment went back".to_owned()),
            _ => ("collect", "  the locked payment was collected without an answer".to_owned()),
        };
        lines.push(line(at, what, &why));
    }
    lines.extend(coin.iter().map(|step| {
        let (what, text) = did(step, *negotiation, names);
        line(&step.at, what, &text)
    }));
    lines.extend(view.own.as_ref().map(|own| hanging("  own  ", &known(own), width)));
    lines.join("\n")
}

/// What a transaction did to the liveness coin, as the negotiation of that id sees it.
fn did(step: &CoinStep, id: NegotiationId, names: &Names) -> (&'static str, String) {
    match &step.what {
        What::Created(coin) => ("coin", format!("  {}, by which the key lives", sat(coin.amount))),
        What::Moved { from, to } if to.names.negotiation == id => {
            ("move", format!("  the coin came from {}", short(&from.names.negotiation)))
        }
        What::Moved { to, .. } => ("move", format!("  the coin went to {}", short(&to.names.negotiation))),
        What::Revoked { by, .. } => {
            let by = by.map_or_else(|| "one of the two".to_owned(), |key| names.of(key));
            ("revoked", format!("  the coin was spent by {by}"))
        }
    }
}

/// How an offer rides, as far as anybody sees.
fn how(view: &TraceView) -> String {
    let seen = &view.traced.seen;
    let suites: Vec<&str> = seen.suites().iter().map(|suite| suite.name()).collect();
    let suite = match seen.message().open() {
        Some(_) => suites.join(""),
        None => format!("sealed, {} by its length", suites.join(" or ")),
    };
    let room = match (seen.coins(), seen.beside_payment()) {
        (Some((coins, bits)), _) => format!("{coins} coins of {bits} bits"),
        (_, Some((bytes, keyway_carriers::script::Way::Envelope))) => format!("{bytes} bytes in an envelope"),
        (_, Some((bytes, _))) => format!("{bytes} bytes"),
        _ => String::new(),
    };
    let locked = seen
        .timeout()
        .map_or_else(String::new, |height| format!(" · locked until block {}", grouped(height)));
    format!("{} · {suite} · {room}{locked}", seen.carrier())
}

/// What only this home knows.
fn known(own: &OwnView) -> String {
    let fingerprint = own.fingerprint.map_or_else(String::new, |it| format!(" · key {it}"));
    let confirmed = if own.confirmed { ", confirmed by the peer" } else { "" };
    let revoked = if own.revoked { " · the peer is revoked here" } else { "" };
    let group = own.group.map_or_else(String::new, |it| format!(" in {}", group(it)));
    format!("{} · {}{group} · {}{confirmed}{fingerprint}{revoked}", side(own.role), own.suite, own.state)
}
