//! The last step: unit, integration and documentation tests.
//!
//! cargo runs its test programs one after the other, and the longest ones mostly wait. So these run
//! beside all others. Their output is shown when the others are done:
//!
//! ```text
//! cargo test --test hostile --test raw …   ──► a log ──┐
//! cargo test --lib --bins --test …  ───────────────────┴─► the log is shown ──► cargo test --doc
//! ```

use crate::published::manifests;
use cargo_metadata::TargetKind;
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Stdio};
use tidewire_testkit::run::{Result, cargo, read, run as start, target};

/// Builds all test programs.
pub(super) fn build() -> Result {
    start(cargo(&TESTS).args(["--no-run", "--quiet"]))
}

/// Runs all tests. After a failure the others still run, and the list of failures is at the end of
/// each part.
pub(super) fn run() -> Result {
    let log = target().join("check/tests-beside.log");
    let told = |error: std::io::Error| format!("{}: {error}", log.display());
    let out = File::create(&log).map_err(told)?;
    let mut beside = some(BESIDE.iter().copied())?;
    beside.stdin(Stdio::null()).stderr(out.try_clone().map_err(told)?).stdout(out);
    let mut beside = beside.spawn().map_err(|error| format!("cargo cannot be started: {error}"))?;

    let names = names()?;
    let others = names.iter().map(String::as_str).filter(|name| !BESIDE.contains(name));
    let others = start(some(others)?.args(["--lib", "--bins"]));

    let ended = beside.wait().map_err(told)?;
    println!("{}", read(&log)?);
    let documentation = start(tests().arg("--doc"));
    let beside = if ended.success() { Ok(()) } else { Err("a test failed; its output is above".to_owned()) };
    others.and(beside).and(documentation)
}

/// `cargo test` with the same crates and features in each part, so that nothing is built again.
fn tests() -> Command {
    let mut tests = cargo(&TESTS);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        // Many tests wait for a time-out, so more tests than cores can run at a time.
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        tests.env("RUST_TEST_THREADS", (4 * cores).to_string());
    }
    tests
}

/// The tests with these names, of all crates. A test program that hangs is ended.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> Result<Command> {
    let itself = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let mut tests = tests();
    tests
        .arg("--config")
        .arg(format!("target.'cfg(all())'.runner = [{:?}, 'watched']", itself.to_string_lossy()));
    tests.args(names.flat_map(|name| ["--test", name]));
    Ok(tests)
}

/// The names of all integration tests.
fn names() -> Result<BTreeSet<String>> {
    let metadata = manifests()?;
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    let tests = targets.filter(|target| target.kind.contains(&TargetKind::Test));
    Ok(tests.map(|target| target.name.clone()).collect())
}

const TESTS: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];
/// The tests that take longest: about half of the time of all.
const BESIDE: [&str; 5] = ["every_feed", "hostile", "http_api", "interop", "raw"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests_of_names {
    use super::{BESIDE, names};

    #[test]
    fn the_tests_that_run_beside_the_others_exist() {
        let names = names().unwrap();
        assert!(BESIDE.iter().all(|name| names.contains(*name)), "{names:?}");
    }
}
