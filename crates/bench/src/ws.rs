//! `cargo xtask bench-ws`: echo servers on tidewire-ws beside those on other WebSocket libraries.
//!
//! As in the parent module: the servers on core 0, the load on core 1, runs short and interleaved, and what is compared is the CPU
//! time of the server for each message.

mod load;
mod peer;
mod report;

use crate::run::{Result, program, root};
use peer::{Peer, Running};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Instant;

/// How much to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// One short round, printed and not written down: to see that all works.
    #[arg(long)]
    quick: bool,
    /// Rounds of the interleaved runs, of about two minutes each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only cells whose name holds this, such as ` 16` for the pipelined ones; printed and not written down.
    #[arg(long)]
    only: Option<String>,
}

#[derive(clap::Subcommand)]
enum What {
    /// The load, in a process of its own.
    #[command(hide = true)]
    Load(load::Args),
}

/// Server CPU for a message, in microseconds, of every run of a cell and a peer.
pub(crate) type Results = BTreeMap<(Cell, Peer), Vec<f64>>;

/// One load: connections, bytes of a message, messages under way on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) depth: usize,
    pub(crate) connections: usize,
    pub(crate) size: usize,
}

pub(crate) fn run(args: &Args) -> Result {
    if let Some(What::Load(load)) = &args.what {
        return load::run(load);
    }
    peer::prepare()?;
    let rounds = if args.quick { 1 } else { args.rounds };
    let (mut results, start) = (Results::new(), Instant::now());
    let cells: Vec<Cell> = cells().filter(|cell| wanted(args, cell)).collect();
    for round in 1..=rounds {
        for (index, cell) in cells.iter().enumerate() {
            for peer in Peer::ALL {
                let seconds = start.elapsed().as_secs();
                let (at, of) = (index + 1, cells.len());
                print!(
                    "\r{seconds:4} s  round {round} of {rounds}  cell {at} of {of}: {}  {}\x1b[K",
                    cell.name(),
                    peer.name()
                );
                let _ = std::io::stdout().flush();
                match measure(*cell, peer, if args.quick { "0.3" } else { "0.6" }) {
                    Ok(cost) => results.entry((*cell, peer)).or_default().push(cost),
                    Err(problem) => println!("\n{problem}"),
                }
            }
        }
    }
    report::write(&results, &cells, rounds, args)
}

fn cells() -> impl Iterator<Item = Cell> {
    [1, 16].into_iter().flat_map(|depth| {
        [10, 200].into_iter().flat_map(move |connections| {
            [20, 1 << 10, 16 << 10, 1 << 20].into_iter().map(move |size| Cell { depth, connections, size })
        })
    })
}

fn wanted(args: &Args, cell: &Cell) -> bool {
    args.only.as_ref().is_none_or(|part| cell.name().contains(part))
}

impl Cell {
    pub(crate) fn name(&self) -> String {
        format!("{} x {} B x {}", self.connections, self.size, self.depth)
    }
}

/// A server of its own for each run: what one left behind in memory does not burden the next.
fn measure(cell: Cell, peer: Peer, seconds: &str) -> Result<f64> {
    let running = Running::start(peer)?;
    let load = root().join("target/release/xtask").display().to_string();
    let (port, pid) = (running.port.to_string(), running.pid().to_string());
    let mut command =
        program("taskset", &["-c", "1", &load, "bench-ws", "load", "--port", &port, "--pid", &pid]);
    command.args(["--connections", &cell.connections.to_string(), "--size", &cell.size.to_string()]);
    command.args(["--depth", &cell.depth.to_string(), "--seconds", seconds]);
    let output = command.output().map_err(|error| format!("the load cannot be started: {error}"))?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}, {}: {}", peer.name(), cell.name(), problem.trim()));
    }
    let value: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    value["cost"].as_f64().ok_or_else(|| "the load told no cost".into())
}
