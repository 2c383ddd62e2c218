//! Evidence and traces for people and programs.

use std::path::Path;

use bitcoin::Txid;
use bitcoin::hex::DisplayHex;
use keyway_carriers::script;
use keyway_evidence::{Entry, Evidence, Placed, Spending, SpendingSeen, SpentFor, Statement, Ties};
use keyway_protocol::card::Permanent;
use keyway_protocol::negotiation::{NegotiationId, Role};
use serde::Serialize;

use super::layout::hanging;
use super::negotiation::{ends, short};
use super::paint::Paint;
use super::time::date_and_time;
use crate::amount::grouped;
use crate::commands::evidence::side;

/// A party by its card.
#[derive(Debug, Serialize)]
pub struct PartyJson {
    name: String,
    key: String,
}

impl PartyJson {
    fn new(card: &Permanent) -> Self {
        Self { name: card.name.to_string(), key: card.key.to_string() }
    }
}

/// A transaction's place.
#[derive(Debug, Serialize)]
pub struct PlacedJson {
    txid: String,
    height: u32,
    block: String,
    index: u32,
    time: u32,
    median_time: Option<u32>,
}

impl PlacedJson {
    /// As it is told.
    pub fn new(placed: &Placed) -> Self {
        Self {
            txid: placed.txid.to_string(),
            height: placed.block.height.to_u32(),
            block: placed.block.hash.to_string(),
            index: placed.index,
            time: placed.time,
            median_time: placed.median_time,
        }
    }
}

#[derive(Debug, Serialize)]
struct CommittedJson {
    #[serde(flatten)]
    placed: PlacedJson,
    commit: Option<String>,
}

impl CommittedJson {
    fn new(placed: &Placed, commit: Option<Txid>) -> Self {
        Self { placed: PlacedJson::new(placed), commit: commit.map(|txid| txid.to_string()) }
    }
}

/// A liveness coin.
#[derive(Debug, Serialize)]
struct CoinJson {
    txid: String,
    vout: u32,
    amount_sat: u64,
}

/// A spending of a liveness coin.
#[derive(Debug, Serialize)]
struct SpendingJson {
    #[serde(flatten)]
    placed: PlacedJson,
    spent_for: &'static str,
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
}

impl SpendingJson {
    fn new(spending: &SpendingSeen) -> Self {
        let (spent_for, to) = match spending.spent_for {
            SpentFor::Moved(id) => ("move", Some(id.to_string())),
            SpentFor::Revoking => ("revocation", None),
            SpentFor::Unknown => ("unknown", None),
        };
        Self {
            placed: PlacedJson::new(&spending.placed),
            spent_for,
            from: spending.from.map(|id| id.to_string()),
            to,
            by: spending.by.map(|key| key.to_string()),
        }
    }
}

#[derive(Debug, Serialize)]
struct FingerprintsJson {
    initiator: Option<String>,
    responder: Option<String>,
}

#[derive(Debug, Serialize)]
struct SessionJson {
    height: u32,
    block: String,
    by: &'static str,
    sender: &'static str,
    key: String,
}

/// What a file proves.
#[derive(Debug, Serialize)]
pub struct StatementJson {
    holds: bool,
    chain: String,
    held_to: &'static str,
    depth: u32,
    heights_known: bool,
    work_log2: Option<f64>,
    negotiation: String,
    initiator: PartyJson,
    responder: PartyJson,
    offer: CommittedJson,
    answer: Option<CommittedJson>,
    liveness: Option<CoinJson>,
    spendings: Vec<SpendingJson>,
    coin_sat: u64,
    price_sat: u64,
    carrier: &'static str,
    suites: Vec<&'static str>,
    transcript: Option<String>,
    offer_laid_open: bool,
    answer_laid_open: bool,
    tag_proven: bool,
    fingerprints: FingerprintsJson,
    sessions: Vec<SessionJson>,
    proven: Vec<String>,
    not_proven: Vec<String>,
}

impl StatementJson {
    /// As it is told.
    pub fn new(statement: &Statement) -> Self {
        let (held_to, work_log2) = match &statement.ties {
            Ties::Work { work, .. } => ("work", Some((work.log2() * 10.0).round() / 10.0)),
            Ties::Block { .. } => ("block", None),
            Ties::Chain { .. } => ("chain", None),
        };
        let [initiator, responder] = statement.fingerprints.map(|it| it.map(|it| it.to_string()));
        Self {
            holds: true,
            chain: statement.chain.name().to_owned(),
            held_to,
            depth: statement.ties.depth().to_u32(),
            heights_known: statement.ties.know_heights(),
            work_log2,
            negotiation: statement.negotiation.to_string(),
            initiator: PartyJson::new(&statement.initiator),
            responder: PartyJson::new(&statement.responder),
            offer: CommittedJson::new(&statement.placed, statement.commit),
            answer: statement.answer.as_ref().map(|it| CommittedJson::new(&it.placed, it.commit)),
            liveness: statement.liveness.map(|coin| CoinJson {
                txid: coin.outpoint.txid.to_string(),
                vout: coin.outpoint.vout,
                amount_sat: coin.amount.to_sat(),
            }),
            spendings: statement.spendings.iter().map(SpendingJson::new).collect(),
            coin_sat: statement.coin.to_sat(),
            price_sat: statement.seen.price().to_sat(),
            carrier: statement.seen.carrier().name(),
            suites: statement.seen.suites().iter().map(|suite| suite.name()).collect(),
            transcript: statement.transcript.map(|it| it.as_bytes().to_lower_hex_string()),
            offer_laid_open: statement.opened.offer_laid,
            answer_laid_open: statement.opened.answer_laid,
            tag_proven: statement.tag,
            fingerprints: FingerprintsJson { initiator, responder },
            sessions: statement
                .sessions
                .iter()
                .map(|session| SessionJson {
                    height: session.block.height.to_u32(),
                    block: session.block.hash.to_string(),
                    by: side(session.by),
                    sender: side(session.sender),
                    key: session.key.to_lower_hex_string(),
                })
                .collect(),
            proven: statement.proven(),
            not_proven: statement.not_proven(),
        }
    }
}

/// What a file proves and what not, a paragraph a sentence.
pub fn statement_text(statement: &Statement, paint: Paint, width: usize) -> String {
    let head = format!(
        "{}  {} and {}  holds",
        short(&statement.negotiation),
        statement.name(Role::Initiator),
        statement.name(Role::Responder)
    );
    let list = |lines: Vec<String>| {
        lines.iter().map(|line| hanging("  - ", line, width)).collect::<Vec<_>>().join("\n")
    };
    format!(
        "{}\n\n{}\n{}\n\n{}\n{}",
        paint.bold(&head),
        paint.bold("proven"),
        list(statement.proven()),
        paint.bold("not proven"),
        list(statement.not_proven())
    )
}

#[derive(Debug, Serialize)]
struct EntryJson {
    txid: String,
    height: u32,
    index: u32,
    bytes: usize,
    envelope: bool,
}

impl EntryJson {
    fn new(entry: &Entry) -> Self {
        Self {
            txid: entry.tx.compute_txid().to_string(),
            height: entry.height.to_u32(),
            index: entry.branch.index,
            bytes: entry.tx.base_size(),
            envelope: script::envelopes(&entry.tx).next().is_some(),
        }
    }
}

#[derive(Debug, Serialize)]
struct SpentJson {
    txid: String,
    height: u32,
    index: u32,
    to: Option<String>,
}

impl SpentJson {
    fn new(spending: &Spending) -> Self {
        Self {
            txid: spending.tx.compute_txid().to_string(),
            height: spending.height.to_u32(),
            index: spending.branch.index,
            to: spending.names.map(|id| id.to_string()),
        }
    }
}

/// What is inside a file, unchecked.
#[derive(Debug, Serialize)]
pub struct InsideJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    chain: String,
    negotiation: Option<String>,
    initiator: PartyJson,
    responder: PartyJson,
    coin_sat: u64,
    offer: EntryJson,
    answer: Option<EntryJson>,
    spendings: Vec<SpentJson>,
    first_height: u32,
    last_height: u32,
    last_block: Option<String>,
    disclosed: Vec<&'static str>,
}

impl InsideJson {
    /// As it is told; `file` is where it was written, and its length.
    pub fn new(evidence: &Evidence, file: Option<(&Path, usize)>) -> Self {
        Self {
            file: file.map(|(path, _)| path.display().to_string()),
            bytes: file.map(|(_, bytes)| bytes),
            chain: evidence.chain.name().to_owned(),
            negotiation: negotiation(evidence).map(|id| id.to_string()),
            initiator: PartyJson::new(evidence.initiator.permanent()),
            responder: PartyJson::new(evidence.responder.permanent()),
            coin_sat: evidence.coin.to_sat(),
            offer: EntryJson::new(&evidence.offer),
            answer: evidence.answer.as_ref().map(EntryJson::new),
            spendings: evidence.spendings.iter().map(SpentJson::new).collect(),
            first_height: evidence.headers.first().to_u32(),
            last_height: evidence.headers.last().to_u32(),
            last_block: evidence.last_block().map(|hash| hash.to_string()),
            disclosed: disclosed(evidence),
        }
    }

    /// One line for whoever had it written.
    pub fn summary(&self) -> String {
        let file = self.file.as_deref().unwrap_or_default();
        let last = self.last_block.as_deref().unwrap_or_default();
        let disclosed = if self.disclosed.is_empty() {
            String::new()
        } else {
            format!("\ndisclosed  {}", self.disclosed.join(", "))
        };
        format!(
            "{file}  {} and {}\nblocks     {} to {}\nlast       {last}{disclosed}",
            self.initiator.name,
            self.responder.name,
            grouped(self.first_height),
            grouped(self.last_height),
        )
    }
}

/// What is inside a file, line by line.
pub fn inside_text(evidence: &Evidence, width: usize) -> String {
    let party = |what: &str, card: &Permanent| format!("{what:<11}{}  {}", card.name, card.key);
    let entry = |what: &str, entry: &Entry| {
        let envelope = if script::envelopes(&entry.tx).next().is_some() { ", with an envelope" } else { "" };
        hanging(
            &format!("{what:<11}"),
            &format!(
                "{} in block {}, number {}, {} inputs, {} outputs{envelope}",
                entry.tx.compute_txid(),
                grouped(entry.height),
                entry.branch.index,
                entry.tx.input.len(),
                entry.tx.output.len()
            ),
            width,
        )
    };
    let time = evidence
        .headers
        .at(evidence.headers.last())
        .map_or_else(String::new, |header| format!(", {} UTC", date_and_time(header.time)));
    let id = negotiation(evidence).map_or_else(|| "—".to_owned(), |id| id.to_string());
    let mut lines = vec![
        format!("chain      {}", evidence.chain.name()),
        format!("id         {id}"),
        party("initiator", evidence.initiator.permanent()),
        party("responder", evidence.responder.permanent()),
        format!("coin       {} sat", grouped(evidence.coin.to_sat())),
        entry("offer", &evidence.offer),
    ];
    lines.push(
        evidence
            .answer
            .as_ref()
            .map_or_else(|| "answer     none".to_owned(), |answer| entry("answer", answer)),
    );
    lines.extend(evidence.spendings.iter().map(|spending| {
        let to = spending.names.map_or_else(String::new, |id| format!(", to {}", short(&id)));
        let text = format!(
            "{} in block {}, number {}{to}",
            spending.tx.compute_txid(),
            grouped(spending.height),
            spending.branch.index
        );
        hanging("spending   ", &text, width)
    }));
    lines.push(format!(
        "headers    {} to {}, the last {}{time}",
        grouped(evidence.headers.first()),
        grouped(evidence.headers.last()),
        evidence.last_block().map_or_else(String::new, ends)
    ));
    let disclosed = disclosed(evidence);
    lines.push(format!(
        "disclosed  {}",
        if disclosed.is_empty() { "nothing".to_owned() } else { disclosed.join(", ") }
    ));
    lines.join("\n")
}

fn negotiation(evidence: &Evidence) -> Option<NegotiationId> {
    let (initiator, responder) = (evidence.initiator.permanent().key, evidence.responder.permanent().key);
    let input0 = evidence.offer.tx.input.first()?.previous_output;
    Some(NegotiationId::of(evidence.chain.id(), initiator, responder, input0))
}

fn disclosed(evidence: &Evidence) -> Vec<&'static str> {
    let said = &evidence.disclosures;
    [
        (said.offer.is_some(), "the offer's contents"),
        (said.answer.is_some(), "the answer's contents"),
        (said.tag_key.is_some(), "the responder's tag key"),
        (said.initiator.is_some(), "the fingerprint, by the initiator"),
        (said.responder.is_some(), "the fingerprint, by the responder"),
        (!said.sessions.is_empty(), "session keys"),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
    .collect()
}
