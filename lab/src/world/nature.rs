//! What miners and the network do.

use bitcoin::FeeRate;
use keyway_chain::Height;

use super::World;
use crate::laws::Violation;
use crate::people::{BEDROCK, nobody};

const DEEPEST: u32 = 20;

impl World<'_> {
    pub(super) fn mine_all(&mut self, blocks: u32) {
        for _ in 0..blocks {
            self.sim.mine(&nobody(), &mut |_| true);
        }
    }

    /// A few blocks, whose miners may leave out what they like.
    pub(super) fn mine(&mut self) -> Result<(), Violation> {
        let blocks = if self.rng.u8(..4) == 0 { self.rng.u32(2..6) } else { 1 };
        let all = self.rng.u8(..5) != 0;
        for _ in 0..blocks {
            let rng = &mut self.rng;
            self.sim.mine(&nobody(), &mut |_| all || rng.bool());
        }
        let height = self.tip().height;
        self.tell(format!("{blocks} blocks mined, to {height}{}", if all { "" } else { ", some left out" }));
        Ok(())
    }

    /// Blocks leave; others may come.
    pub(super) fn reorganise(&mut self) -> Result<(), Violation> {
        let deepest = self.tip().height.to_u32().saturating_sub(BEDROCK).min(DEEPEST);
        if deepest == 0 {
            return Ok(());
        }
        let depth =
            if self.rng.u8(..4) == 0 { self.rng.u32(1..=deepest) } else { self.rng.u32(1..=3).min(deepest) };
        let kind = self.rng.u8(..4);
        match kind {
            0 => self.sim.roll_back(depth),
            1 => {
                self.sim.roll_back(depth);
                for _ in 0..=depth {
                    self.sim.mine(&nobody(), &mut |_| false);
                }
            }
            2 => {
                self.sim.roll_back(depth);
                for _ in 0..=depth {
                    let rng = &mut self.rng;
                    self.sim.mine(&nobody(), &mut |_| rng.u8(..3) == 0);
                }
            }
            _ => self.double_spend_in_another_branch(depth),
        }
        let height = self.tip().height;
        self.tell(format!("{depth} blocks leave, kind {kind}, the tip is {height}"));
        Ok(())
    }

    /// The attacker's payments of the blocks that leave come back to the attacker.
    fn double_spend_in_another_branch(&mut self, depth: u32) {
        let below = Height::new(self.tip().height.to_u32().saturating_sub(depth));
        let leaving = self.sim.mined_all().into_iter().filter(|(height, _)| *height > below);
        let forced = match &mut self.attacker {
            Some(attacker) => attacker.takes_back(self.room.people, &self.sim, leaving.map(|(_, tx)| tx)),
            None => Vec::new(),
        };
        self.sim.reorganise(depth, &nobody(), &forced);
        for _ in 0..depth {
            self.sim.mine(&nobody(), &mut |_| false);
        }
    }

    /// A mempool forgets.
    pub(super) fn evict(&mut self) -> Result<(), Violation> {
        if let Some(tx) = self.rng.choice(self.sim.unmined_all()) {
            let txid = tx.compute_txid();
            self.sim.evict(&txid);
            self.tell(format!("{txid} is evicted"));
        }
        Ok(())
    }

    /// Others pay more, or less again.
    pub(super) fn change_fees(&mut self) -> Result<(), Violation> {
        let rate = |sat: u32| FeeRate::from_sat_per_vb_u32(sat);
        let (floor, advice) = match self.rng.u8(..4) {
            0 => (1, 300),
            1 => (40, 60),
            2 => (5, 8),
            _ => (1, 1),
        };
        self.sim.set_fees(rate(floor), rate(advice));
        self.tell(format!("the mempool asks {floor}, {advice} is advised"));
        Ok(())
    }

    /// What was delayed arrives, or never will.
    pub(super) fn release(&mut self) -> Result<(), Violation> {
        let arrives = self.rng.u8(..3) != 0;
        for home in &self.homes {
            if arrives {
                home.link.release();
            } else {
                home.link.drop_delayed();
            }
        }
        self.tell(format!("what was delayed {}", if arrives { "arrives" } else { "is lost" }));
        Ok(())
    }
}
