//! `./x simulate`: lives schedules until one breaks a law.
#![cfg_attr(not(feature = "embedded"), allow(missing_docs))]

#[cfg(feature = "embedded")]
mod command {
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use clap::Parser;
    use keyway_lab::schedule::{Summary, run};
    #[cfg(feature = "planted")]
    use keyway_node::planted::Bug;

    /// Lives schedules of crashes, reorganisations and races until one breaks a law.
    #[derive(Parser)]
    #[command(name = "simulate")]
    struct Args {
        /// How many schedules.
        #[arg(long, default_value_t = 10_000)]
        schedules: u64,
        /// The first one's seed; the others' follow it. Drawn if none is given.
        #[arg(long)]
        seed: Option<u64>,
        /// On how many threads; one for each core if not said.
        #[arg(long)]
        threads: Option<usize>,
        /// Plants a bug in the node, by name; `list` names them.
        #[cfg(feature = "planted")]
        #[arg(long)]
        plant: Option<String>,
    }

    pub fn main() -> ExitCode {
        let args = Args::parse();
        #[cfg(feature = "planted")]
        match args.plant.as_deref().map(by_name) {
            Some(Some(bug)) => keyway_lab::schedule::plant(bug),
            Some(None) => {
                Bug::ALL.iter().for_each(|bug| println!("{bug:?}"));
                return ExitCode::FAILURE;
            }
            None => {}
        }
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (threads, started) = (args.threads.unwrap_or(cores), Instant::now());
        eprintln!("{} schedules from seed {seed} on, {threads} threads", args.schedules);
        let told = Mutex::new(started);
        let progress = |summary: &Summary| {
            let Ok(mut told) = told.lock() else { return };
            if told.elapsed() >= Duration::from_secs(10) {
                *told = Instant::now();
                eprintln!("{}", tally(summary, started.elapsed()));
            }
        };
        match run(seed, args.schedules, threads, &progress) {
            Ok(summary) => report(&summary, started.elapsed()),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    #[cfg(feature = "planted")]
    fn by_name(name: &str) -> Option<Bug> {
        Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }

    fn tally(summary: &Summary, took: Duration) -> String {
        let Summary { schedules, tally, .. } = summary;
        let (negotiations, keys, deaths) = (tally.negotiations, tally.agreed, tally.deaths);
        let seconds = took.as_secs_f64();
        let pace = 1_000.0 * seconds / (*schedules).max(1) as f64;
        format!(
            "{schedules} schedules, no law broken: {negotiations} negotiations, {keys} keys, {deaths} deaths, \
             {seconds:.0} s, {pace:.1} ms each"
        )
    }

    fn report(summary: &Summary, took: Duration) -> ExitCode {
        let Some(failure) = &summary.failure else {
            println!("{}", tally(summary, took));
            return ExitCode::SUCCESS;
        };
        failure.story.iter().for_each(|line| println!("{line}"));
        println!("\nseed {} breaks a law\n{}", failure.seed, failure.violation);
        println!("live it again with `./x simulate --schedules 1 --seed {}`", failure.seed);
        ExitCode::FAILURE
    }
}

#[cfg(feature = "embedded")]
fn main() -> std::process::ExitCode {
    command::main()
}

#[cfg(not(feature = "embedded"))]
fn main() {}
