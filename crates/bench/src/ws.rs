//! `cargo xtask bench-ws`: compares echo servers on tidewire-ws with those on other WebSocket
//! libraries.
//!
//! As for the engine, the servers run on core 0 and the load on core 1, and runs are short and
//! interleaved. The comparison uses the server's CPU time per message.

mod cell;
mod load;
mod peer;
mod report;

use crate::document::machine;
use crate::process;
use cell::{Cell, Results};
use peer::{Peer, Started};
use std::io::Write as _;
use std::time::Instant;
use tidewire_testkit::run::Result;

/// How much to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Run one short round to check that everything works. Print the result and do not write the
    /// document.
    #[arg(long)]
    quick: bool,
    /// The number of rounds of interleaved runs. A round takes about two minutes.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure only cells whose name contains this, such as ` 16` for the pipelined ones. Print the
    /// result and do not write the document.
    #[arg(long)]
    only: Option<String>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Run the load, in its own process.
    #[command(hide = true)]
    Load(load::Args),
}

pub(crate) fn run(args: &Args) -> Result {
    if let Some(What::Load(load)) = &args.what {
        return load::run(load);
    }
    peer::prepare()?;
    let rounds = if args.quick { 1 } else { args.rounds };
    let (mut results, start) = (Results::new(), Instant::now());
    let cells: Vec<Cell> = Cell::all().filter(|cell| wanted(args, cell)).collect();
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
    let command = if args.quick { "bench-ws --quick" } else { "bench-ws" };
    let whole = !args.quick && args.only.is_none();
    report::write(&results, &cells, &machine(command, rounds), whole)
}

fn wanted(args: &Args, cell: &Cell) -> bool {
    args.only.as_ref().is_none_or(|part| cell.name().contains(part))
}

/// Each run has a fresh server, so that the memory of one run does not affect the next.
fn measure(cell: Cell, peer: Peer, seconds: &str) -> Result<f64> {
    let started = Started::start(peer)?;
    let (port, pid) = (started.port.to_string(), started.pid().to_string());
    let [connections, size, depth] = [cell.connections, cell.size, cell.depth].map(|n| n.to_string());
    let mut load = vec!["bench-ws", "load", "--port", &port, "--pid", &pid];
    load.extend(["--connections", &connections, "--size", &size, "--depth", &depth, "--seconds", seconds]);
    let figures = process::load(&load);
    let figures = figures.map_err(|problem| format!("{}, {}: {problem}", peer.name(), cell.name()))?;
    figures["cost"].as_f64().ok_or_else(|| "the load printed no cost".into())
}
