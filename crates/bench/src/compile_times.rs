//! `cargo xtask compile-times`: what a dependency on each crate costs to build, next to the crates
//! that do the same work.
//!
//! Each row is a package outside of the workspace, with one thing in its manifest: the dependency.
//! It is built from nothing, one compiler at a time. The figure is the CPU time of all processes of
//! the build. Unlike the time on the clock, it hardly depends on what else the machine does.

mod build;
mod rows;

use crate::document::{replace_benchmarks, run_on};
use build::{Cost, Package};
use rows::{GROUPS, Group, Row};
use std::io::Write as _;
use std::time::Instant;
use tidewire_testkit::run::{Result, ask, program};

/// How much to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build only rows whose name contains this, such as `sse`. Print the table and do not write
    /// the document.
    #[arg(long)]
    only: Option<String>,
    /// How often each row is built. The least time counts: other work on the machine only adds
    /// time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// List the rows.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    let wanted = |row: &&Row| args.only.as_ref().is_none_or(|part| row.name.contains(part.as_str()));
    let chosen: Vec<_> =
        GROUPS.iter().map(|group| (group, group.rows.iter().filter(wanted).collect())).collect();
    let total: usize = chosen.iter().map(|(_, rows): &(_, Vec<_>)| rows.len()).sum();
    if args.list || total == 0 {
        let names = GROUPS.iter().flat_map(|group| group.rows).map(|row| row.name);
        println!("{}", names.collect::<Vec<_>>().join("\n"));
        return if total == 0 { Err("no row has this name; the rows are above".into()) } else { Ok(()) };
    }
    let (start, mut done, mut text) = (Instant::now(), 0, String::new());
    for (group, rows) in chosen.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        let mut costs = Vec::new();
        for row in rows {
            done += 1;
            print!("\r{:4} s  row {done} of {total}: {}\x1b[K", start.elapsed().as_secs(), row.name);
            drop(std::io::stdout().flush());
            costs.push((row, measure(row, args.rounds)?));
        }
        text.push_str(&table(group, &costs));
    }
    println!("\r{total} rows in {} s\x1b[K\n", start.elapsed().as_secs());
    let text = format!("{}\n{text}", run_on("compile-times", &how(args.rounds)));
    println!("{text}");
    if args.only.is_none() { replace_benchmarks("compile-times", &text) } else { Ok(()) }
}

fn how(rounds: u32) -> String {
    let rustc = ask(&mut program("rustc", &["--version"])).unwrap_or_default();
    let rustc = rustc.split(" (").next().unwrap_or_default();
    format!("CPU seconds of `cargo build -j1` from nothing, least of {rounds}, {rustc}.")
}

/// The least time of the rounds, in each profile.
fn measure(row: &Row, rounds: u32) -> Result<Cost> {
    let package = Package::new(row)?;
    let mut least = package.cost()?;
    for _ in 1..rounds {
        let again = package.cost()?;
        least.debug = least.debug.min(again.debug);
        least.release = least.release.min(again.release);
    }
    Ok(least)
}

fn table(group: &Group, costs: &[(&Row, Cost)]) -> String {
    let mut text = format!(
        "**{}**\n\n| dependency | features | crates | debug | release |\n|---|---|--:|--:|--:|\n",
        group.title
    );
    for (row, cost) in costs {
        text.push_str(&format!(
            "| {} | {} | {} | {:.1} s | {:.1} s |\n",
            cost.package, row.features, cost.crates, cost.debug, cost.release
        ));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let cost = Cost { package: "tidewire-sse 0.1.0".into(), crates: 1, debug: 0.25, release: 1.0 };
        let text = table(&GROUPS[0], &[(&GROUPS[0].rows[0], cost)]);
        assert!(
            text.contains("| tidewire-sse 0.1.0 |") && text.ends_with("| 1 | 0.2 s | 1.0 s |\n\n"),
            "{text}"
        );
    }
}
