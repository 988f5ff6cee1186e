//! `cargo xtask attacks`: measures what one client can cost another. Each attack runs against a
//! release server with one worker. Meanwhile a probe sends small requests to the same worker. All
//! other clients wait as long as the probe.
//!
//! ```text
//!   probe ──── GET, GET, GET … ────────► ┌──────────────┐
//!   attack ─── connections, then bytes ─►│ one worker   │──► readers that take everything,
//!                                        └──────────────┘    or nothing, or count losses
//! ```
//!
//! `--server PATH` attacks another binary, to compare before and after. The server is on core 0 and
//! the attack on core 1. Only servers that this program started are attacked, one at a time.

mod bulk_readers;
mod bursts;
mod changes;
mod clients;
mod lists;
mod marks;
mod ordinary;
mod probe;
mod row;
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::process::need_taskset;
use probe::{Probe, Waits};
use row::{Outcome, Row, Setup};
use server::{Server, Turns};
use tidewire_testkit::run::{Result, cargo, run as start, target};

/// What to run, and against which server.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server to attack [default: target/release/tidewire, which is built first].
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Run only the attacks whose names have all of these words. Repeat it for more attacks.
    #[arg(long, value_name = "WORDS")]
    only: Vec<String>,
    /// List the attacks and run none.
    #[arg(long)]
    list: bool,
    /// How often to run each attack. The worst figures are shown.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The duration of attacks that have no end of their own.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// The number of connections of attacks that need many.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
}

/// Runs the attacks and prints a line for each.
pub(crate) fn run(args: &Args) -> Result {
    let chosen: Vec<Row> = all().into_iter().filter(|row| is_chosen(args, &row.name)).collect();
    if chosen.is_empty() {
        return Err("no attack has these words in its name; --list names them".into());
    }
    if args.list {
        chosen.iter().for_each(|row| println!("    {}", row.name));
        return Ok(());
    }
    if !cfg!(target_os = "linux") {
        return Err("memory and CPU are read from /proc; run this on Linux".into());
    }
    need_taskset()?;
    rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("the limit of file descriptors cannot be raised: {error}"))?;
    let binary = match &args.server {
        Some(path) => path.clone(),
        None => {
            start(&mut cargo(&["build", "--quiet", "--release", "--package", "tidewire"]))?;
            target().join("release/tidewire")
        }
    };
    server::pin_to_core_1()?;
    println!("    {} connections, {} s, {}", args.connections, args.seconds, binary.display());
    println!(
        "    {:<44} {:>23}   {:>15} {:>9} {:>14} {:>7}",
        "", "a GET waits, ms", "longest turn", "memory", "lost", "took"
    );
    println!(
        "    {:<44} {:>7} {:>7} {:>7}   {:>7} {:>7} {:>9} {:>14} {:>7}",
        "attack", "worst", "p99", "median", "ms", ">20 ms", "MiB", "messages", "s"
    );
    let (mut longest, mut long) = (Duration::ZERO, 0.0_f64);
    for row in &chosen {
        let mut worst = Figures::default();
        for _ in 0..args.rounds {
            let figures = measure(row, &binary, args).map_err(|error| format!("{}: {error}", row.name))?;
            worst = worst.worse(figures);
        }
        worst.print(&row.name);
        if let Some(turns) = worst.turns {
            (longest, long) = (longest.max(turns.longest), long.max(turns.long));
        }
    }
    judge(longest, long)
}

/// The longest turn that is allowed for the worker, which has a core of its own.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// The share of turns that may take longer than 20 ms.
const LONG_TURNS: f64 = 0.01;

fn judge(longest: Duration, long: f64) -> Result {
    let verdict = format!(
        "the longest turn took {:.1} ms (allowed: {} ms), \
         and up to {:.2} % of an attack's turns took over 20 ms (allowed: {} %)",
        longest.as_secs_f64() * 1e3,
        LONGEST_TURN.as_millis(),
        long * 100.0,
        LONG_TURNS * 100.0
    );
    if longest > LONGEST_TURN || long > LONG_TURNS {
        return Err(verdict);
    }
    println!("    {verdict}");
    Ok(())
}

/// All attacks.
fn all() -> Vec<Row> {
    let mut all = lists::rows();
    all.extend(bursts::rows());
    all.extend(changes::rows());
    all
}

fn is_chosen(args: &Args, name: &str) -> bool {
    let has_all =
        |words: &String| words.split_whitespace().all(|word| name.split(' ').any(|one| one == word));
    args.only.is_empty() || args.only.iter().any(has_all)
}

/// The cost of one attack.
#[derive(Default)]
struct Figures {
    waits: Waits,
    /// The largest growth of memory in bytes since all clients had connected.
    grown: u64,
    outcome: Outcome,
    took: Duration,
    turns: Option<Turns>,
}

impl Figures {
    fn worse(self, other: Self) -> Self {
        Figures {
            waits: self.waits.worse(other.waits),
            grown: self.grown.max(other.grown),
            outcome: if other.outcome.lost >= self.outcome.lost { other.outcome } else { self.outcome },
            took: self.took.max(other.took),
            turns: [self.turns, other.turns].into_iter().flatten().max_by_key(|turns| turns.longest),
        }
    }

    fn print(&self, name: &str) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Outcome { lost, expected } = self.outcome;
        let lost = if expected == 0 { String::new() } else { format!("{lost} of {expected}") };
        let (longest, long) = self.turns.map_or_else(Default::default, |turns| {
            (format!("{:.1}", ms(turns.longest)), format!("{:.2} %", turns.long * 100.0))
        });
        println!(
            "    {name:<44} {:>7.1} {:>7.1} {:>7.2}   {longest:>7} {long:>7} {:>9.1} {lost:>14} {:>7.1}",
            ms(self.waits.worst),
            ms(self.waits.p99),
            ms(self.waits.median),
            self.grown as f64 / f64::from(1 << 20),
            self.took.as_secs_f64(),
        );
    }
}

/// Runs one attack on a server of its own.
fn measure(row: &Row, binary: &std::path::Path, args: &Args) -> std::io::Result<Figures> {
    let server = Server::start(binary, row.options)?;
    let mut setup = Setup {
        server: &server,
        connections: args.connections as usize,
        time: Duration::from_secs(args.seconds),
        held: Vec::new(),
    };
    // The first message and the first answer allocate the allocator's pools.
    ordinary::warm_up(&server)?;
    let attack = (row.prepare)(&mut setup)?;
    server.calm()?;
    let before = server.memory()?;
    let probe = Probe::start(&server)?;
    let begun = Instant::now();
    let outcome = attack(&mut setup)?;
    server.settle(|| probe.answered())?;
    let took = begun.elapsed();
    let (waits, most) = probe.end()?;
    drop(setup);
    let turns = server.turns();
    Ok(Figures { waits, grown: most.saturating_sub(before), outcome, took, turns })
}
