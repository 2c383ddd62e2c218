//! `keyway params list`, and looking for one of them.

use keyway_chain::{BlockRef, Height};
use keyway_ledger::Ledger;
use keyway_node::{Marked, Party, marked_groups};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::suite::{Numbers, Suite};
use serde::Serialize;

use bitcoin::hex::DisplayHex;

use crate::amount::grouped;
use crate::cli::params::ParamsList;
use crate::context::Context;
use crate::error::Error;
use crate::progress;
use crate::render::layout::table;
use crate::render::negotiation::ends;
use crate::render::time::date_and_time;
use crate::ui::Ui;

#[derive(Serialize)]
struct Listed {
    txid: String,
    height: u32,
    time: u32,
    publisher: Option<String>,
    name: Option<String>,
    used: bool,
    bits: Option<u32>,
    digest: Option<String>,
    sound: bool,
    why: Option<String>,
}

/// `keyway params list`
///
/// # Errors
/// The ledger's and the home's.
pub fn list(context: &mut Context<'_>, args: &ParamsList, ui: &Ui) -> Result<(), Error> {
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let marked = marks(ledger, args.blocks, ui)?;
    let used: Vec<_> = party.published_groups().into_iter().map(|group| group.txid).collect();
    let bar = progress::bar(ui, "checking", "groups", marked.len() as u64);
    let listed: Vec<Listed> = marked
        .iter()
        .map(|marked| {
            let listed = listed(party, marked, used.contains(&marked.txid));
            bar.advance(1);
            listed
        })
        .collect();
    drop(bar);
    if listed.is_empty() {
        ui.say(&format!("no group was published in the last {} blocks", grouped(args.blocks)));
    }
    ui.data(&listed, |listed| {
        if listed.is_empty() {
            return String::new();
        }
        let rows: Vec<_> = listed.iter().map(row).collect();
        table(&["transaction", "block", "time", "publisher", "bits", "may be used"], &rows, ui.width())
    })
}

/// The numbers of the one whose transaction's id begins so.
///
/// # Errors
/// [`Error::NoSuchGroup`]; the ledger's.
pub fn find(context: &mut Context<'_>, prefix: &str, ui: &Ui) -> Result<Numbers, Error> {
    let (party, ledger) = context.party_and_ledger()?;
    progress::sync(ui, party, ledger)?;
    let no_group = |why: String| Error::NoSuchGroup { prefix: prefix.to_owned(), why };
    let mut found =
        marks(ledger, u32::MAX, ui)?.into_iter().filter(|it| it.txid.to_string().starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(marked), None) => marked.group.map(|(_, numbers)| numbers).map_err(no_group),
        (Some(_), Some(_)) => Err(no_group("several transactions begin so".to_owned())),
        (None, _) => Err(no_group("no transaction of the chain with a group's mark begins so".to_owned())),
    }
}

fn marks(ledger: &dyn Ledger, blocks: u32, ui: &Ui) -> Result<Vec<Marked>, Error> {
    let tip = ledger.tip()?.height.to_u32();
    let height = Height::new(tip.saturating_sub(blocks));
    let after = match ledger.block_at(height)? {
        Some(block) => block,
        None => BlockRef::new(Height::GENESIS, ledger.chain().genesis()),
    };
    let bar =
        progress::bar(ui, "looking for groups", "blocks", u64::from(tip.saturating_sub(height.to_u32())));
    let mut found = Vec::new();
    marked_groups(ledger, after, &mut |_| bar.advance(1), &mut |marked| found.push(marked))?;
    Ok(found)
}

fn listed(party: &Party, marked: &Marked, used: bool) -> Listed {
    let (group, why) = match &marked.group {
        Ok((publisher, numbers)) => (
            Some((*publisher, numbers)),
            numbers.check(Suite::FfdhPublished).err().map(|bad| bad.to_string()),
        ),
        Err(why) => (None, Some(why.clone())),
    };
    Listed {
        txid: marked.txid.to_string(),
        height: marked.block.at.height.to_u32(),
        time: marked.block.time,
        publisher: group.map(|(publisher, _)| publisher.to_string()),
        name: group.and_then(|(publisher, _)| name(party, publisher)),
        used,
        bits: group.map(|(_, numbers)| numbers.bits()),
        digest: group.map(|(_, numbers)| numbers.digest().to_lower_hex_string()),
        sound: why.is_none(),
        why,
    }
}

fn name(party: &Party, key: PartyKey) -> Option<String> {
    let own = (key == party.key()).then(|| party.name().to_string());
    let peer = || {
        party
            .peers()
            .iter()
            .find(|card| card.permanent().key == key)
            .map(|card| card.permanent().name.to_string())
    };
    own.or_else(peer)
}

fn row(listed: &Listed) -> Vec<String> {
    let publisher = listed.name.clone().or(listed.publisher.as_ref().map(ends));
    let may = match (&listed.why, listed.used) {
        (Some(why), _) => format!("no: {why}"),
        (None, true) => "yes".to_owned(),
        (None, false) => "sound, and its publisher is not in policy.groups_from".to_owned(),
    };
    vec![
        listed.txid.chars().take(8).collect(),
        grouped(listed.height),
        date_and_time(listed.time),
        publisher.unwrap_or_else(|| "—".to_owned()),
        listed.bits.map_or_else(|| "—".to_owned(), |bits| bits.to_string()),
        may,
    ]
}
