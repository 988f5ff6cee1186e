//! Writes the tables into docs/benchmarks.md.

use super::wire::Feed;
use crate::document::{machine, replace_benchmarks};
use crate::results::Results;
use std::fmt::Write as _;
use tidewire_testkit::run::Result;

/// Prints the tables, and writes them into the document unless the run is quick.
pub(crate) fn write(results: &Results, rounds: usize, quick: bool) -> Result {
    let tables = tables(results, rounds, quick);
    println!("\r\x1b[K\n{tables}");
    if quick { Ok(()) } else { replace_benchmarks("bench", &tables) }
}

fn tables(results: &Results, rounds: usize, quick: bool) -> String {
    let mut out = machine(if quick { "bench --quick" } else { "bench" }, rounds);
    fanout(&mut out, results);
    latency(&mut out, results);
    get(&mut out, results);
    churn(&mut out, results);
    memory(&mut out, results);
    scale(&mut out, results);
    out
}

fn fanout(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Delivery.** 1,000 subscribers, 100-byte messages: microseconds of server CPU for each\n\
         delivery, with 1 and with 32 publishes in flight.\n\n\
         | feed | in flight | tidewire | bare loop | Nchan | axum | tidewire / bare loop \
         | tidewire / Nchan | tidewire / axum |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for feed in Feed::ALL {
        for window in ["1", "32"] {
            let cell = format!("fanout {} {window}", feed.name());
            let _ = write!(out, "| {} | {window} |", feed.name());
            for server in ["tidewire", "bare-loop", "nchan", "axum"] {
                let _ = write!(out, " {} |", results.spread(&cell, server, "cost", 1.0, 2));
            }
            for server in ["bare-loop", "nchan", "axum"] {
                let _ = write!(out, " {} |", results.ratio(&cell, server));
            }
            out.push('\n');
        }
    }
    let sum = |server, name| results.sum(&["fanout", "latency", "scale"], server, name);
    let _ = write!(
        out,
        "\nOf {:.1} million deliveries by tidewire (this table and the ones on latency and scale),\n\
         {} were lost and {} came twice or out of order.\n",
        sum("tidewire", "delivered") / 1e6,
        sum("tidewire", "lost"),
        sum("tidewire", "disorder"),
    );
    for server in ["bare-loop", "nchan", "axum"] {
        let (lost, disorder) = (sum(server, "lost"), sum(server, "disorder"));
        if lost + disorder > 0.0 {
            let _ = writeln!(out, "{server}: {lost} lost, {disorder} twice or out of order.");
        }
    }
}

fn latency(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Latency** at 50,000 deliveries a second (50 messages to 1,000 subscribers):\n\
         milliseconds from publishing to receiving, p50 / p99.\n\n\
         | feed | tidewire | bare loop | Nchan | axum |\n|---|---:|---:|---:|---:|\n",
    );
    for feed in Feed::ALL {
        let cell = format!("latency {}", feed.name());
        let _ = write!(out, "| {} |", feed.name());
        for server in ["tidewire", "bare-loop", "nchan", "axum"] {
            let of = |name| results.spread(&cell, server, name, 1000.0, 1);
            let _ = write!(out, " {} / {} |", of("p50"), of("p99"));
        }
        out.push('\n');
    }
}

fn get(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Plain `GET`** of the newest message on 50 connections: microseconds of server CPU for\n\
         each request. Nginx's `return 200` answers with a constant.\n\n\
         | requests in flight on a connection | tidewire | nginx `return 200` | Nchan \
         | axum (hyper) | `return 200` / tidewire | axum / tidewire |\n\
         |---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for depth in ["1", "16"] {
        let cell = format!("get {depth}");
        let _ = write!(out, "| {depth} |");
        for server in ["tidewire", "return", "nchan", "axum"] {
            let _ = write!(out, " {} |", results.spread(&cell, server, "cost", 1.0, 2));
        }
        let _ = writeln!(out, " {} | {} |", results.inverse(&cell, "return"), results.inverse(&cell, "axum"));
    }
}

fn churn(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Connect, subscribe, leave**, 32 at a time: microseconds of server CPU for each cycle.\n\n\
         | feed | tidewire | Nchan | axum | Nchan / tidewire | axum / tidewire |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for feed in Feed::STREAMS {
        let cell = format!("churn {}", feed.name());
        let _ = write!(out, "| {} |", feed.name());
        for server in ["tidewire", "nchan", "axum"] {
            let _ = write!(out, " {} |", results.spread(&cell, server, "cost", 1.0, 1));
        }
        let _ = writeln!(out, " {} | {} |", results.inverse(&cell, "nchan"), results.inverse(&cell, "axum"));
    }
}

fn memory(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Memory.** 10,000 connections (2,000 in a quick run) to a server just started: bytes of\n\
         resident memory for each when all wait / after three messages to all, and the whole\n\
         process in MB before they came -> after they left.\n\n\
         | feed | tidewire | | Nchan | | axum | |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for feed in Feed::ALL {
        let cell = format!("idle {}", feed.name());
        let _ = write!(out, "| {} |", feed.name());
        for server in ["tidewire", "nchan", "axum"] {
            let of = |name, unit, digits| results.spread(&cell, server, name, unit, digits);
            let _ = write!(out, " {} / {} |", of("open", 1.0, 0), of("touched", 1.0, 0));
            let _ = write!(out, " {} -> {} |", of("before", 1e6, 1), of("left", 1e6, 1));
        }
        out.push('\n');
    }
}

fn scale(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Scale.** SSE, one publish in flight: microseconds of server CPU for each delivery. A\n\
         publish is shared by all deliveries: with ten subscribers it is most of the cost, of the\n\
         bare loop as well.\n\n\
         | subscribers | tidewire | bare loop | tidewire / bare loop |\n|---:|---:|---:|---:|\n",
    );
    for count in ["10", "100", "1000", "10000", "15000"] {
        let cell = format!("scale {count}");
        let of = |server| results.spread(&cell, server, "cost", 1.0, 2);
        let _ = writeln!(
            out,
            "| {count} | {} | {} | {} |",
            of("tidewire"),
            of("bare-loop"),
            results.ratio(&cell, "bare-loop")
        );
    }
    out.push_str(
        "\n| channels, of which one has 1,000 subscribers and the messages, each other one subscriber \
         | tidewire |\n|---:|---:|\n",
    );
    for (channels, quiet) in [("1", "0"), ("100", "99"), ("10,000", "9999")] {
        let cost = results.spread(&format!("channels {quiet}"), "tidewire", "cost", 1.0, 2);
        let _ = writeln!(out, "| {channels} | {cost} |");
    }
}
