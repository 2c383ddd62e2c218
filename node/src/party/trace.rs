//! Whom the chain shows to have negotiated: from what this home followed, or by a scan (PROTOCOL.md 13.1).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bitcoin::OutPoint;
use keyway_carriers::script::lock;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_evidence::trace::{Clock, Mined, Trace, Traced};
use keyway_evidence::{LEAD, Placed};
use keyway_ledger::{Connected, Hit, Ledger, LedgerError, Next, Watch};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{Fingerprint, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{ANSWER_WINDOW, State};
use keyway_protocol::suite::Suite;

use super::{Party, UsedGroup};
use crate::error::NodeError;
use crate::history;

/// Blocks that can leave the chain during a walk before it begins again.
const REORGANISED: usize = 1_000;

/// A negotiation of this home: what everybody sees, and what only its secrets tell.
#[derive(Clone, Debug)]
pub struct TraceView {
    /// What everybody sees.
    pub traced: Traced,
    /// What only this home knows.
    pub own: Option<OwnView>,
}

/// What only a party of the negotiation knows.
#[derive(Clone, Debug)]
pub struct OwnView {
    /// Which side this home is.
    pub role: Role,
    /// Where it stands by the policy, and with the tag checked.
    pub state: State,
    /// The suite, also where the messages are sealed.
    pub suite: Suite,
    /// The group that its offer brings or names.
    pub group: Option<UsedGroup>,
    /// What may be shown of the key.
    pub fingerprint: Option<Fingerprint>,
    /// Whether the peer has shown that it has the key.
    pub confirmed: bool,
    /// Whether this home has revoked the peer.
    pub revoked: bool,
}

impl Party {
    /// This party's negotiations, with everybody or with one, in the order of their offers, as far as this home followed
    /// the chain.
    ///
    /// # Errors
    /// If the store fails.
    pub fn trace(&self, with: Option<PartyKey>) -> Result<Vec<TraceView>, NodeError> {
        self.certain()?;
        let txs: Vec<Mined> = self.history.in_order().filter_map(|mined| self.placed(mined)).collect();
        let known = self.peers().iter().map(|card| card.permanent().key);
        let others: BTreeSet<PartyKey> = match with {
            Some(key) => BTreeSet::from([key]),
            None => known.chain(self.records.values().map(|record| record.peer)).collect(),
        };
        let tip = self.history.tip();
        let between = |other| Trace::new(&self.config.chain, [self.key(), other], &txs).negotiations(tip);
        let mut found: Vec<Traced> = others.into_iter().flat_map(between).collect();
        found.sort_by_key(|traced| (traced.offer.block.height, traced.offer.index));
        let views = self.negotiations()?;
        Ok(found
            .into_iter()
            .map(|traced| {
                let view = views.iter().find(|view| view.id == traced.negotiation);
                let own = view.map(|view| OwnView {
                    role: view.role,
                    state: view.state,
                    suite: view.suite,
                    group: view.group,
                    fingerprint: view.fingerprint,
                    confirmed: view.confirmed,
                    revoked: self.has_revoked(&traced),
                });
                TraceView { traced, own }
            })
            .collect())
    }

    /// The height from which on this home followed the chain.
    pub fn birthday_height(&self) -> Height {
        self.history.first().map_or(Height::GENESIS, |block| block.at.height)
    }

    fn has_revoked(&self, traced: &Traced) -> bool {
        let (author, recipient) = (traced.seen.author(), traced.seen.recipient());
        let peer = if author == self.key() { recipient } else { author };
        self.peers.mark(peer).revoked
    }

    fn placed(&self, mined: &history::Mined) -> Option<Mined> {
        let block = self.history.block(mined.at.height)?;
        let placed = Placed {
            txid: mined.txid,
            block: block.at,
            index: mined.at.index,
            time: block.time,
            median_time: self.median_time(block.at.height),
        };
        let input0 = self.reader().input0_amount(mined);
        Some(Mined { tx: Arc::clone(&mined.tx), placed, input0 })
    }

    /// The chain's clock at a followed block, where this home followed the ten before.
    fn median_time(&self, height: Height) -> Option<u32> {
        let mut clock = Clock::default();
        let blocks = (height.minus(LEAD).to_u32()..=height.to_u32()).map(Height::new);
        blocks
            .filter_map(|height| self.history.block(height))
            .fold(None, |_, block| clock.tick(block.at, block.time))
    }
}

/// A walk over the chain for what two parties did.
#[derive(Debug)]
pub struct Scan {
    parties: [PartyKey; 2],
    watch: Watch,
    /// The last blocks, each with the clock after it; the oldest of these stands for where the walk began.
    walked: VecDeque<(BlockRef, Clock)>,
    found: Vec<Mined>,
}

impl Scan {
    /// For two parties; nothing was read yet.
    pub fn new(parties: [PartyKey; 2]) -> Self {
        let mut watch = Watch::new();
        for party in parties {
            watch.add_script(party.script());
        }
        Self { parties, watch, walked: VecDeque::new(), found: Vec::new() }
    }

    /// Walks from a height up to the last block that can say what became of the offers up to `to`, or to the tip.
    /// `progress` hears of each block.
    ///
    /// # Errors
    /// The ledger's; a pruned block among them.
    pub fn run(
        &mut self,
        ledger: &dyn Ledger,
        from: Height,
        to: Option<Height>,
        progress: &mut dyn FnMut(Height),
    ) -> Result<Height, LedgerError> {
        let end = to.map(|to| to.plus(ANSWER_WINDOW));
        loop {
            let Some(after) = self.walked.back().map(|(block, _)| *block) else {
                if !self.begin(ledger, from)? {
                    return Ok(ledger.tip()?.height);
                }
                continue;
            };
            if end.is_some_and(|end| after.height >= end) {
                return Ok(after.height);
            }
            match ledger.next(after, &self.watch)? {
                // What a block brings may be spent in it: then it is asked for again.
                Next::Connect(block) if self.heed(&block.hits) => {}
                Next::Connect(block) => {
                    progress(block.at.height);
                    self.connect(block);
                }
                Next::Disconnect => self.disconnect(),
                Next::AtTip => return Ok(after.height),
            }
        }
    }

    /// Their negotiations; `tip` is what [`Scan::run`] returned.
    pub fn negotiations(&self, chain: &Chain, tip: Height) -> Vec<Traced> {
        Trace::new(chain, self.parties, &self.found).negotiations(tip)
    }

    /// How many payments of one to the other cannot be read: the coins that they spend are older than the scan.
    pub fn unreadable(&self, chain: &Chain) -> usize {
        Trace::new(chain, self.parties, &self.found).unreadable()
    }

    /// Stands below the first block, with a clock that heard of those before. `false` if there is none.
    fn begin(&mut self, ledger: &dyn Ledger, from: Height) -> Result<bool, LedgerError> {
        self.found.clear();
        let Some(start) = ledger.block_at(from.prev().unwrap_or_default())? else { return Ok(false) };
        let mut clock = Clock::default();
        for height in start.height.minus(LEAD).to_u32()..=start.height.to_u32() {
            let Some(block) = ledger.block_at(Height::new(height))? else { continue };
            if let Some(header) = ledger.header(&block.hash)? {
                clock.tick(block, header.time);
            }
        }
        self.walked.push_back((start, clock));
        Ok(true)
    }

    fn connect(&mut self, block: Connected) {
        let mut clock = self.walked.back().map(|(_, clock)| clock.clone()).unwrap_or_default();
        let median_time = clock.tick(block.at, block.header.time);
        if self.walked.len() == REORGANISED {
            self.walked.pop_front();
        }
        self.walked.push_back((block.at, clock));
        for hit in block.hits {
            let placed = Placed {
                txid: hit.txid,
                block: block.at,
                index: hit.position,
                time: block.header.time,
                median_time,
            };
            let input0 = hit.input_zero.map(|coin| coin.value);
            self.found.push(Mined { tx: hit.tx, placed, input0 });
        }
    }

    /// Hears of what spends their coins, and outputs that may be locks or liveness coins. Whether there are such that it did
    /// not hear of, and that may be spent in the same block.
    fn heed(&mut self, hits: &[Hit]) -> bool {
        let mut news = false;
        for hit in hits {
            let spends = hit.tx.input.iter().any(|input| self.watch.has_outpoint(&input.previous_output));
            for (vout, output) in (0..).zip(&hit.tx.output) {
                let script = &output.script_pubkey;
                let may_be = lock::may_be(script);
                if self.watch.has_script(script) || may_be {
                    news |= self.watch.add_outpoint(OutPoint::new(hit.txid, vout)) && may_be && spends;
                }
            }
        }
        news
    }

    fn disconnect(&mut self) {
        // When none is left, the walk begins again.
        let Some((gone, _)) = self.walked.pop_back() else { return };
        self.found.retain(|mined| mined.placed.block != gone);
    }
}
