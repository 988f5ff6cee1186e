//! `cargo xtask embed`: builds and runs a program outside the workspace that embeds `tidewire-hub`,
//! and checks that it links no crate that only the command needs.
//!
//! The source of the program is `embed/main.rs`. This command makes it a package with a separate
//! workspace, as in the project of a user. So no other crate of our workspace can add a dependency
//! or a feature to it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use tidewire_testkit::run::{Result, cargo, read, root, run as start, target, write};

/// Crates that only the command needs.
const FORBIDDEN: [&str; 7] =
    ["anstyle", "clap", "tidewire", "tidewire-client", "tidewire-explain", "toml", "tracing-subscriber"];

/// The name of the package.
const NAME: &str = "embed-probe";

pub(crate) fn run() -> Result {
    let folder = target().join("embed");
    let manifest = folder.join("Cargo.toml");
    write(&manifest, package(&read(&root().join("Cargo.toml"))?).as_bytes())?;
    write(&folder.join("main.rs"), include_bytes!("../embed/main.rs"))?;
    // The versions of the workspace, which cargo has downloaded already.
    write(&folder.join("Cargo.lock"), read(&root().join("Cargo.lock"))?.as_bytes())?;
    let manifest = manifest.display().to_string();
    let tree = ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = answer(cargo(&tree).args(["--manifest-path", &manifest]))?;
    let crates = crates(&tree);
    let forbidden: Vec<_> = FORBIDDEN.into_iter().filter(|name| crates.contains(name)).collect();
    if !forbidden.is_empty() {
        return Err(refusal(&forbidden, &manifest));
    }
    let program = ["run", "--offline", "--quiet", "--manifest-path", &manifest, "--target-dir"];
    start(cargo(&program).arg(target()))?;
    println!("    a program that embeds tidewire-hub works, and links {} crates", crates.len());
    Ok(())
}

/// The manifest of the package. It has the same profile as the workspace, so that crates with the
/// same features are not built again.
fn package(workspace: &str) -> String {
    let profile = workspace.find("[profile.dev]").map_or("", |at| &workspace[at..]);
    let hub = root().join("crates/hub").display().to_string();
    format!(
        "[package]\nname = {NAME:?}\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [workspace]\n\n[[bin]]\nname = {NAME:?}\npath = \"main.rs\"\n\n\
         [dependencies]\ntidewire-hub = {{ path = {hub:?} }}\n\n{profile}"
    )
}

/// Returns the output of cargo. Its error messages are shown as they are.
fn answer(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err("`cargo tree` failed for a program that embeds tidewire-hub. It runs offline: \
                    run `cargo fetch` in the workspace to download missing crates"
            .to_owned());
    }
    String::from_utf8(output.stdout)
        .map_err(|error| format!("the output of `cargo tree` is not UTF-8: {error}"))
}

fn refusal(names: &[&str], manifest: &str) -> String {
    format!(
        "a program that embeds tidewire-hub links {}, which only the command may link. \
         This command shows the dependency that adds it:\n    \
         cargo tree --offline --edges normal --invert {} --manifest-path {manifest}",
        names.join(", "),
        names[0],
    )
}

/// The names of all crates but the program itself, from lines like `bytes v1.12.1 (*)`.
fn crates(tree: &str) -> BTreeSet<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_command_that_finds_the_dependency() {
        let text = refusal(&["clap", "toml"], "/t/Cargo.toml");
        assert!(text.contains("links clap, toml,"), "{text}");
        assert!(text.ends_with("--invert clap --manifest-path /t/Cargo.toml"), "{text}");
    }

    #[test]
    fn each_crate_counts_once() {
        let tree = "embed-probe v0.0.0 (/t)\ntidewire-hub v0.1.0 (/h)\nbytes v1.12.1\n\nbytes v1.12.1 (*)\n";
        assert_eq!(crates(tree), BTreeSet::from(["bytes", "tidewire-hub"]));
    }
}
