//! `cargo xtask compliance`: checks docs/compliance.md, which says where each requirement is met.
//!
//! A row is `| RFC 9112 §7.1 (1) | MUST | in our words | file | test or reason |`. Its id is also a
//! tag: a comment with `RFC 9112 §7.1 (1)`, including the number, must have a row.
//! docs/CONTRIBUTING.md explains the form.

use std::collections::BTreeMap;
use std::path::Path;
use tidewire_testkit::run::{Result, files, read, root};

const DOCUMENT: &str = "docs/compliance.md";
const LEVELS: [&str; 5] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"];
const REASON: &str = "Reason:";
/// The standard of the WHATWG has sections, but no number.
const HTML: &str = "HTML §";

pub(crate) fn run() -> Result {
    let root = root();
    let (rows, mut problems) = rows(&read(&root.join(DOCUMENT))?);
    for row in &rows {
        problems.extend(row.problems(&root));
    }
    let known: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut tags = 0;
    for file in files(&root.join("crates"), ".rs") {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        if name.starts_with("crates/xtask/") {
            continue; // Its tests contain wrong tags.
        }
        for (line, tag) in self::tags(&read(&file)?) {
            tags += 1;
            if !known.contains_key(tag.as_str()) {
                problems.push(format!("{name}:{line}: `{tag}` has no row in {DOCUMENT}."));
            }
        }
    }
    if problems.is_empty() {
        println!("    {} requirements, {tags} tags in the code", rows.len());
        return Ok(());
    }
    Err(problems.join("\n"))
}

#[derive(Debug, Default, PartialEq)]
struct Row {
    line: usize,
    id: String,
    level: String,
    place: String,
    proof: String,
}

impl Row {
    fn problems(&self, root: &Path) -> Vec<String> {
        let mut problems = Vec::new();
        let mut add = |what: String| problems.push(format!("{DOCUMENT}:{}: {} {what}", self.line, self.id));
        if !LEVELS.contains(&self.level.as_str()) {
            add(format!("has the level `{}`; known levels are {}.", self.level, LEVELS.join(", ")));
        }
        for place in quoted(&self.place) {
            if !root.join(place).is_file() {
                add(format!("names the file {place}, which does not exist."));
            }
        }
        if let Some(reason) = self.proof.strip_prefix(REASON) {
            if reason.trim().len() < 10 {
                add("has no reason after `Reason:`.".into());
            }
            return problems;
        }
        let proofs = quoted(&self.proof);
        if proofs.is_empty() && self.level.starts_with("MUST") {
            add("is a MUST without a test and without a reason.".into());
        }
        if !proofs.is_empty() && quoted(&self.place).is_empty() {
            add("has a test, but names no file that meets it.".into());
        }
        for proof in proofs {
            if let Err(problem) = exists(root, proof) {
                add(problem);
            }
        }
        problems
    }
}

/// Returns the rows of all tables of the document, and the errors in their form. A row has five
/// cells, and the first cell is an id.
fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let Some(inner) = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            continue;
        };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let id = cells[0].trim_matches('`');
        if !id.starts_with("RFC ") && !id.starts_with(HTML) {
            continue;
        }
        let mut add = |what: &str| problems.push(format!("{DOCUMENT}:{line_number}: {id} {what}"));
        let [_, level, requirement, place, proof] = cells[..] else {
            add("needs five cells: id, level, requirement, where, test or reason.");
            continue;
        };
        if tags(id) != [(1, String::from(id))] {
            add("is not an id of the form `RFC 9112 §7.1 (1)`.");
        }
        if requirement.is_empty() {
            add("does not say what is required.");
        }
        if rows.iter().any(|row| row.id == id) {
            add("has a second row.");
        }
        let text = |cell: &str| String::from(cell);
        rows.push(Row {
            line: line_number,
            id: text(id),
            level: text(level),
            place: text(place),
            proof: text(proof),
        });
    }
    (rows, problems)
}

/// The texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Checks that a proof exists: `path/to/file.rs::test_name` or `docs/wire/name.md#Heading`.
fn exists(root: &Path, proof: &str) -> Result {
    let (path, needle, what) = if let Some((path, test)) = proof.split_once("::") {
        (path, format!("fn {}", test.rsplit("::").next().unwrap_or(test)), "test")
    } else if let Some((path, heading)) = proof.split_once('#') {
        (path, format!("# {heading}"), "heading")
    } else {
        return Err(format!(
            "names `{proof}`, which is neither `file.rs::test` nor `docs/wire/name.md#Heading`."
        ));
    };
    let text = read(&root.join(path)).map_err(|_| format!("names {path}, which does not exist."))?;
    let found = match what {
        "heading" => {
            text.lines().any(|line| line.trim_start_matches('#') == &needle[1..] && line.starts_with('#'))
        }
        _ => text.match_indices(&needle).any(|(at, _)| text[at + needle.len()..].starts_with(['(', '<'])),
    };
    if found { Ok(()) } else { Err(format!("names a {what} that does not exist in {path}: `{proof}`.")) }
}

/// Returns every tag of a text, such as `RFC 9112 §7.1 (1)` or `HTML §9.2.5 (1)`, with its line. An
/// id without the number is an ordinary citation.
fn tags(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for start in ["RFC ", HTML] {
            for (at, _) in line.match_indices(start) {
                found.extend(tag(&line[at..]).map(|tag| (index + 1, String::from(tag))));
            }
        }
    }
    found
}

fn tag(text: &str) -> Option<&str> {
    let rest = match text.strip_prefix(HTML) {
        Some(rest) => rest,
        None => digits(text.strip_prefix("RFC ")?)?.strip_prefix(" §")?,
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').strip_prefix(" (")?;
    let rest = digits(rest)?.strip_prefix(')')?;
    Some(&text[..text.len() - rest.len()])
}

/// The text after one or more digits.
fn digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_and_citations_are_not() {
        let text =
            "// RFC 9112 §7.1 (12): x\n// see RFC 9112 §7.1, RFC 9110 §6.5.1 (2) and RFC 9112 §7.1 (a)";
        assert_eq!(tags(text), [(1, "RFC 9112 §7.1 (12)".into()), (2, "RFC 9110 §6.5.1 (2)".into())]);
        assert_eq!(tags("HTML §9.2.6 (8) and HTML §9.2.6, HTML (8)"), [(1, "HTML §9.2.6 (8)".into())]);
    }

    fn complaints(row: &str) -> String {
        let (rows, mut problems) = rows(row);
        problems.extend(rows.iter().flat_map(|row| row.problems(&root())));
        problems.join("\n")
    }

    #[test]
    fn a_correct_row_passes() {
        let row = "| RFC 1 §2 (3) | MUST | x | `crates/xtask/src/compliance.rs` | \
            `crates/xtask/src/compliance.rs::a_correct_row_passes` |";
        assert_eq!(complaints(row), "");
        assert_eq!(complaints("| RFC 1 §2 (3) | MUST | x | | Reason: nobody sends these any more |"), "");
        assert_eq!(complaints("| RFC 1 §2 (3) | MAY | x | |  |"), "");
        assert_eq!(complaints("| id | level |\n|---|---|\ntext"), "");
    }

    #[test]
    fn a_wrong_row_is_reported() {
        let said = |row: &str, what: &str| {
            let got = complaints(row);
            assert!(got.contains(what), "{row}\n{got}");
        };
        said("| RFC 1 §2 (3) | MUST | x | |  |", "without a test and without a reason");
        said("| RFC 1 §2 (3) | MUST NOT | x | | Reason: |", "has no reason");
        said("| RFC 1 §2 (3) | OUGHT | x | |  |", "has the level");
        said("| RFC 1 §2 | MAY | x | |  |", "is not an id");
        said("| RFC 1 §2 (3) | MAY | x |  |", "five cells");
        said("| RFC 1 §2 (3) | MAY | x | `no/such.rs` |  |", "does not exist");
        let proof =
            |proof: &str| format!("| RFC 1 §2 (3) | MUST | x | `crates/xtask/src/main.rs` | `{proof}` |");
        said(
            &proof("crates/xtask/src/main.rs::no_such_test"),
            "a test that does not exist in crates/xtask/src/main.rs",
        );
        said(&proof("docs/wire/chunked.md#No such heading"), "a heading that");
        said(&proof("crates/xtask/src/main.rs"), "neither");
        said(&format!("{0}\n{0}", "| RFC 1 §2 (3) | MAY | x | |  |"), "second row");
    }
}
