//! The measurements of the workspace: `cargo xtask attacks`, `bench`, `bench-ws` and `transports`
//! start this.

// A command that talks to a person at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod attacks;
mod document;
mod engine;
mod process;
mod transports;
mod ws;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The measurements of the Tidewire workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Named as the commands of xtask that start them.
#[derive(Subcommand)]
enum Command {
    /// What one client can cost another: attacks on a release server of one worker, beside a probe
    /// (some minutes; Linux, two cores).
    Attacks(attacks::Args),
    /// Measure the engine beside Nchan, axum and a bare loop, and write docs/benchmarks.md (Linux,
    /// two cores).
    Bench(engine::Args),
    /// Measure WebSocket echo servers on tidewire-ws beside other libraries, and write
    /// docs/benchmarks.md (Linux, two cores, g++).
    BenchWs(ws::Args),
    /// Measure every technique on the same publishes against the release binary, and write the
    /// tables of docs/transports.md (about a minute; Linux).
    Transports,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Attacks(args) => attacks::run(&args),
        Command::Bench(args) => engine::run(&args),
        Command::BenchWs(args) => ws::run(&args),
        Command::Transports => transports::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nbench: {problem}");
            ExitCode::FAILURE
        }
    }
}
