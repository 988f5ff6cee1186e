//! The command line: `serve` (the default), `backup`, `pub`, `sub`, `explain`.

mod backup;
mod channel_url;
mod check;
mod config;
mod explain;
mod log;
mod log_writer;
mod options;
mod patterns;
mod publish;
mod sanitizer;
mod serve;
mod storage;
mod subscribe;
mod units;

use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use options::ServeArgs;

/// A real-time web server: one URL, one log, one cursor, for every push and pull technique of the
/// web.
///
/// Without a command, it serves on 127.0.0.1:8080.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve channels over HTTP and WebSocket (the default command).
    Serve(Box<ServeArgs>),
    /// Copy the data of a server, also while the server runs.
    Backup(backup::BackupArgs),
    /// Publish messages and print their cursors, or close a channel.
    Pub(publish::PubArgs),
    /// Read a channel over the first transport that works, and print its messages.
    Sub(subscribe::SubArgs),
    /// Explain every byte of a file, of standard input or of a live connection, with the RFC
    /// section.
    Explain(Box<explain::ExplainArgs>),
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    let _flush_at_exit = log::FlushAtExit;
    let command = without_empty_variables(Cli::command());
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Serve(args)) => serve::run(*args),
        Some(Command::Backup(args)) => backup::run(args),
        Some(Command::Pub(args)) => publish::run(args),
        Some(Command::Sub(args)) => subscribe::run(args),
        Some(Command::Explain(args)) => explain::run(*args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            log::print_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Ignores environment variables that are empty. Compose files and unit files use an empty variable
/// to leave an option out.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}
