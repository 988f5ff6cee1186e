//! Wire documents: `docs/wire/*.md` are documentation and test vectors. `docs/wire/README.md`
//! explains them to readers, and its tables list every word of the logs.
//!
//! A case has a sentence, the bytes, and the event log:
//!
//! ````text
//! <!-- seeds: chunked -->
//!
//! ## One chunk
//!
//! Five bytes, then the last chunk.
//!
//! ```wire
//! 5\r\n
//! hello\r\n
//! 0\r\n
//! \r\n
//! ```
//!
//! ```events
//! 3 chunk size=5
//! 8 data "hello"
//! 15 end
//! ```
//! ````
//!
//! - `wire`: line ends of the document are ignored; the line ends of the input are escapes. The
//!   escapes are `\r \n \t \0 \\ \xNN`, and `\{N*TEXT}` for N times TEXT (write `\}` for a brace in
//!   TEXT). All other characters are their UTF-8 bytes.
//! - Words after `wire` are options of the case, which the test of the crate reads: `client`,
//!   `max_head=64`.
//! - `events`: a line for each event, with the number of bytes consumed when it came. An error has
//!   the offset of the byte that cannot be accepted. `left N`: N bytes at the end were not
//!   consumed.
//! - Bytes in a log are quoted and have the same escapes. A byte that comes 16 times or more in a
//!   row is written as `\{N*TEXT}`, as in `131 binary "\{125*x}"`. So a log shows all bytes, and
//!   different bytes always give a different log.
//! - The sentence is the paragraph directly before the `wire` block. Paragraphs before it explain
//!   the chapter.
//! - A heading may have several cases (a good case, then broken ones), each with its sentence.
//! - A fence of four backticks shows a case, as here, and is not one.
//! - `seeds` names the fuzz targets whose corpora get the inputs. The option `seeds=a,b` does so
//!   for one case.
//!
//! With `TIDEWIRE_BLESS=1` a run does not compare the logs, but writes them into the document.
//! Review that diff like code, since a log is a statement about the protocol.

use crate::{Subject, notation, split};
use std::path::PathBuf;

/// One case of a wire document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The heading above the case.
    pub heading: String,
    /// The paragraph before the bytes.
    pub sentence: String,
    /// The number of the case under its heading, from 1.
    pub number: usize,
    /// The line of the `wire` fence in the document, from 1.
    pub line: usize,
    /// The words after `wire`.
    pub options: Vec<String>,
    /// The bytes.
    pub input: Vec<u8>,
    /// The expected log, a line for each event, with single spaces.
    pub events: Vec<String>,
    /// The fuzz targets whose corpora get the input.
    pub seeds: Vec<String>,
    /// The lines of the document (from 0) between the fences of the `events` block.
    expected_at: (usize, usize),
}

impl Vector {
    /// Whether the case has an option, such as `client`.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|word| word == option)
    }

    /// The value of an option: `64` for `max_head` in `max_head=64`.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The value of an option that is a number. Panics if the value is not a number.
    pub fn number_option(&self, name: &str) -> Option<u64> {
        let value = self.option(name)?;
        Some(value.parse().unwrap_or_else(|_| panic!("line {}: {name}={value} is not a number", self.line)))
    }

    /// A file name for the case: the heading, the number, and the start of the sentence, as in
    /// `one-chunk-1-five-bytes-then`.
    pub fn slug(&self) -> String {
        let start: Vec<&str> = self.sentence.split_whitespace().take(6).collect();
        slug(&format!("{} {} {}", self.heading, self.number, start.join(" ")))
    }
}

/// Runs every case of `docs/wire/{name}.md` at every split. `make` builds the decoder for a case.
/// Panics with all differences. Returns the number of cases, so that a test can assert a minimum.
pub fn run<S: Subject>(name: &str, make: impl Fn(&Vector) -> S) -> usize {
    run_where(name, |_| true, make)
}

/// As [`run`], for the cases that `wanted` selects, if a document has cases for several decoders.
pub fn run_where<S: Subject>(
    name: &str,
    wanted: impl Fn(&Vector) -> bool,
    make: impl Fn(&Vector) -> S,
) -> usize {
    let (path, text) = open(name);
    let cases: Vec<_> = load(&text).into_iter().filter(wanted).collect();
    assert!(!cases.is_empty(), "{name}.md has no such case");
    let got: Vec<_> = cases.iter().map(|case| split::check(|| make(case), &case.input).lines()).collect();
    if std::env::var_os("TIDEWIRE_BLESS").is_some() {
        std::fs::write(&path, bless(&text, &cases, &got)).expect("the document can be written");
        return cases.len();
    }
    let mut differences = String::new();
    for (case, got) in cases.iter().zip(got).filter(|(case, got)| case.events != *got) {
        let (want, got) = (case.events.join("\n"), got.join("\n"));
        differences +=
            &format!("\n{name}.md:{} {}\n--- says\n{want}\n--- got\n{got}\n", case.line, case.heading);
    }
    assert!(differences.is_empty(), "{differences}");
    cases.len()
}

/// Checks that `docs/wire/{name}.md` has at least `least` refused cases for each heading with good
/// cases: under the same heading, or under the next headings that have only refused cases. Panics
/// with the headings that have fewer.
pub fn check_relatives(name: &str, least: usize) {
    let mut groups: Vec<(String, bool, usize)> = Vec::new();
    for case in of(name) {
        let refused = case.events.last().is_some_and(|event| event.contains(" error "));
        match groups.last_mut() {
            Some((heading, good, broken)) if *heading == case.heading => {
                *good |= !refused;
                *broken += usize::from(refused);
            }
            _ => groups.push((case.heading, !refused, usize::from(refused))),
        }
    }
    let mut lonely = Vec::new();
    for (at, (heading, good, broken)) in groups.iter().enumerate() {
        let behind = groups[at + 1..].iter().take_while(|(_, good, _)| !good).map(|(_, _, broken)| broken);
        if *good && broken + behind.sum::<usize>() < least {
            lonely.push(heading);
        }
    }
    assert!(lonely.is_empty(), "{name}.md: fewer than {least} broken relatives: {lonely:?}");
}

/// The cases of `docs/wire/{name}.md`.
pub fn of(name: &str) -> Vec<Vector> {
    load(&open(name).1)
}

fn open(name: &str) -> (PathBuf, String) {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/wire")).join(format!("{name}.md"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text)
}

/// Reads the cases of a document. Panics with the line if the document is malformed.
pub fn load(markdown: &str) -> Vec<Vector> {
    let mut cases: Vec<Vector> = Vec::new();
    let (mut heading, mut sentence) = (String::new(), String::new());
    let (mut fresh, mut number) = (true, 0);
    let mut seeds: Vec<String> = Vec::new();
    let mut open: Option<Vector> = None;
    let mut lines = markdown.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let at = index + 1;
        if line.starts_with("```") {
            // A longer fence may contain shorter ones.
            let info = line.trim_start_matches('`');
            let fence = &line[..line.len() - info.len()];
            let mut body = Vec::new();
            let end = loop {
                let (index, line) =
                    lines.next().unwrap_or_else(|| panic!("line {at}: the fence is not closed"));
                if line == fence {
                    break index;
                }
                body.push(line);
            };
            let mut words = info.split_whitespace().map(String::from);
            match words.next().as_deref().filter(|_| fence.len() == 3) {
                Some("wire") => {
                    assert!(open.is_none(), "line {at}: no `events` block between two `wire` blocks");
                    assert!(!sentence.is_empty(), "line {at}: a case needs a sentence");
                    number += 1;
                    let input =
                        notation::parse(&body.concat()).unwrap_or_else(|error| panic!("line {at}: {error}"));
                    let mut case = Vector {
                        heading: heading.clone(),
                        sentence: sentence.clone(),
                        number,
                        line: at,
                        options: words.collect(),
                        input,
                        events: Vec::new(),
                        seeds: seeds.clone(),
                        expected_at: (0, 0),
                    };
                    if let Some(own) = case.option("seeds") {
                        case.seeds = own.split(',').map(String::from).collect();
                    }
                    open = Some(case);
                }
                Some("events") => {
                    let mut case =
                        open.take().unwrap_or_else(|| panic!("line {at}: `events` without `wire`"));
                    case.events =
                        body.iter().map(|line| single_spaces(line)).filter(|line| !line.is_empty()).collect();
                    case.expected_at = (at, end);
                    cases.push(case);
                }
                _ => {}
            }
            fresh = true;
        } else if let Some(text) = line.strip_prefix('#') {
            (heading, sentence, number) = (text.trim_start_matches('#').trim().into(), String::new(), 0);
        } else if let Some(list) = line.strip_prefix("<!-- seeds:").and_then(|rest| rest.strip_suffix("-->"))
        {
            seeds = list.split(',').map(|name| name.trim().into()).collect();
        } else if line.trim().is_empty() {
            fresh = true;
        } else {
            if fresh {
                sentence.clear();
            } else {
                sentence.push(' ');
            }
            sentence.push_str(line.trim());
            fresh = false;
        }
    }
    assert!(open.is_none(), "the last `wire` block has no `events`");
    cases
}

/// The words in lower case, joined with hyphens.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Joins spaces outside of quotes, so that columns may be aligned with spaces.
fn single_spaces(line: &str) -> String {
    let (plain, quoted) = line.split_at(line.find('"').unwrap_or(line.len()));
    let mut out = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.ends_with(' ') && !quoted.is_empty() {
        out.push(' ');
    }
    out.push_str(quoted.trim_end());
    out
}

/// The document with these logs.
fn bless(text: &str, cases: &[Vector], got: &[Vec<String>]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let (mut out, mut from) = (Vec::new(), 0);
    for (case, log) in cases.iter().zip(got) {
        let (start, end) = case.expected_at;
        out.extend(lines[from..start].iter().map(|line| String::from(*line)));
        out.extend(log.iter().cloned());
        from = end;
    }
    out.extend(lines[from..].iter().map(|line| String::from(*line)));
    out.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"<!-- seeds: chunked -->
# Chunked

## One chunk

Five bytes,
then the last chunk.

```wire limit=7 client
5\r\n
hello\x0d\n\{3*\x41b}
```

```events
3   chunk size=5
8   data "hel  lo"
```

The same, broken.

```wire seeds=a,b
\\
```
```events
0 error Bad
```
"#;

    #[test]
    fn a_document_is_read() {
        let cases = load(DOCUMENT);
        let [first, second] = &cases[..] else { panic!("{cases:?}") };
        assert_eq!(first.slug(), "one-chunk-1-five-bytes-then-the-last-chunk");
        assert_eq!(first.sentence, "Five bytes, then the last chunk.");
        assert_eq!(first.input, b"5\r\nhello\r\nAbAbAb");
        assert_eq!(first.events, ["3 chunk size=5", "8 data \"hel  lo\""]);
        assert_eq!((first.number_option("limit"), first.has("client")), (Some(7), true));
        assert_eq!(first.seeds, ["chunked"]);
        assert_eq!(second.slug(), "one-chunk-2-the-same-broken");
        assert_eq!((second.input.as_slice(), second.line), (&b"\\"[..], 21));
        assert_eq!(second.sentence, "The same, broken.");
        assert_eq!(second.seeds, ["a", "b"]);
    }

    #[test]
    fn a_case_in_a_longer_fence_is_only_shown() {
        let shown = format!("How a document looks:\n\n````wire\n{DOCUMENT}````\n\n");
        assert_eq!(load(&shown), []);
        let cases = load(&(shown + DOCUMENT));
        let slugs = |cases: &[Vector]| cases.iter().map(Vector::slug).collect::<Vec<_>>();
        assert_eq!(slugs(&cases), slugs(&load(DOCUMENT)));
    }

    #[test]
    fn blessing_changes_the_logs_only() {
        let cases = load(DOCUMENT);
        let got = [vec!["1 new".into(), "2 lines".into(), "3 three".into()], vec![]];
        let blessed = bless(DOCUMENT, &cases, &got);
        assert_eq!(
            blessed,
            DOCUMENT
                .replace("3   chunk size=5\n8   data \"hel  lo\"", "1 new\n2 lines\n3 three")
                .replace("0 error Bad\n", "")
        );
    }
}
