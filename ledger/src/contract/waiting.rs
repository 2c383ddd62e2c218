//! Clauses 9 and 10.

use std::time::{Duration, Instant};

use keyway_chain::BlockRef;

use super::{Follower, Free, Harness};
use crate::{Ledger, Watch};

/// Clause 9.
pub fn c9_waiting_ends_when_the_tip_moves_or_the_time_is_up<H: Harness>(harness: &H) {
    let ledger = harness.ledger();
    let old = harness.mine(1, &Free(0).script())[0];
    let start = Instant::now();
    let short = Duration::from_millis(50);
    assert_eq!(ledger.wait(old, short).unwrap(), old);
    assert!(start.elapsed() >= short);

    let long = Duration::from_secs(60);
    let (waited, new) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ledger.wait(old, long).unwrap());
        let new = harness.mine(1, &Free(0).script())[0];
        (waiting.join().unwrap(), new)
    });
    assert_eq!(waited, new);
    assert_eq!(ledger.wait(old, long).unwrap(), new, "it moved before the waiting began");
    assert!(start.elapsed() < long);
}

/// Clauses 2.5 and 10. Each follower checks on its way that no answer mixes two chains.
pub fn c10_several_threads_may_ask_at_once<H: Harness>(harness: &H) {
    let ledger = harness.ledger();
    let end = Duration::from_secs(60);
    let tips: Vec<BlockRef> = std::thread::scope(|scope| {
        let follow = || {
            let (mut follower, start) = (Follower::new(ledger, Watch::new()), Instant::now());
            while follower.last().height.to_u32() < 20 && start.elapsed() < end {
                follower.follow(ledger);
                ledger.wait(follower.last(), Duration::from_millis(100)).unwrap();
            }
            follower.follow(ledger);
            follower.last()
        };
        let followers: Vec<_> = (0..3).map(|_| scope.spawn(follow)).collect();
        for _ in 0..10 {
            harness.mine(1, &Free(0).script());
            harness.reorganise(1, 2, &Free(1).script());
        }
        followers.into_iter().map(|follower| follower.join().unwrap()).collect()
    });
    assert_eq!(tips, [ledger.tip().unwrap(); 3]);
}
