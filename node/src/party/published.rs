//! Publishing groups, and finding those that others published (PROTOCOL.md 6.5; the paper's Algorithms 1 and 3).
//!
//! Anybody can publish; a home takes in what those published whom its configuration names, and itself.

use std::collections::BTreeSet;

use bitcoin::{Amount, Transaction, Txid};
use keyway_carriers::script::published;
use keyway_chain::{BlockRef, Depth, Height};
use keyway_ledger::{BroadcastError, Ledger, Next, Watch};
use keyway_protocol::authorship::Authored;
use keyway_protocol::card::Card;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::message::Brought;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::Position;
use keyway_protocol::suite::{GROUP_DEPTH, Numbers, Suite};

use super::Party;
use super::offer::impossible;
use crate::error::{GroupError, NodeError};
use crate::history::{Block, Mined};
use crate::reading::OfferRead;
use crate::store::{Chosen, Purpose};
use crate::wallet::{self, Order};

/// What was last looked for in the blocks that are followed: the publishers' keys.
const LOOKED_FOR: &str = "publishers";

/// A group that the best chain has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedGroup {
    /// The transaction that published it.
    pub txid: Txid,
    /// Its block.
    pub block: Block,
    /// Who published it.
    pub publisher: PartyKey,
    /// Its numbers: whether they may be used is another question.
    pub numbers: Numbers,
}

/// A transaction with the mark of a published group, from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The transaction.
    pub txid: Txid,
    /// Its block.
    pub block: Block,
    /// Who published, and what; or why nothing can be read.
    pub group: Result<(PartyKey, Numbers), String>,
}

/// A group on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSent {
    /// Its transaction.
    pub txid: Txid,
    /// Virtual bytes of the transaction.
    pub vbytes: u64,
    /// What it pays to miners.
    pub fee: Amount,
}

impl Party {
    /// Puts a group on the chain, for everybody to read. It is stored before it is sent.
    ///
    /// # Errors
    /// [`GroupError::Bad`]: nobody may use it. [`GroupError::DataTooLong`]: the ledger relays no data output so large.
    pub fn publish(&mut self, ledger: &dyn Ledger, numbers: &Numbers) -> Result<GroupSent, NodeError> {
        self.in_step(|party| party.publish_group(ledger, numbers))
    }

    fn publish_group(&mut self, ledger: &dyn Ledger, numbers: &Numbers) -> Result<GroupSent, NodeError> {
        self.check_chain(ledger)?;
        numbers.check(Suite::FfdhPublished).map_err(GroupError::Bad)?;
        let (bytes, most) = (published::script_len(numbers), ledger.most_data()?);
        if bytes > most {
            return Err(GroupError::DataTooLong { bytes, most }.into());
        }
        let feerate = self.feerate(ledger)?;
        let mut wallet = self.wallet()?;
        let outputs = published::write(numbers).map_err(impossible)?;
        let vbytes: u64 = 200 + bytes as u64;
        let needed = feerate.fee_vb(vbytes).unwrap_or(Amount::MAX);
        let input0 = self.confirmed_coin(&wallet, needed)?;
        let address = self.address();
        let order = Order { outputs: &outputs, feerate, lock_time: None, envelope: None, address: &address };
        let payment = wallet.pay(input0, &order)?;
        let fee = payment.fee();
        let tx = wallet::sign(payment, &self.identity)?;
        let sent = self.store.step(|store| {
            store.note_sound_group(numbers.digest())?;
            store.add_sent(&tx, Purpose::Group, fee)
        })?;
        let outcome = self.dispatch(ledger, &sent);
        let told = GroupSent { txid: sent.txid, vbytes: sent.tx.vsize() as u64, fee };
        if let Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) = outcome {
            self.store
                .step(|store| Self::forget_refused(store, &self.history, std::slice::from_ref(&sent)))?;
        } else {
            self.history.add_sent(sent);
        }
        outcome.map(|()| told)
    }

    /// Whose groups are used: this party's own, and those of the peers that the configuration names.
    pub(super) fn publishers(&self) -> BTreeSet<PartyKey> {
        let names = &self.config.accepts.groups_from;
        let named = |peer: &&Card| names.contains(&peer.permanent().name) && self.standing(peer).deals();
        let peers = self.peers.cards().iter().filter(named).map(|peer| peer.permanent().key);
        peers.chain([self.key()]).collect()
    }

    /// Whether the group that an offer names is there to be used; other offers name none.
    pub(super) fn has_group(&self, offer: &OfferRead) -> bool {
        let Some(Brought::Published(named)) = offer.message.as_ref().map(|message| message.group()) else {
            return true;
        };
        let found = offer.at.and_then(|at| self.reader().published(named, at.height));
        found.is_some_and(|(publisher, _)| self.publishers().contains(&publisher))
    }

    fn uses_groups(&self) -> bool {
        self.config.accepts.suites.contains(&Suite::FfdhPublished)
            || !self.config.accepts.groups_from.is_empty()
    }

    /// Watches for the mark of published groups, where the configuration has a use for them.
    pub(super) fn watch_groups(&self, watch: &mut Watch) {
        if self.uses_groups() {
            watch.add_script(published::mark());
        }
    }

    /// Whether a transaction came for its mark alone, and is nobody's whose groups are used: then it is left where it is,
    /// for everybody can set marks.
    pub(super) fn is_strangers_group(&self, watch: &Watch, tx: &Transaction) -> bool {
        let mark = published::mark();
        if !tx.output.iter().any(|output| output.script_pubkey == mark) {
            return false;
        }
        let mut others = tx.output.iter().filter(|output| output.script_pubkey != mark);
        let concerns_us = others.any(|output| watch.has_script(&output.script_pubkey))
            || tx.input.iter().any(|input| watch.has_outpoint(&input.previous_output));
        !concerns_us && !is_by(tx, &self.publishers())
    }

    /// Looks through the followed blocks again when other publishers are named than before.
    pub(super) fn find_groups(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
    ) -> Result<(), NodeError> {
        if !self.uses_groups() {
            return Ok(());
        }
        let publishers = self.publishers();
        let wanted: Vec<u8> = publishers.iter().flat_map(|key| key.to_bytes()).collect();
        if self.store.meta(LOOKED_FOR)?.as_deref() == Some(&wanted[..]) {
            return Ok(());
        }
        let Some(first) = self.history.first() else { return Ok(()) };
        let mut found = Vec::new();
        let complete = follow_marks(ledger, first.at, self.tip(), progress, &mut |mined, _| {
            if is_by(&mined.tx, &publishers) && self.history.mined(&mined.txid).is_none() {
                found.push(mined);
            }
        })?;
        // A chain that moved meanwhile is followed first; then this is done anew.
        if !complete {
            return Ok(());
        }
        self.store.step(|store| {
            found.iter().try_for_each(|mined| store.add_mined(mined))?;
            store.set_meta(LOOKED_FOR, &wanted)
        })?;
        found.into_iter().for_each(|mined| self.history.add(mined));
        Ok(())
    }

    /// The groups of those whose groups are used, the newest last.
    pub fn published_groups(&self) -> Vec<PublishedGroup> {
        let (reader, publishers) = (self.reader(), self.publishers());
        let read = |mined: &Mined| {
            let (publisher, numbers) = reader.group_in(mined)?;
            let block = self.history.block(mined.at.height)?;
            publishers.contains(&publisher).then_some(PublishedGroup {
                txid: mined.txid,
                block,
                publisher,
                numbers,
            })
        };
        self.history.in_order().filter_map(read).collect()
    }

    /// The group whose transaction's id begins so, as an offer names it.
    ///
    /// # Errors
    /// [`GroupError::Unknown`], [`NodeError::Ambiguous`]; [`GroupError::TooYoung`], if it is not deep enough for an
    /// offer to name it.
    pub fn published_group(&self, prefix: &str) -> Result<Chosen, NodeError> {
        let all = self.published_groups();
        let begins =
            |group: &&PublishedGroup| !prefix.is_empty() && group.txid.to_string().starts_with(prefix);
        let found: Vec<&PublishedGroup> = all.iter().filter(begins).collect();
        let group = match found[..] {
            [group] => group,
            [] => return Err(GroupError::Unknown(prefix.to_owned()).into()),
            _ => {
                return Err(NodeError::Ambiguous {
                    prefix: prefix.to_owned(),
                    candidates: crate::peers::list(found.iter().map(|group| group.txid.to_string())),
                });
            }
        };
        let (has, wants) = (group.block.at.height.depth_under(self.history.tip()), Depth::new(GROUP_DEPTH));
        if has < wants {
            return Err(GroupError::TooYoung { txid: group.txid, has, wants }.into());
        }
        Ok(Chosen { numbers: group.numbers.clone(), published: Some(group.txid) })
    }

    /// The block that this party's list of followed blocks begins with.
    pub fn birthday(&self) -> Option<BlockRef> {
        self.history.first().map(|block| block.at)
    }
}

/// Whose key the witness of input 0 shows; the signature is checked when the group is read.
fn is_by(tx: &Transaction, publishers: &BTreeSet<PartyKey>) -> bool {
    let shown = tx.input.first().and_then(|input| input.witness.nth(1));
    shown.and_then(|key| PartyKey::from_slice(key).ok()).is_some_and(|key| publishers.contains(&key))
}

/// Every transaction with the mark of a published group above `after`, from anybody.
///
/// # Errors
/// The ledger's.
pub fn marked_groups(
    ledger: &dyn Ledger,
    after: BlockRef,
    progress: &mut dyn FnMut(Height),
    found: &mut dyn FnMut(Marked),
) -> Result<(), NodeError> {
    let tip = ledger.tip()?;
    follow_marks(ledger, after, tip, progress, &mut |mined, block| {
        let txid = mined.txid;
        found(Marked { txid, block, group: read(&mined) });
    })?;
    Ok(())
}

fn read(mined: &Mined) -> Result<(PartyKey, Numbers), String> {
    let coin = mined.input0.as_ref().ok_or("what its input 0 spends is not known")?;
    let authored = Authored::verify(&mined.tx, coin.value).map_err(|error| error.to_string())?;
    match published::read(&authored) {
        Ok(Some(numbers)) => Ok((authored.author(), numbers)),
        Ok(None) => Err("it has no mark".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks for the blocks from above `after` up to `last`. `false` if the chain moved under them.
fn follow_marks(
    ledger: &dyn Ledger,
    after: BlockRef,
    last: BlockRef,
    progress: &mut dyn FnMut(Height),
    found: &mut dyn FnMut(Mined, Block),
) -> Result<bool, NodeError> {
    let mut watch = Watch::new();
    watch.add_script(published::mark());
    let mut at = after;
    while at.height < last.height {
        let Next::Connect(block) = ledger.next(at, &watch)? else { return Ok(false) };
        at = block.at;
        for hit in block.hits {
            let place = Position { height: at.height, index: hit.position };
            found(Mined::new(hit.tx, place, hit.input_zero), Block { at, time: block.header.time });
        }
        progress(at.height);
    }
    Ok(at == last)
}
