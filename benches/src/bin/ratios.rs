//! Prints what criterion measured last as ratios to each group's baseline. Usage: ratios <target/criterion>

use std::path::Path;
use std::process::ExitCode;

use keyway_benches::BASELINE;

/// One measured function: its name, and the median of its times in nanoseconds.
struct Measured {
    group: String,
    function: String,
    nanoseconds: f64,
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: ratios <target/criterion>");
        return ExitCode::from(2);
    };
    let mut measured: Vec<Measured> = subfolders(Path::new(&folder))
        .flat_map(|group| subfolders(&group))
        .filter_map(|f| read(&f))
        .collect();
    measured.sort_by(|a, b| {
        (&a.group, a.function != BASELINE, &a.function).cmp(&(&b.group, b.function != BASELINE, &b.function))
    });
    if measured.is_empty() {
        eprintln!("nothing measured in {folder}");
        return ExitCode::FAILURE;
    }
    for group in measured.chunk_by(|a, b| a.group == b.group) {
        print_group(group);
    }
    ExitCode::SUCCESS
}

fn print_group(group: &[Measured]) {
    println!("{}", group[0].group);
    let baseline = group.iter().find(|measured| measured.function == BASELINE);
    for Measured { function, nanoseconds, .. } in group {
        let ratio = baseline
            .map_or(String::new(), |baseline| format!("{:8.3} ×", nanoseconds / baseline.nanoseconds));
        println!("  {function:<64} {:>10} {ratio}", time(*nanoseconds));
    }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

fn subfolders(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> + use<> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

fn read(function: &Path) -> Option<Measured> {
    let json = |name: &str| -> Option<serde_json::Value> {
        serde_json::from_slice(&std::fs::read(function.join("new").join(name)).ok()?).ok()
    };
    let id = json("benchmark.json")?;
    Some(Measured {
        group: id["group_id"].as_str()?.to_owned(),
        function: id["function_id"].as_str()?.to_owned(),
        nanoseconds: json("estimates.json")?["median"]["point_estimate"].as_f64()?,
    })
}
