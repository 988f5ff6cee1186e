//! `cargo xtask`: builds the developer commands and starts them.
//!
//! For `cargo run --package xtask`, cargo would choose the features of the dependencies for this
//! package alone, and build most of them again for the workspace. So the alias runs this file,
//! which has no dependency. This file builds the commands as the check builds the workspace. cargo
//! counts the dependencies of tests and examples only if it builds one of these. So this is an
//! example, and names itself.

#![allow(clippy::print_stderr)]

use std::process::{Command, ExitCode};

const BUILD: [&str; 8] =
    ["build", "--quiet", "--workspace", "--all-features", "--bin", "xtask", "--example", "start"];

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nxtask: the developer commands cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Settings of cargo, for the build here and for all commands, if the variable "CI" is set. Such a
/// machine builds once, and data for a next build takes a third of the time. The place of a panic
/// and the names in a backtrace need no debug information.
const ONCE: [(&str, &str); 2] = [("CARGO_INCREMENTAL", "0"), ("CARGO_PROFILE_DEV_DEBUG", "0")];

fn start() -> std::io::Result<ExitCode> {
    let settings = std::env::var_os("CI").map(|_| ONCE).into_iter().flatten();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(BUILD).current_dir(env!("CARGO_MANIFEST_DIR")).envs(settings.clone());
    if !build.status()?.success() {
        // cargo has said why.
        return Ok(ExitCode::FAILURE);
    }
    // This program is `debug/examples/start`, and the commands are `debug/xtask`.
    let itself = std::env::current_exe()?;
    let folder = itself.ancestors().nth(2).unwrap_or(&itself);
    let mut commands = Command::new(folder.join(format!("xtask{}", std::env::consts::EXE_SUFFIX)));
    commands.args(std::env::args_os().skip(1)).envs(settings);
    become_it(commands)
}

/// Replaces this process, so that a signal reaches the commands.
#[cfg(unix)]
fn become_it(mut commands: Command) -> std::io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(&mut commands))
}

#[cfg(not(unix))]
fn become_it(mut commands: Command) -> std::io::Result<ExitCode> {
    Ok(if commands.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
