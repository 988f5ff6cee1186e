//! `cargo xtask loom`: runs the loom models, which run threads in every possible order.
//!
//! A crate has its models in modules named `loom_tests`. Another module replaces the standard locks
//! by those of loom under `cfg(loom)`. Only this crate gets the flag, because tokio has a
//! `cfg(loom)` too. No dependency is built for the models.

use cargo_metadata::Message;

use tidewire_testkit::run::{Result, ask, cargo, program, run as start};

/// The crates that have models.
const CRATES: [&str; 2] = ["tidewire-server", "tidewire-hub"];

/// Other unit tests cannot run here, because the locks of loom work only within a model.
const MODELS: &str = "loom_tests::";

pub(crate) fn run() -> Result {
    CRATES.iter().try_for_each(|name| {
        let tests = build(name)?;
        let list = ask(&mut program(&tests, &["--list", MODELS])).unwrap_or_default();
        if !list.contains(MODELS) {
            return Err(format!("{name} has no module loom_tests; remove it from the list in loom.rs"));
        }
        start(&mut program(&tests, &[MODELS]))
    })
}

/// Builds the unit tests of a crate with the locks of loom. Returns the path of the program.
fn build(name: &str) -> Result<String> {
    let mut command =
        cargo(&["rustc", "--quiet", "--package", name, "--lib", "--profile", "test", "--all-features"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    // The lints of the check do not see the code under this flag.
    command.args(["--", "--cfg", "loom", "-D", "warnings"]);
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
    let program = Message::parse_stream(&output.stdout[..]).find_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) => artifact.executable,
        _ => None,
    });
    match program {
        Some(program) if output.status.success() => Ok(program.into_string()),
        _ => Err(format!("the models of {name} cannot be built ({})", output.status)),
    }
}
