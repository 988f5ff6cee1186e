//! Programs of others that the steps use.

use std::process::Command;
use tidewire_testkit::run::{Result, ask, cargo, program, run as start};

/// Installs a cargo subcommand from crates.io if it is missing.
pub(super) fn install(subcommand: &str) -> Result {
    if ask(&mut cargo(&[subcommand, "--version"])).is_some() {
        return Ok(());
    }
    let name = format!("cargo-{subcommand}");
    println!("{name} is missing: cargo install {name} --locked (up to five minutes)");
    start(&mut cargo(&["install", &name, "--locked"]))
}

/// `cargo` of the nightly toolchain.
pub(super) fn nightly(args: &[&str]) -> Result<Command> {
    if ask(&mut program("cargo", &["+nightly", "--version"])).is_none() {
        return Err(
            "this step needs a nightly toolchain: rustup toolchain install nightly --profile minimal".into(),
        );
    }
    let mut command = program("cargo", &["+nightly"]);
    command.args(args);
    // `cargo run` has set them for the stable toolchain.
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC");
    Ok(command)
}
