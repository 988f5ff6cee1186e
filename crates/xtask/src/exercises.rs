//! `cargo xtask exercises`: proves the exercises of `docs/exercises`.
//!
//! An exercise is a text and two patches. The first patch has a test that fails, and the learner
//! makes it pass. The second patch is our solution:
//!
//! ```text
//! 1-name.md              the task; its section "Check" has the commands
//! 1-name.test.patch      only new files: the test
//! 1-name.solution.patch  everything else
//! ```
//!
//! Code changes, and a patch may not apply afterwards. So the check applies all of them to the
//! present code (`short`), and runs the tests of all exercises in one build. The long form proves
//! each exercise alone, and that its test fails without the solution. `edit.rs` changes a patch.

mod edit;
mod exercise;
mod proof;
mod tree;

use clap::Subcommand;
use exercise::Exercise;
use tidewire_testkit::run::{Result, cargo, run as start};

/// Which exercises.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// Only these exercises, such as 2-extension-limit. Without names: all, one after the other,
    /// and then the lints on all solutions together.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Run the commands of an exercise here, to check your own solution.
    Check { name: String },
    /// Make a copy of this checkout with the test and the solution of an exercise, to change them.
    Start { name: String },
    /// Write the patches of an exercise from the copy that `start` made.
    Save { name: String },
}

pub(crate) fn run(args: &Args) -> Result {
    match &args.action {
        Some(Action::Check { name }) => check(&Exercise::load(name)?),
        Some(Action::Start { name }) => edit::begin(&Exercise::load(name)?),
        Some(Action::Save { name }) => edit::save(&Exercise::load(name)?),
        None if args.names.is_empty() => proof::all(&exercise::all()?),
        None => args.names.iter().try_for_each(|name| proof::one(&Exercise::load(name)?)),
    }
}

/// Runs the commands of an exercise in this checkout.
fn check(exercise: &Exercise) -> Result {
    for command in &exercise.commands {
        println!("==> {command}");
        start(cargo(&["test"]).args(command.args()))?;
    }
    println!("==> all commands of {} pass", exercise.name);
    Ok(())
}

/// The step of the check: every exercise applies, and the tests of all of them pass in one tree.
pub(crate) fn short() -> Result {
    proof::together(&exercise::all()?)
}
