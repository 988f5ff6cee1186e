//! Developer commands: `cargo xtask help`.

// The commands print for a person at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod api;
mod autobahn;
mod bench;
mod browser;
mod check;
mod checkout;
mod compliance;
mod corpus;
mod coverage;
mod embed;
mod exercises;
mod fuzz;
mod layers;
mod links;
mod loom;
mod markdown;
mod no_std;
mod pointers;
mod programs;
mod prose;
mod published;
mod release;
mod source;
mod steps;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The developer commands of the Tidewire workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all checks that must pass before a push, or some of them. Shows progress and the usual
    /// time of each step.
    Check(check::Args),
    /// Run a test program, and end it if it prints nothing for long. The check runs all test
    /// programs like this.
    #[command(hide = true)]
    Watched(check::watched::Args),
    /// Run the Autobahn WebSocket suite against tidewire-ws (installs it from PyPI; needs python3).
    Autobahn(autobahn::Args),
    /// Build the browser's client and test it in Chromium against the server (needs node; installs
    /// Chromium from Debian).
    Browser,
    /// Measure how much a hostile client costs other clients of a release server with one worker
    /// (some minutes; Linux, two cores).
    #[command(disable_help_flag = true)]
    Attacks(bench::Args),
    /// Compare the engine with Nchan, axum and a bare loop, and write docs/benchmarks.md (Linux,
    /// two cores).
    #[command(disable_help_flag = true)]
    Bench(bench::Args),
    /// Compare WebSocket echo servers on tidewire-ws with those on other libraries, and write
    /// docs/benchmarks.md (Linux, two cores, g++).
    #[command(disable_help_flag = true)]
    BenchWs(bench::Args),
    /// Measure what a dependency on each crate costs to build, next to crates that do the same
    /// work, and write docs/benchmarks.md (a quarter of an hour; Linux).
    #[command(disable_help_flag = true)]
    CompileTimes(bench::Args),
    /// Compare the dependencies of every crate with the layers of docs/ARCHITECTURE.md, and find
    /// import cycles between files.
    Layers(layers::Args),
    /// Check the links of all Markdown files, that README.md leads to every document in two clicks,
    /// and that the crates stand in the same order everywhere.
    Links,
    /// Check the files, items and commands that documents name in backticks.
    Pointers,
    /// Run the loom models: threads that share locks, in every possible order.
    Loom,
    /// Prove that the crates of layers 0 to 2 do not link std without their default features
    /// (tidewire-explain may).
    NoStd,
    /// Build and run a program outside the workspace that embeds tidewire-hub, and check that it
    /// links no crate that only the command needs.
    Embed,
    /// Check the exercises of docs/exercises: the test of each fails without its solution and
    /// passes with it (some minutes). Or work on one of them.
    Exercises(exercises::Args),
    /// Check docs/compliance.md: every MUST has a test or a reason, every named file and test
    /// exists, and every tag in the code has a row.
    Compliance,
    /// Check the rules of docs/api.md in the published crates.
    Api,
    /// Check all that must hold for a release: packages, licences, documentation, features, oldest
    /// versions (half an hour; needs a nightly toolchain; installs cargo-hack and cargo-deny).
    ReleaseCheck(release::Args),
    /// Check that no line is too long: 100 characters of prose, 110 of code.
    Prose(prose::Args),
    /// Run the fuzz targets on the committed corpora with stable Rust, and check that the exported
    /// seeds are current.
    Corpus,
    /// Measure how much of the protocol crates the committed corpora reach, file by file (needs the
    /// llvm-tools component).
    Coverage,
    /// Export the cases of docs/wire/*.md to the corpora of the fuzz targets that they name.
    Seeds,
    /// Measure every technique with the same messages on the release server, and write the tables
    /// of docs/transports.md (about a minute; Linux).
    #[command(disable_help_flag = true)]
    Transports(bench::Args),
    /// Run some or all fuzz targets (installs cargo-fuzz if it is missing; needs a nightly
    /// toolchain).
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Watched(args) => check::watched::run(&args),
        Command::Attacks(args) => return bench::run("attacks", &args),
        Command::Autobahn(args) => autobahn::run(&args),
        Command::Browser => browser::run(),
        Command::Bench(args) => return bench::run("bench", &args),
        Command::BenchWs(args) => return bench::run("bench-ws", &args),
        Command::CompileTimes(args) => return bench::run("compile-times", &args),
        Command::Layers(args) => layers::run(&args),
        Command::Links => links::run(),
        Command::Pointers => pointers::run(),
        Command::Loom => loom::run(),
        Command::NoStd => no_std::run(),
        Command::Embed => embed::run(),
        Command::Exercises(args) => exercises::run(&args),
        Command::Compliance => compliance::run(),
        Command::Api => api::run(),
        Command::ReleaseCheck(args) => release::run(&args),
        Command::Prose(args) => prose::run(&args),
        Command::Corpus => corpus::run(),
        Command::Coverage => coverage::run(),
        Command::Seeds => corpus::seeds(),
        Command::Transports(args) => return bench::run("transports", &args),
        Command::Fuzz(args) => fuzz::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nxtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
