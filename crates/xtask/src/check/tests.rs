//! The tests: unit, integration and documentation tests.
//!
//! A test program that mostly waits leaves the cores to others. So the slowest programs run while
//! cargo builds for other steps. They are started without cargo, which would wait for the lock of
//! the target folder. The other tests are the last step:
//!
//! ```text
//! build-tests ──► slow-tests: hostile, raw …
//!            └──► lints … exercises ──► tests: cargo test --lib --bins --test …, cargo test --doc
//! ```

use super::watched;
use crate::published::manifests;
use cargo_metadata::{Message, TargetKind};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tidewire_testkit::run::{Result, cargo, program, read, run as start, target, write};

/// Builds all test programs, and notes where the slow ones are.
pub(super) fn build() -> Result {
    let mut build = cargo(&TESTS);
    build.args(["--no-run", "--quiet", "--message-format", "json-render-diagnostics"]);
    let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("the tests cannot be built ({})", output.status));
    }
    let slow = Message::parse_stream(&output.stdout[..]).filter_map(|message| match message {
        Ok(Message::CompilerArtifact(built)) if is_slow(&built.target.name) && built.target.is_test() => {
            let folder = built.manifest_path.parent()?.to_string();
            Some(format!("{}\t{folder}\t{}\n", built.target.name, built.executable?))
        }
        _ => None,
    });
    let slow: BTreeSet<_> = slow.collect();
    write(&list(), slow.into_iter().collect::<String>().as_bytes())
}

/// Runs the slow test programs, one after the other. After a failure the others still run.
pub(super) fn slow() -> Result {
    let list = read(&list())?;
    let mut failed = Vec::new();
    for line in list.lines() {
        let mut parts = line.split('\t');
        let (Some(name), Some(folder), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("this line names no test program: {line}"));
        };
        println!("\n    {name} of {folder}");
        // As cargo does.
        let mut tests = program(path, &[]);
        tests.current_dir(folder).env("CARGO_MANIFEST_DIR", folder).stdin(Stdio::null());
        threads(&mut tests);
        if let Err(problem) = watched::pass(tests) {
            println!("{problem}");
            failed.push(format!("--test {name}"));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    failed.dedup();
    Err(format!("tests failed, see above: cargo {} {}", TESTS.join(" "), failed.join(" ")))
}

/// Runs all other tests. After a failure the others still run, and the list of failures is at the
/// end of each part.
pub(super) fn run() -> Result {
    let names = names()?;
    let others = start(&mut some(names.iter().map(String::as_str).filter(|name| !is_slow(name)))?);
    let documentation = start(tests().arg("--doc"));
    others.and(documentation)
}

/// `cargo test` with the same crates and features in each part, so that nothing is built again.
fn tests() -> Command {
    let mut tests = cargo(&TESTS);
    threads(&mut tests);
    tests
}

/// Many tests wait for a time-out, so more tests than cores can run at a time.
fn threads(tests: &mut Command) {
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        tests.env("RUST_TEST_THREADS", (4 * cores).to_string());
    }
}

/// The unit tests, and the tests with these names, of all crates. A test program that hangs is
/// ended.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> Result<Command> {
    let itself = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let mut tests = tests();
    tests
        .arg("--config")
        .arg(format!("target.'cfg(all())'.runner = [{:?}, 'watched']", itself.to_string_lossy()));
    tests.args(["--lib", "--bins"]).args(names.flat_map(|name| ["--test", name]));
    Ok(tests)
}

/// The names of all integration tests.
fn names() -> Result<BTreeSet<String>> {
    let metadata = manifests()?;
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    let tests = targets.filter(|target| target.kind.contains(&TargetKind::Test));
    Ok(tests.map(|target| target.name.clone()).collect())
}

/// The file with a line for each slow test program: its name, the folder of its crate, its path.
fn list() -> PathBuf {
    target().join("check/slow-tests")
}

fn is_slow(name: &str) -> bool {
    SLOW.contains(&name)
}

const TESTS: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];
/// The integration tests that take longest: about half of the time of all.
const SLOW: [&str; 5] = ["every_feed", "hostile", "http_api", "interop", "raw"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests_of_names {
    use super::{SLOW, names};

    #[test]
    fn the_slow_tests_exist() {
        let names = names().unwrap();
        assert!(SLOW.iter().all(|name| names.contains(*name)), "{names:?}");
    }
}
