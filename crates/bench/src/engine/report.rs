//! The tables, and their place in docs/benchmarks.md.

use super::Results;
use super::wire::Feed;
use crate::run::{Result, ask, program, read, root, write as save};
use std::fmt::Write as _;

/// Replaces the tables between the marks; the prose around them is written by hand. A quick run is only printed.
pub(crate) fn write(results: &Results, rounds: usize, quick: bool) -> Result {
    let tables = tables(results, rounds, quick);
    println!("\r\x1b[K\n{tables}");
    if quick {
        return Ok(());
    }
    replace("bench", &tables)
}

/// Puts `tables` between the marks of this command in docs/benchmarks.md.
pub(crate) fn replace(command: &str, tables: &str) -> Result {
    let path = root().join("docs/benchmarks.md");
    let text = read(&path)?;
    let [begin, end] = ["begin", "end"].map(|place| format!("<!-- cargo xtask {command}: {place} -->"));
    let (before, rest) = text.split_once(&begin).ok_or(format!("docs/benchmarks.md has no `{begin}`"))?;
    let (_, after) = rest.split_once(&end).ok_or(format!("docs/benchmarks.md has no `{end}`"))?;
    save(&path, format!("{before}{begin}\n\n{tables}\n{end}{after}").as_bytes())
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

/// What was run, when and on what.
pub(crate) fn machine(command: &str, rounds: usize) -> String {
    let say =
        |name: &str, words: &[&str]| ask(&mut program(name, words)).unwrap_or_default().trim().to_owned();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let busy = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = busy.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "`cargo xtask {command}`, {}. {model}, {} cores, Linux {}, load average {busy} at the end. {rounds} interleaved rounds: median (least - most).\n",
        say("date", &["+%Y-%m-%d %H:%M"]),
        say("nproc", &[]),
        say("uname", &["-r"]),
    )
}

fn fanout(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Delivery.** 1,000 subscribers, 100-byte messages: microseconds of server CPU for each delivery, with 1 and with 32 publishes in flight.\n\n\
         | feed | in flight | tidewire | bare loop | Nchan | axum | tidewire / bare loop | tidewire / Nchan | tidewire / axum |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for feed in Feed::ALL {
        for window in ["1", "32"] {
            let cell = format!("fanout {} {window}", feed.name());
            let _ = write!(out, "| {} | {window} |", feed.name());
            for server in ["tidewire", "floor", "nchan", "axum"] {
                let _ = write!(out, " {} |", spread(results, &cell, server, "cost", 1.0, 2));
            }
            for server in ["floor", "nchan", "axum"] {
                let _ = write!(out, " {} |", ratio(results, &cell, server));
            }
            out.push('\n');
        }
    }
    let sum = |server: &'static str, name: &str| -> f64 {
        let cells = results.iter().filter(|((cell, whose), _)| {
            *whose == server && ["fanout", "latency", "scale"].iter().any(|kind| cell.starts_with(kind))
        });
        cells.flat_map(|(_, values)| values).filter_map(|value| value[name].as_f64()).sum()
    };
    let _ = write!(
        out,
        "\nOf {:.1} million deliveries by tidewire (this table and the ones on latency and scale), {} were lost and {} came twice or out of order.\n",
        sum("tidewire", "delivered") / 1e6,
        sum("tidewire", "lost"),
        sum("tidewire", "disorder"),
    );
    for server in ["floor", "nchan", "axum"] {
        let (lost, disorder) = (sum(server, "lost"), sum(server, "disorder"));
        if lost + disorder > 0.0 {
            let _ = writeln!(out, "{server}: {lost} lost, {disorder} twice or out of order.");
        }
    }
}

fn latency(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Latency** at 50,000 deliveries a second (50 messages to 1,000 subscribers): milliseconds from publishing to receiving, p50 / p99.\n\n\
         | feed | tidewire | bare loop | Nchan | axum |\n|---|---:|---:|---:|---:|\n",
    );
    for feed in Feed::ALL {
        let cell = format!("latency {}", feed.name());
        let _ = write!(out, "| {} |", feed.name());
        for server in ["tidewire", "floor", "nchan", "axum"] {
            let of = |name| spread(results, &cell, server, name, 1000.0, 1);
            let _ = write!(out, " {} / {} |", of("p50"), of("p99"));
        }
        out.push('\n');
    }
}

fn get(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Plain `GET`** of the newest message on 50 connections: microseconds of server CPU for each request. Nginx's `return 200` answers with a constant.\n\n\
         | requests in flight on a connection | tidewire | nginx `return 200` | Nchan | axum (hyper) | `return 200` / tidewire | axum / tidewire |\n|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for depth in ["1", "16"] {
        let cell = format!("get {depth}");
        let _ = write!(out, "| {depth} |");
        for server in ["tidewire", "return", "nchan", "axum"] {
            let _ = write!(out, " {} |", spread(results, &cell, server, "cost", 1.0, 2));
        }
        let _ =
            writeln!(out, " {} | {} |", inverse(results, &cell, "return"), inverse(results, &cell, "axum"));
    }
}

fn churn(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Connect, subscribe, leave**, 32 at a time: microseconds of server CPU for each cycle.\n\n\
         | feed | tidewire | Nchan | axum | Nchan / tidewire | axum / tidewire |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for feed in Feed::STREAMS {
        let cell = format!("churn {}", feed.name());
        let _ = write!(out, "| {} |", feed.name());
        for server in ["tidewire", "nchan", "axum"] {
            let _ = write!(out, " {} |", spread(results, &cell, server, "cost", 1.0, 1));
        }
        let _ =
            writeln!(out, " {} | {} |", inverse(results, &cell, "nchan"), inverse(results, &cell, "axum"));
    }
}

fn memory(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Memory.** 10,000 connections (2,000 in a quick run) to a server just started: bytes of resident memory for each when all wait / after three messages to all, and the whole\n\
         process in MB before they came -> after they left.\n\n\
         | feed | tidewire | | Nchan | | axum | |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for feed in Feed::ALL {
        let cell = format!("idle {}", feed.name());
        let _ = write!(out, "| {} |", feed.name());
        for server in ["tidewire", "nchan", "axum"] {
            let of = |name, unit, digits| spread(results, &cell, server, name, unit, digits);
            let _ = write!(out, " {} / {} |", of("open", 1.0, 0), of("touched", 1.0, 0));
            let _ = write!(out, " {} -> {} |", of("before", 1e6, 1), of("left", 1e6, 1));
        }
        out.push('\n');
    }
}

fn scale(out: &mut String, results: &Results) {
    out.push_str(
        "\n**Scale.** SSE, one publish in flight: microseconds of server CPU for each delivery. A publish is shared by all deliveries: with ten subscribers it is most of the cost, of the bare loop as well.\n\n\
         | subscribers | tidewire | bare loop | tidewire / bare loop |\n|---:|---:|---:|---:|\n",
    );
    for count in ["10", "100", "1000", "10000", "15000"] {
        let cell = format!("scale {count}");
        let of = |server| spread(results, &cell, server, "cost", 1.0, 2);
        let _ = writeln!(
            out,
            "| {count} | {} | {} | {} |",
            of("tidewire"),
            of("floor"),
            ratio(results, &cell, "floor")
        );
    }
    out.push_str("\n| channels, of which one has 1,000 subscribers and the messages, each other one subscriber | tidewire |\n|---:|---:|\n");
    for (channels, quiet) in [("1", "0"), ("100", "99"), ("10,000", "9999")] {
        let cost = spread(results, &format!("channels {quiet}"), "tidewire", "cost", 1.0, 2);
        let _ = writeln!(out, "| {channels} | {cost} |");
    }
}

/// `median (least - most)` in this unit, or only the median where there is one figure.
fn spread(
    results: &Results,
    cell: &str,
    server: &'static str,
    name: &str,
    unit: f64,
    digits: usize,
) -> String {
    let values = sorted(results, cell, server, name);
    let (Some(least), Some(most)) = (values.first(), values.last()) else { return "-".into() };
    let middle = median(&values) / unit;
    if values.len() == 1 {
        return format!("{middle:.digits$}");
    }
    format!("{middle:.digits$} ({:.digits$} - {:.digits$})", least / unit, most / unit)
}

/// The median cost of tidewire over that of another server.
fn ratio(results: &Results, cell: &str, server: &'static str) -> String {
    let (ours, theirs) = (sorted(results, cell, "tidewire", "cost"), sorted(results, cell, server, "cost"));
    if ours.is_empty() || theirs.is_empty() {
        return "-".into();
    }
    format!("**{:.2}**", median(&ours) / median(&theirs))
}

/// The median cost of another server over that of tidewire.
fn inverse(results: &Results, cell: &str, server: &'static str) -> String {
    let (ours, theirs) = (sorted(results, cell, "tidewire", "cost"), sorted(results, cell, server, "cost"));
    if ours.is_empty() || theirs.is_empty() {
        return "-".into();
    }
    format!("**{:.2}**", median(&theirs) / median(&ours))
}

fn sorted(results: &Results, cell: &str, server: &'static str, name: &str) -> Vec<f64> {
    let values = results.get(&(cell.to_owned(), server)).into_iter().flatten();
    let mut values: Vec<f64> = values.filter_map(|value| value[name].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two() {
        assert_eq!((median(&[]), median(&[1.0, 2.0, 9.0]), median(&[1.0, 2.0])), (0.0, 2.0, 1.5));
    }
}
