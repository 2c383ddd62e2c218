//! Commands killed at any moment and typed again: the key is agreed, and no satoshi is lost.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bitcoin::consensus::encode::deserialize;
use bitcoin::{Address, Amount, Block, OutPoint, ScriptBuf, TxOut};
use keyway_chain::Height;
use keyway_ledger::{Embedded, Ledger};
use serde_json::Value;

use crate::damage::Dice;
use crate::stage::{Run, Stage};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use crate::steps;

/// A stage on which commands die.
struct Deadly {
    stage: Stage,
    dice: Dice,
    /// About how long a command takes to start; what happens to the next ones corrects it.
    startup: Duration,
    kills: u32,
    /// Which of its changes each command is killed before: it goes with the seed, so that many runs come to all.
    number: usize,
    reached: Reached,
}

/// How many changes each command makes, and before which of them it was killed.
type Reached = HashMap<String, (usize, HashSet<usize>)>;

impl Deadly {
    fn new(seed: u64, reached: Reached) -> Self {
        let stage = Stage::funded();
        // The blocks of the funding are behind them: each command has few changes to be killed before.
        stage.ok("--home car sync");
        stage.ok("--home charger sync");
        let started = Instant::now();
        stage.ok("--home car status");
        Self {
            stage,
            dice: Dice::new(seed),
            number: seed as usize,
            startup: started.elapsed(),
            kills: 0,
            reached,
        }
    }

    /// Kills it before one of the changes it makes, another one in each run.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn kill_at_a_step(&mut self, args: &str) {
        let (most, steps) = self.reached.entry(args.to_owned()).or_default();
        // The first time it runs to its end, so that it is known how many there are.
        let n = if *most == 0 { usize::MAX } else { self.number % *most };
        match steps::kill_before(&self.stage.command(args), self.stage.path(), n) {
            Some(steps::Ended { killed: true, .. }) => {
                self.kills += 1;
                steps.insert(n);
            }
            Some(ended) => *most = (*most).max(ended.changes),
            None => println!("skipped: no process may be traced here"),
        }
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    fn kill_at_a_step(&mut self, _: &str) {}

    /// Starts it and kills it at a random moment, if it has not ended by itself before.
    fn kill_sometime(&mut self, args: &str) {
        let mut command = self.stage.command(args);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Starting up takes most of the time, and does nothing that could be lost.
        let micros = self.startup.as_micros() as u64;
        let delay = Duration::from_micros(micros * 8 / 10 + self.dice.below(micros * 3 / 2));
        let started = Instant::now();
        let mut child = child.spawn().unwrap();
        while started.elapsed() < delay {
            if child.try_wait().unwrap().is_some() {
                self.startup = self.startup * 9 / 10;
                return;
            }
            std::thread::yield_now();
        }
        child.kill().unwrap();
        self.startup = self.startup * 21 / 20;
        self.kills += u32::from(child.wait().unwrap().code().is_none());
    }

    /// Types it again until it goes through.
    fn do_it(&mut self, args: &str) -> Run {
        self.kill_at_a_step(args);
        for _ in 0..=self.dice.below(2) {
            self.kill_sometime(args);
        }
        self.stage.run(args)
    }

    fn negotiate(&mut self) {
        // One carrier after the other, as the seed has it.
        let terms = ["", "--carrier static", "--carrier dynamic", "--carrier dynamic --suite x25519"];
        let terms = terms[self.number % terms.len()];
        self.do_it(&format!("--home car offer charger --pay 60000 {terms}")).ok();
        self.do_it("--home car mine").ok();
        self.do_it("--home charger sync").ok();
        self.do_it("--home charger mine").ok();
        self.do_it("--home car sync").ok();
        self.do_it("--home car mine").ok();
        self.do_it("--home car sync").ok();
        self.do_it("--home charger sync").ok();
    }

    /// Until nothing is under way any more.
    fn settle(&self) {
        for _ in 0..5 {
            let statuses = ["car", "charger"].map(|home| {
                self.stage.ok(&format!("--home {home} sync"));
                self.stage.json(&format!("--home {home} status"))
            });
            if statuses.iter().all(|status| status["unmined"] == 0 && status["held_sat"] == 0) {
                return;
            }
            self.stage.ok("--home car mine 2");
        }
        panic!("something is always under way");
    }

    fn keys(&self, home: &str) -> HashMap<String, Value> {
        let keys = self.stage.json(&format!("--home {home} keys"));
        let by_id = |view: &Value| (view["id"].as_str().unwrap().to_owned(), view.clone());
        keys.as_array().unwrap().iter().map(by_id).collect()
    }

    /// Each negotiation, however many the repeated offers made, is the same on both sides.
    fn check_keys(&self) {
        let (cars, chargers) = (self.keys("car"), self.keys("charger"));
        assert!(!cars.is_empty());
        assert_eq!(cars.len(), chargers.len());
        for (id, view) in &cars {
            assert!(view["fingerprint"].is_string(), "{view}");
            assert_eq!(
                (&view["fingerprint"], &view["state"]),
                (&chargers[id]["fingerprint"], &chargers[id]["state"])
            );
        }
        let active: Vec<_> = cars.values().filter(|view| view["state"] == "active").collect();
        assert_eq!(active.len(), 1, "{cars:?}");
        let sealed = self.stage.feed("--home car seal charger", b"alive").ok();
        assert_eq!(self.stage.feed("--home charger open", sealed.as_bytes()).ok(), "alive");
    }

    /// What the homes say they have is what the blocks give them, and what is missing went to miners.
    fn check_money(&self) {
        let statuses = ["car", "charger"].map(|home| self.stage.json(&format!("--home {home} status")));
        let scripts = statuses.each_ref().map(|status| script_of(status["address"].as_str().unwrap()));
        let told: Vec<u64> =
            statuses.iter().map(|status| status["spendable_sat"].as_u64().unwrap()).collect();
        let (coins, fees) = account(&self.stage, &scripts);
        let sum = |script: &ScriptBuf| -> u64 {
            let own = coins.values().filter(|coin| coin.script_pubkey == *script);
            own.map(|coin| coin.value.to_sat()).sum()
        };
        assert_eq!(told, [sum(&scripts[0]), sum(&scripts[1])]);
        assert_eq!(told[0] + told[1] + fees.to_sat(), 5_000_000);
    }
}

fn script_of(address: &str) -> ScriptBuf {
    address.parse::<Address<_>>().unwrap().assume_checked().script_pubkey()
}

/// All coins of the chain, and the fees of the payments that spend coins of these scripts.
fn account(stage: &Stage, scripts: &[ScriptBuf]) -> (HashMap<OutPoint, TxOut>, Amount) {
    let ledger = Embedded::open(stage.join("chain")).unwrap();
    let mut coins: HashMap<OutPoint, TxOut> = HashMap::new();
    let mut fees = Amount::ZERO;
    for height in 1..=ledger.tip().unwrap().height.to_u32() {
        let at = ledger.block_at(Height::new(height)).unwrap().unwrap();
        let block: Block = deserialize(&ledger.block(&at.hash).unwrap().unwrap()).unwrap();
        for tx in &block.txdata {
            let spent: Vec<TxOut> =
                tx.input.iter().filter_map(|input| coins.remove(&input.previous_output)).collect();
            if spent.iter().any(|coin| scripts.contains(&coin.script_pubkey)) {
                let paid: Amount = tx.output.iter().map(|output| output.value).sum();
                fees += spent.iter().map(|coin| coin.value).sum::<Amount>() - paid;
            }
            let txid = tx.compute_txid();
            coins.extend(
                (0..).zip(&tx.output).map(|(vout, output)| (OutPoint::new(txid, vout), output.clone())),
            );
        }
    }
    (coins, fees)
}

/// Lives so many runs from a seed on. Says before how many of its changes each command was killed.
fn runs(first: u64, count: u64) -> Reached {
    let (mut kills, mut reached) = (0, Reached::new());
    for seed in first..first + count {
        println!("seed {seed}");
        let mut deadly = Deadly::new(seed, reached);
        deadly.negotiate();
        deadly.settle();
        deadly.check_keys();
        deadly.check_money();
        kills += deadly.kills;
        reached = deadly.reached;
    }
    assert!(u64::from(kills) > count, "only {kills} commands were killed");
    println!("{count} runs from seed {first} on, {kills} commands killed; before so many of their changes:");
    for (command, (most, steps)) in &reached {
        println!("  {command}: {} of {most}", steps.len());
    }
    reached
}

#[test]
fn a_negotiation_survives_kill_9_of_its_commands() {
    runs(1, 5);
}

#[test]
fn a_negotiation_survives_kill_9_of_its_commands_with_other_dice() {
    runs(7, 5);
}

/// `./x kill --runs N --seed S`.
#[test]
#[ignore = "takes long: ./x kill"]
fn as_many_runs_as_are_asked_for() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    runs(number("KEYWAY_KILL_SEED").unwrap_or(1), number("KEYWAY_KILL_RUNS").unwrap_or(200));
}
