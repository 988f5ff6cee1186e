//! The tables of `docs/transports.md`.

use super::idle::CONNECTIONS;
use super::technique::Technique;
use super::traffic::{MESSAGES, PAUSE, PAYLOAD, READERS, Traffic};
use crate::document::replace;
use std::path::PathBuf;
use std::time::Duration;
use tidewire_testkit::run::Result;

const MARKS: [&str; 2] =
    ["<!-- cargo xtask transports: begin -->\n", "<!-- cargo xtask transports: end -->\n"];

/// Puts the tables between the marks of the document. Returns its path.
pub(super) fn write(rows: &[((&Technique, Traffic), f64)]) -> Result<PathBuf> {
    replace("docs/transports.md", MARKS, &tables(rows))
}

fn tables(rows: &[((&Technique, Traffic), f64)]) -> String {
    let mut text = format!(
        "\n{MESSAGES} messages of {PAYLOAD} bytes, at random moments {} ms apart on average, read \
         by {READERS} readers of each technique at the same time, over loopback on \
         {} cores, with the fields that a browser sends. Bytes are what each reader's socket \
         carried for all of it, heads included.\n\n\
         | technique | requests | empty answers | bytes up | bytes down | overhead a message \
         | latency p50 | p99 | idle memory |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        PAUSE.as_millis(),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    for ((technique, traffic), idle) in rows {
        let mut latencies = traffic.latencies.clone();
        latencies.sort_unstable();
        let overhead = (traffic.up + traffic.down) / MESSAGES as f64 - PAYLOAD as f64;
        text.push_str(&format!(
            "| {} | {:.0} | {:.0} | {} | {} | {} B | {} | {} | {} |\n",
            technique.name,
            traffic.requests,
            traffic.empty,
            grouped(traffic.up),
            grouped(traffic.down),
            grouped(overhead),
            time(quantile(&latencies, 0.5)),
            time(quantile(&latencies, 0.99)),
            memory(*idle),
        ));
    }
    text.push_str(&format!(
        "\nIdle memory is what the server's process grows by for each of {} connections that wait: \
         streams at rest, polls that are held, connections between two short polls. \
         The kernel's part of a connection comes on top, and is the same for all.\n\n",
        grouped(CONNECTIONS as f64)
    ));
    text
}

fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let index = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or_default()
}

fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

fn memory(bytes: f64) -> String {
    if bytes < 1000.0 { format!("{bytes:.0} B") } else { format!("{:.1} KB", bytes / 1000.0) }
}

/// `12,345`
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_have_units() {
        assert_eq!(grouped(0.4), "0");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(time(Duration::from_micros(1_234)), "1.23 ms");
        assert_eq!(memory(1_540.0), "1.5 KB");
        let ms = |n| Duration::from_millis(n);
        let sorted: Vec<_> = (1..=100).map(ms).collect();
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.99)), (ms(50), ms(99)));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
