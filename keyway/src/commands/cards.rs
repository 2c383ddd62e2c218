//! `card` and `peer`.

use std::path::Path;

use keyway_node::{Imported, Party, PeerError, Refused, Roster, Standing};
use keyway_protocol::card::{Card, CardError, Permanent};
use serde::Serialize;

use crate::amount::counted;
use crate::cli::{CardArgs, PeerAdd, PeerImport, PeerIntroduce, PeerRemove, PeerRevoke};
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::render::json::CardJson;
use crate::render::layout::{hanging, table};
use crate::ui::Ui;

/// `keyway card`
pub fn card(context: &mut Context<'_>, args: &CardArgs, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct OwnCard {
        #[serde(flatten)]
        fields: CardJson,
        card: String,
    }
    let party = context.party()?;
    if args.renew {
        party.renew_card()?;
    }
    let card = party.card();
    let json = OwnCard { fields: CardJson::from(card), card: card.to_string() };
    ui.data(&json, |json| json.card.clone())
}

/// `keyway peer add`
pub fn add(context: &mut Context<'_>, args: &PeerAdd, ui: &Ui) -> Result<(), Error> {
    let card: Card = text(context, &args.card)?.parse().map_err(PeerError::Card)?;
    let party = context.party()?;
    let json = CardJson::from(&card);
    party.add_peer(card)?;
    ui.data(&json, |json| format!("{}  {}", json.name(), json.key()))?;
    ui.say("  accepted; if you can, compare this key with its owner's `keyway status` by another way");
    Ok(())
}

/// See [`text`].
///
/// # Errors
/// The file cannot be read, or there is none.
pub fn text_of(context: &Context<'_>, argument: &str) -> Result<String, Error> {
    text(context, argument)
}

/// The argument itself, or the file that it names. Text that begins as a card does, and garbage in a file, are
/// told about as cards.
fn text(context: &Context<'_>, argument: &str) -> Result<String, Error> {
    // Where another process sent the command, that one looked whether there is such a file.
    let path = if context.is_served() { named(argument) } else { file_of(argument)? };
    let Some(path) = path else { return Ok(argument.to_owned()) };
    let text = String::from_utf8(context.read(path, files::CARD)?.to_vec());
    text.map_err(|_| PeerError::Card(CardError::Prefix).into())
}

/// The file that a card's argument names, unless it is the card itself.
///
/// # Errors
/// [`Error::NeitherCardNorFile`].
pub fn file_of(argument: &str) -> Result<Option<&Path>, Error> {
    match named(argument) {
        Some(path) if argument != "-" && !path.exists() => {
            Err(Error::NeitherCardNorFile(argument.to_owned()))
        }
        named => Ok(named),
    }
}

fn named(argument: &str) -> Option<&Path> {
    (!argument.trim_start().starts_with("keyway-card:")).then_some(Path::new(argument))
}

/// `keyway peer list`
pub fn list(context: &mut Context<'_>, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let peers: Vec<PeerJson> = party.peers().iter().map(|card| PeerJson::new(party, card)).collect();
    if peers.is_empty() {
        ui.say("no peers yet: add a card with `keyway peer add`");
    }
    ui.data(&peers, |peers| {
        if peers.is_empty() {
            return String::new();
        }
        let rows: Vec<_> = peers.iter().map(PeerJson::row).collect();
        table(&["peer", "standing", "key", "serial", "expires at block"], &rows, ui.width())
    })
}

/// A card, and how this party stands to its owner.
#[derive(Serialize)]
struct PeerJson {
    #[serde(flatten)]
    card: CardJson,
    standing: &'static str,
    introduced_by: Option<String>,
    introduced_until_height: Option<u32>,
}

impl PeerJson {
    fn new(party: &Party, card: &Card) -> Self {
        let standing = party.standing(card);
        let name = standing.name();
        let (by, until) = match standing {
            Standing::Introduced { by, until } => (Some(by.to_string()), Some(until.to_u32())),
            _ => (None, None),
        };
        Self { card: CardJson::from(card), standing: name, introduced_by: by, introduced_until_height: until }
    }

    fn row(&self) -> Vec<String> {
        let standing = match &self.introduced_by {
            Some(by) => format!("{} by {by}", self.standing),
            None => self.standing.to_owned(),
        };
        let mut row = self.card.row();
        row.insert(1, standing);
        row
    }
}

/// `keyway peer remove`
pub fn remove(context: &mut Context<'_>, args: &PeerRemove, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Removed {
        name: String,
        key: String,
    }
    let party = context.party()?;
    let card = party.remove_peer(&args.name, args.force)?;
    let permanent = card.permanent();
    let json = Removed { name: permanent.name.to_string(), key: permanent.key.to_string() };
    ui.data(&json, |json| format!("{}  {}", json.name, json.key))?;
    ui.say("  removed");
    Ok(())
}

/// `keyway peer introduce`
pub fn introduce(context: &mut Context<'_>, args: &PeerIntroduce, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Introduced {
        name: String,
        key: String,
        serial: u32,
        expires_at_height: Option<u32>,
        introduction: String,
    }
    let subject = introduced(context, &args.whom)?;
    let party = context.party()?;
    let word =
        if args.withdraw { party.withdraw(&subject)? } else { party.introduce(&subject, args.blocks)? };
    let json = Introduced {
        name: subject.name.to_string(),
        key: subject.key.to_string(),
        serial: word.serial(),
        expires_at_height: (!word.is_withdrawal()).then(|| word.expiry().to_u32()),
        introduction: word.to_string(),
    };
    ui.data(&json, |json| json.introduction.clone())
}

/// Whom the argument means: a known peer, or the owner of a card.
fn introduced(context: &mut Context<'_>, whom: &str) -> Result<Permanent, Error> {
    let is_file = context.is_served() || file_beside(whom).is_some();
    if !Card::is_meant_by(whom) {
        match context.party()?.peer(whom) {
            Ok(peer) => return Ok(peer.permanent().clone()),
            Err(unknown) if !is_file => return Err(unknown.into()),
            Err(_) => {}
        }
    }
    let card: Card = text(context, whom)?.parse().map_err(PeerError::Card)?;
    Ok(card.permanent().clone())
}

/// The file of that name, where there is one and the text is no card.
pub fn file_beside(argument: &str) -> Option<&Path> {
    named(argument).filter(|path| path.is_file())
}

/// `keyway peer import`
pub fn import(context: &mut Context<'_>, args: &PeerImport, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Read {
        cards: usize,
        introductions: usize,
        refused: Vec<Line>,
    }
    #[derive(Serialize)]
    struct Line {
        line: usize,
        why: String,
    }
    let bytes = context.read(&args.file, files::ROSTER)?;
    let roster = Roster::parse(&String::from_utf8_lossy(&bytes));
    let Imported { cards, words, refused } = context.party()?.import(roster)?;
    let refused = refused.into_iter().map(|Refused { line, why }| Line { line, why }).collect();
    ui.data(&Read { cards, introductions: words, refused }, |read| {
        let head = format!(
            "{} and {} taken",
            counted(read.cards, "card"),
            counted(read.introductions, "introduction")
        );
        let lines = read
            .refused
            .iter()
            .map(|refused| hanging(&format!("  line {}: ", refused.line), &refused.why, ui.width()));
        std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
    })
}

/// `keyway peer revoke`
pub fn revoke(context: &mut Context<'_>, args: &PeerRevoke, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let card = party.revoke_peer(&args.name, !args.undo)?;
    let json = PeerJson::new(party, &card);
    ui.data(&json, |json| format!("{}  {}", json.card.name(), json.card.key()))?;
    ui.say(&format!("  {}", json.standing));
    Ok(())
}
