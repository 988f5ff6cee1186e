//! `cargo xtask check`: all that must hold, the cheapest first, the tests last so that their summary ends the output.
//!
//! One target folder and one set of features (`--workspace --all-features`), so that nothing is built twice but for
//! lints and documentation, which need no code generation.

use crate::run::{Result, ask, cargo, need, program, run as start};
use crate::{autobahn, browser, compliance, corpus, layers, no_std};
use std::time::Instant;

/// A name and what it does.
type Step = (&'static str, fn() -> Result);

pub(crate) fn run() -> Result {
    run_all(&[
        ("tools", tools),
        ("formatting", formatting),
        ("layers", layers::run),
        ("compliance", compliance::run),
        ("no std", no_std::run),
        ("lints", lints),
        ("documentation", documentation),
        ("corpora", corpus::run),
        ("WebSocket conformance, the short form", autobahn::short),
        ("browser", browser::run),
        ("tests", tests),
    ])
}

/// Announces each step with its time and stops at the first that fails.
fn run_all(steps: &[Step]) -> Result {
    let begin = Instant::now();
    for (index, (name, step)) in steps.iter().enumerate() {
        println!(
            "==> {name} ({} of {}, after {:.0} s)",
            index + 1,
            steps.len(),
            begin.elapsed().as_secs_f32()
        );
        let start = Instant::now();
        step().map_err(|problem| format!("check failed at `{name}`: {problem}"))?;
        // Nothing comes after the last step's own output: it ends with cargo's summary of the tests.
        if index + 1 < steps.len() {
            println!("    {name}: {:.1} s", start.elapsed().as_secs_f32());
        }
    }
    Ok(())
}

/// rustfmt and clippy are components that a minimal toolchain lacks; python3 and npm run what others wrote.
fn tools() -> Result {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let present = || ask(&mut cargo(&[subcommand, "--version"])).is_some();
        if present() {
            continue;
        }
        println!("    {component} is missing: rustup component add {component}");
        let added = start(&mut program("rustup", &["component", "add", component]));
        if added.is_err() || !present() {
            return Err(format!(
                "`cargo {subcommand}` is missing and could not be installed; add {component} with \
                 `rustup component add {component}` or with your system's packages"
            ));
        }
    }
    // For the conformance suite and for WebSocket with implementations of others.
    need("python3", &["-c", "import venv, ensurepip"], &["python3", "python3-venv"])?;
    need("npm", &["--version"], &["nodejs", "npm"])?;
    // It counts the system calls of an example.
    need("strace", &["-V"], &["strace"])
}

fn formatting() -> Result {
    let fmt = start(&mut cargo(&["fmt", "--all", "--check"]));
    let fuzz = start(&mut cargo(&["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]));
    fmt.and(fuzz)
        .map_err(|_| "the files above are not formatted; run `cargo fmt --all`, and the same in fuzz/".into())
}

fn lints() -> Result {
    let all = ["clippy", "--workspace", "--all-targets", "--all-features", "--quiet", "--", "-D", "warnings"];
    start(&mut cargo(&all))?;
    // The bodies of the fuzz targets, without libFuzzer. The same target folder: what both need is built once.
    let fuzz = ["clippy", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--all-targets"];
    start(cargo(&fuzz).args(["--target-dir", "target", "--quiet", "--", "-D", "warnings"]))
}

fn documentation() -> Result {
    let mut doc = cargo(&["doc", "--workspace", "--all-features", "--no-deps", "--quiet"]);
    start(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Unit, integration and documentation tests. All of them, even if one fails: the list of failures is at the end.
fn tests() -> Result {
    start(&mut cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]))
}
