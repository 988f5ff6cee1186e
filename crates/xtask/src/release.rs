//! `cargo xtask release-check`: all that must hold before a release, apart from
//! `cargo xtask check`.
//!
//! | step | it fails if |
//! |---|---|
//! | `manifests` | a manifest is not complete, a package has an odd file or no licences, or the code needs a newer compiler than the manifest says; also a step of `cargo xtask check` |
//! | `dependencies` | cargo-deny finds a licence, a source or a crate that `.cargo/deny.toml` does not allow |
//! | `publish` | `cargo publish --dry-run` cannot build a package from its own files |
//! | `package-tests` | `cargo test` fails in an unpacked package |
//! | `docs` | rustdoc warns with the settings of docs.rs, or a link leads nowhere |
//! | `features` | clippy warns with one feature, or with two together |
//! | `minimal-versions` | a crate does not compile with the lowest versions that its manifest allows |
//! | `msrv` | a crate does not compile with the compiler of its `rust-version`, apart from the features in `newer.rs` |

mod compilers;
mod dependencies;
mod docs;
mod features;
pub(crate) mod manifests;
mod minimal;
mod msrv;
mod newer;
mod package_tests;
mod place;
mod publish;
mod tools;
mod unpacked;

use clap::builder::PossibleValuesParser;
use tidewire_testkit::run::{Result, read};

use crate::steps::{self, Lane, Step, step};
use place::{NAME, folder};

/// Which steps.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these steps. Without names: all steps.
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    steps: Vec<String>,
    /// Run these steps in this process, which ends when its standard input ends. The whole command
    /// starts each step like this.
    #[arg(long, hide = true)]
    here: bool,
}

/// The begin of a line of a step that says what it has shown.
const RESULT: &str = "holds: ";

/// The seconds are for two free cores and an empty target folder.
const STEPS: &[Step] = &[
    step("manifests", Lane::Cargo, &[], 2, manifests::run),
    step("dependencies", Lane::Cargo, &[], 10, dependencies::run),
    step("publish", Lane::Cargo, &[], 150, publish::run),
    step("package-tests", Lane::Cargo, &[], 600, package_tests::run),
    step("docs", Lane::Cargo, &[], 90, docs::run),
    step("features", Lane::Cargo, &[], 300, features::run),
    step("minimal-versions", Lane::Cargo, &[], 120, minimal::run),
    step("msrv", Lane::Cargo, &[], 90, msrv::run),
];

/// Runs the steps, and then prints what each of them has shown.
pub(crate) fn run(args: &Args) -> Result {
    steps::run(NAME, STEPS, &args.steps, args.here)?;
    if args.here {
        return Ok(());
    }
    for step in steps::chosen(STEPS, &args.steps, true) {
        let log = read(&folder().join(format!("{}.log", step.name)))?;
        for line in log.lines().filter_map(|line| line.strip_prefix(RESULT)) {
            println!("    {}: {line}", step.name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::assert_needed_steps_stand_earlier;

    #[test]
    fn every_step_is_in_the_table_above() {
        let text = include_str!("release.rs");
        for step in STEPS {
            assert!(text.contains(&format!("//! | `{}` |", step.name)), "{}", step.name);
        }
        assert_needed_steps_stand_earlier(STEPS);
    }
}
