//! `cargo xtask bench`: compares the engine with Nchan, an axum server and a bare loop.
//!
//! Every server runs on core 0, the load on core 1. Runs are short and interleaved, so that other
//! load on the machine affects all servers alike. The comparison uses the CPU time of the server,
//! because other load changes it less than rates.

mod bare_loop;
mod load;
mod report;
mod servers;
mod wire;

use crate::process;
use crate::results::Results;
use crate::stores::{self, Plan};
use clap::Subcommand;
use servers::Started;
use std::io::Write as _;
use std::time::{Duration, Instant};
use tidewire_testkit::run::Result;
use wire::{Feed, Server};

/// What to measure, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Run one short round to check that everything works. Print the result and do not write the
    /// document.
    #[arg(long, global = true)]
    quick: bool,
    /// The number of rounds of interleaved runs.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// Measure only these parts. Print the result and do not write the document.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

/// A table of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Delivery,
    Latency,
    Get,
    Churn,
    Memory,
    Scale,
}

#[derive(Subcommand)]
enum What {
    /// Delivery, plain requests, memory (the default).
    Engine,
    /// The server over the store on a disk, beside the server over the store in memory.
    Disk {
        /// Measure only these parts. Print the result and do not write the document.
        #[arg(long, value_delimiter = ',')]
        only: Vec<stores::Part>,
    },
    /// Run the load, in its own process.
    #[command(hide = true)]
    Load(load::Args),
    /// Run the bare loop, in its own process.
    #[command(hide = true)]
    BareLoop { port: u16 },
}

pub(crate) fn run(args: &Args) -> Result {
    match &args.what {
        None | Some(What::Engine) => engine(args),
        Some(What::Disk { only }) => {
            stores::run(&Plan { quick: args.quick, rounds: args.rounds, only: only.clone() })
        }
        Some(What::Load(load)) => load::run(load),
        Some(What::BareLoop { port }) => bare_loop::run(*port),
    }
}

fn engine(args: &Args) -> Result {
    servers::prepare()?;
    let mut lab = Lab::new(args.quick)?;
    let rounds = if args.quick { 1 } else { args.rounds };
    let wants = |part| args.only.is_empty() || args.only.contains(&part);
    if wants(Part::Memory) {
        lab.memory()?;
    }
    for round in 1..=rounds {
        if lab.start.elapsed() > BUDGET {
            println!("\r\x1b[K    the time is over: {} rounds instead of {rounds}", round - 1);
            break;
        }
        lab.round = round;
        if wants(Part::Delivery) {
            lab.fanout();
        }
        if wants(Part::Latency) {
            lab.latency();
        }
        if wants(Part::Get) {
            lab.get();
        }
        if wants(Part::Churn) {
            lab.churn();
        }
        if wants(Part::Scale) && round <= SCALE_ROUNDS {
            lab.scale();
        }
    }
    report::write(&lab.results, lab.round, args.quick || !args.only.is_empty())
}

/// The running servers, and the results so far.
struct Lab {
    running: Vec<Started>,
    results: Results,
    quick: bool,
    seconds: String,
    round: usize,
    start: Instant,
}

impl Lab {
    fn new(quick: bool) -> Result<Self> {
        let all = [Server::Tidewire, Server::BareLoop, Server::Nchan, Server::Axum];
        let running = all.into_iter().map(Started::start).collect::<Result<_>>()?;
        let seconds = if quick { "0.3" } else { "0.5" }.to_owned();
        Ok(Self { running, results: Results::default(), quick, seconds, round: 1, start: Instant::now() })
    }

    fn fanout(&mut self) {
        for feed in Feed::ALL {
            for window in ["1", "32"] {
                for server in peers(feed) {
                    let cell = format!("fanout {} {window}", feed.name());
                    self.measure(&cell, server, "fanout", &["--feed", feed.name(), "--window", window]);
                }
            }
        }
    }

    fn latency(&mut self) {
        let feeds: &[Feed] = if self.quick { &[Feed::Sse] } else { &Feed::ALL };
        for &feed in feeds {
            for server in peers(feed) {
                let cell = format!("latency {}", feed.name());
                self.measure(&cell, server, "fanout", &["--feed", feed.name(), "--rate", "50"]);
            }
        }
    }

    fn get(&mut self) {
        for depth in ["1", "16"] {
            for server in [Server::Tidewire, Server::Return, Server::Nchan, Server::Axum] {
                self.measure(&format!("get {depth}"), server, "get", &["--depth", depth]);
            }
        }
    }

    fn churn(&mut self) {
        for feed in Feed::STREAMS {
            for server in [Server::Tidewire, Server::Nchan, Server::Axum] {
                self.measure(&format!("churn {}", feed.name()), server, "churn", &["--feed", feed.name()]);
            }
        }
    }

    fn scale(&mut self) {
        let counts: &[&str] =
            if self.quick { &["10", "1000"] } else { &["10", "100", "1000", "10000", "15000"] };
        for &count in counts {
            for server in [Server::Tidewire, Server::BareLoop] {
                self.measure(&format!("scale {count}"), server, "fanout", &["--subscribers", count]);
            }
        }
        for quiet in ["0", "99", "9999"] {
            let cell = format!("channels {quiet}");
            self.measure(&cell, Server::Tidewire, "fanout", &["--quiet-channels", quiet]);
        }
    }

    /// Measures each feed with a fresh server.
    fn memory(&mut self) -> Result {
        let count = if self.quick { "2000" } else { "10000" };
        for feed in Feed::ALL {
            for server in [Server::Tidewire, Server::Nchan, Server::Axum] {
                self.running.retain(|running| running.server != server);
                self.running.push(Started::start(server)?);
                let cell = format!("idle {}", feed.name());
                self.measure(&cell, server, "idle", &["--feed", feed.name(), "--subscribers", count]);
            }
        }
        for server in [Server::Tidewire, Server::Nchan, Server::Axum] {
            self.running.retain(|running| running.server != server);
            self.running.push(Started::start(server)?);
        }
        Ok(())
    }

    /// Runs the load once. A failed run is reported and adds no figure.
    fn measure(&mut self, cell: &str, server: Server, workload: &str, more: &[&str]) {
        let process = if server == Server::Return { Server::Nchan } else { server };
        let Some(running) = self.running.iter().find(|running| running.server == process) else { return };
        let seconds = self.start.elapsed().as_secs();
        print!("\r{seconds:4} s  round {}  {cell}  {}\x1b[K", self.round, server.name());
        let _ = std::io::stdout().flush();
        let (name, port, pid) = (server.name(), running.port.to_string(), running.pid.to_string());
        let mut load = vec!["bench", "load", workload, "--server", name, "--port", &port, "--pid", &pid];
        load.extend(["--seconds", &self.seconds]);
        load.extend(more);
        match process::load(&load) {
            Ok(value) => self.results.add(cell, name, value),
            Err(problem) => println!("\n{problem}"),
        }
    }
}

/// The servers that a feed is measured with. The bare loop has only streams.
fn peers(feed: Feed) -> Vec<Server> {
    let all = [Server::Tidewire, Server::BareLoop, Server::Nchan, Server::Axum];
    all.into_iter().filter(|&server| feed != Feed::Longpoll || server != Server::BareLoop).collect()
}

/// No round begins after this time, so that a whole measurement takes less than twelve minutes.
const BUDGET: Duration = Duration::from_secs(480);

/// The number of rounds that measure the scale. Opening fifteen thousand connections takes long.
const SCALE_ROUNDS: usize = 3;
