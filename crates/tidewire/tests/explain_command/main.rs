//! `tidewire explain`, as a user starts it.
//!
//! | file | what |
//! |---|---|
//! | `captures.rs` | files and standard input, of every kind |
//! | `kinds.rs` | every kind of `--as` |
//! | `hints.rs` | hints for a person who has the wrong kind or input |
//! | `output.rs` | when and how the output is written, and error messages |
//! | `live.rs` | connections to a server |
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod captures;
mod hints;
mod kinds;
mod live;
mod output;

use std::io::Write;
use std::process::{Child, Stdio};

use common::server::{Outcome, command, run};
use common::{Deadline, Output};

/// Runs `tidewire explain` with bytes on its standard input.
fn explain(args: &[&str], input: &[u8]) -> Outcome {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(input).unwrap();
    let mut all = vec!["explain"];
    all.extend(args);
    let mut command = command(&all);
    command.stdin(Stdio::from(std::fs::File::open(file.path()).unwrap()));
    plain(&mut command);
    run(command)
}

/// Removes the variables of the user's terminal, which would change the output.
fn plain(command: &mut std::process::Command) {
    command.env_remove("COLUMNS").env_remove("NO_COLOR");
}

/// Asserts that the output contains all these texts. The notes beside the bytes are wrapped, so
/// they are also compared as one line.
fn holds(outcome: &Outcome, texts: &[&str]) {
    let beside = |columns: usize| {
        let words = outcome.stdout.lines().flat_map(|line| {
            let start = line.char_indices().nth(columns).map_or(line.len(), |(at, _)| at);
            line[start..].split_whitespace()
        });
        words.collect::<Vec<_>>().join(" ")
    };
    // The columns of offset, bytes and text, with 8 and with 16 bytes a row.
    let pages = [outcome.stdout.clone(), beside(43), beside(75)];
    for text in texts {
        let found = pages.iter().any(|page| page.contains(text));
        assert!(found, "no {text:?} in\n{}\n{}", outcome.stdout, outcome.stderr);
    }
}

/// Reads the standard output of a child until it contains one of these texts, separated by `|`.
/// Returns the output, from its beginning.
fn wait_for(child: &mut Child, texts: &str) -> Output {
    let mut out = Output::of(child.stdout.take().unwrap());
    out.until(texts, |seen| {
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        texts.split('|').any(|text| words.contains(text))
    });
    out
}

/// Waits for the end of a child, which must come in time. Returns its exit code.
fn code_of(child: &mut Child) -> Option<i32> {
    Deadline::soon().end(child).expect("the command ends within a minute").code()
}
