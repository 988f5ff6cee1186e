//! `cargo xtask prose`: no line is too long to read.
//!
//! A line of prose has at most 100 characters, a line of code at most 110. Prose is Markdown and
//! comments. `prose/rules.rs` has the exceptions, and docs/CONTRIBUTING.md explains them.
//!
//! It also finds headings and code blocks of doc comments that were joined with the text after them
//! when lines were wrapped.

mod kinds;
mod rules;

use crate::checkout::files;
use rules::TooLong;
use std::collections::BTreeMap;
use std::path::Path;
use tidewire_testkit::run::{Result, read, root};

/// Generated files, which nobody edits.
const GENERATED: [&str; 2] = ["crates/tidewire/web/dist/", "fuzz/corpus/"];

/// Which files to read.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only files whose path begins like this. Without paths: all files.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result {
    check(&root(), args)
}

fn check(root: &Path, args: &Args) -> Result {
    let mut names = sources(root);
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
    all_of(&root())
}

/// All files of a copy of this checkout.
pub(crate) fn all_of(root: &Path) -> Result {
    check(root, &Args { paths: Vec::new() })
}

/// The paths of the files that are checked, relative to the root and sorted.
pub(crate) fn sources(root: &Path) -> Vec<String> {
    let mut names = files(root);
    names.retain(|name| rules::knows(name) && !GENERATED.iter().any(|folder| name.starts_with(folder)));
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
    fn sources_are_files_that_people_edit() {
        let sources = sources(&root());
        assert!(sources.contains(&"crates/xtask/src/prose.rs".to_owned()));
        assert!(sources.contains(&"README.md".to_owned()));
        assert!(!sources.iter().any(|name| name.starts_with("fuzz/corpus/") || name.contains("LICENSE")));
    }

    #[test]
    fn a_file_counts_for_its_crate_or_folder() {
        assert_eq!(folder("crates/ws/src/lib.rs"), "crates/ws");
        assert_eq!(folder("docs/wire/ws.md"), "docs");
        assert_eq!(folder("README.md"), "(root)");
    }
}
