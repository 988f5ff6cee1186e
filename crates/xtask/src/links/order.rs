//! The order in which to read the crates. docs/ARCHITECTURE.md has it, with reasons. Other lists of
//! crates have the same order.

use crate::markdown::{Code, Markdown};
use std::collections::BTreeMap;

/// The list that decides: a file, and a heading.
const ORDER: (&str, &str) = ("docs/ARCHITECTURE.md", "Reading order");

/// The other lists.
const TABLES: [Table; 2] = [
    Table { file: "README.md", heading: "The crates", column: 0, is_whole: true },
    Table { file: "examples/README.md", heading: "One crate alone", column: 1, is_whole: false },
];

/// A table of crates.
struct Table {
    file: &'static str,
    heading: &'static str,
    /// The column with the crate.
    column: usize,
    /// Whether it lists all crates.
    is_whole: bool,
}

/// Where a file lists crates in another order, or where a crate is missing.
pub(super) fn check(documents: &BTreeMap<String, Markdown>) -> Vec<String> {
    let (file, heading) = ORDER;
    let order = match section(documents, file, heading) {
        Ok(codes) => codes.filter(|code| !code.in_table).fold(Vec::new(), |mut order, code| {
            let name = crate_name(&code.text);
            if let Some(name) = name.filter(|name| !order.contains(name)) {
                order.push(name);
            }
            order
        }),
        Err(problem) => return vec![problem],
    };
    TABLES.iter().flat_map(|table| compare(documents, &order, table)).collect()
}

fn compare(documents: &BTreeMap<String, Markdown>, order: &[&str], table: &Table) -> Vec<String> {
    let Table { file, heading, column, is_whole } = *table;
    let codes = match section(documents, file, heading) {
        Ok(codes) => codes,
        Err(problem) => return vec![problem],
    };
    let (mut problems, mut reached) = (Vec::new(), 0);
    let (mut listed, mut last_unit) = (Vec::new(), None);
    for code in codes.filter(|code| code.in_table && code.column == column) {
        // A row that names several crates is about the first one.
        if last_unit.replace(code.unit) == Some(code.unit) {
            continue;
        }
        let Some(name) = crate_name(&code.text) else { continue };
        listed.push(name);
        match order.iter().position(|known| *known == name) {
            Some(place) if place >= reached => reached = place,
            Some(_) => problems.push(format!(
                "{file}:{}: {name} stands after {}, and before it in {}, \"{}\"",
                code.line, order[reached], ORDER.0, ORDER.1
            )),
            None => problems
                .push(format!("{file}:{}: {name} is missing in {}, \"{}\"", code.line, ORDER.0, ORDER.1)),
        }
    }
    if last_unit.is_none() {
        problems.push(format!("{file}: \"{heading}\" has no table of crates"));
    } else if is_whole {
        let missing = order.iter().filter(|name| !listed.contains(name));
        problems.extend(missing.map(|name| format!("{file}: \"{heading}\" has no row of {name}")));
    }
    problems
}

/// The codes between this heading and the next one.
fn section<'a>(
    documents: &'a BTreeMap<String, Markdown>,
    file: &str,
    heading: &str,
) -> Result<impl Iterator<Item = &'a Code>, String> {
    let missing = || format!("{file} has no heading \"{heading}\"");
    let document = documents.get(file).ok_or_else(missing)?;
    let mut headings = document.headings.iter().skip_while(|found| found.text != heading);
    let start = headings.next().ok_or_else(missing)?.line;
    let end = headings.next().map_or(usize::MAX, |next| next.line);
    Ok(document.codes.iter().filter(move |code| (start..end).contains(&code.line)))
}

/// The name of one of our crates; `None` for other code.
fn crate_name(code: &str) -> Option<&str> {
    let is_name = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_name && (code == "tidewire" || code.starts_with("tidewire-"))).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(readme: &str) -> Vec<String> {
        let order =
            "# A\n## Reading order\n1. `tidewire-b`, then `b.rs`\n2. `tidewire-a`\n## Next\n`tidewire-c`";
        let examples = "## One crate alone\n| `x` | `tidewire-b` |\n| `y` | `tidewire-a`, `tidewire-b` |";
        let files =
            [("docs/ARCHITECTURE.md", order), ("README.md", readme), ("examples/README.md", examples)];
        check(&files.iter().map(|(name, text)| ((*name).to_owned(), Markdown::parse(text))).collect())
    }

    #[test]
    fn the_same_order_is_good() {
        let readme = "## The crates\n| [`tidewire-b`](b) | `tidewire-c` |\n| [`tidewire-a`](a) | |";
        assert_eq!(found(readme), Vec::<String>::new());
    }

    #[test]
    fn another_order_a_missing_crate_and_a_missing_table_are_named() {
        assert_eq!(
            found("## The crates\n| `tidewire-a` |\n| `tidewire-b` |\n| `tidewire-c` |\n"),
            [
                "README.md:3: tidewire-b stands after tidewire-a, and before it in docs/ARCHITECTURE.md, \
                 \"Reading order\"",
                "README.md:4: tidewire-c is missing in docs/ARCHITECTURE.md, \"Reading order\"",
            ]
        );
        let missing = "README.md: \"The crates\" has no row of tidewire-a";
        assert_eq!(found("## The crates\n| `tidewire-b` |\n"), [missing]);
        assert_eq!(found("## The crates\n"), ["README.md: \"The crates\" has no table of crates"]);
        assert_eq!(found(""), ["README.md has no heading \"The crates\""]);
    }
}
