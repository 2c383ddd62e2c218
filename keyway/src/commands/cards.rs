//! `card` and `peer`.

use std::path::Path;

use keyway_protocol::card::{Card, CardError};
use serde::Serialize;

use crate::cli::{CardArgs, Global, PeerAdd, PeerRemove};
use crate::error::Error;
use crate::files;
use crate::render::json::CardJson;
use crate::render::layout::table;
use crate::ui::Ui;
use crate::unlock;

/// `keyway card`
pub fn card(global: &Global, args: &CardArgs, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct OwnCard {
        #[serde(flatten)]
        fields: CardJson,
        card: String,
    }
    let mut party = unlock::party(global, ui)?;
    if args.renew {
        party.renew_card()?;
    }
    let card = party.card();
    let json = OwnCard { fields: CardJson::from(card), card: card.to_string() };
    ui.data(&json, |json| json.card.clone())
}

/// `keyway peer add`
pub fn add(global: &Global, args: &PeerAdd, ui: &Ui) -> Result<(), Error> {
    let card: Card = text(&args.card)?.parse().map_err(keyway_node::NodeError::from)?;
    let mut party = unlock::party(global, ui)?;
    let json = CardJson::from(&card);
    party.add_peer(card)?;
    ui.data(&json, |json| format!("{}  {}", json.name(), json.key()))?;
    ui.say("  accepted; if you can, compare this key with its owner's `keyway status` by another way");
    Ok(())
}

/// The argument itself, or the file that it names. Text that begins as a card does, and garbage in a file, are
/// told about as cards.
fn text(argument: &str) -> Result<String, Error> {
    if argument.trim_start().starts_with("keyway-card:") {
        return Ok(argument.to_owned());
    }
    if argument != "-" && !Path::new(argument).exists() {
        return Err(Error::NeitherCardNorFile(argument.to_owned()));
    }
    let bytes = files::read(Path::new(argument), files::CARD)?;
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| keyway_node::NodeError::from(CardError::Prefix).into())
}

/// `keyway peer list`
pub fn list(global: &Global, ui: &Ui) -> Result<(), Error> {
    let party = unlock::party(global, ui)?;
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
pub fn remove(global: &Global, args: &PeerRemove, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Removed {
        name: String,
        key: String,
    }
    let mut party = unlock::party(global, ui)?;
    let card = party.remove_peer(&args.name, args.force)?;
    let permanent = card.permanent();
    let json = Removed { name: permanent.name.to_string(), key: permanent.key.to_string() };
    ui.data(&json, |json| format!("{}  {}", json.name, json.key))?;
    ui.say("  removed");
    Ok(())
}
