//! The one event loop: a party that follows its chain without anybody at the keyboard.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bitcoin::Txid;
use keyway_chain::{BlockRef, Height};
use keyway_ledger::Ledger;
use keyway_protocol::negotiation::NegotiationId;

use crate::error::{CancelError, NodeError};
use crate::party::{Cancelled, Party, Raised, Synced};

/// The chain is followed at least this often, though no block was announced: unmined offers and answers come
/// without one.
const AT_LEAST: Duration = Duration::from_secs(10);
/// How long the first try after a failure waits; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one question for a new tip may take: so long at most does stopping wait for it.
const WATCH: Duration = Duration::from_secs(1);

/// What the loop hears.
#[derive(Debug)]
pub enum Signal<J> {
    /// The ledger's tip moved.
    Tip(BlockRef),
    /// Something to be done with the party.
    Job(J),
    /// Finish what is under way, and end.
    Stop,
}

/// What the loop tells.
#[derive(Debug)]
pub enum Notice<'a> {
    /// It followed the chain.
    Synced(&'a Synced),
    /// It raised a fee.
    Raised(Raised),
    /// It gave up an offer that waited too long to be mined.
    GaveUp(NegotiationId, &'a Cancelled),
    /// Something failed; it will be tried again.
    Failed {
        /// What.
        error: &'a NodeError,
        /// When.
        retry_in: Duration,
    },
}

/// A stop that several threads hear of.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(AtomicBool, Mutex<()>, Condvar)>);

impl Stop {
    /// Tells everybody.
    pub fn now(&self) {
        let (flag, lock, heard) = &*self.0;
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        flag.store(true, Ordering::Release);
        heard.notify_all();
    }

    /// Whether it was told.
    pub fn is_told(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Waits, and ends early when it is told.
    fn wait(&self, time: Duration) {
        let (_, lock, heard) = &*self.0;
        let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = heard.wait_timeout_while(held, time, |()| !self.is_told());
    }
}

/// Asks the ledger for its tip, again and again, and tells the loop when it moved.
pub fn watch_tip<J>(ledger: &dyn Ledger, stop: &Stop, tell: &Sender<Signal<J>>) {
    let mut seen: Option<BlockRef> = None;
    while !stop.is_told() {
        let tip = match seen {
            None => ledger.tip(),
            Some(seen) => ledger.wait(seen, WATCH),
        };
        match tip {
            Ok(tip) if seen != Some(tip) => {
                seen = Some(tip);
                if tell.send(Signal::Tip(tip)).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            // The loop meets the same failure, and tells of it.
            Err(_) => stop.wait(WATCH),
        }
    }
}

/// The loop and what it remembers between two rounds.
pub struct Service<'a> {
    party: Party,
    ledger: &'a dyn Ledger,
    /// Since which height each transaction waits to be mined. Only in memory: after a start patience is new.
    waiting: BTreeMap<Txid, Height>,
    patience: u32,
    pause: Duration,
    due: Instant,
}

impl<'a> Service<'a> {
    /// A service of this party over this ledger.
    pub fn new(party: Party, ledger: &'a dyn Ledger) -> Self {
        let patience = party.config().bump_after;
        let due = Instant::now();
        Self { party, ledger, waiting: BTreeMap::new(), patience, pause: FIRST_PAUSE, due }
    }

    /// Runs until [`Signal::Stop`] comes, or all who could send it are gone. `work` does the jobs, `tell` hears
    /// what happened.
    pub fn run<J>(
        mut self,
        inbox: &Receiver<Signal<J>>,
        mut work: impl FnMut(&mut Party, &dyn Ledger, J),
        mut tell: impl FnMut(&Party, Notice<'_>),
    ) -> Party {
        loop {
            match inbox.recv_timeout(self.due.saturating_duration_since(Instant::now())) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return self.party,
                Ok(Signal::Tip(tip)) if tip == self.party.tip() => {}
                Ok(Signal::Tip(_)) => self.round(&mut tell),
                Ok(Signal::Job(job)) => work(&mut self.party, self.ledger, job),
                Err(RecvTimeoutError::Timeout) => self.round(&mut tell),
            }
        }
    }

    /// Follows the chain and does what is due.
    fn round(&mut self, tell: &mut impl FnMut(&Party, Notice<'_>)) {
        let outcome = self.party.sync(self.ledger, &mut |_| ());
        let outcome = outcome.and_then(|synced| {
            tell(&self.party, Notice::Synced(&synced));
            self.give_up_overdue(tell)?;
            self.raise_overdue(tell)
        });
        let wait = match outcome {
            Ok(()) => {
                self.pause = FIRST_PAUSE;
                AT_LEAST
            }
            Err(error) => {
                let wait = self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                tell(&self.party, Notice::Failed { error: &error, retry_in: wait });
                wait
            }
        };
        self.due = Instant::now() + wait;
    }

    /// Gives up the offers that waited longer than the configuration says.
    fn give_up_overdue(&mut self, tell: &mut impl FnMut(&Party, Notice<'_>)) -> Result<(), NodeError> {
        for id in self.party.overdue_offers() {
            match self.party.cancel(self.ledger, id) {
                Ok(cancelled) => tell(&self.party, Notice::GaveUp(id, &cancelled)),
                // Something rests on it, or its coins hold too little: a later round tries again.
                Err(NodeError::Cancel(CancelError::RestedOn { .. } | CancelError::Unpayable(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Pays more for what waits longer than the configuration has patience for.
    fn raise_overdue(&mut self, tell: &mut impl FnMut(&Party, Notice<'_>)) -> Result<(), NodeError> {
        let tip = self.party.tip().height;
        let waiting = self.party.waiting();
        self.waiting.retain(|txid, _| waiting.contains(txid));
        for txid in waiting {
            let since = *self.waiting.entry(txid).or_insert(tip);
            if tip.to_u32().saturating_sub(since.to_u32()) < self.patience {
                continue;
            }
            // Whether or not there is more to pay, the next try comes after as many blocks.
            self.waiting.insert(txid, tip);
            if let Some(raised) = self.party.raise_fee(self.ledger, &txid)? {
                tell(&self.party, Notice::Raised(raised));
            }
        }
        Ok(())
    }
}
