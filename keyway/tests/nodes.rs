//! Power cuts: two served parties and their node, each killed at random points, agree all the same.
//!
//! `./x nodes --runs N` runs N of them, `KEYWAY_SEED` repeats one; the tests run a few.
#![cfg(feature = "embedded")]
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests: they fail by panicking")]

#[path = "cli/stage.rs"]
#[allow(dead_code)]
mod stage;
#[path = "cli/town.rs"]
#[allow(dead_code)]
mod town;

use std::time::{Duration, Instant};

use keyway_ledger::testnode::Kind;
use serde_json::Value;

use town::{Served, Town, until};

/// Runs of the ordinary tests.
const FEW: u64 = 2;
/// Things that happen in one run before peace returns.
const EVENTS: u64 = 10;
/// The longest pause between two of them.
const PAUSE: Duration = Duration::from_millis(400);

/// SplitMix64: which run is which must not depend on a library's version.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// The stimulus, not a way to wait for something: where in its work a process is when it is killed.
    fn pause(&mut self) {
        let until = Instant::now() + PAUSE * u32::try_from(self.roll(100)).unwrap() / 100;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
    }
}

#[test]
fn killed_at_random_points_both_end_with_the_same_key_and_one_payment() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kinds = Kind::ALL.into_iter();
    for kind in kinds {
        match number("KEYWAY_SEED") {
            Some(seed) => run(kind, seed),
            None => (1..=number("KEYWAY_RUNS").unwrap_or(FEW)).for_each(|seed| run(kind, seed)),
        }
    }
}

/// How each run's offer rides: one way after the other. Litecoin Core takes the last three in envelopes.
const TERMS: [&str; 4] = ["", "--carrier static", "--carrier dynamic", "--carrier static --suite x25519"];

fn run(kind: Kind, seed: u64) {
    let Some(town) = Town::start(kind) else { return };
    let terms = TERMS[usize::try_from(seed).unwrap() % TERMS.len()];
    eprintln!("{kind:?}, KEYWAY_SEED={seed} {terms}");
    let mut dice = Dice(seed);
    town.settle();
    let mut car = Some(town.serve("car"));
    let mut charger = Some(town.serve("charger"));
    let mut offer = None;
    for _ in 0..EVENTS {
        dice.pause();
        if offer.is_none() && dice.roll(2) == 0 {
            offer = offered(&town, terms);
        }
        match dice.roll(6) {
            0 => cut(&town, "car", &mut car, &mut dice),
            1 => cut(&town, "charger", &mut charger, &mut dice),
            2 => {
                town.node.kill();
                dice.pause();
                town.node.restart();
                town.revive();
            }
            3 => {
                town.node.freeze();
                dice.pause();
                town.node.thaw();
            }
            _ => town.mine(1),
        }
    }
    if offer.is_none() {
        until("an offer is made", || {
            town.mine(1);
            offer = offered(&town, terms);
            offer.is_some()
        });
    }
    peace(&town, seed, &offer.unwrap_or_default());
}

/// Offers, unless the home has no coin for it at this moment: a node that was killed may have lost the blocks they
/// are in. What was killed meanwhile may have offered already.
fn offered(town: &Town, terms: &str) -> Option<Value> {
    let run = town.stage.run(&format!("--home car --json offer charger --pay 2500000sat {terms}"));
    let first = town.key("car");
    match run.code() {
        Some(0) => Some(first["id"].clone()),
        _ => first["id"].is_string().then(|| first["id"].clone()),
    }
}

fn cut(town: &Town, home: &str, served: &mut Option<Served>, dice: &mut Dice) {
    if let Some(served) = served.take() {
        served.kill();
    }
    dice.pause();
    *served = Some(town.serve(home));
}

/// Blocks come as they should, and the two have one key, for one payment.
fn peace(town: &Town, seed: u64, offer: &Value) {
    for home in ["car", "charger"] {
        until(&format!("the key is active at the {home}, in run {seed}"), || {
            town.mine(1);
            town.state(home) == "active"
        });
    }
    let (car, charger) = (town.key("car"), town.key("charger"));
    assert!(car["fingerprint"].is_string());
    assert_eq!(car["fingerprint"], charger["fingerprint"], "run {seed}");
    assert_eq!(car["id"], *offer, "run {seed}");
    for home in ["car", "charger"] {
        let all = town.stage.json(&format!("--home {home} keys"));
        assert_eq!(all.as_array().map(Vec::len), Some(1), "run {seed}: {all}");
    }
}
