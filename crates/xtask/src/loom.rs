//! `cargo xtask loom`: runs the loom models, which take threads through every order that they can
//! take.
//!
//! A crate with models has them in modules named `loom_tests`, and a module that puts loom's locks
//! in the place of the standard ones under `cfg(loom)`. The flag goes to this crate alone: tokio
//! has a `cfg(loom)` of its own, and no dependency is built for the models.

use cargo_metadata::Message;

use tidewire_testkit::run::{Result, ask, cargo, program, run as start};

/// The crates that have models.
const CRATES: [&str; 2] = ["tidewire-server", "tidewire-hub"];

/// The other unit tests of a crate cannot run with loom's locks, which work within a model only.
const MODELS: &str = "loom_tests::";

pub(crate) fn run() -> Result {
    CRATES.iter().try_for_each(|name| {
        let tests = build(name)?;
        let list = ask(&mut program(&tests, &["--list", MODELS])).unwrap_or_default();
        if !list.contains(MODELS) {
            return Err(format!("{name} has no module named loom_tests; take it out of the list here"));
        }
        start(&mut program(&tests, &[MODELS]))
    })
}

/// Builds the unit tests of a crate with loom's locks; returns the path of the program.
fn build(name: &str) -> Result<String> {
    let mut command =
        cargo(&["rustc", "--quiet", "--package", name, "--lib", "--profile", "test", "--all-features"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    // The step of the lints does not see what stands under this flag.
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
