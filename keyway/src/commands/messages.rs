//! `seal` and `open`.

use bitcoin::hex::DisplayHex;
use keyway_node::{NodeError, Opened, SessionError as E};
use keyway_protocol::ratchet::NoSession;
use keyway_protocol::sealing::{Sealed, SealedError};
use serde::Serialize;

use crate::amount::grouped;
use crate::cli::{Open, Seal};
use crate::context::Context;
use crate::error::Error;
use crate::render::negotiation::short;
use crate::ui::Ui;
use crate::{files, progress};

/// The first byte of a tagged COSE_Encrypt0; no text begins with it.
const COSE_TAG_16: u8 = 0xd0;

/// `keyway seal`
pub fn seal(context: &mut Context<'_>, args: &Seal, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct SealedJson {
        negotiation: String,
        height: u32,
        block: String,
        sealed: String,
    }
    // Opened first: nobody should type a message that then cannot be sealed.
    context.party()?;
    let plaintext = context.read(&args.file, files::MESSAGE)?;
    let message = context.party()?.seal(&args.whom, &plaintext, args.aad.as_bytes())?;
    if args.binary && !ui.json() {
        ui.bytes(message.sealed.as_bytes())?;
    } else {
        let json = SealedJson {
            negotiation: message.negotiation.to_string(),
            height: message.block.height.to_u32(),
            block: message.block.hash.to_string(),
            sealed: message.sealed.to_string(),
        };
        ui.data(&json, |json| json.sealed.clone())?;
    }
    let (height, id) = (grouped(message.block.height), short(&message.negotiation));
    ui.say(&format!("  sealed under the key of block {height} in negotiation {id}"));
    Ok(())
}

/// `keyway open`
pub fn open(context: &mut Context<'_>, args: &Open, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct OpenedJson {
        negotiation: String,
        peer: String,
        height: u32,
        block: String,
        confirms: bool,
        text: Option<String>,
        hex: String,
    }
    let sealed = parse(&context.read(&args.file, files::SEALED)?)?;
    let opened = open_or_follow(context, &sealed, args, ui)?;
    if ui.json() {
        let json = OpenedJson {
            negotiation: opened.negotiation.to_string(),
            peer: opened.peer.clone(),
            height: opened.block.height.to_u32(),
            block: opened.block.hash.to_string(),
            confirms: opened.confirms,
            text: String::from_utf8(opened.plaintext.to_vec()).ok(),
            hex: opened.plaintext.to_lower_hex_string(),
        };
        return ui.data(&json, |_| String::new());
    }
    ui.bytes(&opened.plaintext)?;
    let confirms = if opened.confirms { "; it confirms the key" } else { "" };
    ui.say(&format!(
        "  from {}, under the key of block {}{confirms}",
        opened.peer,
        grouped(opened.block.height)
    ));
    Ok(())
}

/// A message of a block, or a key, that is news to this home is tried again after following the chain.
fn open_or_follow(context: &mut Context<'_>, sealed: &Sealed, args: &Open, ui: &Ui) -> Result<Opened, Error> {
    let aad = args.aad.as_bytes();
    match context.party()?.open_sealed(sealed, aad, args.again) {
        Err(NodeError::Session(
            E::NoSession(NoSession::Unknown { .. } | NoSession::OtherBranch(_))
            | E::NotForUs(_)
            | E::KeyUnusable { .. },
        )) => {
            let (party, ledger) = context.party_and_ledger()?;
            progress::sync(ui, party, ledger)?;
            Ok(party.open_sealed(sealed, aad, args.again)?)
        }
        opened => Ok(opened?),
    }
}

/// A sealed message, text or binary.
pub(super) fn parse(bytes: &[u8]) -> Result<Sealed, Error> {
    let sealed = match bytes.first() {
        Some(&COSE_TAG_16) => Sealed::from_bytes(bytes),
        _ => std::str::from_utf8(bytes).map_err(|_| SealedError::Prefix).and_then(str::parse),
    };
    Ok(sealed.map_err(E::Sealed)?)
}
