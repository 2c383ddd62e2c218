//! Runs `keyway demo` as a whole process: wall time, memory, bytes on disk. Usage: demo <keyway> [runs]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

/// What one run took.
struct Run {
    seconds: f64,
    /// Kept in memory at its most.
    kibibytes: i64,
    /// Left on disk.
    bytes: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [ONCE, keyway] => run(keyway).map(|run| println!("{} {} {}", run.seconds, run.kibibytes, run.bytes)),
        [keyway] => measure(keyway, 5),
        [keyway, runs] => measure(keyway, runs.parse().unwrap_or(5).max(1)),
        _ => {
            eprintln!("usage: demo <keyway> [runs]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keyway demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Has this program make one run.
const ONCE: &str = "--once";

fn measure(keyway: &str, runs: usize) -> Result<(), String> {
    let mut measured = (0..runs).map(|_| run_apart(keyway)).collect::<Result<Vec<_>, _>>()?;
    measured.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let (least, median, most) = (&measured[0], &measured[runs / 2], &measured[runs - 1]);
    println!("demo: the whole process, {runs} runs");
    println!(
        "  wall time, median (least, most)    {:.2} s ({:.2} s, {:.2} s)",
        median.seconds, least.seconds, most.seconds
    );
    let memory = measured.iter().map(|run| run.kibibytes).max().unwrap_or_default();
    println!("  memory at its most                 {} MiB", memory / 1_024);
    println!("  left on disk: two homes, a ledger  {} KiB", most.bytes / 1_024);
    Ok(())
}

/// A run in a process of its own, which has no other children: this one's are all that it or Cargo, whose place it took, ever had.
fn run_apart(keyway: &str) -> Result<Run, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(this).args([ONCE, keyway]).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let run = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [seconds, kibibytes, bytes] => Run {
            seconds: seconds.parse().map_err(|_| "no time")?,
            kibibytes: kibibytes.parse().map_err(|_| "no memory")?,
            bytes: bytes.parse().map_err(|_| "no size")?,
        },
        _ => return Err(output.status.to_string()),
    };
    Ok(run)
}

fn run(keyway: &str) -> Result<Run, String> {
    let folder = std::env::temp_dir().join(format!("keyway-bench-{}", std::process::id()));
    let begun = Instant::now();
    let status = Command::new(keyway)
        .args(["--quiet", "--json", "--home"])
        .arg(&folder)
        .arg("demo")
        .stdout(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    let seconds = begun.elapsed().as_secs_f64();
    // Linux counts in KiB.
    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    let bytes = size(&folder);
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    if status.success() { Ok(Run { seconds, kibibytes, bytes }) } else { Err(status.to_string()) }
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
