//! Compares an output with the lines that a page shows.
//!
//! ```text
//! the page           the output
//! id: …-1            id: 6azy05bf82rd-1      … is any text of this line
//! …                  event: tide             a line of its own: any number of lines
//!                    retry: 2000
//! data: hello        data: hello
//! ```

/// Where an output is not what the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The line of the page that does not come; the number of lines if all of them came.
    pub(crate) expected: usize,
    /// The first line of the output that nothing matches; the number of lines if there is no more.
    pub(crate) got: usize,
}

/// Compares all lines.
pub(crate) fn compare(expected: &[String], got: &[String]) -> Result<(), Difference> {
    let (expected, got) = (without_blank_end(expected), without_blank_end(got));
    let ends = ends(expected, got)?;
    if ends.contains(&got.len()) {
        return Ok(());
    }
    // All expected lines came, and then more lines came.
    Err(Difference { expected: expected.len(), got: *ends.last().expect("there is at least one end") })
}

/// Looks for the expected lines in an output that is still growing. Returns the number of lines up
/// to the end of the first place where they are.
pub(crate) fn find(expected: &[String], got: &[String]) -> Result<usize, Difference> {
    let anywhere: Vec<_> =
        std::iter::once(ANY.to_owned()).chain(without_blank_end(expected).iter().cloned()).collect();
    match ends(&anywhere, got) {
        Ok(ends) => Ok(ends[0]),
        Err(difference) => Err(Difference { expected: difference.expected - 1, ..difference }),
    }
}

/// Whether the page leaves a part of the output open.
pub(crate) fn is_open(expected: &[String]) -> bool {
    expected.iter().any(|line| line.contains(ANY))
}

/// Returns without the empty lines at the end.
pub(crate) fn without_blank_end(lines: &[String]) -> &[String] {
    let end = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    &lines[..end]
}

/// Returns after how many lines of the output the expected lines may end, in rising order. There is
/// at least one such number.
fn ends(expected: &[String], got: &[String]) -> Result<Vec<usize>, Difference> {
    let mut ends = vec![0];
    for (index, pattern) in expected.iter().enumerate() {
        let next: Vec<usize> = if pattern.trim() == ANY {
            (ends[0]..=got.len()).collect()
        } else {
            let is_next = |end: &usize| got.get(*end).is_some_and(|line| line_matches(pattern, line));
            ends.iter().copied().filter(is_next).map(|end| end + 1).collect()
        };
        if next.is_empty() {
            return Err(Difference { expected: index, got: ends[0] });
        }
        ends = next;
    }
    Ok(ends)
}

/// Whether a line is what the page shows.
fn line_matches(pattern: &str, line: &str) -> bool {
    let (pattern, line) = (pattern.trim_end(), line.trim_end());
    let Some((start, rest)) = pattern.split_once(ANY) else { return pattern == line };
    let Some(mut line) = line.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once(ANY).unwrap_or(("", rest));
    // The first place is the best one for each part: it leaves the most for the parts after it.
    for part in middle.split(ANY) {
        match line.split_once(part) {
            Some((_, rest)) => line = rest,
            None => return false,
        }
    }
    line.ends_with(end)
}

/// Any text.
const ANY: &str = "…";

#[test]
fn dots_are_any_text_of_a_line() {
    for (pattern, line, expected) in [
        ("same", "same", true),
        ("same", "same  \t\r", true),
        ("same  ", "same", true),
        ("same", " same", false),
        ("same", "other", false),
        ("", "", true),
        ("", "x", false),
        ("id: …-1", "id: 6azy-1", true),
        ("id: …-1", "id: -1", true),
        ("id: …-1", "id: 6azy-12", false),
        ("id: …-1", "id: 6azy-1-1", true),
        ("…", "", true),
        ("…end", "the end", true),
        ("…end", "the end.", false),
        ("start…", "start", true),
        ("start…", "star", false),
        ("a…b…c", "abc", true),
        ("a…b…c", "a b b c c", true),
        ("a…b…c", "ac b", false),
        ("a…a", "a", false),
        ("a…b…b", "a b", false),
        ("{\"cursor\":\"…-1\",…\"data\":\"x\"}", "{\"cursor\":\"e-1\",\"time\":7,\"data\":\"x\"}", true),
        ("{\"cursor\":\"…-1\",…\"data\":\"x\"}", "{\"cursor\":\"e-1\",\"time\":7,\"data\":\"y\"}", false),
        ("…é…", "caf\u{e9} au lait", true),
    ] {
        assert_eq!(line_matches(pattern, line), expected, "{pattern:?} {line:?}");
    }
}

#[cfg(test)]
fn lines(text: &str) -> Vec<String> {
    text.split('/').filter(|_| !text.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_line_of_dots_is_any_number_of_lines() {
    for (expected, got) in [
        ("", ""),
        ("a/b", "a/b"),
        ("a/b", "a/b/ /"),
        ("a/b/", "a/b"),
        ("…", ""),
        ("…", "a/b"),
        ("a/…", "a"),
        ("a/  …/d", "a/d"),
        ("a/…/d", "a/b/c/d"),
        ("…/x/…/x", "x/y/x"),
        ("…/x/y", "x/x/y"),
        ("…/a/…/b/…", "0/a/1/b/2"),
        ("a//b", "a//b"),
    ] {
        assert_eq!(compare(&lines(expected), &lines(got)), Ok(()), "{expected:?} {got:?}");
    }
    for (expected, got, at) in [
        ("a/b", "a/c", (1, 1)),
        ("a/b", "a", (1, 1)),
        ("a", "a/b", (1, 1)),
        ("a", "", (0, 0)),
        ("", "a", (0, 0)),
        ("a//b", "a/b", (1, 1)),
        ("…/x", "x/y", (2, 1)),
        ("…/x/…/x", "x/y", (3, 1)),
        ("a/…/d", "b/d", (0, 0)),
        ("a/…/d", "a/b/c", (2, 1)),
        // Dots within a line never reach the next line.
        ("a…d", "a/d", (0, 0)),
    ] {
        let difference = Difference { expected: at.0, got: at.1 };
        assert_eq!(compare(&lines(expected), &lines(got)), Err(difference), "{expected:?} {got:?}");
    }
}

#[test]
fn lines_of_a_growing_output_are_found_after_others() {
    for (expected, got, end) in [
        ("", "a", 0),
        ("a", "a/b", 1),
        ("b", "a/b/c", 2),
        ("b/…", "a/b/c", 2),
        ("b/c", "b/a/b/c", 4),
        ("a/…/c", "a/b/c/c", 3),
        ("b/", "b", 1),
    ] {
        assert_eq!(find(&lines(expected), &lines(got)), Ok(end), "{expected:?} {got:?}");
    }
    for (expected, got, at) in [("a", "", 0), ("a/b", "a/c/b", 1), ("b/a", "a/b", 1)] {
        let difference = find(&lines(expected), &lines(got)).unwrap_err();
        assert_eq!(difference.expected, at, "{expected:?} {got:?}");
    }
}

#[test]
fn open_outputs_are_recognised() {
    assert!(is_open(&lines("a/b…")) && is_open(&lines("…")) && !is_open(&lines("a/...")));
}
