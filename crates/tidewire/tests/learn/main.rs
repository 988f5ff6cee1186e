//! Runs the commands that the pages for learners show, and compares their output with the page.
//!
//! | file | what |
//! |---|---|
//! | `page.rs` | finds the commands of a page, and the output that the page shows |
//! | `expected.rs` | compares an output with what the page shows: the meaning of `…` |
//! | `translate.rs` | turns a command of a page into one that runs here |
//! | `process.rs` | a running command and its output |
//! | `folder.rs` | the folder in which commands run |
//! | `run.rs` | runs a page, and reports what differs |
//! | `shape.rs` | rules for the text of `docs/LEARN.md`: chapters, exercises, glossary |
//!
//! # How to write a page
//!
//! Fenced blocks with these info strings are run, in the order of the page. All others are not.
//!
//! - `console`: A line `$ COMMAND` is run with `bash -c`, in a folder that looks like the root of
//!   the repository. It goes on in the next line after a `\` at its end. Lines that begin with
//!   exactly two blanks, directly below the command, are further lines of it. The lines up to the
//!   next `$` are what the command prints, to standard output and standard error. If there are
//!   none, only the status is checked. The status must be 0, and a command may take a minute.
//! - `console fails`: the same, but the status must not be 0.
//! - `console background`, or `console background=NAME` if there are several: the command is
//!   started and keeps running. The lines below it must be printed within a minute. Other lines may
//!   come before them. The command ends with its section (at the next heading `##`). If it ended
//!   before, its status must be 0.
//! - `text background`, or `text background=NAME`: further lines that this command must print,
//!   after the lines that were expected before. Other lines may come before them.
//! - `console server`: `$ cargo run --release -- OPTIONS` starts the server of the page. It stays
//!   until the next such block, or until the page ends. It has no heartbeats, unless the OPTIONS
//!   say so: on a busy machine, one could come between any two lines.
//! - `console shown`: is not run. It shows, for example, what a reader sees after a change of the
//!   program.
//!
//! In the output that a page shows, `…` is any text of a line, also none, and a line that has only
//! `…` is any number of lines, also none. All else must be equal, apart from blanks at the end of a
//! line and empty lines at the end of an output.
//!
//! A page says `127.0.0.1:8080` for the address of the server, `cargo run -q --release --` for the
//! program, and `cargo run -q -p tidewire-examples --example NAME` for an example. The test puts
//! the address of its own server there, and the programs that cargo has built. It does not run
//! cargo. An output of `tidewire explain` that contains the address has other bytes here, so it
//! needs `…`. Each command has a shell of its own. A page removes the files that it makes.
//!
//! # For the writer of a page
//!
//! ```sh
//! cargo build -p tidewire-examples --examples              # once, if the page runs examples
//! cargo test -p tidewire --test learn                      # all pages
//! TIDEWIRE_LEARN_ONLY='long polling' cargo test -p tidewire --test learn the_page
//! TIDEWIRE_BLESS=1 cargo test -p tidewire --test learn     # writes the outputs into the pages
//! ```
//!
//! `TIDEWIRE_LEARN_ONLY` runs the sections whose heading contains the text. `TIDEWIRE_BLESS` leaves
//! an output with a `…` as it is, and the output of background commands. Read what it has written:
//! the page says that this is true.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod expected;
mod folder;
mod page;
mod process;
mod run;
mod shape;
mod translate;

use std::fs;
use std::path::{Path, PathBuf};

use page::Page;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The page for learners, by its path from the root.
const LEARN: &str = "docs/LEARN.md";

/// What the page for learners has at least, so that a test that finds nothing fails.
const LEAST_COMMANDS: usize = 20;
const LEAST_EXERCISES: usize = 8;
const LEAST_TERMS: usize = 10;

#[test]
fn the_page_for_learners_shows_what_happens() {
    let page = learn_page();
    assert!(
        page.commands() >= LEAST_COMMANDS,
        "{LEARN} has only {} commands, less than {LEAST_COMMANDS}",
        page.commands()
    );
    run::check(&page);
}

#[test]
fn the_page_for_learners_is_complete() {
    let page = learn_page();
    let found = shape::Found::in_page(&page);
    assert!(found.faults.is_empty(), "{LEARN}:\n{}", found.faults.join("\n"));
    assert!(found.exercises >= LEAST_EXERCISES, "{LEARN} has only {} exercises", found.exercises);
    assert!(found.terms >= LEAST_TERMS, "the glossary of {LEARN} has only {} terms", found.terms);
}

#[test]
fn other_pages_show_what_happens() {
    let pages: Vec<_> =
        other_pages().iter().map(|path| read(path)).filter(|page| page.commands() > 0).collect();
    let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
    // It has had such a block for long.
    assert!(names.contains(&"README.md"), "{names:?}");
    pages.iter().filter(|page| run::is_chosen(page)).for_each(run::check);
}

fn learn_page() -> Page {
    let path = root().join(LEARN);
    assert!(path.is_file(), "{LEARN} is missing: it is the page that this test runs");
    read(&path)
}

fn read(path: &Path) -> Page {
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page::parse(&name, &text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The READMEs, and all pages of docs, except the page for learners.
fn other_pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "examples", "fuzz"] {
        found.push(root().join(folder).join("README.md"));
    }
    let children = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    found.extend(children(&root().join("crates")).iter().map(|folder| folder.join("README.md")));
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in children(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.retain(|path| path.is_file() && *path != root().join(LEARN));
    found.sort();
    found
}
