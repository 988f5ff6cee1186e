//! A copy of this checkout with patches.
//!
//! ```text
//! target/exercises/
//!   new/             the copy is made here
//!   proof/tree/      and moved here, file by file, where it differs: cargo builds only what changed
//!   proof/.cargo/    what differs from the settings of the workspace
//!   proof/programs/  the programs that cargo builds
//!   NAME/            a copy to work in: see `edit.rs`
//! ```
//!
//! The proof uses what cargo has built for the workspace, so that it compiles only crates of ours.
//! It must not replace anything of it. cargo would give a crate of the copy the same file name as
//! the crate of the workspace, so the crates of the copy have another profile.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidewire_testkit::run::{Result, cargo, program, read, root, target, write};

use super::exercise::Exercise;
use crate::checkout;
use crate::published::manifests;

/// Settings of the profile for a crate of the copy. The number differs from the default of cargo,
/// which is 256, and there is no debug information, which takes time to write.
const PROFILE: &str = "codegen-units = 255\ndebug = false\n";

/// The folder of all copies.
pub(super) fn folder() -> PathBuf {
    target().join("exercises")
}

/// Copies this checkout, as it is on the disk, into an empty folder.
pub(super) fn copy(to: &Path) -> Result {
    let told = |error: std::io::Error| format!("{}: {error}", to.display());
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(told)?;
    }
    let root = root();
    for name in checkout::files(&root) {
        let file = to.join(&name);
        std::fs::create_dir_all(file.parent().unwrap_or(to)).map_err(told)?;
        std::fs::copy(root.join(&name), file).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// `git` in a folder that is the root of a repository or in none. The workspace, a hook, or
/// settings of the user have no effect.
pub(super) fn git(folder: &Path, args: &[&str]) -> Command {
    let mut git = program("git", &["-c", "core.autocrlf=false", "-c", "apply.whitespace=error"]);
    git.args(["-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false"]).args(args);
    git.current_dir(folder).env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(name);
    }
    git
}

/// The tree of the proofs.
pub(super) struct Tree {
    proof: PathBuf,
}

impl Tree {
    /// A tree whose content is not yet known.
    pub(super) fn new() -> Result<Self> {
        let proof = folder().join("proof");
        let mut config = format!(
            "[build]\nbuild-dir = {:?}\ntarget-dir = {:?}\n",
            target().display().to_string(),
            proof.join("programs").display().to_string()
        );
        for package in &manifests()?.packages {
            config += &format!("\n[profile.dev.package.{}]\n{PROFILE}", package.name);
        }
        let path = proof.join(".cargo/config.toml");
        write(&path, config.as_bytes())?;
        Ok(Self { proof })
    }

    /// Makes the tree a copy of this checkout with these patches.
    pub(super) fn fill<'a>(&self, patches: impl IntoIterator<Item = (&'a Exercise, PathBuf)>) -> Result {
        let new = new();
        copy(&new)?;
        for (exercise, patch) in patches {
            apply(&new, exercise, &[patch], &[])?;
        }
        update(&new, &self.path())
    }

    /// The files that a command has changed, or written, since the tree was filled.
    pub(super) fn changed(&self) -> Vec<String> {
        let (new, tree) = (new(), self.path());
        let mut names = checkout::walked(&tree);
        names.retain(|name| std::fs::read(tree.join(name)).ok() != std::fs::read(new.join(name)).ok());
        names
    }

    /// `cargo` in the tree.
    pub(super) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo(args);
        // The settings of the tree must count.
        for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"] {
            command.env_remove(name);
        }
        command.current_dir(self.path());
        command
    }

    pub(super) fn path(&self) -> PathBuf {
        self.proof.join("tree")
    }
}

/// Where a copy is made before it is compared with the tree.
fn new() -> PathBuf {
    folder().join("new")
}

/// Checks that the patches of each exercise apply to this checkout, and that a learner can apply
/// the test before a solution: it has only new files, and the solution does not touch them.
pub(super) fn check(exercises: &[Exercise]) -> Result {
    let new = new();
    copy(&new)?;
    for exercise in exercises {
        let [test, solution] = [exercise.test(), exercise.solution()].map(|patch| read(&root().join(patch)));
        let (test, solution) = (test?, solution?);
        let files = test.lines().filter(|line| line.starts_with("diff --git ")).count();
        if files != test.lines().filter(|line| line.starts_with("new file mode ")).count() {
            return Err(format!("{} changes a file; a test is a new file", exercise.test().display()));
        }
        let solution = paths(&solution);
        if let Some(both) = paths(&test).iter().find(|path| solution.contains(path)) {
            return Err(format!("{} touches {both}, a file of the test", exercise.solution().display()));
        }
        apply(&new, exercise, &[exercise.test(), exercise.solution()], &["--check"])?;
    }
    Ok(())
}

/// The files that a patch touches.
pub(super) fn paths(patch: &str) -> Vec<String> {
    let heads = patch.lines().filter_map(|line| line.strip_prefix("diff --git a/"));
    heads.filter_map(|line| Some(line.split_once(" b/")?.0.to_owned())).collect()
}

/// Applies patches to a copy.
fn apply(copy: &Path, exercise: &Exercise, patches: &[PathBuf], options: &[&str]) -> Result {
    let mut git = git(copy, &["apply"]);
    let output = git.args(options).args(patches.iter().map(|patch| root().join(patch))).output();
    let output = output.map_err(|error| format!("git cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let name = &exercise.name;
    let patches: Vec<_> = patches.iter().map(|patch| patch.display().to_string()).collect();
    Err(format!(
        "{} does not apply to this checkout:\n{}    if you have solved this exercise here, that is \
         expected: try it on main\n    to change it: cargo xtask exercises start {name}",
        patches.join(" or "),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Changes the files of `old` that differ from those of `new`. The others keep their times, so
/// cargo does not build them again.
fn update(new: &Path, old: &Path) -> Result {
    let told = |name: &str, error: std::io::Error| format!("{}: {error}", old.join(name).display());
    let names = checkout::walked(new);
    for name in &names {
        let (from, to) = (new.join(name), old.join(name));
        let bytes = std::fs::read(from).map_err(|error| told(name, error))?;
        if std::fs::read(&to).ok().as_deref() != Some(&*bytes) {
            write(&to, &bytes)?;
        }
    }
    let names: std::collections::BTreeSet<_> = names.into_iter().collect();
    for name in checkout::walked(old).iter().filter(|name| !names.contains(*name)) {
        std::fs::remove_file(old.join(name)).map_err(|error| told(name, error))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A folder for one test.
    fn scratch(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-exercises-{test}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn only_files_that_differ_are_written() {
        let folder = scratch("update");
        let (new, old) = (folder.join("new"), folder.join("old"));
        for (path, text) in [("new/a", "same"), ("old/a", "same"), ("new/d/b", "new"), ("old/c", "gone")] {
            write(&folder.join(path), text.as_bytes()).unwrap();
        }
        let time = || std::fs::metadata(old.join("a")).unwrap().modified().unwrap();
        let before = time();
        update(&new, &old).unwrap();
        let mut names = checkout::walked(&old);
        names.sort();
        assert_eq!((names, before), (vec!["a".to_owned(), "d/b".to_owned()], time()));
        assert_eq!(read(&old.join("d/b")).unwrap(), "new");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_patch_names_the_files_that_it_touches() {
        let patch = "diff --git a/d/a b/d/a\n--- a/d/a\n+++ b/d/a\n@@ -1 +1 @@\n-x\n+y\n\
                     diff --git a/b b/b\nnew file mode 100644\n";
        assert_eq!(paths(patch), ["d/a", "b"]);
    }

    #[test]
    fn a_patch_that_does_not_apply_says_what_to_do() {
        let folder = scratch("apply");
        write(&folder.join("tree/a"), b"other\n").unwrap();
        let patch = folder.join("p.patch");
        write(&patch, b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-old\n+new\n").unwrap();
        let patches = [patch];
        let exercise = Exercise { name: "1-one".into(), commands: Vec::new() };
        let problem = apply(&folder.join("tree"), &exercise, &patches, &[]).unwrap_err();
        assert!(problem.contains("patch does not apply"), "{problem}");
        assert!(problem.ends_with("to change it: cargo xtask exercises start 1-one"), "{problem}");
        write(&folder.join("tree/a"), b"old\n").unwrap();
        apply(&folder.join("tree"), &exercise, &patches, &[]).unwrap();
        assert_eq!(read(&folder.join("tree/a")).unwrap(), "new\n");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
