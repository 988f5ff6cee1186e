//! The packages as crates.io would have them, unpacked, in a workspace of their own.
//!
//! ```text
//! target/release-check/NAME/
//!   Cargo.toml                 a workspace; each crate of ours comes from a folder below
//!   tidewire-ws-0.1.0/         the content of tidewire-ws-0.1.0.crate
//!   …
//! ```

use cargo_metadata::Package;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewire_testkit::run::{Result, cargo, program, read, root, run as start, target, write};

use super::place::folder;
use crate::published::{manifests, published, selected};

/// The unpacked packages.
pub(super) struct Unpacked {
    pub(super) folder: PathBuf,
    pub(super) packages: Vec<Package>,
}

/// What is left out of the manifests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    Nothing,
    /// The dependencies of tests: they must not decide which versions cargo chooses.
    Tests,
}

impl Unpacked {
    /// Makes the packages from what is committed, and unpacks them to the folder `name`.
    pub(super) fn new(name: &str, without: Without) -> Result<Self> {
        let metadata = manifests()?;
        let mut pack = cargo(&["package", "--no-verify", "--quiet"]);
        start(pack.args(selected(&metadata)))?;
        let folder = folder().join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let packages: Vec<_> = published(&metadata).cloned().collect();
        for package in &packages {
            unpack(package, &folder, without)?;
        }
        let manifest = workspace(&packages, &read(&root().join("Cargo.toml"))?);
        write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
        Ok(Self { folder, packages })
    }

    /// `cargo` for this workspace. Its builds are kept for the next run.
    pub(super) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo(args);
        self.here(&mut command);
        command
    }

    /// Lets a command work in this workspace.
    pub(super) fn here(&self, command: &mut Command) {
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", folder().join("target"));
    }
}

fn unpack(package: &Package, folder: &Path, without: Without) -> Result {
    let name = folder_of(package);
    let packed = target().join("package").join(format!("{name}.crate"));
    start(program("tar", &["-xzf"]).arg(packed).arg("-C").arg(folder))?;
    if without == Without::Tests {
        let manifest = folder.join(name).join("Cargo.toml");
        write(&manifest, without_tests(&read(&manifest)?).as_bytes())?;
    }
    Ok(())
}

fn folder_of(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}

/// The manifest of the workspace, with the profile of ours.
fn workspace(packages: &[Package], ours: &str) -> String {
    let profile = ours.find("[profile.dev]").map_or("", |at| &ours[at..]);
    let members: String = packages.iter().map(|package| format!("{:?}, ", folder_of(package))).collect();
    let patch = |package: &Package| format!("{} = {{ path = {:?} }}\n", package.name, folder_of(package));
    let patches: String = packages.iter().map(patch).collect();
    format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}\n{profile}")
}

/// A manifest as cargo writes it into a package, without the tables of `dev-dependencies`.
fn without_tests(manifest: &str) -> String {
    let mut keep = true;
    let mut text = String::new();
    for line in manifest.split_inclusive('\n') {
        if line.starts_with('[') {
            keep = !line.contains("dev-dependencies");
        }
        if keep {
            text.push_str(line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_tests_are_left_out_of_a_manifest() {
        let head = "[package]\nname = \"x\"\n\n[dependencies.a]\nversion = \"1\"\n\n";
        let tests = "[dev-dependencies.b]\nversion = \"2\"\n\n\
            [target.\"cfg(unix)\".dev-dependencies.c]\nversion = \"3\"\nfeatures = [\n    \"d\",\n]\n\n";
        let end = "[lints.rust]\nunsafe_code = \"deny\"\n";
        assert_eq!(without_tests(&[head, tests, end].concat()), [head, end].concat());
    }
}
