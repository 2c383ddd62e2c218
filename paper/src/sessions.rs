//! sk = Hash(mk, last block header hash) (4.4, Proposition 7), and what Keyway has instead.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::Result;
use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use keyway_chain::{BlockRef, Height};
use keyway_protocol::negotiation::Role;
use keyway_protocol::ratchet::{BestChain, Ratchet};
use keyway_protocol::suite::Suite;

use crate::claim::{Place, Row, Verdict};
use crate::literal::Literal;
use crate::pairs::{Member, negotiate};
use crate::random::Stream;
use crate::statistics::in_words;
use crate::{Options, Walk};

/// A chain of random hashes, seen up to a tip.
struct Seen<'a> {
    hashes: &'a [BlockHash],
    tip: usize,
}

impl Seen<'_> {
    fn block(&self, height: usize) -> BlockRef {
        let hash = self.hashes.get(height).copied().unwrap_or_else(BlockHash::all_zeros);
        BlockRef::new(Height::new(height as u32), hash)
    }
}

impl BestChain for Seen<'_> {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        let height = height.to_u32() as usize;
        (height <= self.tip).then(|| self.block(height).hash)
    }

    fn tip(&self) -> Height {
        Height::new(self.tip as u32)
    }
}

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("session keys");
    let blocks = options.samples(10_000, 500);
    let hashes: Vec<BlockHash> = (0..=blocks).map(|_| BlockHash::from_byte_array(stream.bytes())).collect();
    papers(options, walk, &hashes, &mut stream);
    keyways(options, walk, &hashes, &mut stream)
}

/// Both sides hash the newest block that they know. Half of the time one of them is a block behind.
fn papers(options: Options, walk: &mut Walk, hashes: &[BlockHash], stream: &mut Stream) {
    let [ours, theirs] = Literal::new(stream).keys();
    let keys: HashSet<_> = hashes.iter().map(|hash| ours.session_key(hash)).collect();
    let same = hashes.iter().filter(|hash| ours.session_key(hash) == theirs.session_key(hash)).count();
    let behind = hashes.windows(2).filter_map(|pair| <&[BlockHash; 2]>::try_from(pair).ok());
    let late = behind.filter(|[before, now]| ours.session_key(now) == theirs.session_key(before)).count();
    let row = |claim, verdict: Verdict| Row {
        claim,
        command: "keyway lab key (README); ./x test keys_differ_by_block_and_by_direction_and_are_never_ck",
        result: format!(
            "the paper's, over {} blocks: {} distinct keys, no message; the same on both sides for {same} of them, and, if \
             one side is a block behind, for {late}",
            hashes.len(),
            keys.len(),
        ),
        time: String::new(),
        verdict: verdict.if_shown(keys.len() == hashes.len() && same == hashes.len() && late == 0),
    };
    let changed = Verdict::Changed(
        "two nodes know of a block at different moments, and whoever learns mk has every sk. A message names its block, \
         and each block's key replaces the one before (PROTOCOL.md 10)"
            .to_owned(),
    );
    walk.add(
        options,
        Place::Proposition(7),
        row("sk changes by itself with the last block's header", changed.clone()),
    );
    walk.add(options, Place::Section(4, 4, 1), row("sk = Hash(mk, last block header hash)", changed));
}

fn keyways(options: Options, walk: &mut Walk, hashes: &[BlockHash], stream: &mut Stream) -> Result<()> {
    let (mut car, mut charger) = (Member::new("car", stream)?, Member::new("charger", stream)?);
    let [ours, theirs] = negotiate(&mut car, &mut charger, Suite::X25519, stream)?;
    let chain = |tip| Seen { hashes, tip };
    let first = chain(0).block(0);
    let mut ours = Ratchet::start(first, ours.master_key());
    let mut theirs = Ratchet::start(first, theirs.master_key());
    let (mut keys, mut same, mut refused, mut erased) = (HashSet::new(), 0, 0, 0);
    let started = Instant::now();
    for tip in 1..hashes.len() {
        ours.advance(&chain(tip))?;
        // The other side is a block behind: it has the key of what it knows, and is told that it does not know the newest.
        theirs.advance(&chain(tip - 1))?;
        for sender in [Role::Initiator, Role::Responder] {
            let before = chain(tip).block(tip - 1);
            let sealed = ours.session(&chain(tip), before, sender)?;
            let opened = theirs.session(&chain(tip - 1), before, sender)?;
            same += usize::from(sealed.as_secret().expose() == opened.as_secret().expose());
            keys.insert(*sealed.as_secret().expose());
        }
        let newest = chain(tip).block(tip);
        refused += usize::from(theirs.session(&chain(tip - 1), newest, Role::Initiator).is_err());
        let old = chain(tip).block(tip.saturating_sub(keyway_protocol::ratchet::WINDOW as usize));
        erased += usize::from(ours.session(&chain(tip), old, Role::Initiator).is_err());
    }
    let steps = hashes.len() - 1;
    let time = in_words(started.elapsed() / steps as u32);
    let shown = same == 2 * steps && keys.len() == 2 * steps && refused == steps;
    let row = Row {
        claim: "session keys change with the blocks, for both sides alike",
        command: "./x test both_sides_have_the_same_key_for_every_block_of_the_window_however_far_each_advanced",
        result: format!(
            "Keyway's, over {steps} blocks with one side a block behind: {} distinct keys, two a block, the same on both \
             sides for {same}; the block not yet known refused by name {refused} times; keys below the window of {} \
             blocks gone {erased} times",
            keys.len(),
            keyway_protocol::ratchet::WINDOW,
        ),
        time: format!("{time} a block, both sides, with four keys"),
        verdict: Verdict::Holds("by a chain of keys instead of one hash".to_owned())
            .if_shown(shown && erased > 0),
    };
    walk.add(options, Place::Proposition(7), row);
    Ok(())
}
