//! How a schedule ends: everything works again, and comes to rest.

use bitcoin::FeeRate;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_node::Carriage;

use super::World;
use super::home::Home;
use super::trouble::Trouble;
use crate::disk::End;
use crate::laws::{self, Law, Violation};
use crate::people::NAMES;

/// Enough blocks for a chain of offers, answers and depths to run through, and for payments to go back.
const ROUNDS: u32 = 36;

impl World<'_> {
    /// Disk, network and people work again. Blocks come until nothing is under way any more; then the laws of the
    /// end hold.
    pub(super) fn come_to_rest(&mut self) -> Result<(), Violation> {
        self.tell("everything works again".to_owned());
        self.attacker = None;
        self.sim.set_fees(FeeRate::ZERO, FeeRate::ZERO);
        for home in &mut self.homes {
            home.silent = false;
            home.link.release();
        }
        self.refused.clear();
        for tx in std::mem::take(&mut self.payments) {
            let _ = self.sim.broadcast(&tx);
        }
        // A chain that became shorter grows again: locks by height open.
        let height = self.tip().height;
        self.mine_all(self.highest.max(height).to_u32() - height.to_u32());
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            let under_way = !self.sim.unmined_all().is_empty();
            // When nothing waits to be mined, as many blocks as the most careful policy waits for.
            self.mine_all(if under_way { 1 } else { 6 });
            let mut happened = 0;
            for index in 0..self.homes.len() {
                let told = self.story.len();
                let done = self.sync(index, Trouble::NONE)?;
                let lines = self.story.iter().skip(told);
                // The first line tells that it was done, and a refusal comes again and again.
                let again = |line: &&String| line.contains("Refused") || line.contains("NotAnswered");
                happened += lines.skip(1).filter(|line| !again(line)).count();
                Law::Sound.holds(done, || format!("home {index} does not synchronise although all works"))?;
            }
            quiet = if happened == 0 && self.sim.unmined_all().is_empty() { quiet + 1 } else { 0 };
            if quiet == 2 && self.outlive_locks() {
                quiet = 0;
            } else if quiet == 2 {
                laws::at_rest(self)?;
                return self.last_words();
            }
        }
        Err(Law::TheTable.broken("it never comes to rest"))
    }

    /// Blocks until every payment that is still locked can go back. `false` if none is.
    fn outlive_locks(&mut self) -> bool {
        let views = self.homes.iter().flat_map(|home| &home.seen.views);
        let timeouts = views.filter_map(|view| match view.offer.as_ref()?.carriage {
            Carriage::Locked { timeout, .. } if !view.state.opens() => timeout,
            _ => None,
        });
        let (last, tip) = (timeouts.max().unwrap_or(Height::GENESIS), self.tip().height);
        self.mine_all(last.to_u32().saturating_sub(tip.to_u32()));
        last > tip
    }

    /// One home with an active key uses it, starts again, and uses it again.
    fn last_words(&mut self) -> Result<(), Violation> {
        let speaker = |(index, home): (usize, &Home)| {
            let active = home.seen.views.iter().find(|view| view.state.seals())?;
            Some((index, *NAMES.iter().find(|name| **name == active.peer)?))
        };
        let speakers: Vec<(usize, &'static str)> =
            self.homes.iter().enumerate().filter_map(speaker).collect();
        let Some((index, peer)) = self.rng.choice(speakers) else { return Ok(()) };
        self.send_to(index, peer, Trouble::NONE)?;
        if let Some(home) = self.homes.get_mut(index) {
            home.party = None;
        }
        self.start_again(index, End::Killed)?;
        self.sync(index, Trouble::NONE)?;
        self.send_to(index, peer, Trouble::NONE)
    }
}
