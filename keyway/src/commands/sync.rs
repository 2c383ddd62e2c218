//! `sync`.

use keyway_node::{Event, Imported, NegotiationView, Party, Refused, Synced};
use keyway_protocol::negotiation::NegotiationId;
use serde::Serialize;

use crate::amount::{counted, grouped, sat};
use crate::context::Context;
use crate::error::Error;
use crate::progress;
use crate::render::layout::hanging;
use crate::render::negotiation::{ends, short};
use crate::ui::Ui;

#[derive(Serialize)]
struct SyncedJson {
    height: u32,
    connected: u32,
    disconnected: u32,
    events: Vec<EventJson>,
}

/// One event; what does not apply is left out.
#[derive(Default, Serialize)]
pub struct EventJson {
    pub event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negotiation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_sat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cards: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introductions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_lines: Option<usize>,
}

/// `keyway sync`
pub fn run(context: &mut Context<'_>, ui: &Ui) -> Result<(), Error> {
    let (party, ledger) = context.party_and_ledger()?;
    let synced = progress::sync(ui, party, ledger)?;
    let teller = Teller::new(party)?;
    let json = SyncedJson {
        height: party.tip().height.to_u32(),
        connected: synced.connected,
        disconnected: synced.disconnected,
        events: synced.events.iter().map(|event| teller.json(event)).collect(),
    };
    ui.data(&json, |_| {
        let lines = synced.events.iter().map(|event| hanging("  ", &teller.text(event), ui.width()));
        std::iter::once(headline(party, &synced)).chain(lines).collect::<Vec<_>>().join("\n")
    })
}

fn headline(party: &Party, synced: &Synced) -> String {
    let tip = grouped(party.tip().height);
    let left = match synced.disconnected {
        0 => String::new(),
        blocks => format!(", {} replaced", grouped(blocks)),
    };
    format!("block {tip}  {} new{left}", grouped(synced.connected))
}

/// Tells events by the names of the negotiations and peers they belong to.
pub struct Teller {
    views: Vec<NegotiationView>,
}

impl Teller {
    /// Of this party's negotiations, as they are now.
    ///
    /// # Errors
    /// If the store fails.
    pub fn new(party: &Party) -> Result<Self, Error> {
        Ok(Self { views: party.negotiations()? })
    }

    fn view(&self, id: &NegotiationId) -> Option<&NegotiationView> {
        self.views.iter().find(|view| view.id == *id)
    }

    fn peer(&self, id: &NegotiationId) -> String {
        self.view(id).map_or_else(|| "a peer".to_owned(), |view| view.peer.clone())
    }

    fn text(&self, event: &Event) -> String {
        match event {
            Event::OfferSeen(id) => {
                let price =
                    self.view(id).map_or_else(String::new, |view| format!(" with {}", sat(view.price)));
                format!("{}  offer of {} came{price}", short(id), self.peer(id))
            }
            Event::HeldFromStrangers(offers) => {
                format!("{offers} offers of strangers are held until a card arrives: `keyway peer add`")
            }
            Event::AnswerSent { id, txid } => {
                format!("{}  answered {} in {}", short(id), self.peer(id), ends(txid))
            }
            Event::NotAnswered { id, why } => format!("{}  not answered: {}", short(id), one_line(why)),
            Event::Moved { id, from, to } => {
                format!("{}  key with {}: {from}, now {to}", short(id), self.peer(id))
            }
            Event::Split(txid) => {
                format!("split a coin in {}, so that offers find confirmed ones", ends(txid))
            }
            Event::RefundSent { id, txid } => {
                format!("{}  nobody answered: the payment comes back in {}", short(id), ends(txid))
            }
            Event::EnvelopeReturned { id, txid } => {
                format!("{}  an envelope that was not used comes back in {}", short(id), ends(txid))
            }
            Event::CoinMoved { id, txid } => {
                format!("{}  the liveness coin moves to this key in {}", short(id), ends(txid))
            }
            Event::RevocationSeen { id, txid } => format!(
                "{}  the liveness coin with {} was spent in {}: its keys end at depth {}",
                short(id),
                self.peer(id),
                ends(txid),
                self.view(id).map_or_else(String::new, |view| view.key_depth.to_string())
            ),
            Event::RevocationSent { id, txid } => {
                format!("{}  the liveness coin had moved: it is spent to revoke, in {}", short(id), ends(txid))
            }
            Event::FeeRaised { id, txid, fee } => {
                format!("{}  the answer pays {} now, in {}", short(id), sat(*fee), ends(txid))
            }
            Event::CardRenewed => "the card was renewed: give peers the new one, `keyway card`".to_owned(),
            Event::Rotating { id, by } => {
                format!(
                    "{}  key with {} has served its time: {} replaces it",
                    short(id),
                    self.peer(id),
                    short(by)
                )
            }
            Event::NotRotated { id, why } => {
                format!(
                    "{}  key with {} has served its time, and stays: {}",
                    short(id),
                    self.peer(id),
                    one_line(why)
                )
            }
            Event::RosterRead(read) => roster(read),
            Event::RosterUnread { path, why } => {
                format!("the roster {} cannot be read: {why}", path.display())
            }
            Event::OtherHome(txid) => format!(
                "{} speaks for this party, and this home did not make it: if another home has the same words, end one of \
                 them",
                ends(txid)
            ),
            Event::OtherName => "no answer leads to a key: the party had another name; restore it again, into another home, with \
                                 that --name"
                .to_owned(),
            Event::Refused { txid, why } => format!("the ledger refused {}: {}", ends(txid), one_line(why)),
        }
    }

    /// For programs.
    pub fn json(&self, event: &Event) -> EventJson {
        let of = |name: &'static str, id: &NegotiationId| EventJson {
            event: name,
            negotiation: Some(id.to_string()),
            peer: self.view(id).map(|view| view.peer.clone()),
            ..EventJson::default()
        };
        match event {
            Event::OfferSeen(id) => of("offer-seen", id),
            Event::HeldFromStrangers(offers) => {
                EventJson { event: "held-from-strangers", offers: Some(*offers), ..EventJson::default() }
            }
            Event::AnswerSent { id, txid } => {
                EventJson { txid: Some(txid.to_string()), ..of("answer-sent", id) }
            }
            Event::NotAnswered { id, why } => {
                EventJson { why: Some(one_line(why)), ..of("not-answered", id) }
            }
            Event::Moved { id, from, to } => {
                EventJson { from: Some(from.name()), to: Some(to.name()), ..of("moved", id) }
            }
            Event::Split(txid) => {
                EventJson { event: "split", txid: Some(txid.to_string()), ..EventJson::default() }
            }
            Event::RefundSent { id, txid } => {
                EventJson { txid: Some(txid.to_string()), ..of("refund-sent", id) }
            }
            Event::EnvelopeReturned { id, txid } => {
                EventJson { txid: Some(txid.to_string()), ..of("envelope-returned", id) }
            }
            Event::CoinMoved { id, txid } => {
                EventJson { txid: Some(txid.to_string()), ..of("coin-moved", id) }
            }
            Event::RevocationSeen { id, txid } => {
                EventJson { txid: Some(txid.to_string()), ..of("revocation-seen", id) }
            }
            Event::RevocationSent { id, txid } => {
                EventJson { txid: Some(txid.to_string()), ..of("revocation-sent", id) }
            }
            Event::FeeRaised { id, txid, fee } => EventJson {
                txid: Some(txid.to_string()),
                fee_sat: Some(fee.to_sat()),
                ..of("fee-raised", id)
            },
            Event::CardRenewed => EventJson { event: "card-renewed", ..EventJson::default() },
            Event::Rotating { id, by } => EventJson { by: Some(by.to_string()), ..of("rotating", id) },
            Event::NotRotated { id, why } => EventJson { why: Some(one_line(why)), ..of("not-rotated", id) },
            Event::RosterRead(read) => EventJson {
                event: "roster-read",
                cards: Some(read.cards),
                introductions: Some(read.words),
                refused_lines: Some(read.refused.len()),
                why: read.refused.first().map(first_refused),
                ..EventJson::default()
            },
            Event::RosterUnread { why, .. } => {
                EventJson { event: "roster-unread", why: Some(one_line(why)), ..EventJson::default() }
            }
            Event::OtherHome(txid) => {
                EventJson { event: "other-home", txid: Some(txid.to_string()), ..EventJson::default() }
            }
            Event::OtherName => EventJson { event: "other-name", ..EventJson::default() },
            Event::Refused { txid, why } => EventJson {
                event: "refused",
                txid: Some(txid.to_string()),
                why: Some(one_line(why)),
                ..EventJson::default()
            },
        }
    }
}

fn roster(read: &Imported) -> String {
    let (cards, words) = (counted(read.cards, "card"), counted(read.words, "introduction"));
    match read.refused.first() {
        None => format!("roster: {cards} and {words} taken"),
        Some(first) => {
            let lines = counted(read.refused.len(), "line");
            format!("roster: {cards} and {words} taken; {lines} not, first {}", first_refused(first))
        }
    }
}

fn first_refused(refused: &Refused) -> String {
    format!("line {}: {}", refused.line, refused.why)
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}
