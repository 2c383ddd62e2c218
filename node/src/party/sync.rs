//! Following the chain: take in what it says, then do what is due.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use keyway_carriers::script::lock;
use keyway_chain::{BlockRef, Height};
use keyway_ledger::{BroadcastError, Connected, Ledger, Next, RefusalKind, Watch};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet, WINDOW};
use keyway_protocol::state::{ANSWER_WINDOW, Anchor, OfferPlace, Payment, Position, State};

use super::{Party, chain_key_name, negotiation_secret_name};
use crate::error::NodeError;
use crate::history::{Block, Mined};
use crate::planted::{self, Bug};
use crate::reading::{Reading, states};
use crate::roster::Imported;
use crate::store::{Purpose, Record, Settled, Store};
use crate::wallet;

/// Something that a person may want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer's offer is in the chain.
    OfferSeen(NegotiationId),
    /// Offers of authors whose cards are not known: their coins are held until a card arrives.
    HeldFromStrangers(usize),
    /// This home's answer is on its way.
    AnswerSent {
        /// The negotiation.
        id: NegotiationId,
        /// The answer's transaction.
        txid: Txid,
    },
    /// An offer could not be answered.
    NotAnswered {
        /// The negotiation.
        id: NegotiationId,
        /// Why, and what to do.
        why: String,
    },
    /// A negotiation is in another state than when it was last told.
    Moved {
        /// The negotiation.
        id: NegotiationId,
        /// The state it had.
        from: State,
        /// The state it has.
        to: State,
    },
    /// A coin was split, so that offers find confirmed ones.
    Split(Txid),
    /// A locked payment is on its way back.
    RefundSent {
        /// The negotiation.
        id: NegotiationId,
        /// The transaction that takes it back.
        txid: Txid,
    },
    /// An envelope that no message will show is on its way back.
    EnvelopeReturned {
        /// The negotiation.
        id: NegotiationId,
        /// The transaction that takes it back.
        txid: Txid,
    },
    /// A pair's liveness coin is on its way to a new epoch.
    CoinMoved {
        /// The epoch's negotiation.
        id: NegotiationId,
        /// The transaction that moves it.
        txid: Txid,
    },
    /// A pair's liveness coin was spent, in a block that joined: its keys end at the policy's depth.
    RevocationSeen {
        /// The negotiation that the coin named.
        id: NegotiationId,
        /// The transaction that spent it.
        txid: Txid,
    },
    /// A liveness coin was moved before this party's revocation was mined: the moved one is being spent.
    RevocationSent {
        /// The negotiation that it names.
        id: NegotiationId,
        /// The transaction that spends it.
        txid: Txid,
    },
    /// An answer was replaced by one that pays more to miners.
    FeeRaised {
        /// The negotiation.
        id: NegotiationId,
        /// The new answer.
        txid: Txid,
        /// What it pays.
        fee: Amount,
    },
    /// The card was renewed, because its prekeys grow old or the configuration accepts something else: peers need the
    /// new one.
    CardRenewed,
    /// A key has served its time: an offer of another is on its way.
    Rotating {
        /// The negotiation whose key is replaced.
        id: NegotiationId,
        /// The new one.
        by: NegotiationId,
    },
    /// A key has served its time, and could not be replaced.
    NotRotated {
        /// Its negotiation.
        id: NegotiationId,
        /// Why, and what to do.
        why: String,
    },
    /// The roster that the configuration names was read.
    RosterRead(Imported),
    /// That roster could not be read: what was known before stays in force.
    RosterUnread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A transaction speaks for this party that this home did not make: there is another home of the same words, or it
    /// was sent before this one was restored.
    OtherHome(Txid),
    /// This home was restored under another name than the party had: no answer leads to a key.
    OtherName,
    /// The ledger refuses a transaction of this home.
    Refused {
        /// The transaction.
        txid: Txid,
        /// The ledger's reason.
        why: String,
    },
}

/// What one synchronisation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Blocks that joined.
    pub connected: u32,
    /// Blocks that left in reorganisations.
    pub disconnected: u32,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// What a round saw after which nothing was due and nothing was on its way: until something else is seen, or this party
/// does something, there is nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    tip: BlockRef,
    pending: BTreeSet<Txid>,
}

/// Blocks that are stored together: a disk writes one step of the store as fast as one block.
const MOST_IN_A_STEP: usize = 64;

impl Party {
    /// Follows the ledger to its tip and does what is due: answers offers, sends again what is not
    /// mined, splits coins, erases old secrets. `progress` hears of each block.
    ///
    /// Blocks are taken in many at a time: after a crash the next call goes on where the last step ended.
    ///
    /// # Errors
    /// The ledger's and the store's. What was done before stays done.
    pub fn sync(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
    ) -> Result<Synced, NodeError> {
        let rest = self.rest.take();
        self.in_step(|party| party.synchronise(ledger, progress, rest))
    }

    fn synchronise(
        &mut self,
        ledger: &dyn Ledger,
        progress: &mut dyn FnMut(Height),
        rest: Option<Rest>,
    ) -> Result<Synced, NodeError> {
        let before = self.history.tip();
        let mut synced = self.come_to_tip(ledger, progress)?;
        self.find_again(&mut synced.events)?;
        self.send_again(ledger, &mut synced.events)?;
        let seen = Rest { tip: self.tip(), pending: self.history.pending().collect() };
        if rest.as_ref() == Some(&seen) && synced == Synced::default() {
            self.rest = rest;
            return Ok(synced);
        }
        self.discover(&mut synced.events)?;
        self.claim()?;
        if synced.connected > 0 {
            self.tell_other_home(before, &mut synced.events);
        }
        if !self.unassigned.is_empty() && self.had_another_name()? {
            synced.events.push(Event::OtherName);
        }
        self.give_up_overdue()?;
        let mut readings = self.readings()?;
        let events = synced.events.len();
        self.answer_due(ledger, &readings, &mut synced.events)?;
        self.refund_due(ledger, &readings, &mut synced.events)?;
        self.raise_fees(ledger, &readings, &mut synced.events)?;
        self.tend_envelopes(ledger, &readings, &mut synced.events)?;
        self.move_coins(ledger, &readings, &mut synced.events)?;
        self.revoke_moved(ledger, &readings, &mut synced.events)?;
        self.rotate_due(ledger, &readings, &mut synced.events)?;
        if synced.events.len() > events {
            readings = self.readings()?;
        }
        if synced.connected > 0 {
            self.tell_revocations(before, &readings, &mut synced.events);
        }
        self.tell(&readings, &mut synced.events)?;
        self.settle(&readings)?;
        self.split_if_low(ledger, &mut synced.events)?;
        if self.prekeys.are_old(&self.config.chain, self.history.tip()) || !self.card_is_current() {
            self.renew_card()?;
            synced.events.push(Event::CardRenewed);
        }
        if synced.events.is_empty() && self.history.unmined_sent().next().is_none() {
            self.rest = Some(seen);
        }
        Ok(synced)
    }

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

    /// Broadcasts what is not mined and what the ledger no longer holds.
    fn send_again(&mut self, ledger: &dyn Ledger, events: &mut Vec<Event>) -> Result<(), NodeError> {
        for sent in self.newest_unmined() {
            if ledger.unmined(&sent.txid)?.is_some() || planted::is(Bug::NotSentAgain) {
                self.history.set_hopeless(sent.txid, false);
                self.note_revealed(&sent)?;
                continue;
            }
            if self.keeps_to_itself(&sent)? {
                self.store.step(|store| store.remove_sent(&sent.txid))?;
                self.history.remove_sent(&sent.txid);
                continue;
            }
            if !self.may_go(&sent) {
                self.history.set_hopeless(sent.txid, true);
                continue;
            }
            match ledger.broadcast(&sent.tx) {
                Ok(_) => {
                    self.history.set_hopeless(sent.txid, false);
                    self.note_revealed(&sent)?;
                }
                Err(BroadcastError::Ledger(error)) => return Err(error.into()),
                Err(BroadcastError::Refused(refusal)) => {
                    let waits = matches!(sent.purpose, Purpose::Cancel(_) | Purpose::Revoke(_));
                    let missing = refusal.kind() == RefusalKind::MissingInputs;
                    self.history.set_hopeless(sent.txid, missing || waits);
                    if waits {
                        // The ledger keeps the offer, or another spending of the coin, and takes none in its place.
                        continue;
                    }
                    if self.gave_up(&sent, &refusal)? {
                        events.push(Event::Refused { txid: sent.txid, why: refusal.reason });
                        continue;
                    }
                    // An answer whose offer left the chain, or a split whose coin did: both are made anew when
                    // there is cause. An offer stays, for its price and peer are the user's decision.
                    let remade = !self.is_for_an_offer(&sent);
                    if remade && matches!(refusal.kind(), RefusalKind::MissingInputs | RefusalKind::Conflict)
                    {
                        self.store.step(|store| store.remove_sent(&sent.txid))?;
                        self.history.remove_sent(&sent.txid);
                    }
                    // Another spending of the coin was faster.
                    if !matches!(sent.purpose, Purpose::Move(_)) {
                        events.push(Event::Refused { txid: sent.txid, why: refusal.reason });
                    }
                }
            }
        }
        Ok(())
    }

    /// All negotiations whose peer's card is known, as the chain tells them now.
    pub(super) fn readings(&self) -> Result<Vec<(NegotiationId, Reading)>, NodeError> {
        let read = |record: &Record| Ok(self.reading(record)?.map(|reading| (record.id, reading)));
        self.marked(self.records.values().filter_map(|record| read(record).transpose()).collect())
    }

    fn marked(
        &self,
        readings: Result<Vec<(NegotiationId, Reading)>, NodeError>,
    ) -> Result<Vec<(NegotiationId, Reading)>, NodeError> {
        let mut readings = readings?;
        self.mark_revoked(&mut readings);
        Ok(readings)
    }

    /// Those with one peer: the state of a negotiation depends on no other peer's.
    pub(super) fn readings_with(&self, peer: PartyKey) -> Result<Vec<(NegotiationId, Reading)>, NodeError> {
        let read = |record: &Record| Ok(self.reading(record)?.map(|reading| (record.id, reading)));
        let with_peer = self.records.values().filter(|record| record.peer == peer);
        self.marked(with_peer.filter_map(|record| read(record).transpose()).collect())
    }

    pub(super) fn states(&self, readings: &[(NegotiationId, Reading)]) -> Vec<(NegotiationId, State)> {
        let known = readings.iter().filter_map(|(id, reading)| Some((self.records.get(id)?, reading)));
        states(known, self.history.tip(), self.config.policy.key_depth)
    }

    /// Stores states that changed, and what the chain shows of the peer's confirmation.
    pub(super) fn tell(
        &mut self,
        readings: &[(NegotiationId, Reading)],
        events: &mut Vec<Event>,
    ) -> Result<(), NodeError> {
        let mut told = Vec::new();
        for ((id, reading), (_, to)) in readings.iter().zip(self.states(readings)) {
            let Some(record) = self.records.get(id) else { continue };
            // The answer's tag, once it verified, shows the initiator that the responder has the key.
            let answer = reading.answer.as_ref().filter(|answer| answer.agreed.is_some());
            let shown = answer.filter(|_| record.role == Role::Initiator).map(|answer| answer.txid);
            let (from, confirmed) = (record.state, shown.or(record.confirmed));
            if (from, record.confirmed) == (to, confirmed) {
                continue;
            }
            told.push((from, Record { state: to, confirmed, ..record.clone() }));
        }
        self.store_all(told.iter().map(|(_, record)| record))?;
        for (from, record) in told {
            let (id, to) = (record.id, record.state);
            self.records.insert(id, record);
            if from != to {
                events.push(Event::Moved { id, from, to });
            }
        }
        Ok(())
    }

    /// Stores records in one step, if there are any.
    pub(super) fn store_all<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
    ) -> Result<(), NodeError> {
        let mut records = records.peekable();
        if records.peek().is_none() {
            return Ok(());
        }
        self.store.step(|store| records.try_for_each(|record| store.put_negotiation(record)))
    }

    /// Erases what old blocks no longer need (PROTOCOL.md 3.2 and 10), of all negotiations in one step of the store.
    pub(super) fn settle(&mut self, readings: &[(NegotiationId, Reading)]) -> Result<(), NodeError> {
        let oldest_useful = self.history.tip().minus(WINDOW - 1);
        let outlived: BTreeSet<NegotiationId> = self.outlived(readings).into_iter().collect();
        let mut aged = Vec::new();
        for (id, reading) in readings {
            let Some(record) = self.records.get(id) else { continue };
            if record.settled.is_none() || !outlived.contains(id) {
                aged.extend(self.aged(record, reading, oldest_useful)?);
            } else if self.store.secret(&chain_key_name(id))?.is_some() {
                aged.push(Aged::outlived(record));
            }
        }
        let forgets = self.store.has_opened_below(oldest_useful)?;
        if !aged.is_empty() || forgets {
            self.store.step(|store| {
                aged.iter().try_for_each(|aged| aged.store(store))?;
                store.forget_opened_below(oldest_useful)
            })?;
        }
        for Aged { record, secret, .. } in aged {
            if secret == Erase::NegotiationSecret {
                self.known.forget(&record.id);
            }
            self.records.insert(record.id, record);
        }
        self.forget_unassigned()
    }

    /// What becomes of one negotiation now that its oldest useful block is this one.
    fn aged(
        &self,
        record: &Record,
        reading: &Reading,
        oldest_useful: Height,
    ) -> Result<Option<Aged>, NodeError> {
        match (reading.facts.anchor, &record.settled) {
            (Anchor::Answered(at), None) if at.height < oldest_useful || planted::is(Bug::ErasedAtOnce) => {
                self.replaced(record, reading, at)
            }
            (Anchor::Answered(_), Some(settled)) if settled.oldest.height < oldest_useful => {
                self.advanced(record, *settled)
            }
            (Anchor::Answered(_), Some(_)) => Ok(None),
            _ if self.ended_at(record, reading).is_some_and(|at| at < oldest_useful) => {
                self.ended(record, reading)
            }
            _ => Ok(None),
        }
    }

    fn ended(&self, record: &Record, reading: &Reading) -> Result<Option<Aged>, NodeError> {
        if self.store.secret(&negotiation_secret_name(&record.id))?.is_none() {
            return Ok(None);
        }
        let anchor = reading.offer.as_ref().map(|offer| offer.carried.anchor());
        let spender = anchor.and_then(|anchor| self.history.spender(&anchor)).map(|mined| mined.txid);
        let record = Record { no_answer: spender, ..record.clone() };
        Ok(Some(Aged { record, chain_key: None, secret: Erase::NegotiationSecret }))
    }

    /// Where the chain ended a negotiation that led to no key.
    fn ended_at(&self, record: &Record, reading: &Reading) -> Option<Height> {
        match (reading.facts.offer, reading.facts.anchor) {
            (OfferPlace::Replaced, _) => self.history.spender(&record.input0).map(|mined| mined.at.height),
            _ if reading.offer.as_ref().is_some_and(|offer| offer.carried.locked().is_some()) => {
                match (reading.facts.anchor, reading.facts.payment) {
                    (Anchor::Answered(_), _) | (_, Payment::Open) => None,
                    (_, Payment::Collected(at) | Payment::Returned(at)) => Some(at),
                }
            }
            (OfferPlace::Mined(_), Anchor::SpentOtherwise(at)) => Some(at),
            (OfferPlace::Mined(offer), Anchor::Unspent | Anchor::AnswerSeen) => {
                Some(offer.plus(ANSWER_WINDOW))
            }
            _ => None,
        }
    }

    /// Puts the chain key of the window's oldest block in the place of the negotiation's secret.
    fn replaced(&self, record: &Record, reading: &Reading, at: Position) -> Result<Option<Aged>, NodeError> {
        let Some(answer) = &reading.answer else { return Ok(None) };
        let (Some(agreed), Some(first)) = (&answer.agreed, self.history.block(at.height)) else {
            return Ok(None);
        };
        let mut ratchet = Ratchet::start(first.at, agreed.master_key());
        ratchet.advance(&self.history)?;
        let settled = Settled {
            answer: answer.txid,
            first: first.at,
            oldest: ratchet.oldest(),
            fingerprint: agreed.fingerprint(),
            initiator_tag: agreed.tag(Role::Initiator),
        };
        let record = Record { settled: Some(settled), ..record.clone() };
        Ok(Some(Aged { record, chain_key: Some(ratchet), secret: Erase::NegotiationSecret }))
    }

    fn advanced(&self, record: &Record, settled: Settled) -> Result<Option<Aged>, NodeError> {
        let Some(mut ratchet) = self.settled_ratchet(record, settled)? else { return Ok(None) };
        // Lost after a deep reorganisation: the state says so, and there is nothing to advance.
        if !matches!(ratchet.advance(&self.history), Ok(true)) {
            return Ok(None);
        }
        let settled = Settled { oldest: ratchet.oldest(), ..settled };
        let record = Record { settled: Some(settled), ..record.clone() };
        Ok(Some(Aged { record, chain_key: Some(ratchet), secret: Erase::Nothing }))
    }

    pub(super) fn settled_ratchet(
        &self,
        record: &Record,
        settled: Settled,
    ) -> Result<Option<Ratchet>, NodeError> {
        let ck = self.store.secret(&chain_key_name(&record.id))?;
        Ok(ck.map(|ck| Ratchet::from_parts(settled.first.height, settled.oldest, ck)))
    }

    /// Splits a coin when few confirmed ones are left and nothing is under way that brings more.
    fn split_if_low(&mut self, ledger: &dyn Ledger, events: &mut Vec<Event>) -> Result<(), NodeError> {
        if self.history.hopeful_sent().next().is_some() {
            return Ok(());
        }
        if wallet::has_enough_coins(self.key(), &self.history, &self.kept_coins()) {
            return Ok(());
        }
        let feerate = self.feerate(ledger)?;
        let Some(draft) = self.wallet()?.split(feerate, &self.address())? else { return Ok(()) };
        let fee = draft.fee();
        let tx = wallet::sign(draft, &self.identity)?;
        let sent = self.store.step(|store| store.add_sent(&tx, Purpose::Split, fee))?;
        match self.dispatch(ledger, &sent) {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(refusal), .. }) => {
                self.store.step(|store| store.remove_sent(&sent.txid))?;
                events.push(Event::Refused { txid: sent.txid, why: refusal.reason });
            }
            outcome => {
                self.history.add_sent(sent.clone());
                outcome?;
                events.push(Event::Split(sent.txid));
            }
        }
        Ok(())
    }
}

/// A negotiation of which older secrets are no longer needed.
struct Aged {
    record: Record,
    /// What takes the place of the stored chain key.
    chain_key: Option<Ratchet>,
    secret: Erase,
}

/// Which secret is erased.
#[derive(PartialEq, Eq)]
enum Erase {
    Nothing,
    NegotiationSecret,
    /// The key that took its place is older than the window: were that one gone from the chain, so would be the block that
    /// this one has advanced to, and it would be lost.
    ChainKey,
}

impl Aged {
    fn outlived(record: &Record) -> Self {
        Self { record: record.clone(), chain_key: None, secret: Erase::ChainKey }
    }

    /// In a step of the store.
    fn store(&self, store: &Store) -> Result<(), NodeError> {
        let id = &self.record.id;
        if let Some(ratchet) = &self.chain_key {
            store.set_secret(&chain_key_name(id), ratchet.ck())?;
        }
        match self.secret {
            Erase::Nothing => {}
            Erase::NegotiationSecret => store.erase_secret(&negotiation_secret_name(id))?,
            Erase::ChainKey => return store.erase_secret(&chain_key_name(id)),
        }
        store.put_negotiation(&self.record)
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
