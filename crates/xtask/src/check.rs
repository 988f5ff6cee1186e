//! `cargo xtask check`: all checks that must pass before a push.
//!
//! The steps run in two lanes. A step begins when its lane is free and the steps that it needs are
//! done:
//!
//! ```text
//! cargo    programs ──► build-tests ──► lints ──► documentation … embed ──► exercises ─┐
//! beside   toolchain ──► formatting … conformance ──► browser ──► slow-tests ──────────┴─► tests, alone
//! ```
//!
//! Cargo locks the target folder, so two cargo commands would wait for each other. One lane runs
//! all steps that use the folder. Steps that mostly wait (downloads, browsers, the conformance
//! suite, the slow tests) run in the other lane, so the builds use the time in which these wait.
//! The other tests run last and alone, so that their summary ends the output.
//!
//! Nothing is built twice: there is one target folder and one set of features (`--workspace
//! --all-features`). Lints and documentation are separate builds, but they share one check of the
//! dependencies, which generates no code. The exercises change our crates, so these are built again
//! with the solutions.

mod tests;
pub(crate) mod watched;

use clap::builder::PossibleValuesParser;

use crate::release::manifests;
use crate::steps::{self, Lane, Step, step};
use crate::{
    api, autobahn, browser, compliance, corpus, embed, exercises, layers, links, loom, no_std, pointers,
    programs, prose, published,
};
use tidewire_testkit::run::{Result, ask, cargo, need, program, run as start, target};

/// Which steps.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these steps, and the steps that they need. Without names: all steps.
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    steps: Vec<String>,
    /// Run these steps in this process, which ends when its standard input ends. The whole check
    /// starts each step like this.
    #[arg(long, hide = true)]
    here: bool,
}

/// Each lane runs the first step that can begin, so short steps stand before long ones. The seconds
/// are for two free cores and an empty target folder. Measured times of this machine replace them.
const STEPS: &[Step] = &[
    step("toolchain", Lane::Beside, &[], 1, toolchain),
    step("formatting", Lane::Beside, &["toolchain"], 2, formatting),
    step("layers", Lane::Beside, &[], 1, layers::all),
    step("prose", Lane::Beside, &[], 1, prose::all),
    step("links", Lane::Beside, &[], 1, links::run),
    step("pointers", Lane::Beside, &[], 3, pointers::run),
    step("api", Lane::Beside, &[], 1, api::run),
    step("manifests", Lane::Beside, &[], 2, manifests::run),
    step("compliance", Lane::Beside, &[], 1, compliance::run),
    step("packages", Lane::Beside, &[], 1, packages),
    step("client", Lane::Beside, &["packages"], 10, browser::client),
    step("suite", Lane::Beside, &["packages"], 20, autobahn::suite),
    step("no-std", Lane::Beside, &[], 6, no_std::run),
    step("programs", Lane::Cargo, &[], 80, programs::build),
    step("conformance", Lane::Beside, &["programs", "suite"], 10, autobahn::short),
    step("browser", Lane::Beside, &["programs", "client"], 120, browser::tests),
    step("build-tests", Lane::Cargo, &[], 50, tests::build),
    step("slow-tests", Lane::Beside, &["packages", "build-tests"], 120, tests::slow),
    step("lints", Lane::Cargo, &["toolchain"], 120, lints),
    step("documentation", Lane::Cargo, &[], 10, documentation),
    step("corpora", Lane::Cargo, &[], 10, corpus::run),
    step("loom", Lane::Cargo, &[], 25, loom::run),
    step("embed", Lane::Cargo, &["programs"], 20, embed::run),
    step("exercises", Lane::Cargo, &["toolchain", "packages"], 30, exercises::short),
    step("tests", Lane::Alone, &["packages", "build-tests", "slow-tests"], 80, tests::run),
];

pub(crate) fn run(args: &Args) -> Result {
    steps::run("check", STEPS, &args.steps, args.here)
}

/// Installs rustfmt and clippy, which a minimal toolchain lacks.
fn toolchain() -> Result {
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
    Ok(())
}

/// Installs the programs that tests run with the server.
fn packages() -> Result {
    // For the conformance suite, and to test WebSocket with other implementations.
    need("python3", &["-c", "import venv, ensurepip"], &["python3", "python3-venv"])?;
    need("npm", &["--version"], &["nodejs", "npm"])?;
    // A test counts the system calls of an example.
    need("strace", &["-V"], &["strace"])?;
    // A test runs the commands of docs/LEARN.md.
    need("curl", &["--version"], &["curl"])?;
    // It applies the solutions of the exercises.
    need("git", &["--version"], &["git"])
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
    // The bodies of the fuzz targets, without libFuzzer. With the same target folder, shared
    // dependencies are built once.
    let fuzz = ["clippy", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--all-targets"];
    start(cargo(&fuzz).arg("--target-dir").arg(target()).args(["--quiet", "--", "-D", "warnings"]))
}

/// Builds the documentation of all libraries, of the programs that are no front of a library, and
/// of one example. With an example, cargo chooses the features of the dependencies as for the lints
/// and the tests. Without, it would check forty of them again.
fn documentation() -> Result {
    let mut doc = cargo(&["doc", "--workspace", "--all-features", "--no-deps", "--quiet", "--lib"]);
    let metadata = published::manifests()?;
    for package in &metadata.packages {
        let library = |name: &str| package.targets.iter().any(|other| other.is_lib() && other.name == name);
        for program in package.targets.iter().filter(|target| target.is_bin() && !library(&target.name)) {
            doc.args(["--bin", &program.name]);
        }
    }
    let mut targets = metadata.packages.iter().flat_map(|package| &package.targets);
    if let Some(example) = targets.find(|target| target.is_example()) {
        doc.args(["--example", &example.name]);
    }
    start(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

#[cfg(test)]
mod tests_of_steps {
    use super::STEPS;
    use crate::steps::chosen;
    use crate::steps::tests::assert_needed_steps_stand_earlier;

    #[test]
    fn every_needed_step_stands_earlier_in_the_list() {
        assert_needed_steps_stand_earlier(STEPS);
    }

    #[test]
    fn a_chosen_step_adds_the_steps_that_it_needs() {
        let names = |wanted: &[&str], needs| -> Vec<_> {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            chosen(STEPS, &wanted, needs).iter().map(|step| step.name).collect()
        };
        assert_eq!(names(&["lints"], true), ["toolchain", "lints"]);
        assert_eq!(names(&["lints"], false), ["lints"]);
        assert_eq!(names(&["conformance"], true), ["packages", "suite", "programs", "conformance"]);
        assert_eq!(names(&[], true).len(), STEPS.len());
    }
}
