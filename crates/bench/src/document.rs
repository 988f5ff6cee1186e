//! Writes the results of measurements into documents: tables between two marks, and the machine.

use std::path::PathBuf;
use tidewire_testkit::run::{Result, ask, program, read, root, write};

/// Puts `tables` between the marks of a document. Returns the path of the document. The prose
/// around the marks is written by hand.
pub(crate) fn replace(document: &str, [begin, end]: [&str; 2], tables: &str) -> Result<PathBuf> {
    let path = root().join(document);
    let text = between(&read(&path)?, [begin, end], tables)
        .ok_or_else(|| format!("{document} lacks the marks `{}` and `{}`", begin.trim(), end.trim()))?;
    write(&path, text.as_bytes())?;
    Ok(path)
}

/// Puts `tables` between the marks of a command in docs/benchmarks.md.
pub(crate) fn replace_benchmarks(command: &str, tables: &str) -> Result {
    let [begin, end] = ["begin", "end"].map(|place| format!("<!-- cargo xtask {command}: {place} -->"));
    replace("docs/benchmarks.md", [&begin, &end], &format!("\n\n{tables}\n")).map(drop)
}

fn between(text: &str, [begin, end]: [&str; 2], tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{tables}{end}{after}"))
}

/// Returns a line on what was run, when, and on which machine, and how to read spreads.
pub(crate) fn machine(command: &str, rounds: usize) -> String {
    run_on(command, &format!("{rounds} interleaved rounds: median (least - most)."))
}

/// Returns a line on what was run, when, and on which machine. `note` stands on the next line.
pub(crate) fn run_on(command: &str, note: &str) -> String {
    let say =
        |name: &str, words: &[&str]| ask(&mut program(name, words)).unwrap_or_default().trim().to_owned();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let busy = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = busy.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "`cargo xtask {command}`, {}. {model}, {} cores, Linux {}, load average {busy} at the end.\n\
         {note}\n",
        say("date", &["+%Y-%m-%d %H:%M"]),
        say("nproc", &[]),
        say("uname", &["-r"]),
    )
}

/// Returns `median (least - most)`, or only the median if there is one figure, or `-` if there is
/// none.
pub(crate) fn spread(sorted: &[f64], digits: usize) -> String {
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return "-".into() };
    let middle = median(sorted);
    if sorted.len() == 1 {
        return format!("{middle:.digits$}");
    }
    format!("{middle:.digits$} ({least:.digits$} - {most:.digits$})")
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
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = between("a <b> old <e> z", ["<b>", "<e>"], " new ");
        assert_eq!(text.as_deref(), Some("a <b> new <e> z"));
        assert_eq!(between("a <e> old <b> z", ["<b>", "<e>"], " new "), None);
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_two() {
        assert_eq!((median(&[]), median(&[1.0, 2.0, 9.0]), median(&[1.0, 2.0])), (0.0, 2.0, 1.5));
        assert_eq!(spread(&[1.0, 2.0], 1), "1.5 (1.0 - 2.0)");
        assert_eq!((spread(&[1.0], 2), spread(&[], 2)), ("1.00".into(), "-".into()));
    }
}
