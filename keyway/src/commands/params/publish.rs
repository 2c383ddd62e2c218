//! `keyway params publish`: once, or as the paper's Algorithm 1, again and again.

use std::time::{Duration, Instant};

use keyway_chain::Height;
use keyway_node::{GroupSent, Party};
use keyway_protocol::suite::Numbers;
use serde::Serialize;

use super::generate::found;
use super::{GroupJson, parse, short};
use crate::cli::params::{Every, ParamsPublish};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::render::negotiation::{costs, ends};
use crate::ui::Ui;
use crate::{files, ledger, progress};

/// Between two looks at the chain.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct PublishedJson {
    txid: String,
    vbytes: u64,
    fee_sat: u64,
    #[serde(flatten)]
    group: GroupJson,
}

/// `keyway params publish`
///
/// # Errors
/// The group's, the ledger's and the home's.
pub fn publish(context: &mut Context<'_>, args: &ParamsPublish, ui: &Ui) -> Result<(), Error> {
    if let Some(path) = &args.group {
        let numbers = parse(path, &context.read(path, files::GROUP)?)?;
        let (party, ledger) = context.party_and_ledger()?;
        progress::sync(ui, party, ledger)?;
        return tell(&party.publish(ledger, &numbers)?, &numbers, ui);
    }
    // A search takes minutes, and who serves others does not search.
    if context.is_served() {
        return Err(Error::NotServed);
    }
    match args.every {
        None => once(context.party()?, args.bits, ui),
        Some(every) => again_and_again(context.party()?, args.bits, every, ui),
    }
}

fn once(party: &mut Party, bits: u32, ui: &Ui) -> Result<(), Error> {
    let (numbers, _) = found(bits, ui)?;
    let ledger = ledger::open(party.config())?;
    progress::sync(ui, party, &*ledger)?;
    tell(&party.publish(&*ledger, &numbers)?, &numbers, ui)
}

/// The ledger is held only while it is asked: on the embedded one somebody else must mine.
fn again_and_again(party: &mut Party, bits: u32, every: Every, ui: &Ui) -> Result<(), Error> {
    let mut last = Last::default();
    let mut hindered = String::new();
    loop {
        match round(party, bits, every, &mut last, ui) {
            Ok(()) => hindered.clear(),
            Err(error) if matches!(error.kind(), Kind::Ledger | Kind::NotYet) => {
                let what = error.parts().what;
                if what != hindered {
                    ui.say(&format!("  {what}; trying again"));
                    hindered = what;
                }
            }
            Err(error) => return Err(error),
        }
        std::thread::sleep(PAUSE);
    }
}

/// When this process published last.
#[derive(Default)]
struct Last {
    height: Option<Height>,
    at: Option<Instant>,
}

fn round(party: &mut Party, bits: u32, every: Every, last: &mut Last, ui: &Ui) -> Result<(), Error> {
    let due = {
        let ledger = ledger::open(party.config())?;
        progress::sync(ui, party, &*ledger)?;
        is_due(party, every, last)
    };
    if !due {
        return Ok(());
    }
    let (numbers, _) = found(bits, ui)?;
    let ledger = ledger::open(party.config())?;
    progress::sync(ui, party, &*ledger)?;
    let sent = party.publish(&*ledger, &numbers)?;
    *last = Last { height: Some(party.tip().height), at: Some(Instant::now()) };
    tell(&sent, &numbers, ui)
}

/// Counted from the last one on the chain, also after a new start.
fn is_due(party: &Party, every: Every, last: &Last) -> bool {
    let mine = party.published_groups().into_iter().rfind(|group| group.publisher == party.key());
    let (tip, mined) = (party.tip().height, mine.map(|group| group.block));
    match every {
        Every::Blocks(blocks) => {
            let from = mined.map(|block| block.at.height).max(last.height);
            from.is_none_or(|from| tip.to_u32().saturating_sub(from.to_u32()) >= blocks)
        }
        Every::Time(time) => {
            let since_mined = mined.map(|block| crate::render::time::since(block.time));
            let since = [since_mined, last.at.map(|at| at.elapsed())].into_iter().flatten().min();
            since.is_none_or(|since| since >= time)
        }
    }
}

fn tell(sent: &GroupSent, numbers: &Numbers, ui: &Ui) -> Result<(), Error> {
    let json = PublishedJson {
        txid: sent.txid.to_string(),
        vbytes: sent.vbytes,
        fee_sat: sent.fee.to_sat(),
        group: numbers.into(),
    };
    ui.data(&json, |json| {
        let spent = costs(keyway_node::Costs { vbytes: sent.vbytes, fee: Some(sent.fee) });
        format!("group  {}  {} bits in {}\n  {spent}", short(numbers), json.group.bits, ends(sent.txid))
    })?;
    ui.say(&format!("  sent; offers may name it as --published {} when it has 6 confirmations", first(sent)));
    Ok(())
}

fn first(sent: &GroupSent) -> String {
    sent.txid.to_string().chars().take(8).collect()
}
