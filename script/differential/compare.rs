//! One generated input under both interpreters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use bitcoin::consensus::encode::{serialize, serialize_hex};
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use bitcoinkernel::core::verify::{PrecomputedTransactionData, verify};
use bitcoinkernel::{ScriptPubkey, Transaction, TxOut};
use keyway_script::{Flags, ScriptError, Spending};

use crate::generate::{self, Case};

/// Every set of consensus flags that Bitcoin Core takes.
static FLAG_SETS: LazyLock<Vec<Flags>> = LazyLock::new(|| {
    let flags: Vec<Flags> = Flags::CONSENSUS.iter().map(|(flag, _)| flag).collect();
    let set = |bits: usize| {
        let chosen = flags.iter().enumerate().filter(|(nth, _)| bits & (1 << nth) != 0);
        chosen.fold(Flags::NONE, |all, (_, flag)| all | *flag)
    };
    let sets = (0..1 << flags.len()).map(set);
    sets.filter(|set| set.with_implied() == *set).collect()
});

/// What was compared so far.
#[derive(Default)]
pub struct Report {
    inputs: u64,
    verified: u64,
    outcomes: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<&'static str, u64>,
    flag_sets: BTreeSet<u32>,
}

/// Cases of one input.
pub const CASES_PER_INPUT: u64 = 2;

impl Report {
    /// Makes an input and compares two cases: all consensus flags, and one set of them drawn at random. The error
    /// says all that is needed to see the difference again.
    pub fn compare(&mut self, seed: u64, nth: u64) -> Result<(), String> {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ nth);
        let case = generate::case(&mut rng);
        let other = FLAG_SETS[rng.gen_range(0..FLAG_SETS.len())];
        let under = |flags| compare_under(&case, flags).map_err(|text| describe(&case, seed, nth, &text));
        let all = under(Flags::CONSENSUS)?;
        under(other)?.ok();
        self.inputs += 1;
        self.verified += u64::from(all.is_ok());
        *self.outcomes.entry(all.map_or_else(ScriptError::name, |()| "OK")).or_default() += 1;
        *self.kinds.entry(case.kind).or_default() += 1;
        self.flag_sets.insert(other.bits());
        Ok(())
    }

    /// Inputs that verify under all consensus flags.
    #[allow(dead_code, reason = "the test asks")]
    pub fn verified(&self) -> u64 {
        self.verified
    }

    /// How many different ends there were.
    #[allow(dead_code, reason = "the test asks")]
    pub fn outcomes(&self) -> usize {
        self.outcomes.len()
    }

    /// How many different sets of flags there were.
    #[allow(dead_code, reason = "the test asks")]
    pub fn flag_sets(&self) -> usize {
        self.flag_sets.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.kinds.iter().chain(&self.outcomes) {
            writeln!(f, "{count:>10}  {name}")?;
        }
        writeln!(f, "{:>10}  of {} inputs verify under all consensus flags", self.verified, self.inputs)
    }
}

fn compare_under(case: &Case, flags: Flags) -> Result<Result<(), ScriptError>, String> {
    let ours =
        Spending::new(&case.transaction, &case.prevouts).unwrap().input(case.input).unwrap().verify(flags);
    let cores = core_verifies(case, flags);
    if ours.is_ok() == cores {
        return Ok(ours);
    }
    Err(format!("flags {flags}: ours {ours:?}, Bitcoin Core's {cores}"))
}

fn core_verifies(case: &Case, flags: Flags) -> bool {
    let transaction = Transaction::new(&serialize(&case.transaction)).unwrap();
    let amount = |nth: usize| i64::try_from(case.prevouts[nth].value.to_sat()).unwrap();
    let script = |nth: usize| ScriptPubkey::new(case.prevouts[nth].script_pubkey.as_bytes()).unwrap();
    let spent: Vec<TxOut> =
        (0..case.prevouts.len()).map(|nth| TxOut::new(&script(nth), amount(nth))).collect();
    let data = PrecomputedTransactionData::new(&transaction, &spent).unwrap();
    let (script, amount) = (script(case.input), amount(case.input));
    verify(&script, Some(amount), &transaction, case.input, Some(flags.bits()), &data).is_ok()
}

fn describe(case: &Case, seed: u64, nth: u64, text: &str) -> String {
    let prevouts: Vec<String> = case.prevouts.iter().map(serialize_hex).collect();
    format!(
        "DIFFERENCE in input {nth} of seed {seed} ({}): {text}\ninput {} of {}\nspends {}",
        case.kind,
        case.input,
        serialize_hex(&case.transaction),
        prevouts.join(" ")
    )
}
