//! What `keyway serve` takes with many peers and keys: memory, and processor time while nothing happens and while blocks
//! come. Usage: serve_memory <keyway> [vehicles]

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use keyway_benches::fleet;
use keyway_ledger::testnode::{Kind, TestNode};

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(30);
/// Blocks that come, one by one.
const BLOCKS: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(keyway) = args.next() else {
        eprintln!("usage: serve_memory <keyway> [vehicles]");
        return ExitCode::from(2);
    };
    let vehicles = args.next().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    // The program that says why there is no node has said it.
    let Some(node) = TestNode::start(Kind::Litecoin) else { return ExitCode::SUCCESS };
    let folder = std::env::temp_dir().join(format!("keyway-bench-{}", std::process::id()));
    let home = folder.join("depot");
    eprintln!("a home with {vehicles} keys, answered block by block");
    let begun = Instant::now();
    fleet::build(&node, &home, vehicles, |answered| {
        if answered % 1_000 < 20 {
            eprintln!("  {answered} keys, {} s", begun.elapsed().as_secs());
        }
    });
    let measured = measure(&keyway, &home, &node, vehicles);
    let removed = std::fs::remove_dir_all(&folder);
    match measured.and_then(|()| removed.map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{keyway} serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(keyway: &str, home: &Path, node: &TestNode, vehicles: usize) -> Result<(), String> {
    let stored = std::fs::metadata(home.join("store.sqlite")).map_err(|error| error.to_string())?.len();
    let begun = Instant::now();
    let served = Served::start(keyway, home)?;
    served.follow(keyway, home, node)?;
    println!("serve-memory: {vehicles} peers, {vehicles} active keys");
    println!("  ready after                         {:.1} s", begun.elapsed().as_secs_f64());
    println!("  store on disk                       {} MiB", stored >> 20);
    println!("  memory, after the start             {}", served.memory()?);
    let before = served.seconds()?;
    std::thread::sleep(IDLE);
    let idle = (served.seconds()? - before) / IDLE.as_secs_f64();
    println!("  processor, while nothing happens    {:.2} %", idle * 100.0);
    let (before, begun) = (served.seconds()?, Instant::now());
    for _ in 0..BLOCKS {
        node.mine(1, &ScriptBuf::from_bytes(vec![0x51]));
        served.follow(keyway, home, node)?;
    }
    let blocks = f64::from(BLOCKS);
    let (spent, took) = ((served.seconds()? - before) / blocks, begun.elapsed().as_secs_f64() / blocks);
    println!("  a block: processor time             {spent:.3} s, of {took:.3} s until it was followed");
    let bare = ratchet(vehicles);
    println!("  a block: its bare HKDF-Extracts     {bare:.4} s; ratio {:.0}", spent / bare);
    println!("  memory, after {BLOCKS} blocks              {}", served.memory()?);
    Ok(())
}

/// One step of each key, and nothing else.
fn ratchet(keys: usize) -> f64 {
    let begun = Instant::now();
    let mut ck = [7; 32];
    for _ in 0..keys {
        let mut hmac = HmacEngine::<sha256::Hash>::new(&[0x5a; 32]);
        hmac.input(&ck);
        ck = Hmac::<sha256::Hash>::from_engine(hmac).to_byte_array();
    }
    std::hint::black_box(ck);
    begun.elapsed().as_secs_f64()
}

/// A home's service, which ends with this value.
struct Served(Child);

impl Served {
    fn start(keyway: &str, home: &Path) -> Result<Self, String> {
        let child = Command::new(keyway)
            .arg("--home")
            .arg(home)
            .args(["serve", "--log", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut served = Self(child.map_err(|error| error.to_string())?);
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(home.join("control.sock")).is_err() {
            if served.0.try_wait().is_ok_and(|ended| ended.is_some()) || Instant::now() > deadline {
                return Err("it does not start".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(served)
    }

    /// Waits until it has followed to the node's tip: its metrics are brought up to date at the end of each round.
    fn follow(&self, keyway: &str, home: &Path, node: &TestNode) -> Result<(), String> {
        use std::io::{Read, Write};
        let wanted = format!("keyway_height{{party=\"depot\"}} {}", node.tip().height);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut metrics = String::new();
            let asked =
                std::os::unix::net::UnixStream::connect(home.join("control.sock")).and_then(|mut it| {
                    it.write_all(b"GET /metrics HTTP/1.1\r\nHost: keyway\r\nConnection: close\r\n\r\n")?;
                    it.read_to_string(&mut metrics)
                });
            asked.map_err(|error| format!("{keyway}: {error}"))?;
            if metrics.contains(&wanted) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("it does not follow".to_owned())
    }

    fn of_proc(&self, file: &str) -> Result<String, String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).map_err(|error| error.to_string())
    }

    /// What it holds now, and held at most.
    fn memory(&self) -> Result<String, String> {
        let status = self.of_proc("status")?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kib| kib >> 10)
        };
        Ok(format!("{} MiB, {} MiB at its most", mib("VmRSS:"), mib("VmHWM:")))
    }

    /// Processor time that it has taken.
    fn seconds(&self) -> Result<f64, String> {
        const PER_SECOND: f64 = 100.0;
        let stat = self.of_proc("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok());
        ticks(11)
            .zip(ticks(12))
            .map(|(user, system)| (user + system) / PER_SECOND)
            .ok_or_else(|| stat.clone())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
