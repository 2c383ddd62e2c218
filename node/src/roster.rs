//! A roster: a file of cards and introductions, one a line, that an operator keeps for a whole fleet.

use keyway_protocol::card::Card;
use keyway_protocol::introduction::Introduction;

/// More than ten thousand cards take.
pub const MOST_ROSTER_BYTES: u64 = 64 << 20;

/// What a roster's lines say. Whoever wrote it is not trusted: what counts is who signed each line.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    pub(crate) words: Vec<(usize, Introduction)>,
    pub(crate) cards: Vec<(usize, Card)>,
    pub(crate) unreadable: Vec<Refused>,
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which, counted from 1.
    pub line: usize,
    /// Why not.
    pub why: String,
}

/// What reading a roster changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Cards of new peers, and newer cards of known ones.
    pub cards: usize,
    /// Introductions and withdrawals that were not known.
    pub words: usize,
    /// Lines that were not taken, in their order.
    pub refused: Vec<Refused>,
}

impl Roster {
    /// Reads the lines. Empty ones, and those that begin with `#`, say nothing.
    pub fn parse(text: &str) -> Self {
        let mut roster = Self::default();
        let lines = (1..).zip(text.lines().map(str::trim));
        for (line, text) in lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')) {
            roster.read(line, text);
        }
        roster
    }

    fn read(&mut self, line: usize, text: &str) {
        let read = if Introduction::is_meant_by(text) {
            text.parse().map(|word| self.words.push((line, word))).map_err(|error| error.to_string())
        } else {
            text.parse().map(|card| self.cards.push((line, card))).map_err(|error| {
                if Card::is_meant_by(text) {
                    error.to_string()
                } else {
                    "neither a card nor an introduction".to_owned()
                }
            })
        };
        if let Err(why) = read {
            self.unreadable.push(Refused { line, why });
        }
    }
}
