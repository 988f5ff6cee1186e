//! `cargo xtask prose`: no line is too long to read.
//!
//! A line of prose has at most 100 characters, a line of code at most 110. Prose is Markdown and
//! comments. `prose/rules.rs` has the exceptions, and docs/CONTRIBUTING.md explains them.
//!
//! It also finds headings and code blocks of doc comments that were joined with the text after them
//! when lines were wrapped.

mod kinds;
mod rules;

use rules::TooLong;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidewire_testkit::run::{Result, ask, program, read, root};

/// Generated files, which nobody edits.
const GENERATED: [&str; 2] = ["crates/tidewire/web/dist/", "fuzz/corpus/"];

/// Folders without sources. They are needed only if git does not list the files.
const NO_SOURCE: [&str; 3] = [".git", "node_modules", "target"];

/// Which files to read.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only files whose path begins like this. Without paths: all files.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result {
    let root = root();
    let mut names = sources(&root);
    names.retain(|name| args.paths.is_empty() || args.paths.iter().any(|path| name.starts_with(path)));
    let (mut lines, mut folders) = (String::new(), BTreeMap::<_, usize>::new());
    let mut joined = String::new();
    for name in &names {
        let text = read(&root.join(name))?;
        for TooLong { line, length, limit } in rules::check(name, &text) {
            lines += &format!("{name}:{line}: {length} characters; at most {limit} are allowed\n");
            *folders.entry(folder(name)).or_default() += 1;
        }
        for line in rules::joined(name, &text) {
            joined += &format!("{name}:{line}\n");
        }
    }
    if !joined.is_empty() {
        return Err(format!(
            "a heading or the end of a code block must stand alone on its line:\n{joined}{lines}"
        ));
    }
    if lines.is_empty() {
        println!("    {} files, no line is too long", names.len());
        return Ok(());
    }
    let counts: Vec<_> = folders.iter().map(|(folder, count)| format!("{folder} {count}")).collect();
    Err(format!(
        "these lines are too long (docs/CONTRIBUTING.md, \"Line length\"):\n{lines}{} lines in total: {}",
        folders.values().sum::<usize>(),
        counts.join(", ")
    ))
}

/// The step of `cargo xtask check`: all files.
pub(crate) fn all() -> Result {
    run(&Args { paths: Vec::new() })
}

/// The paths of the files that are checked, relative to the root and sorted.
pub(crate) fn sources(root: &Path) -> Vec<String> {
    let mut names = all_files(root);
    names.retain(|name| rules::knows(name) && !GENERATED.iter().any(|folder| name.starts_with(folder)));
    names.retain(|name| root.join(name).is_file());
    names.sort();
    names
}

/// The paths of the files of the repository, relative to the root.
pub(crate) fn all_files(root: &Path) -> Vec<String> {
    let names = listed(root);
    if names.is_empty() { walked(root) } else { names }
}

/// The files that git knows, and the new ones that it does not ignore. Empty without git.
fn listed(root: &Path) -> Vec<String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let text = ask(program("git", &list).current_dir(root)).unwrap_or_default();
    text.split('\0').filter(|name| !name.is_empty()).map(String::from).collect()
}

/// All files below the root, as in a source archive.
fn walked(root: &Path) -> Vec<String> {
    let (mut names, mut folders) = (Vec::new(), vec![PathBuf::from(root)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.is_dir() {
                let name = path.strip_prefix(root).unwrap_or(&path);
                names.push(name.to_string_lossy().replace('\\', "/"));
            } else if !NO_SOURCE.iter().any(|name| entry.file_name() == *name) {
                folders.push(path);
            }
        }
    }
    names
}

/// The folder under which a file is counted: a crate, or a folder of the root.
fn folder(name: &str) -> &str {
    let depth = if name.starts_with("crates/") { 2 } else { 1 };
    let slash = name.match_indices('/').nth(depth - 1);
    slash.map_or("(root)", |(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_and_a_walk_find_the_same_sources() {
        let root = root();
        let (listed, walked) = (listed(&root), walked(&root));
        let source = "crates/xtask/src/prose.rs".to_owned();
        assert!(walked.contains(&source));
        assert!(listed.is_empty() || listed.contains(&source));
        assert!(!walked.iter().any(|name| name.starts_with("target/")));
        let sources = sources(&root);
        assert!(sources.contains(&source) && sources.contains(&"README.md".to_owned()));
        assert!(!sources.iter().any(|name| name.starts_with("fuzz/corpus/") || name.contains("LICENSE")));
    }

    #[test]
    fn a_file_counts_for_its_crate_or_folder() {
        assert_eq!(folder("crates/ws/src/lib.rs"), "crates/ws");
        assert_eq!(folder("docs/wire/ws.md"), "docs");
        assert_eq!(folder("README.md"), "(root)");
    }
}
