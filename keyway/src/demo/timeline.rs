//! The story for people: one idea a line, time runs downwards.

use bitcoin::Amount;

use super::story::{Session, Side, Story};
use crate::amount::{grouped, sat};
use crate::render::layout::{columns, hanging, pad, wrap};
use crate::render::negotiation::{collects, ends, spread};
use crate::render::paint::Paint;
use crate::render::time::clock;

/// With fewer columns, times and ids move from columns of their own into the text.
const ROOMY: usize = 80;
/// With fewer still, a line's text goes under its head.
const NARROW: usize = 60;
const INDENT: usize = 4;
/// Characters of a negotiation's id that name the demo's only one.
const PREFIX: usize = 4;

/// All that happened: one story after the other, what each cost beside the others, and where it is kept.
pub fn text(stories: &[Story], paint: Paint, width: usize) -> String {
    let pages: Vec<Page<'_>> = stories.iter().map(|story| Page { story, paint, width }).collect();
    let mut parts: Vec<String> = pages.iter().map(Page::told).collect();
    if pages.len() > 1 {
        parts.push(comparison(stories, paint));
    }
    parts.extend(pages.last().map(Page::end));
    parts.join("\n\n")
}

/// What the carriers cost, side by side.
fn comparison(stories: &[Story], paint: Paint) -> String {
    let head = ["carrier", "suite", "offer", "answer", "payee nets"].map(str::to_owned);
    let row = |story: &Story| {
        [
            story.carrier.clone(),
            story.suite.clone(),
            format!("{}\u{a0}vB", grouped(story.offer.place.vbytes)),
            format!("{}\u{a0}vB", grouped(story.answer.place.vbytes)),
            sat(Amount::from_sat(story.responder.netted_sat.unwrap_or_default())),
        ]
    };
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(stories.iter().map(row)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max();
    let line = |(nth, row): (usize, &[String; 5])| {
        let cells = row.iter().enumerate().map(|(at, cell)| pad(cell, width(at).unwrap_or_default()));
        let line = format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned();
        if nth == 0 { paint.dim(&line) } else { line }
    };
    rows.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

struct Page<'a> {
    story: &'a Story,
    paint: Paint,
    width: usize,
}

/// A line of the timeline: where, what, which transaction, and what it says.
struct Row<'a> {
    height: u32,
    time: u32,
    what: &'a str,
    id: Option<String>,
    lines: Vec<String>,
}

impl Page<'_> {
    fn told(&self) -> String {
        [self.head(), self.parties(), self.key_story(), self.messages()].join("\n\n")
    }

    fn head(&self) -> String {
        let Story { chain, suite, carrier, .. } = self.story;
        let name = self.paint.bold("Keyway");
        let text = format!(
            "{name} · embedded ledger (Bitcoin Core's own validation, {chain}) · suite\u{a0}{suite} · carrier\u{a0}{carrier}"
        );
        wrap(&text, self.width).join("\n")
    }

    fn parties(&self) -> String {
        let Story { initiator, responder, .. } = self.story;
        let name =
            |side: &Side| format!("{} {}", self.paint.bold(&side.name), self.paint.dim(&ends(&side.key)));
        let price = self.paint.bold(&sat(Amount::from_sat(self.story.price_sat)));
        let text = format!(
            "{} pays {price} to {} · cards exchanged and checked {}",
            name(initiator),
            name(responder),
            self.tick()
        );
        hanging("  ", &text, self.width)
    }

    fn key_story(&self) -> String {
        [self.row(&self.offer()), self.row(&self.answer()), self.row(&self.key())].join("\n")
    }

    fn offer(&self) -> Row<'_> {
        let Story { offer, initiator, price_sat, carriage, .. } = self.story;
        let mut lines = vec![
            spread(*carriage, Amount::from_sat(*price_sat)),
            format!(
                "{} · paid\u{a0}by\u{a0}{}",
                costs(offer.place.vbytes, initiator.fee_sat),
                initiator.name
            ),
        ];
        lines.extend(self.story.envelopes.map(|elsewhere| elsewhere.told()));
        Row {
            height: offer.place.height.unwrap_or_default(),
            time: offer.place.time.unwrap_or_default(),
            what: "offer",
            id: Some(ends(&offer.txid)),
            lines,
        }
    }

    fn answer(&self) -> Row<'_> {
        let Story { carriage, form, answer, responder, .. } = self.story;
        let netted = sat(Amount::from_sat(responder.netted_sat.unwrap_or_default()));
        Row {
            height: answer.place.height.unwrap_or_default(),
            time: answer.place.time.unwrap_or_default(),
            what: "answer",
            id: Some(ends(&answer.txid)),
            lines: vec![
                collects(*carriage, *form, Amount::from_sat(answer.paid_back_sat), answer.message()),
                format!(
                    "{} · {}\u{a0}nets\u{a0}{}",
                    costs(answer.place.vbytes, responder.fee_sat),
                    responder.name,
                    self.paint.bold(&netted)
                ),
            ],
        }
    }

    fn key(&self) -> Row<'_> {
        let Story { initiator, responder, key, .. } = self.story;
        let print = |side: &Side| self.paint.bold(&side.fingerprint);
        let (left, right) = (&initiator.name, &responder.name);
        let names = left.len().max(right.len());
        Row {
            height: key.height,
            time: key.time,
            what: "key",
            id: None,
            lines: vec![
                format!("{} {}", pad(left, names), print(initiator)).replace(' ', "\u{a0}"),
                format!("{} {} the same {}", pad(right, names), print(responder), self.tick()).replacen(
                    ' ',
                    "\u{a0}",
                    names - right.len() + 1,
                ),
                format!("depth\u{a0}{} · both confirmed {}", key.depth, self.tick()),
            ],
        }
    }

    fn messages(&self) -> String {
        let rows =
            self.story.sessions.iter().enumerate().map(|(index, session)| self.message(session, index > 0));
        rows.chain([self.eavesdropper()]).collect::<Vec<_>>().join("\n")
    }

    fn message(&self, session: &Session, is_later: bool) -> String {
        let mut lines = vec![format!(
            "{}\u{a0}→\u{a0}{} {} opened\u{a0}{}",
            session.from,
            session.to,
            self.paint.bold(&format!("“{}”", session.text)),
            self.tick()
        )];
        if is_later {
            lines.push("under a new session key, and no message was spent on it".to_owned());
        }
        self.row(&Row { height: session.height, time: session.time, what: "sealed", id: None, lines })
    }

    fn eavesdropper(&self) -> String {
        let listening = self.story.eavesdropper;
        let (blocks, attempts) = (grouped(listening.blocks), grouped(listening.attempts));
        let text = format!(
            "an eavesdropper with all {blocks}\u{a0}blocks, both cards and both messages: {attempts}\u{a0}attempts, opened nothing {}",
            self.tick()
        );
        hanging("  ", &text, self.width)
    }

    fn end(&self) -> String {
        let home = std::path::Path::new(&self.story.home);
        let prefix: String = self.story.negotiation.chars().take(PREFIX).collect();
        let car = home.join(&self.story.initiator.name);
        let command =
            format!("{} --home {} show {prefix}", super::words::program(), super::words::quoted(&car));
        let kept = format!(
            "Kept in {}, without a passphrase: for trying out only. Go on by hand:",
            super::words::quoted(home)
        );
        format!("{}\n  {}", wrap(&kept, self.width).join("\n"), self.paint.bold(&command))
    }

    fn row(&self, row: &Row) -> String {
        let block = format!("block\u{a0}{}", grouped(row.height));
        let (head, lines) =
            if self.width >= ROOMY { self.wide(row, &block) } else { self.narrow(row, &block) };
        let indent = if self.width >= NARROW { columns(&head) } else { INDENT };
        let blank = " ".repeat(indent);
        let line = |(index, line): (usize, &String)| {
            let head = if index == 0 { &head } else { &blank };
            hanging(head, line, self.width)
        };
        lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    fn wide(&self, row: &Row, block: &str) -> (String, Vec<String>) {
        let id = row.id.as_ref().map(|id| format!("{id}  ")).unwrap_or_default();
        let head = format!(
            "  {}  {}  {}  {}",
            pad(block, 9),
            self.paint.dim(&clock(row.time)),
            pad(row.what, 6),
            self.paint.dim(&pad(&id, if row.id.is_some() { 9 } else { 0 }))
        );
        (head, row.lines.clone())
    }

    fn narrow(&self, row: &Row, block: &str) -> (String, Vec<String>) {
        let head = format!("  {}  {}  ", pad(block, 9), pad(row.what, 6));
        let time = clock(row.time);
        let place = row.id.as_ref().map_or_else(|| format!("at {time}"), |id| format!("{id} at {time}"));
        let lines = std::iter::once(self.paint.dim(&place)).chain(row.lines.iter().cloned()).collect();
        (head, lines)
    }

    fn tick(&self) -> String {
        self.paint.good("✓")
    }
}

fn costs(vbytes: u64, fee_sat: u64) -> String {
    format!("{}\u{a0}vB · fee\u{a0}{}", grouped(vbytes), sat(Amount::from_sat(fee_sat)))
}
