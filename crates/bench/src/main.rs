//! The measurements of the workspace. `cargo xtask attacks`, `bench`, `bench-ws`, `compile-times`
//! and `transports` start this program.

// A command that talks to a person at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod attacks;
mod compile_times;
mod document;
mod engine;
mod process;
mod results;
mod stores;
mod transports;
mod wire;
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

/// Each has the name of the xtask command that starts it.
#[derive(Subcommand)]
enum Command {
    /// Measure what one client can cost another: attacks on a release server with one worker (some
    /// minutes; Linux, two cores).
    Attacks(attacks::Args),
    /// Compare the engine with Nchan, axum and a bare loop, and write docs/benchmarks.md (Linux,
    /// two cores).
    Bench(engine::Args),
    /// Compare WebSocket echo servers on tidewire-ws with other libraries, and write
    /// docs/benchmarks.md (Linux, two cores, g++).
    BenchWs(ws::Args),
    /// Measure what a dependency on each crate costs to build, next to crates that do the same
    /// work, and write docs/benchmarks.md (a quarter of an hour; Linux).
    CompileTimes(compile_times::Args),
    /// Measure every technique with the same messages and the release binary, and write the tables
    /// of docs/transports.md (about a minute; Linux).
    Transports,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Attacks(args) => attacks::run(&args),
        Command::Bench(args) => engine::run(&args),
        Command::BenchWs(args) => ws::run(&args),
        Command::CompileTimes(args) => compile_times::run(&args),
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
