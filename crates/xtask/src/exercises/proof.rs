//! Proves exercises.

use std::collections::BTreeSet;
use std::process::Stdio;

use tidewire_testkit::run::{Result, run as start};

use super::exercise::{CargoTest, Exercise};
use super::tree::{Tree, check};
use crate::prose;

/// The steps of the check that do not build the code.
const RULES: [&str; 6] = ["formatting", "layers", "prose", "api", "manifests", "compliance"];

const LINTS: [&str; 8] =
    ["clippy", "--workspace", "--all-targets", "--all-features", "--quiet", "--", "-D", "warnings"];

/// Proves each exercise, and that all solutions together keep the rules of the workspace.
pub(super) fn all(exercises: &[Exercise]) -> Result {
    check(exercises)?;
    for (index, exercise) in exercises.iter().enumerate() {
        println!("==> {} ({} of {})", exercise.name, index + 1, exercises.len());
        one(exercise)?;
    }
    println!("==> all solutions together: the rules, the seeds of the fuzz targets, the lints");
    let tree = Tree::new()?;
    tree.fill(exercises.iter().flat_map(Exercise::patches))?;
    start(tree.cargo(&["xtask", "check"]).args(RULES))?;
    start(&mut tree.cargo(&["xtask", "seeds"]))?;
    let changed = tree.changed();
    if !changed.is_empty() {
        return Err(format!(
            "a solution lacks seeds that `cargo xtask seeds` writes: {}",
            changed.join(", ")
        ));
    }
    start(&mut tree.cargo(&LINTS))?;
    println!("==> {} exercises hold", exercises.len());
    Ok(())
}

/// Proves that the test fails without the solution, and that all commands pass with it.
pub(super) fn one(exercise: &Exercise) -> Result {
    let tree = Tree::new()?;
    tree.fill([(exercise, exercise.test())])?;
    let first = exercise.commands.first().ok_or("an exercise has a command")?;
    println!("    without the solution, this must fail: {first}");
    let mut test = within(&tree, first);
    let status = test.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.map_err(|error| format!("cargo cannot be started: {error}"))?.success() {
        return Err(format!("`{first}` passes without the solution, so it shows nothing"));
    }
    tree.fill(exercise.patches())?;
    for command in &exercise.commands {
        println!("    with the solution, this must pass: {command}");
        start(&mut within(&tree, command))?;
    }
    println!("    {} holds", exercise.name);
    Ok(())
}

/// Applies each exercise alone, and then all of them together. Runs their tests in one build.
pub(super) fn together(exercises: &[Exercise]) -> Result {
    check(exercises)?;
    let tree = Tree::new()?;
    tree.fill(exercises.iter().flat_map(Exercise::patches))?;
    start(&mut tree.cargo(&["fmt", "--all", "--check"]))
        .map_err(|_| format!("a solution is not formatted: see above, in {}", tree.path().display()))?;
    prose::all_of(&tree.path()).map_err(|problem| format!("with all solutions, {problem}"))?;
    // The features of the workspace, so that no crate of others is built again. cargo builds only
    // the crates that these tests use.
    let mut tests = tree.cargo(&["test", "--workspace", "--all-features", "--quiet", "--no-fail-fast"]);
    let names: BTreeSet<_> = exercises.iter().flat_map(Exercise::tests).collect();
    start(tests.args(names.iter().flat_map(|name| ["--test", name])))?;
    println!("    {} exercises apply, and their tests pass", exercises.len());
    Ok(())
}

/// A command of a text, in the tree.
fn within(tree: &Tree, command: &CargoTest) -> std::process::Command {
    let mut test = tree.cargo(&["test", "--quiet"]);
    test.args(command.args());
    test
}
