//! `./x paper`: walks the paper, and writes what each of its claims comes to.

#[cfg(feature = "embedded")]
mod program {
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::time::Instant;

    use anyhow::{Context, Result};
    use clap::Parser;
    use keyway_paper::{Options, Verdict, Walk, claims_table, walk};

    /// Walks every algorithm, section and proposition of the paper, and writes what comes of each: claims.csv, and a CSV and
    /// an SVG for each figure.
    ///
    /// All is drawn from the seed: the same one gives the same files, but for times, which stand in columns of their own.
    #[derive(Parser)]
    #[command(name = "paper")]
    struct Arguments {
        /// The folder to write to.
        #[arg(long)]
        out: PathBuf,
        /// What everything is drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Fewer samples, and no group searched for: for a first look.
        #[arg(long)]
        quick: bool,
    }

    /// The files are listed on stdout; all else is told on stderr.
    pub fn main() -> Result<ExitCode> {
        let Arguments { out, seed, quick } = Arguments::parse();
        let started = Instant::now();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut tell = |what: &str| eprintln!("{:>4} s  {what}", started.elapsed().as_secs());
        let found = walk(Options { seed, quick }, &root, &mut tell)?;
        let mut stdout = std::io::stdout().lock();
        for path in write(&found, &out)? {
            writeln!(stdout, "{}", path.display())?;
        }
        let not_shown: Vec<_> =
            found.claims.iter().filter(|claim| matches!(claim.verdict, Verdict::NotShown(_))).collect();
        for claim in &not_shown {
            eprintln!("error: {}: {}\n  {}", claim.place, claim.verdict, claim.result);
        }
        eprintln!("{:>4} s  {} rows", started.elapsed().as_secs(), found.claims.len());
        Ok(if not_shown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn write(found: &Walk, out: &Path) -> Result<Vec<PathBuf>> {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let mut written = Vec::new();
        let mut put = |name: String, bytes: &[u8]| -> Result<()> {
            let path = out.join(name);
            std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path);
            Ok(())
        };
        put("claims.csv".to_owned(), &claims_table(&found.claims).to_csv()?)?;
        for figure in &found.figures {
            put(format!("{}.csv", figure.name), &figure.table.to_csv()?)?;
            put(format!("{}.svg", figure.name), figure.plot.to_svg()?.as_bytes())?;
        }
        Ok(written)
    }
}

#[cfg(feature = "embedded")]
fn main() -> anyhow::Result<std::process::ExitCode> {
    program::main()
}

#[cfg(not(feature = "embedded"))]
fn main() {
    eprintln!("error: the paper is walked over the embedded ledger, which this build is without");
    std::process::exit(1);
}
