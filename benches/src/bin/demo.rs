//! Runs `keyway demo` as a whole process: wall time, memory, bytes on disk. Usage: demo <keyway> [runs]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(keyway) = args.next() else {
        eprintln!("usage: demo <keyway> [runs]");
        return ExitCode::from(2);
    };
    let runs = args.next().and_then(|runs| runs.parse().ok()).unwrap_or(5usize).max(1);
    let mut seconds: Vec<f64> = Vec::new();
    let mut bytes = 0;
    for _ in 0..runs {
        match run(&keyway) {
            Ok((took, left)) => {
                seconds.push(took);
                bytes = left;
            }
            Err(error) => {
                eprintln!("{keyway} demo: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    seconds.sort_by(f64::total_cmp);
    println!("demo: the whole process, {runs} runs");
    println!(
        "  wall time, median (least, most)    {:.2} s ({:.2} s, {:.2} s)",
        seconds[runs / 2],
        seconds[0],
        seconds[runs - 1]
    );
    // Linux counts in KiB.
    let memory = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    println!("  memory at its most                 {} MiB", memory / 1_024);
    println!("  left on disk: two homes, a ledger  {} KiB", bytes / 1_024);
    ExitCode::SUCCESS
}

/// Seconds it took, and bytes it left.
fn run(keyway: &str) -> Result<(f64, u64), String> {
    let folder = std::env::temp_dir().join(format!("keyway-bench-{}", std::process::id()));
    let begun = Instant::now();
    let status = Command::new(keyway)
        .args(["--quiet", "--json", "--home"])
        .arg(&folder)
        .arg("demo")
        .stdout(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    let took = begun.elapsed().as_secs_f64();
    let left = size(&folder);
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    if status.success() { Ok((took, left)) } else { Err(status.to_string()) }
}

/// Bytes that the files of a folder take on disk: a file may be longer than what it holds.
fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}
