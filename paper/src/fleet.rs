//! The same on a ledger: homes with stores and coins, whom their operator introduces, and real transactions.

use std::collections::HashSet;

use anyhow::{Context as _, Result, anyhow, ensure};
use bitcoin::Amount;
use keyway_ledger::{Embedded, Ledger};
use keyway_node::{Introductions, NegotiationView, Party, Roster};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::Role;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use tempfile::TempDir;

use crate::home::{mined_since, nobody, party, request};
use crate::random::Stream;

/// n parties, all with all.
#[derive(Clone, Copy, Debug)]
pub struct OnLedger {
    pub parties: usize,
    /// Keys in use on both sides, the same on both, all distinct.
    pub keys: usize,
    /// That the chain holds for it.
    pub transactions: usize,
    pub vbytes: u64,
    /// In satoshi.
    pub fees: u64,
}

/// Each newcomer pays all who are there.
pub fn walk(most: usize, stream: &mut Stream, tell: &mut dyn FnMut(&str)) -> Result<Vec<OnLedger>> {
    let dir = TempDir::new().context("no folder for a ledger")?;
    let ledger = Embedded::open(dir.path().join("ledger"))?;
    let mut operator = party(dir.path(), "operator", stream, &ledger, |_| ())?;
    let mut members = members(most, &mut operator, &ledger, dir.path(), stream)?;
    let start = ledger.tip()?;
    let mut found = Vec::new();
    for n in 2..=most {
        let (before, rest) = members.split_at_mut(n - 1);
        let newcomer = rest.first_mut().context("there are as many as were made")?;
        for member in before.iter() {
            newcomer.offer(&ledger, &request(member.name().as_str(), Suite::X25519, Carrier::Value))?;
        }
        // The offers' block; that of the answers, and one more for the depth at which keys are used.
        for blocks in [1, 2] {
            ledger.mine(blocks, &nobody())?;
            for member in before.iter_mut().chain([&mut *newcomer]) {
                member.sync(&ledger, &mut |_| ())?;
            }
        }
        let now = members.get(..n).context("there are as many as were made")?;
        found.push(count(now, &ledger, start)?);
        if n % 5 == 0 {
            tell(&format!("  {n} parties on a ledger"));
        }
    }
    Ok(found)
}

/// Homes with a coin for each of the others, which know their operator's card and its roster.
fn members(
    most: usize,
    operator: &mut Party,
    ledger: &Embedded,
    dir: &std::path::Path,
    stream: &mut Stream,
) -> Result<Vec<Party>> {
    let introductions = Introductions {
        accept_by: vec!["operator".parse().map_err(|error| anyhow!("{error}"))?],
        roster: None,
    };
    let mut members = Vec::new();
    let mut roster = String::new();
    for n in 1..=most {
        let name = format!("vehicle-{n:02}");
        let member =
            party(dir, &name, stream, ledger, |config| config.introductions = introductions.clone())?;
        let word = operator.introduce(member.card().permanent(), None)?;
        roster += &format!("{word}\n{}\n", member.card());
        ledger.mine(most.max(4) as u32, &member.key().script())?;
        members.push(member);
    }
    ledger.mine(100, &nobody())?;
    for member in &mut members {
        member.add_peer(operator.card().clone())?;
        let imported = member.import(Roster::parse(&roster))?;
        ensure!(imported.cards + 1 == most, "{} of {most} cards were taken", imported.cards);
        member.sync(ledger, &mut |_| ())?;
    }
    Ok(members)
}

fn count(members: &[Party], ledger: &Embedded, start: keyway_chain::BlockRef) -> Result<OnLedger> {
    let mut views: Vec<NegotiationView> = Vec::new();
    for member in members {
        views.extend(member.negotiations()?);
    }
    let of = |role| views.iter().filter(move |view| view.role == role && view.state == State::Active);
    let theirs: HashSet<_> =
        of(Role::Responder).filter_map(|view| Some((view.id, view.fingerprint?))).collect();
    let same = of(Role::Initiator).filter_map(|view| Some((view.id, view.fingerprint?)));
    let keys: HashSet<_> =
        same.filter(|key| theirs.contains(key)).map(|(_, fingerprint)| fingerprint).collect();
    // Each transaction's fee is told by the side that paid it.
    let offers = of(Role::Initiator).filter_map(|view| view.offer.as_ref()?.costs.fee);
    let answers = of(Role::Responder).filter_map(|view| view.answer.as_ref()?.costs.fee);
    let fees: Amount = offers.chain(answers).sum();
    let mined = mined_since(ledger, start)?;
    Ok(OnLedger {
        parties: members.len(),
        keys: keys.len(),
        transactions: mined.len(),
        vbytes: mined.iter().map(|tx| tx.vsize() as u64).sum(),
        fees: fees.to_sat(),
    })
}
