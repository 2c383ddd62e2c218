//! Reading a backup: from anybody, so every length and every line is checked before it counts.

use std::collections::HashSet;
use std::str::FromStr;

use bitcoin::hex::FromHex;
use bitcoin::{BlockHash, OutPoint, ScriptBuf, Txid};
use keyway_chain::{BlockRef, Height};
use keyway_protocol::backup::is_signed;
use keyway_protocol::card::Card;
use keyway_protocol::introduction::Introduction;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::suite::{Numbers, Suite};
use thiserror::Error;

use super::{Backup, Facts, HEAD, MOST_BACKUP_BYTES, STANDINGS, sum};
use crate::peers::Mark;
use crate::store::{Chosen, Envelope};

/// More negotiations than a party has.
const MOST_SECRETS: u32 = 10_000_000;
/// More cards than a party has.
const MOST_PREKEYS: u32 = 100_000;

/// Why a text is no backup.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BackupError {
    /// Another file.
    #[error("it does not begin with `{HEAD}`")]
    Head,
    /// Longer than any backup.
    #[error("it has more than {MOST_BACKUP_BYTES} bytes")]
    TooLong,
    /// Its last lines are missing.
    #[error("it is cut short: its sum and signature are missing")]
    CutShort,
    /// It was damaged.
    #[error("it is damaged: its checksum is wrong")]
    Checksum,
    /// Somebody changed it.
    #[error("it was tampered with: its signature is not its owner's")]
    Signature,
    /// A line says nothing.
    #[error("line {line}: {what}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A line that every backup has.
    #[error("it has no line `{0}`")]
    Missing(&'static str),
}

pub(super) fn backup(text: &str) -> Result<Backup, BackupError> {
    if text.len() as u64 > MOST_BACKUP_BYTES {
        return Err(BackupError::TooLong);
    }
    // On its way through mail and editors a line's end may have become another.
    let text = text.replace("\r\n", "\n");
    if text.lines().next() != Some(HEAD) {
        return Err(BackupError::Head);
    }
    let (rest, signature) = last_line(&text, "signature ").ok_or(BackupError::CutShort)?;
    let (body, said) = last_line(rest, "sum ").ok_or(BackupError::CutShort)?;
    let sum = sum(body);
    if bytes(said) != Some(sum) {
        return Err(BackupError::Checksum);
    }
    let signature = bytes(signature).ok_or(BackupError::Signature)?;
    let facts = facts(body)?;
    if !is_signed(body.as_bytes(), &signature, facts.card.permanent().key) {
        return Err(BackupError::Signature);
    }
    // What was left out while reading, as comments, is signed too, but would not be written again.
    if facts.to_string() == body {
        Ok(Backup { facts, sum, signature })
    } else {
        Err(BackupError::Line {
            line: 1,
            what: "the lines are not in the form that they are written in".to_owned(),
        })
    }
}

/// The last line behind its first word, and all before it, its end included.
fn last_line<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let text = text.trim_end_matches('\n');
    let start = text.rfind('\n')? + 1;
    let (before, line) = text.split_at_checked(start)?;
    Some((before, line.strip_prefix(word)?))
}

/// Digits as they are written: what neither sum nor signature covers has one form too.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let small = !hex.bytes().any(|digit| digit.is_ascii_uppercase());
    small.then(|| <[u8; N]>::from_hex(hex).ok()).flatten()
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    card: Option<Card>,
    birthday: Option<BlockRef>,
    tip: Option<BlockRef>,
    next_secret: Option<u32>,
    next_prekey: Option<u32>,
    generations: Vec<(u32, Height)>,
    peers: Vec<(Card, Mark)>,
    words: Vec<Introduction>,
    offered_to: Vec<(Suite, Vec<u8>)>,
    groups: Vec<Chosen>,
    confirmed: Vec<(NegotiationId, Txid)>,
    volumes: Vec<(NegotiationId, u64)>,
    envelopes: Vec<Envelope>,
    config: String,
    /// Names and keys of peers: each is there once.
    known: HashSet<String>,
}

fn facts(body: &str) -> Result<Facts, BackupError> {
    let mut draft = Draft::default();
    for (line, text) in (1..).zip(body.lines()).skip(1).filter(|(_, text)| !text.starts_with('#')) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        draft.line(word, rest).map_err(|what| BackupError::Line { line, what })?;
    }
    let missing = BackupError::Missing;
    let facts = Facts {
        card: draft.card.ok_or(missing("card"))?,
        birthday: draft.birthday.ok_or(missing("birthday"))?,
        tip: draft.tip.ok_or(missing("tip"))?,
        next_secret: draft.next_secret.ok_or(missing("secrets"))?,
        next_prekey: draft.next_prekey.ok_or(missing("prekeys"))?,
        generations: draft.generations,
        peers: draft.peers,
        words: draft.words,
        offered_to: draft.offered_to,
        groups: draft.groups,
        confirmed: draft.confirmed,
        volumes: draft.volumes,
        envelopes: draft.envelopes,
        config: draft.config,
    };
    Ok(facts)
}

impl Draft {
    fn line(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "card" => once(&mut self.card, parsed(rest)?),
            "birthday" => once(&mut self.birthday, block(rest)?),
            "tip" => once(&mut self.tip, block(rest)?),
            "secrets" => once(&mut self.next_secret, at_most(rest, MOST_SECRETS)?),
            "prekeys" => once(&mut self.next_prekey, at_most(rest, MOST_PREKEYS)?),
            "generation" => {
                let (index, last): (u32, u32) = two(rest)?;
                if self.next_prekey.is_none_or(|next| index >= next) {
                    return Err("a generation of prekeys that was not made yet".to_owned());
                }
                self.generations.push((index, Height::new(last)));
                Ok(())
            }
            "peer" => self.peer(rest),
            "word" => {
                self.words.push(parsed(rest)?);
                Ok(())
            }
            "offered-to" => {
                let (suite, key) = pair(rest)?;
                let key = Vec::from_hex(key).map_err(|error| error.to_string())?;
                self.offered_to.push((parsed(suite)?, key));
                Ok(())
            }
            "group" => {
                let (p, g) = pair(rest)?;
                let number = |hex| Vec::from_hex(hex).map_err(|error| error.to_string());
                let numbers = Numbers::new(&number(p)?, &number(g)?).map_err(|error| error.to_string())?;
                self.groups.push(Chosen { numbers, published: None });
                Ok(())
            }
            "confirmed" => {
                let (id, answer) = pair(rest)?;
                self.confirmed.push((negotiation(id)?, parsed(answer)?));
                Ok(())
            }
            "volume" => {
                let (id, count) = pair(rest)?;
                self.volumes.push((negotiation(id)?, parsed(count)?));
                Ok(())
            }
            "envelope" => self.envelope(rest),
            "config" => {
                self.config.push_str(rest);
                self.config.push('\n');
                Ok(())
            }
            _ => Err("a line of a kind that this program does not know; a newer one may have written it"
                .to_owned()),
        }
    }

    fn peer(&mut self, rest: &str) -> Result<(), String> {
        let (standing, card) = pair(rest)?;
        let mark = STANDINGS.iter().find(|(name, _)| *name == standing).map(|(_, mark)| *mark);
        let mark = mark.ok_or_else(|| format!("a peer is not `{standing}`"))?;
        let card: Card = parsed(card)?;
        let permanent = card.permanent();
        let own = self.card.as_ref().ok_or("the party's own card comes first")?.permanent();
        if permanent.chain != own.chain || permanent.key == own.key {
            return Err("the card of no peer on the party's chain".to_owned());
        }
        let names = [permanent.name.to_string(), permanent.key.to_string()];
        if !names.into_iter().all(|name| self.known.insert(name)) {
            return Err("a peer's name or key that another has".to_owned());
        }
        self.peers.push((card, mark));
        Ok(())
    }

    fn envelope(&mut self, rest: &str) -> Result<(), String> {
        let (commit, rest) = pair(rest)?;
        let (id, script) = pair(rest)?;
        let script = Vec::from_hex(script).map_err(|error| error.to_string())?;
        let outpoint = OutPoint::new(parsed(commit)?, 0);
        self.envelopes.push(Envelope {
            id: negotiation(id)?,
            outpoint,
            script: ScriptBuf::from_bytes(script),
        });
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("the second line of a kind that comes once".to_owned()),
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A number that a search may go up to.
fn at_most(text: &str, most: u32) -> Result<u32, String> {
    let number = parsed(text)?;
    if number <= most { Ok(number) } else { Err(format!("more than {most}")) }
}

fn pair(text: &str) -> Result<(&str, &str), String> {
    text.split_once(' ').ok_or_else(|| "it ends too early".to_owned())
}

fn two<A: FromStr<Err: std::fmt::Display>, B: FromStr<Err: std::fmt::Display>>(
    text: &str,
) -> Result<(A, B), String> {
    let (first, second) = pair(text)?;
    Ok((parsed(first)?, parsed(second)?))
}

fn block(text: &str) -> Result<BlockRef, String> {
    let (height, hash): (u32, BlockHash) = two(text)?;
    Ok(BlockRef::new(Height::new(height), hash))
}

fn negotiation(hex: &str) -> Result<NegotiationId, String> {
    bytes(hex).map(NegotiationId::from_bytes).ok_or_else(|| "no negotiation's id".to_owned())
}
