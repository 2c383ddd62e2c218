//! `card` and `peer`.

use std::path::Path;

use keyway_protocol::card::{Card, CardError};
use serde::Serialize;

use crate::cli::{CardArgs, PeerAdd, PeerRemove};
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::render::json::CardJson;
use crate::render::layout::table;
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
    let card: Card = text(context, &args.card)?.parse().map_err(keyway_node::NodeError::from)?;
    let party = context.party()?;
    let json = CardJson::from(&card);
    party.add_peer(card)?;
    ui.data(&json, |json| format!("{}  {}", json.name(), json.key()))?;
    ui.say("  accepted; if you can, compare this key with its owner's `keyway status` by another way");
    Ok(())
}

/// The argument itself, or the file that it names. Text that begins as a card does, and garbage in a file, are
/// told about as cards.
fn text(context: &Context<'_>, argument: &str) -> Result<String, Error> {
    // Where another process sent the command, that one looked whether there is such a file.
    let path = if context.is_served() { named(argument) } else { file_of(argument)? };
    let Some(path) = path else { return Ok(argument.to_owned()) };
    let text = String::from_utf8(context.read(path, files::CARD)?.to_vec());
    text.map_err(|_| keyway_node::NodeError::from(CardError::Prefix).into())
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
    let peers: Vec<CardJson> = party.peers().iter().map(CardJson::from).collect();
    if peers.is_empty() {
        ui.say("no peers yet: add a card with `keyway peer add`");
    }
    ui.data(&peers, |peers| {
        if peers.is_empty() {
            return String::new();
        }
        let rows: Vec<_> = peers.iter().map(CardJson::row).collect();
        table(&["peer", "key", "serial", "expires at block"], &rows, ui.width())
    })
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
