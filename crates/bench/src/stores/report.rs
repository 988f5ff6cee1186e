//! Writes the tables into docs/benchmarks.md.

use super::plan::{CHANNELS, PUBLISHERS};
use super::server::Store;
use crate::document::{machine, replace_benchmarks};
use crate::results::Results;
use std::fmt::Write as _;
use tidewire_testkit::run::Result;

/// Prints the tables, and writes them into the document unless the run is quick.
pub(super) fn write(results: &Results, rounds: usize, quick: bool) -> Result {
    let mut tables = machine(if quick { "bench disk --quick" } else { "bench disk" }, rounds);
    publish(&mut tables, results);
    always(&mut tables, results);
    latency(&mut tables, results);
    readers(&mut tables, results);
    start(&mut tables, results);
    println!("\r\x1b[K\n{tables}");
    if quick { Ok(()) } else { replace_benchmarks("bench disk", &tables) }
}

fn publish(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Publishing** by HTTP: 50 publishers with 16 requests in flight each, 256-byte messages,\n\
         the default retention, which is full before the first run. Thousands of messages a second;\n\
         microseconds of server CPU for each.\n\n\
         | channels | memory | `never` | `interval` | `always` | `interval` / memory |\n\
         |---:|---:|---:|---:|---:|---:|\n",
    );
    for channels in CHANNELS {
        let cell = format!("publish {channels}");
        let _ = write!(out, "| {channels} |");
        for store in Store::ALL {
            let of = |name, unit, digits| results.spread(&cell, store.name(), name, unit, digits);
            let _ = write!(out, " {}; {} |", of("rate", 1e3, 0), of("cost", 1.0, 2));
        }
        let _ = writeln!(out, " {} |", results.quotient(&cell, "rate", "interval", "memory"));
    }
}

fn always(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Publishers that wait for each answer**, to one channel: messages a second.\n\n\
         | publishers | `always` | `interval` | `always` / `interval` |\n|---:|---:|---:|---:|\n",
    );
    for publishers in PUBLISHERS {
        let cell = format!("publishers {publishers}");
        let of = |store| results.spread(&cell, store, "rate", 1.0, 0);
        let ratio = results.quotient(&cell, "rate", "always", "interval");
        let _ = writeln!(out, "| {publishers} | {} | {} | {ratio} |", of("always"), of("interval"));
    }
}

fn latency(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Latency** from publishing to receiving by SSE, at 1,000 messages a second: milliseconds.\n\n\
         | | memory | `never` | `interval` | `always` |\n|---|---:|---:|---:|---:|\n",
    );
    for name in ["p50", "p99"] {
        let _ = write!(out, "| {name} |");
        for store in Store::ALL {
            let _ = write!(out, " {} |", results.spread("latency", store.name(), name, 1e3, 2));
        }
        out.push('\n');
    }
}

fn readers(out: &mut String, results: &Results) {
    let of = |name, unit, digits| results.spread("readers", "interval", name, unit, digits);
    let _ = write!(
        out,
        "\n**Readers from the start of a log** of a million 100-byte messages: 1,000 of them by SSE,\n\
         after a restart. They got {} thousand messages a second together, at {} microseconds of\n\
         server CPU for each. The process had {} MB before, {} at most and {} at the end.\n",
        of("rate", 1e3, 0),
        of("cost", 1.0, 2),
        of("before", 1e6, 0),
        of("most", 1e6, 0),
        of("last", 1e6, 0),
    );
}

fn start(out: &mut String, results: &Results) {
    let of = |name| results.spread("start", "interval", name, 1.0, 0);
    let _ = write!(
        out,
        "\n**The start** with 100,000 channels and ten million messages: it listens after {} ms. Then\n\
         each of 100 readers of different channels got its messages after {} ms (p50), {} ms (p99).\n",
        of("ready"),
        of("p50"),
        of("p99"),
    );
}
