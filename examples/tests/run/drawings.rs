//! The drawing at the top of each technique example shows bytes that the example really sends and
//! receives.
//!
//! An arrow of a drawing is a line of the output. `…` stands for any text. A capital letter stands
//! for a cursor: the same one wherever it stands, and another one than the other letters.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::run;

#[test]
fn short_polling() {
    compare("01_short_polling");
}

#[test]
fn long_polling() {
    compare("02_long_polling");
}

#[test]
fn sse() {
    compare("03_sse");
}

#[test]
fn websocket() {
    compare("04_websocket");
}

#[test]
fn streaming() {
    compare("05_streaming");
}

/// Checks that the arrows of a drawing appear in the output, in this order.
#[track_caller]
fn compare(example: &'static str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{example}.rs"));
    let text = fs::read_to_string(path).unwrap();
    let (_, drawing) = text.split_once("//! ```text\n").expect("a drawing");
    let (drawing, _) = drawing.split_once("//! ```\n").expect("the end of the drawing");
    let arrows: Vec<_> = drawing.lines().filter_map(arrow).collect();
    assert!(arrows.len() >= 7, "the drawing of {example} has {} arrows", arrows.len());

    let printed = run(example);
    let (mut lines, mut cursors) = (printed.lines(), Cursors::new());
    for arrow in arrows {
        let found = lines.by_ref().any(|line| fits(&arrow, line, &mut cursors));
        assert!(found, "{example} draws \"{arrow}\", which is missing or comes earlier in:\n{printed}");
    }
}

/// The line that an arrow stands for: `> ` or `< `, and the text of the arrow. `None` for a line of
/// the drawing without an arrow.
fn arrow(line: &str) -> Option<String> {
    let line = line.strip_prefix("//!     │ ")?;
    let (direction, rest) = match line.strip_prefix("── ") {
        Some(rest) => ('>', rest),
        None => ('<', line.strip_prefix("◄── ")?),
    };
    let (text, _) = rest.split_once('─').expect("an arrow has a line after its text");
    Some(format!("{direction} {}", text.trim_end()))
}

/// The cursor of each letter.
type Cursors = BTreeMap<char, String>;

/// Whether a line fits a pattern. Remembers the cursors of its letters.
fn fits(pattern: &str, line: &str, cursors: &mut Cursors) -> bool {
    let mut known = cursors.clone();
    let does = fits_rest(&pattern.chars().collect::<Vec<_>>(), line, ' ', &mut known);
    if does {
        *cursors = known;
    }
    does
}

fn fits_rest(pattern: &[char], line: &str, before: char, cursors: &mut Cursors) -> bool {
    let [first, rest @ ..] = pattern else { return line.is_empty() };
    if *first == '…' {
        let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
        return ends.any(|at| {
            let mut attempt = cursors.clone();
            let does = fits_rest(rest, &line[at..], '…', &mut attempt);
            if does {
                *cursors = attempt;
            }
            does
        });
    }
    let alone = |other: Option<&char>| other.is_none_or(|other| !other.is_ascii_alphanumeric());
    if first.is_ascii_uppercase() && alone(Some(&before)) && alone(rest.first()) {
        let is_cursor = |character: char| character.is_ascii_alphanumeric() || character == '-';
        let end = line.find(|character| !is_cursor(character)).unwrap_or(line.len());
        let (cursor, after) = line.split_at(end);
        let is_new = || cursor.contains('-') && !cursors.values().any(|known| known == cursor);
        let does = cursors.get(first).map_or_else(is_new, |known| known == cursor);
        if does {
            cursors.insert(*first, cursor.to_owned());
        }
        return does && fits_rest(rest, after, *first, cursors);
    }
    line.strip_prefix(*first).is_some_and(|after| fits_rest(rest, after, *first, cursors))
}

#[test]
fn the_comparison_sees_a_wrong_drawing() {
    let mut cursors = Cursors::new();
    assert_eq!(arrow("//!     │ ◄── 81 2…  ─── │   a header").as_deref(), Some("< 81 2…"));
    assert_eq!(arrow("//!     │ ── GET A ─► │").as_deref(), Some("> GET A"));
    assert_eq!(arrow("//!     ✕      │   cut"), None);
    assert!(fits("< {\"cursor\":\"A\",…}", "< {\"cursor\":\"x-1\",\"time\":1}", &mut cursors));
    assert!(fits("> GET ?since=A HTTP/1.1", "> GET ?since=x-1 HTTP/1.1", &mut cursors));
    assert!(!fits("> GET ?since=A HTTP/1.1", "> GET ?since=x-2 HTTP/1.1", &mut cursors));
    assert!(!fits("< id: B", "< id: x-1", &mut cursors));
    assert!(fits("< id: B", "< id: x-2", &mut cursors));
    assert!(!fits("< 81 2…", "< 81 4e", &mut cursors));
    assert!(!fits("< 88 02", "< 88 02 and more", &mut cursors));
    assert!(!fits("> GET", "< GET", &mut cursors));
}
