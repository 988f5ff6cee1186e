//! Changes the patches of an exercise: `start` makes a copy with both patches, a person changes the
//! files there, and `save` writes the patches.
//!
//! The copy is a repository with one commit, this checkout. So `git diff` shows the exercise.

use std::path::{Path, PathBuf};

use tidewire_testkit::run::{Result, ask, program, read, root, run as start, write};

use super::exercise::Exercise;
use super::tree::{copy, folder, git, paths};

/// Makes the copy. If a patch does not apply, git merges it, and leaves its usual marks where it
/// cannot.
pub(super) fn begin(exercise: &Exercise) -> Result {
    let place = folder().join(&exercise.name);
    if place.exists() {
        return Err(format!(
            "{0} exists and may have changes; save them, and then: rm -r {0}",
            place.display()
        ));
    }
    copy(&place)?;
    start(&mut git(&place, &["init", "--quiet"]))?;
    if let Some(objects) = objects() {
        // To merge a patch, git needs the files from which the patch was made.
        write(&place.join(".git/objects/info/alternates"), format!("{objects}\n").as_bytes())?;
    }
    start(&mut git(&place, &["add", "--all"]))?;
    let who = ["-c", "user.name=exercises", "-c", "user.email=exercises@localhost"];
    let commit = ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "this checkout"];
    start(&mut git(&place, &[&who[..], &commit].concat()))?;
    let mut merged = true;
    for (_, patch) in exercise.patches().into_iter().filter(|(_, patch)| root().join(patch).is_file()) {
        merged &= start(git(&place, &["apply", "--3way"]).arg(root().join(patch))).is_ok();
    }
    let name = &exercise.name;
    let what = if merged { "Change the files" } else { "Solve the conflicts that git names above" };
    println!("    {what} in {}, run the tests there,", place.display());
    println!("    and then write the patches: cargo xtask exercises save {name}");
    Ok(())
}

/// Writes the patches. The files of the old patch with the test, and the test that the text names,
/// are the test. Everything else is the solution.
pub(super) fn save(exercise: &Exercise) -> Result {
    let place = folder().join(&exercise.name);
    if !place.join(".git").is_dir() {
        return Err(format!(
            "there is no copy; make one with: cargo xtask exercises start {}",
            exercise.name
        ));
    }
    start(&mut git(&place, &["add", "--all"]))?;
    let changed = ask(&mut git(&place, &["diff", "--cached", "--name-only", "--no-renames", "HEAD"]));
    let changed: Vec<_> = changed.unwrap_or_default().lines().map(str::to_owned).collect();
    let conflicts: Vec<_> = changed.iter().filter(|name| has_conflict(&place.join(name))).cloned().collect();
    if !conflicts.is_empty() {
        return Err(format!("these files still have conflicts: {}", conflicts.join(", ")));
    }
    let known = read(&root().join(exercise.test())).map(|patch| paths(&patch)).unwrap_or_default();
    let tests: Vec<_> = exercise.tests().map(|test| format!("/tests/{test}")).collect();
    let is_test =
        |name: &String| known.contains(name) || tests.iter().any(|test| name.contains(test.as_str()));
    let (test, solution): (Vec<_>, Vec<_>) = changed.into_iter().partition(is_test);
    for (names, patch) in [(test, exercise.test()), (solution, exercise.solution())] {
        if names.is_empty() {
            return Err(format!("nothing in {} belongs into {}", place.display(), patch.display()));
        }
        let mut diff = git(&place, &["diff", "--cached", "--binary", "--no-renames", "--no-color"]);
        let diff = diff.args(["--no-ext-diff", "HEAD", "--"]).args(&names).output();
        let diff = diff.map_err(|error| format!("git cannot be started: {error}"))?;
        write(&root().join(&patch), &diff.stdout)?;
        println!("    {}: {} files", patch.display(), names.len());
    }
    Ok(())
}

/// Whether git has left marks of a conflict.
fn has_conflict(file: &Path) -> bool {
    read(file).is_ok_and(|text| text.lines().any(|line| line.starts_with("<<<<<<< ")))
}

/// The folder with the objects of this checkout's repository.
fn objects() -> Option<String> {
    let path = ask(&mut program("git", &["rev-parse", "--git-path", "objects"]))?;
    let path: PathBuf = root().join(path.trim());
    Some(path.canonicalize().ok()?.display().to_string())
}
