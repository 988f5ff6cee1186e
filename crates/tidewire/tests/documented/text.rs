//! Parts of Markdown and of source code.

/// What to do when a part is not found.
const RENAMED: &str = ". If it was renamed, change its name in crates/tidewire/tests/documented/ too";

/// Reads a file of the repository.
pub(crate) fn read(path: &str) -> String {
    let full = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the text under a heading, up to the next heading of its level or above.
pub(crate) fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let begin = if text.starts_with(&format!("{heading}\n")) {
        0
    } else {
        text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}{RENAMED}")) + 1
    };
    let level = heading.find(' ').unwrap();
    let rest = &text[begin + heading.len()..];
    let is_end = |line: &str| {
        let depth = line.len() - line.trim_start_matches('#').len();
        // The title stands for the part before the first section.
        (1..=level.max(2)).contains(&depth) && line[depth..].starts_with(' ')
    };
    let mut len = 0;
    for line in rest.split_inclusive('\n') {
        if is_end(line) {
            break;
        }
        len += line.len();
    }
    &rest[..len]
}

/// Returns the text under the heading `### …` with this anchor.
pub(crate) fn section_of<'a>(text: &'a str, anchor: &str) -> Option<&'a str> {
    let heading = lines_of(text, "### ").find(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title.replace(' ', "-").replace([',', '.', '`'], "") == anchor
    })?;
    Some(section(text, heading))
}

/// Returns the lines that begin with `start` after blanks.
pub(crate) fn lines_of<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| line.trim_start().starts_with(start))
}

/// Returns the rows of the table whose first column has this name.
pub(crate) fn table(text: &str, first_column: &str) -> Vec<Vec<String>> {
    let head = format!("| {first_column} |");
    let lines = text.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows: Vec<Vec<String>> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).expect(line);
            inner.split('|').map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table with the first column {first_column}{RENAMED}");
    rows
}

/// Returns what stands in backticks.
pub(crate) fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns the words of code between two texts.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).unwrap_or_else(|| panic!("no {start:?}{RENAMED}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {start:?}{RENAMED}")).0
}

/// Returns a source without its module of tests, which is at its end. Other items for tests may
/// stand before code that counts.
pub(crate) fn without_tests(source: &str) -> &str {
    let is_module = |after: &str| {
        let line = after.lines().find(|line| !line.starts_with("#["));
        line.is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    };
    let mut marks = source.match_indices("\n#[cfg(test)]\n");
    marks.find(|(at, mark)| is_module(&source[at + mark.len()..])).map_or(source, |(at, _)| &source[..at])
}

#[test]
fn only_the_module_of_tests_is_left_out() {
    let code = "#[cfg(test)]\nuse a::b;\n#[cfg(test)]\nmod c;\nconst MAX_A: u8 = 1;";
    let tests = "\n#[cfg(test)]\n#[allow(x)]\nmod tests {\nconst MAX_B: u8 = 1;\n}\n";
    assert_eq!(without_tests(&format!("{code}{tests}")), code);
    assert_eq!(without_tests(code), code);
}

/// Calls `look` for every Rust file in a folder.
pub(crate) fn visit(folder: &str, look: &mut impl FnMut(&str, &str)) {
    let full = format!("{}/../../{folder}", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(full).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            visit(&path, look);
        } else if path.ends_with(".rs") {
            look(&path, &read(&path));
        }
    }
}
