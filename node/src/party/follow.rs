//! Taking in what the ledger says, block by block.

use bitcoin::{OutPoint, Transaction, Txid};
use keyway_carriers::script::lock;
use keyway_chain::{BlockRef, Height};
use keyway_ledger::{Connected, Ledger, Next, Watch};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::Position;

use super::{Party, Synced};
use crate::error::NodeError;
use crate::history::{Block, Mined};
use crate::planted::{self, Bug};

/// Blocks that are stored together: a disk writes one step of the store as fast as one block.
const MOST_IN_A_STEP: usize = 64;

impl Party {
    /// Takes in what the ledger says, up to its tip and what is unmined there.
    pub(super) fn come_to_tip(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
    ) -> Result<Synced, NodeError> {
        self.check_chain(ledger)?;
        let mut synced = Synced::default();
        self.read_roster(&mut synced.events)?;
        let mut watch = self.watch();
        self.follow(ledger, &mut watch, progress, &mut synced)?;
        self.find_groups(ledger, progress)?;
        let pending = ledger.pending(&watch)?;
        self.history.set_pending(pending.into_iter().map(|hit| hit.tx).collect());
        Ok(synced)
    }

    /// Refuses a ledger of another chain.
    pub(super) fn check_chain(&self, ledger: &dyn Ledger) -> Result<(), NodeError> {
        let (home, shown) = (self.config.chain.id(), ledger.chain().id());
        if home == shown { Ok(()) } else { Err(NodeError::OtherChain { home, ledger: shown }) }
    }

    /// Takes in blocks, many in one step of the store: after a crash the next call goes on behind the last step.
    fn follow(
        &mut self,
        ledger: &dyn Ledger,
        watch: &mut Watch,
        progress: &mut dyn FnMut(Height),
        synced: &mut Synced,
    ) -> Result<(), NodeError> {
        let mut taken = Vec::new();
        loop {
            let last = taken.last().map_or(self.tip(), |(block, _): &(Block, _)| block.at);
            let next = ledger.next(last, watch);
            if !matches!(next, Ok(Next::Connect(_))) || taken.len() == MOST_IN_A_STEP {
                synced.connected += self.connect(std::mem::take(&mut taken))?;
            }
            match next? {
                Next::AtTip => return Ok(()),
                Next::Connect(connected) => match self.take_in(connected, watch) {
                    Some(block) => taken.push(block),
                    None => continue,
                },
                Next::Disconnect => {
                    self.disconnect(ledger, last)?;
                    // Coins that the block spent are unspent again.
                    *watch = self.watch();
                    synced.disconnected += 1;
                }
            }
            progress(taken.last().map_or(self.history.tip(), |(block, _)| block.at.height));
        }
    }

    /// What a block brings. `None` if it brought coins to watch that nobody could know of before, as when a copy of this
    /// home made an offer: then it is to be asked for again, for it may also hold what spends them.
    fn take_in(&self, connected: Connected, watch: &mut Watch) -> Option<(Block, Vec<Mined>)> {
        let Connected { at, header, hits } = connected;
        let place = |index| Position { height: at.height, index };
        let ours = hits.into_iter().filter(|hit| !self.is_strangers_group(watch, &hit.tx));
        let mined: Vec<Mined> =
            ours.map(|hit| Mined::new(hit.tx, place(hit.position), hit.input_zero)).collect();
        let news = mined.iter().filter(|mined| self.watch_tx(watch, &mined.tx, mined.txid)).count();
        (news == 0).then_some((Block { at, time: header.time }, mined))
    }

    fn connect(&mut self, taken: Vec<(Block, Vec<Mined>)>) -> Result<u32, NodeError> {
        if taken.is_empty() {
            return Ok(0);
        }
        self.store.step(|store| {
            taken.iter().try_for_each(|(block, mined)| {
                store.add_block(block)?;
                mined.iter().try_for_each(|mined| store.add_mined(mined))
            })
        })?;
        let mut connected = 0;
        for (block, mined) in taken {
            self.history.connect(block);
            mined.into_iter().for_each(|mined| self.history.add(mined));
            connected += 1;
        }
        Ok(connected)
    }

    fn disconnect(&mut self, ledger: &dyn Ledger, last: BlockRef) -> Result<(), NodeError> {
        let below = last.height.prev().ok_or_else(|| NodeError::OtherChain {
            home: self.config.chain.id(),
            ledger: ledger.chain().id(),
        })?;
        let birthday = match self.history.block(below) {
            Some(_) => None,
            None => Some(below_birthday(ledger, last, below)?),
        };
        self.store.step(|store| {
            store.remove_block(last.height)?;
            birthday.as_ref().map_or(Ok(()), |block| store.add_block(block))
        })?;
        self.history.disconnect(last.height);
        birthday.into_iter().for_each(|block| self.history.connect(block));
        Ok(())
    }

    /// Everything that this home must hear of.
    fn watch(&self) -> Watch {
        let mut watch = Watch::new();
        watch.add_script(self.key().script());
        self.watch_groups(&mut watch);
        for mined in self.history.in_order() {
            self.watch_tx(&mut watch, &mined.tx, mined.txid);
        }
        for sent in self.history.sent() {
            self.watch_tx(&mut watch, &sent.tx, sent.txid);
        }
        for record in self.records.values().filter(|record| self.history.spender(&record.input0).is_none()) {
            watch.add_outpoint(record.input0);
        }
        watch
    }

    /// Watches the unspent coins of this party in a transaction and, if it is the party's own, all its outputs:
    /// among them is the anchor, whose spending is the answer; of others', those that may be a lock or a liveness coin.
    /// Whether there is something among them, not this party's alone, that was not watched.
    fn watch_tx(&self, watch: &mut Watch, tx: &Transaction, txid: Txid) -> bool {
        let (own_key, own_script) = (self.key().to_bytes(), self.key().script());
        let own = tx.input.first().and_then(|input| input.witness.nth(1)) == Some(&own_key[..]);
        // An answer's liveness coin, and what a move makes of it, can be spent in the block that brings them.
        let may_create = tx.input.iter().any(|input| watch.has_outpoint(&input.previous_output));
        let mut news = false;
        for (vout, output) in (0u32..).zip(&tx.output) {
            let to_us = output.script_pubkey == own_script;
            let outpoint = OutPoint::new(txid, vout);
            // What a peer locked may go back to it: its spending is news for this party too.
            let may_be = lock::may_be(&output.script_pubkey);
            if (own || to_us || may_be) && self.history.spender(&outpoint).is_none() {
                news |= watch.add_outpoint(outpoint) && (own || (may_be && may_create)) && !to_us;
            }
        }
        news
    }
}

/// The block to go on from when the birthday itself leaves the chain: its parent, so that the home goes down to
/// where the branches part and misses nothing that the new one holds. A ledger that has forgotten the block does
/// not say where that is; then so far below that no reorganisation reached deeper.
fn below_birthday(ledger: &dyn Ledger, left: BlockRef, below: Height) -> Result<Block, NodeError> {
    const DEEPEST: u32 = 144;
    let parent = ledger.header(&left.hash)?.map(|header| BlockRef::new(below, header.prev_blockhash));
    let at = match parent {
        _ if planted::is(Bug::BirthdayOneBelow) => ledger.block_at(below)?.or(parent).unwrap_or(left),
        Some(parent) => parent,
        None => {
            let height = left.height.min(ledger.tip()?.height).minus(DEEPEST);
            let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
            ledger.block_at(height)?.unwrap_or(genesis)
        }
    };
    let time = ledger.header(&at.hash)?.map_or(0, |header| header.time);
    Ok(Block { at, time })
}
