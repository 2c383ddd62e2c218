//! Backends that break one promise each, to show that the contract's tests notice.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, FeeRate, OutPoint, Script, Transaction, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::contract::{self, Harness};
use keyway_ledger::{BroadcastError, Coin, Connected, Hit, Ledger, LedgerError, Next, Watch};

use super::tools::Fresh;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// None: the control.
    Honest,
    AnswersEveryOtherTime,
    StopsBelowTheTip,
    RepeatsABlock,
    OverlooksRollbacks,
    FailsOnUnknownBlocks,
    TakesAnyGenesis,
    MissesWhatTheSameBlockPaid,
    ReversesHits,
    DoublesHits,
    HidesCoinbases,
    StripsWitnesses,
    InventsCoins,
    ForgetsHeights,
    ShowsSpentCoins,
    DropsTransactions,
    RefusesRepeats,
    SendsWhatItChecks,
    ReversesPending,
    WaitsForNothing,
    WakesTooEarly,
    IsAbleOnlyOnce,
}

struct Liar {
    fresh: Fresh,
    lie: Lie,
    calls: AtomicUsize,
    sent: Mutex<Vec<Txid>>,
    coins: Mutex<HashMap<OutPoint, Coin>>,
}

impl Liar {
    fn who(lie: Lie) -> Self {
        let (calls, sent, coins) = Default::default();
        Self { fresh: Fresh::start(), lie, calls, sent, coins }
    }

    fn is(&self, lie: Lie) -> bool {
        self.lie == lie
    }

    fn every_other_time(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % 2 == 1
    }

    fn spoil(&self, hits: &mut Vec<Hit>, watch: &Watch) {
        let stated = |hit: &Hit| {
            hit.tx.output.iter().any(|output| watch.has_script(&output.script_pubkey))
                || hit.tx.input.iter().any(|input| watch.has_outpoint(&input.previous_output))
        };
        match self.lie {
            Lie::MissesWhatTheSameBlockPaid => hits.retain(stated),
            Lie::ReversesHits => hits.reverse(),
            Lie::DoublesHits => *hits = hits.iter().flat_map(|hit| [hit.clone(), hit.clone()]).collect(),
            Lie::HidesCoinbases => hits.retain(|hit| !hit.tx.is_coinbase()),
            Lie::StripsWitnesses => hits.iter_mut().for_each(strip),
            Lie::InventsCoins => hits.iter_mut().for_each(|hit| {
                hit.input_zero = hit.tx.output.first().cloned();
            }),
            _ => {}
        }
    }
}

fn strip(hit: &mut Hit) {
    let mut tx = Transaction::clone(&hit.tx);
    tx.input.iter_mut().for_each(|input| input.witness.clear());
    hit.tx = Arc::new(tx);
}

impl Ledger for Liar {
    fn chain(&self) -> &Chain {
        self.fresh.ledger.chain()
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        if self.is(Lie::IsAbleOnlyOnce) && self.every_other_time() {
            return self.fresh.ledger.tip();
        }
        match self.lie {
            Lie::IsAbleOnlyOnce => Err(LedgerError::Unsupported { backend: "liar", what: "say its tip" }),
            _ => self.fresh.ledger.tip(),
        }
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        let tip = self.fresh.ledger.tip()?;
        let genesis = BlockRef::new(Height::GENESIS, self.chain().genesis());
        let known = self.fresh.ledger.header(&after.hash)?.is_some();
        match self.lie {
            Lie::AnswersEveryOtherTime if self.every_other_time() => return Ok(Next::AtTip),
            Lie::StopsBelowTheTip if after.height.next() == tip.height => return Ok(Next::AtTip),
            Lie::OverlooksRollbacks if after.height > tip.height => return Ok(Next::AtTip),
            Lie::FailsOnUnknownBlocks if !known && after.height != Height::GENESIS => {
                return Err(LedgerError::Engine { what: "no such block".to_owned() });
            }
            Lie::TakesAnyGenesis if after.height == Height::GENESIS => {
                return self.fresh.ledger.next(genesis, watch);
            }
            _ => {}
        }
        Ok(match self.fresh.ledger.next(after, watch)? {
            Next::Connect(Connected { at, header, mut hits }) => {
                let at = if self.is(Lie::RepeatsABlock) && at.height.to_u32() == 3 { after } else { at };
                self.spoil(&mut hits, watch);
                Next::Connect(Connected { at, header, hits })
            }
            other => other,
        })
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        self.fresh.ledger.block_at(height)
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        self.fresh.ledger.header(hash)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        let mut coin = self.fresh.ledger.coin(outpoint)?;
        if self.is(Lie::ForgetsHeights) {
            coin.iter_mut().for_each(|coin| coin.height = None);
        }
        if self.is(Lie::ShowsSpentCoins) {
            let mut coins = self.coins.lock().unwrap();
            coin = coin.or_else(|| coins.get(outpoint).cloned());
            coins.extend(coin.clone().map(|coin| (*outpoint, coin)));
        }
        Ok(coin)
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        let mut sent = self.sent.lock().unwrap();
        if self.is(Lie::DropsTransactions) {
            return Ok(tx.compute_txid());
        }
        if self.is(Lie::RefusesRepeats) && sent.contains(&tx.compute_txid()) {
            self.fresh.ledger.check(tx)?;
        }
        sent.push(tx.compute_txid());
        self.fresh.ledger.broadcast(tx)
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        match self.lie {
            Lie::SendsWhatItChecks => self.fresh.ledger.broadcast(tx).map(drop),
            _ => self.fresh.ledger.check(tx),
        }
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        let mut pending = self.fresh.ledger.pending(watch)?;
        if self.is(Lie::ReversesPending) {
            pending.reverse();
        }
        Ok(pending)
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        self.fresh.ledger.unmined(txid)
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        self.fresh.ledger.feerate()
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        self.fresh.ledger.most_data()
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        match self.lie {
            Lie::WakesTooEarly => Ok(seen),
            Lie::WaitsForNothing => {
                self.fresh.ledger.wait(seen, at_most.min(Duration::from_millis(100)))?;
                Ok(seen)
            }
            _ => self.fresh.ledger.wait(seen, at_most),
        }
    }
}

impl Harness for Liar {
    type Ledger = Self;

    fn ledger(&self) -> &Self {
        self
    }

    fn mine(&self, blocks: u32, to: &Script) -> Vec<BlockRef> {
        self.fresh.mine(blocks, to)
    }

    fn reorganise(&self, remove: u32, add: u32, to: &Script) -> Vec<BlockRef> {
        self.fresh.reorganise(remove, add, to)
    }

    fn roll_back(&self, blocks: u32) {
        self.fresh.roll_back(blocks);
    }
}

/// A lie and the test that notices it.
type Caught = (Lie, fn(&Liar));

#[test]
fn a_backend_that_breaks_a_promise_fails_the_test_of_that_clause() {
    let caught: [Caught; 21] = [
        (Lie::AnswersEveryOtherTime, contract::c1_1_asking_again_gives_the_same_answer),
        (Lie::StopsBelowTheTip, contract::c1_2_blocks_come_one_by_one_and_ascending),
        (Lie::RepeatsABlock, contract::c1_2_blocks_come_one_by_one_and_ascending),
        (Lie::OverlooksRollbacks, contract::c2_2_a_bare_rollback_is_noticed),
        (
            Lie::FailsOnUnknownBlocks,
            contract::c2_3_an_unknown_block_is_taken_back_and_a_foreign_genesis_refused,
        ),
        (Lie::TakesAnyGenesis, contract::c2_3_an_unknown_block_is_taken_back_and_a_foreign_genesis_refused),
        (
            Lie::MissesWhatTheSameBlockPaid,
            contract::c3_3_spending_what_the_same_block_paid_is_a_hit_and_later_it_is_not,
        ),
        (Lie::ReversesHits, contract::c4_1_hits_come_in_block_order_and_once_each),
        (Lie::DoublesHits, contract::c4_1_hits_come_in_block_order_and_once_each),
        (Lie::HidesCoinbases, contract::c4_2_a_coinbase_can_be_a_hit),
        (Lie::StripsWitnesses, contract::c4_4_a_hit_is_whole_and_says_what_its_first_input_spends),
        (Lie::InventsCoins, contract::c4_4_a_hit_is_whole_and_says_what_its_first_input_spends),
        (Lie::ForgetsHeights, contract::c5_the_tip_has_depth_one),
        (Lie::ShowsSpentCoins, contract::c6_a_coin_is_shown_until_something_spends_it),
        (Lie::DropsTransactions, contract::c7_1_a_transaction_that_was_taken_is_pending_until_it_is_mined),
        (Lie::RefusesRepeats, contract::c7_2_broadcasting_again_changes_nothing),
        (Lie::SendsWhatItChecks, contract::c7_4_a_check_says_what_a_broadcast_would_and_sends_nothing),
        (Lie::ReversesPending, contract::c8_pending_transactions_come_parents_first),
        (Lie::WaitsForNothing, contract::c9_waiting_ends_when_the_tip_moves_or_the_time_is_up),
        (Lie::WakesTooEarly, contract::c9_waiting_ends_when_the_tip_moves_or_the_time_is_up),
        (Lie::IsAbleOnlyOnce, contract::c11_1_what_a_backend_cannot_do_it_can_never_do),
    ];
    for (lie, test) in caught {
        test(&Liar::who(Lie::Honest));
        let passed = catch_unwind(AssertUnwindSafe(|| test(&Liar::who(lie)))).is_ok();
        assert!(!passed, "{lie:?} went unnoticed");
    }
}
