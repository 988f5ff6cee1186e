//! Builds the package of a row, and counts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use tidewire_testkit::run::{Result, ask, cargo, read, root, run as start, target, write};

use super::rows::Row;

/// What a build costs.
pub(super) struct Cost {
    /// The dependency and its version.
    pub(super) package: String,
    /// All crates that are built, for this machine.
    pub(super) crates: usize,
    /// CPU seconds.
    pub(super) debug: f64,
    pub(super) release: f64,
}

/// A package with the dependencies of a row.
pub(super) struct Package {
    folder: PathBuf,
    /// The first dependency, which the row is about.
    dependency: &'static str,
}

impl Package {
    /// Writes the package, and downloads its dependencies.
    pub(super) fn new(row: &Row) -> Result<Self> {
        let folder = target().join("compile-times").join(row.name);
        let package = Self { folder, dependency: row.dependency() };
        let manifest = format!(
            "[package]\nname = \"compile-time\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
             [workspace]\n\n[dependencies]\n{}",
            row.manifest()
        );
        write(&package.folder.join("Cargo.toml"), manifest.as_bytes())?;
        write(&package.folder.join("src/lib.rs"), b"")?;
        // The versions of the workspace, for the crates that it has.
        let lock = package.folder.join("Cargo.lock");
        write(&lock, read(&root().join("Cargo.lock"))?.as_bytes())?;
        start(&mut package.cargo(&["fetch", "--quiet"]))?;
        Ok(package)
    }

    pub(super) fn cost(&self) -> Result<Cost> {
        let crates = self.crates()?;
        let package = crates.iter().find(|line| line.split(' ').next() == Some(self.dependency));
        let package = package.map_or(self.dependency, |line| line.as_str()).replace(" v", " ");
        let [debug, release] = [&["build"][..], &["build", "--release"]].map(|words| self.build(words));
        Ok(Cost { package, crates: crates.len(), debug: debug?, release: release? })
    }

    /// Builds from nothing. Returns the CPU seconds.
    fn build(&self, words: &[&str]) -> Result<f64> {
        let output = self.folder.join("target");
        if output.exists() {
            std::fs::remove_dir_all(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        }
        let before = seconds_of_children()?;
        start(self.cargo(words).args(["-j1", "--quiet", "--offline"]))?;
        Ok(seconds_of_children()? - before)
    }

    /// All crates of the build but the package itself, as `bytes v1.12.1`.
    fn crates(&self) -> Result<BTreeSet<String>> {
        let tree = [
            "tree",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}",
        ];
        let text = ask(&mut self.cargo(&tree)).ok_or("`cargo tree` failed")?;
        Ok(names(&text))
    }

    fn cargo(&self, words: &[&str]) -> Command {
        let mut command = cargo(words);
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", self.folder.join("target"));
        // Crates of ours come from a folder. Without this, cargo builds only these incrementally,
        // which takes longer.
        command.env("CARGO_INCREMENTAL", "0").env_remove("RUSTFLAGS");
        for variable in ["CARGO_PROFILE_DEV_DEBUG", "CARGO_BUILD_JOBS"] {
            command.env_remove(variable);
        }
        command
    }
}

/// Lines like `tidewire-ws v0.1.0 (/path)` or `serde_derive v1.0.229 (proc-macro)`, without what is
/// in parentheses. The first is the package itself.
fn names(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().skip(1).map(|line| line.split(" (").next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The CPU seconds of all processes that this one has started and that have ended, with those that
/// they have started.
fn seconds_of_children() -> Result<f64> {
    let stat =
        read(&PathBuf::from("/proc/self/stat")).map_err(|error| format!("{error}; this needs Linux"))?;
    ticks(&stat)
        .map(|ticks| ticks as f64 / TICKS)
        .ok_or_else(|| format!("/proc/self/stat has an unknown form: {stat}"))
}

/// Linux counts these times in hundredths of a second for programs, on every machine.
const TICKS: f64 = 100.0;

/// The fields `cutime` and `cstime`: the 16th and 17th of proc(5). The name of the program, in
/// parentheses, is the second and may have spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut times = rest.split(' ').skip(13).map(|field| field.parse::<u64>());
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_children_are_read() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 100 200 31 42 20 0 1";
        assert_eq!(ticks(stat), Some(73));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn each_crate_of_a_tree_counts_once() {
        let tree =
            "compile-time v0.0.0 (/t)\ntidewire-ws v0.1.0 (/w)\nbytes v1.12.1\nbytes v1.12.1\n\n[build]\n";
        let found = names(&tree.replace("\n[build]\n", ""));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["bytes v1.12.1", "tidewire-ws v0.1.0"]);
    }
}
