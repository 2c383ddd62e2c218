//! Prints what criterion measured last as ratios to each group's baseline. Usage: ratios <target/criterion>

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyway_benches::BASELINE;

/// Times in nanoseconds by round, each the median of its round's samples.
type Rounds = HashMap<String, f64>;
/// What was measured: by group, then by function.
type Measured = BTreeMap<String, BTreeMap<String, Rounds>>;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: ratios <target/criterion>");
        return ExitCode::from(2);
    };
    let measured = read(Path::new(&folder));
    if measured.is_empty() {
        eprintln!("nothing measured in {folder}");
        return ExitCode::FAILURE;
    }
    for (group, functions) in &measured {
        println!("{group}");
        let baseline = functions.get(BASELINE);
        let (first, others): (Vec<_>, Vec<_>) = functions.iter().partition(|(name, _)| *name == BASELINE);
        for (name, rounds) in first.into_iter().chain(others) {
            print(name, rounds, baseline);
        }
    }
    ExitCode::SUCCESS
}

fn print(name: &str, rounds: &Rounds, baseline: Option<&Rounds>) {
    let median = middle(rounds.values().copied().collect());
    let ratios = baseline.into_iter().flatten();
    let mut ratios: Vec<f64> = ratios.filter_map(|(round, base)| Some(rounds.get(round)? / base)).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = match ratios.as_slice() {
        [lowest, .., highest] if name != BASELINE => {
            format!("{:8.3} ×  ({lowest:.3} to {highest:.3})", middle(ratios.clone()))
        }
        _ => String::new(),
    };
    println!("  {name:<64} {:>10} {ratio}", time(median));
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

/// Criterion's folders: of a group, of a function, of a round.
fn read(folder: &Path) -> Measured {
    let mut measured = Measured::new();
    for round in subfolders(folder).flat_map(|group| subfolders(&group)).flat_map(|it| subfolders(&it)) {
        if let Some((group, function, round, nanoseconds)) = read_round(&round) {
            measured.entry(group).or_default().entry(function).or_default().insert(round, nanoseconds);
        }
    }
    measured
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

fn read_round(folder: &Path) -> Option<(String, String, String, f64)> {
    let json = |name: &str| -> Option<serde_json::Value> {
        serde_json::from_slice(&std::fs::read(folder.join("new").join(name)).ok()?).ok()
    };
    let id = json("benchmark.json")?;
    let text = |name: &str| Some(id[name].as_str()?.to_owned());
    let median = json("estimates.json")?["median"]["point_estimate"].as_f64()?;
    Some((text("group_id")?, text("function_id")?, text("value_str")?, median))
}
