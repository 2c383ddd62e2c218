//! `init` of a home that was lost.

use std::path::Path;

use keyway_chain::{BlockRef, Height};
use keyway_ledger::{Ledger, LedgerError, Watch};
use keyway_node::{Backup, Block, CONFIG_FILE, Config, Party, RestoreError, Unread};
use serde::Serialize;

use crate::amount::counted;
use crate::cli::Init;
use crate::error::Error;
use crate::files;
use crate::render::layout::hanging;
use crate::ui::Ui;

/// A birthday that has left the chain since is so far above where the branches part, at most.
const DEEPEST: u32 = 144;

/// What a restore found, and what it could not read.
#[derive(Serialize)]
pub struct Restored {
    negotiations: usize,
    unread_payments: usize,
    unread_offers: usize,
}

/// The backup that the options name.
///
/// # Errors
/// It cannot be read, or is none.
pub fn backup(args: &Init) -> Result<Option<Backup>, Error> {
    let Some(path) = &args.backup else { return Ok(None) };
    let bytes = files::read(path, files::BACKUP)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.parse::<Backup>().map_err(RestoreError::Backup)?))
}

/// The configuration of the lost home, over the ledger that is named now, if one is.
///
/// # Errors
/// [`NodeError::Config`](keyway_node::NodeError::Config).
pub fn config(backup: &Backup, home: &Path, named: Option<Config>) -> Result<Config, Error> {
    let lost = Config::parse(backup.config(), &home.join(CONFIG_FILE))?;
    Ok(match named {
        Some(Config { chain, ledger, .. }) => Config { chain, ledger, ..lost },
        None => lost,
    })
}

/// The block to follow the chain from.
///
/// # Errors
/// [`Error::BirthdayAhead`], [`Error::BirthdayPruned`].
pub fn birthday(args: &Init, backup: Option<&Backup>, ledger: &dyn Ledger) -> Result<Block, Error> {
    let named = backup.filter(|_| args.birthday.is_none()).map(Backup::birthday);
    let asked = args.birthday.map(Height::new).or(named.map(|block| block.height));
    let height = asked.unwrap_or(Height::GENESIS);
    let tip = ledger.tip()?.height;
    let found = ledger.block_at(height)?;
    let ahead = || Error::BirthdayAhead { birthday: height.to_u32(), tip: tip.to_u32() };
    let at = match (found, named) {
        (Some(found), Some(named)) if found.hash == named.hash => found,
        (_, Some(_)) => ledger.block_at(height.min(tip).minus(DEEPEST))?.ok_or_else(ahead)?,
        (found, None) => found.ok_or_else(ahead)?,
    };
    check_there(ledger, at, tip)?;
    let time = ledger.header(&at.hash)?.map_or(0, |header| header.time);
    Ok(Block { at, time })
}

/// Refuses to begin where the ledger has forgotten what comes next, and says where it could begin.
fn check_there(ledger: &dyn Ledger, at: BlockRef, tip: Height) -> Result<(), Error> {
    let is_there = |at: BlockRef| match ledger.next(at, &Watch::new()) {
        Ok(_) => Ok(true),
        Err(LedgerError::Pruned { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    if is_there(at)? {
        return Ok(());
    }
    let (mut gone, mut there) = (at.height.to_u32(), tip.to_u32());
    while there - gone > 1 {
        let middle = gone + (there - gone) / 2;
        let block = ledger.block_at(Height::new(middle))?;
        if block.map_or(Ok(true), is_there)? { there = middle } else { gone = middle }
    }
    Err(Error::BirthdayPruned { birthday: at.height.to_u32(), first: there })
}

/// What was found.
///
/// # Errors
/// If the store fails.
pub fn found(party: &Party) -> Result<Restored, Error> {
    let Unread { own, strangers } = party.unread();
    Ok(Restored { negotiations: party.negotiations()?.len(), unread_payments: own, unread_offers: strangers })
}

impl Restored {
    /// For people.
    pub fn text(&self) -> String {
        counted(self.negotiations, "negotiation")
    }

    /// What to do next.
    pub fn advise(&self, has_backup: bool, ui: &Ui) {
        let say = |text: &str| ui.say(&hanging("  ", text, ui.width()));
        say(
            "end the lost home if it still runs: two of one party answer the same offers, and one has the key",
        );
        if self.unread_payments + self.unread_offers > 0 {
            let payments = counted(self.unread_payments, "payment");
            let offers = counted(self.unread_offers, "offer");
            say(&format!("{payments} and {offers} wait for cards: `keyway peer add`, then `keyway sync`"));
        }
        if !has_backup {
            say("give the peers the new card: `keyway card`");
        }
        say("nothing was sent yet: `keyway sync` goes on with what was open");
    }
}
