//! A home read again: from its disk, and from the chain.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, FeeRate, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Coin, Hit, Ledger, LedgerError, Next, RefusalKind, Watch};
use keyway_node::{Life, NodeError, Party};
use keyway_protocol::state::State;

use super::{Law, Violation, shown, sound};
use crate::disk::Disk;
use crate::people::BEDROCK;
use crate::room::Which;
use crate::world::{Home, World};

/// [`Law::MemoryIsDisk`]: a home opened from the same disk knows the same. What the ledger showed of unmined
/// transactions is nowhere stored, so that is left out.
///
/// # Errors
/// The violation.
pub fn memory_follows_disk(world: &World<'_>, home: &Home) -> Result<(), Violation> {
    let Some(party) = &home.party else { return Ok(()) };
    let again = open_copy(world, home)?;
    let [live, stored] = [party, &again].map(stored_part);
    let (live, stored) = (sound(home.name(), live)?, sound(home.name(), stored)?);
    Law::MemoryIsDisk.holds(live == stored, || format!("{}: memory\n{live}\ndisk\n{stored}", home.name()))
}

fn stored_part(party: &Party) -> Result<String, NodeError> {
    let mut lines = vec![format!("{:?} {}", party.tip(), party.card().renewable().serial)];
    lines.extend(
        party.peers().iter().map(|peer| format!("{} {}", peer.permanent().name, peer.renewable().serial)),
    );
    for mut view in party.negotiations()? {
        // What it waits for depends on what the ledger showed.
        view.waiting = None;
        if let Some(coin) = &mut view.coin
            && matches!(coin.life, Life::Moving(_) | Life::Ending(_))
        {
            coin.life = Life::Alive;
        }
        let unmined = view.answer.as_ref().is_some_and(|answer| answer.block.is_none());
        if view.state == State::Answered || unmined {
            (view.state, view.answer, view.fingerprint) = (State::Offered, None, None);
            view.confirmed = false;
        }
        if view.offer.as_ref().is_some_and(|offer| offer.block.is_none()) {
            view.offer = None;
        }
        lines.push(format!("{view:?}"));
    }
    Ok(lines.join("\n"))
}

/// [`Law::FromScratch`]: a copy of the home that goes back to the bedrock and reads the chain again knows the same.
///
/// # Errors
/// The violation.
pub fn from_scratch(world: &World<'_>, home: &Home) -> Result<(), Violation> {
    let Some(party) = home.party.as_ref().filter(|_| home.seen.complete) else { return Ok(()) };
    let mut again = open_copy(world, home)?;
    for top in [Some(Height::new(BEDROCK)), None] {
        let view = Observed { ledger: &home.link, top };
        sound(home.name(), again.sync(&view, &mut |_| ()))?;
    }
    let [live, fresh] = [party, &again].map(shown);
    let (live, fresh) = (sound(home.name(), live)?, sound(home.name(), fresh)?);
    Law::FromScratch.holds(live == fresh, || format!("{}: live\n{live}\nfresh\n{fresh}", home.name()))
}

fn open_copy(world: &World<'_>, home: &Home) -> Result<Party, Violation> {
    let folder = world.room.folder(home.person, Which::Scratch);
    let disk = Disk::with(home.disk.contents(), Arc::default());
    world.room.mount(&folder, Arc::new(disk));
    sound(home.name(), world.room.open(&folder, &world.scratch_random))
}

/// A ledger that is only looked at: nothing is sent, and blocks above `top` are not shown.
struct Observed<'a> {
    ledger: &'a dyn Ledger,
    top: Option<Height>,
}

impl Observed<'_> {
    fn shows(&self, height: Height) -> bool {
        self.top.is_none_or(|top| height <= top)
    }
}

impl Ledger for Observed<'_> {
    fn chain(&self) -> &Chain {
        self.ledger.chain()
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        let tip = self.ledger.tip()?;
        let top = self.top.filter(|top| *top < tip.height);
        Ok(top.map(|top| self.ledger.block_at(top)).transpose()?.flatten().unwrap_or(tip))
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        if !self.shows(after.height) {
            return Ok(Next::Disconnect);
        }
        match self.ledger.next(after, watch)? {
            Next::Connect(block) if !self.shows(block.at.height) => Ok(Next::AtTip),
            next => Ok(next),
        }
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        if self.shows(height) { self.ledger.block_at(height) } else { Ok(None) }
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        self.ledger.header(hash)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        self.ledger.coin(outpoint)
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        match self.ledger.check(tx) {
            // As the real one would refuse it.
            Err(BroadcastError::Refused(refused))
                if self.top.is_none() && refused.kind() != RefusalKind::Known =>
            {
                Err(refused.into())
            }
            _ => Ok(tx.compute_txid()),
        }
    }

    fn check(&self, _: &Transaction) -> Result<(), BroadcastError> {
        Ok(())
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        if self.top.is_some() { Ok(Vec::new()) } else { self.ledger.pending(watch) }
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        self.ledger.unmined(txid)
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        self.ledger.feerate()
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        self.ledger.most_data()
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        self.ledger.wait(seen, at_most)
    }
}
