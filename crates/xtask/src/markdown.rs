//! What the checks of documents read in Markdown: headings, links, and code in backticks.
//!
//! This is not a full parser. It knows the forms that our documents use.

use std::collections::BTreeMap;

/// The parts of a document that point to something else, and the headings that links point to.
#[derive(Debug, Default)]
pub(crate) struct Markdown {
    pub(crate) headings: Vec<Heading>,
    pub(crate) codes: Vec<Code>,
    pub(crate) links: Vec<Link>,
    /// The lines of code blocks, with the number of each line.
    pub(crate) blocks: Vec<(usize, String)>,
    /// The labels of links `[text][label]` that have no target, with the number of the line.
    pub(crate) missing_labels: Vec<(usize, String)>,
    /// The targets of `[label]`, by label.
    definitions: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Heading {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The part of an address after `#`, as GitHub makes it.
    pub(crate) slug: String,
}

/// Code in backticks.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Codes with the same number are in the same paragraph, list item or cell of a table.
    pub(crate) unit: usize,
    /// The cell of the table, counted from 0. 0 outside of tables.
    pub(crate) column: usize,
    /// Whether it is in a row of a table.
    pub(crate) in_table: bool,
    /// The target of the link whose text has this code.
    pub(crate) link: Option<String>,
    /// The text after it, up to the next code.
    pub(crate) after: String,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) line: usize,
    pub(crate) target: String,
}

impl Markdown {
    pub(crate) fn parse(text: &str) -> Self {
        let mut markdown = Self { definitions: definitions(text).collect(), ..Self::default() };
        let (mut unit, mut fence) = (Unit::default(), None);
        for (line, text) in (1..).zip(text.lines()) {
            let bare = text.trim_start();
            if let Some(begin) = fence {
                if ends_block(bare, begin) {
                    fence = None;
                } else {
                    markdown.blocks.push((line, text.to_owned()));
                }
                continue;
            }
            fence = fence_of(bare);
            let hashes = text.bytes().take_while(|&byte| byte == b'#').count();
            let is_heading = (1..=6).contains(&hashes) && text[hashes..].starts_with(' ');
            let is_row = bare.starts_with('|');
            if fence.is_some() || bare.is_empty() || is_heading || is_row || is_item(text) {
                markdown.add(&std::mem::take(&mut unit));
            }
            if is_heading {
                markdown.heading(line, text[hashes..].trim());
            }
            if is_row {
                for (column, cell) in cells(bare).enumerate() {
                    markdown.add(&Unit { line, text: cell, column, in_table: true });
                }
            } else if fence.is_none() && !bare.is_empty() {
                unit.push(line, text);
                if is_heading {
                    markdown.add(&std::mem::take(&mut unit));
                }
            }
        }
        markdown.add(&unit);
        markdown
    }

    fn heading(&mut self, line: usize, text: &str) {
        let plain = without_links(text).replace('`', "");
        let base = slug(&plain);
        let same = |slug: &str| self.headings.iter().any(|heading| heading.slug == slug);
        let slug = if same(&base) {
            let mut numbered = (1..).map(|number| format!("{base}-{number}"));
            numbered.find(|slug| !same(slug)).unwrap_or_default()
        } else {
            base
        };
        self.headings.push(Heading { line, text: plain, slug });
    }

    fn add(&mut self, unit: &Unit) {
        let Unit { line, text, column, in_table } = unit;
        let spans = code_spans(text);
        let mut plain = text.clone().into_bytes();
        for span in &spans {
            plain[span.start..span.end].fill(b'x');
        }
        let plain = String::from_utf8_lossy(&plain).into_owned();
        let line_of = |at: usize| line + text[..at].matches('\n').count();
        let links = links(text, &plain);
        let number = self.codes.last().map_or(0, |code| code.unit + 1);
        for (index, span) in spans.iter().enumerate() {
            let next = spans.get(index + 1).map_or(text.len(), |next| next.start);
            let around = links.iter().find(|link| link.text.contains(&span.start)).map(|link| &link.target);
            let around = around.or_else(|| self.defined(text, span));
            self.codes.push(Code {
                text: span.text.split_whitespace().collect::<Vec<_>>().join(" "),
                line: line_of(span.start),
                unit: number,
                column: *column,
                in_table: *in_table,
                link: around.cloned(),
                after: text[span.end..next].to_owned(),
            });
        }
        let found = links.into_iter().filter(|link| !link.target.is_empty());
        self.links.extend(found.map(|link| Link { line: line_of(link.at), target: link.target }));
        let missing = labels(text, &plain).filter(|(_, label)| !self.definitions.contains_key(*label));
        self.missing_labels.extend(missing.map(|(at, label)| (line_of(at), label.to_owned())));
    }

    /// The target of a code that is the whole text of a link: ``[`code`]`` or ``[`code`][label]``.
    fn defined(&self, text: &str, span: &Span<'_>) -> Option<&String> {
        let after = text[span.end..].strip_prefix(']')?;
        let label = after.strip_prefix('[').and_then(|rest| rest.split(']').next());
        let label = label.unwrap_or(&text[span.start..span.end]);
        text[..span.start].ends_with('[').then(|| self.definitions.get(label))?
    }
}

/// The mark that begins a code block: three or more backticks or tildes. Code in backticks may
/// begin a line too.
fn fence_of(line: &str) -> Option<&str> {
    let mark = line.chars().next().filter(|mark| "`~".contains(*mark))?;
    let info = line.trim_start_matches(mark);
    let mark_len = line.len() - info.len();
    (mark_len >= 3 && !(mark == '`' && info.contains(mark))).then(|| &line[..mark_len])
}

/// Whether a line ends a block that begins with this mark: it has the mark, perhaps longer, and
/// nothing more. So a block may show a block whose marks are shorter.
fn ends_block(line: &str, mark: &str) -> bool {
    let line = line.trim_end();
    line.starts_with(mark) && line.bytes().all(|byte| mark.as_bytes()[0] == byte)
}

/// The lines `[label]: target`.
fn definitions(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    lines.map(|(label, target)| {
        (label.to_owned(), target.split_whitespace().next().unwrap_or_default().to_owned())
    })
}

/// A paragraph, a list item with the lists inside it, or a cell.
#[derive(Default)]
struct Unit {
    line: usize,
    text: String,
    column: usize,
    in_table: bool,
}

impl Unit {
    fn push(&mut self, line: usize, text: &str) {
        if self.text.is_empty() {
            self.line = line;
        } else {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

/// Whether a line begins an item of a list that is not inside another list.
fn is_item(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    line.starts_with("- ") || line.starts_with("* ") || (digits > 0 && line[digits..].starts_with(". "))
}

/// The cells of a row of a table. `\|` and a `|` in backticks do not end a cell.
fn cells(row: &str) -> impl Iterator<Item = String> {
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut in_code, mut escaped) = (false, false);
    for character in row.trim().trim_start_matches('|').chars() {
        in_code ^= character == '`';
        if character == '|' && !in_code && !escaped {
            cells.push(std::mem::take(&mut cell));
        } else {
            cell.push(character);
        }
        escaped = character == '\\';
    }
    // The last cell may lack its `|`.
    cells.push(cell);
    cells.into_iter().filter(|cell| !cell.is_empty())
}

struct Span<'a> {
    /// Where the backticks begin.
    start: usize,
    /// Where the backticks after it end.
    end: usize,
    text: &'a str,
}

fn code_spans(text: &str) -> Vec<Span<'_>> {
    let (mut spans, mut at) = (Vec::new(), 0);
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let ticks = text[start..].bytes().take_while(|&byte| byte == b'`').count();
        let inside = start + ticks;
        let Some(length) = closing(&text[inside..], ticks) else {
            at = inside;
            continue;
        };
        at = inside + length + ticks;
        spans.push(Span { start, end: at, text: text[inside..inside + length].trim() });
    }
    spans
}

/// The position of a run of exactly this many backticks.
fn closing(text: &str, ticks: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let run = text[start..].bytes().take_while(|&byte| byte == b'`').count();
        if run == ticks {
            return Some(start);
        }
        at = start + run;
    }
    None
}

struct Found {
    at: usize,
    /// The text between the brackets.
    text: std::ops::Range<usize>,
    target: String,
}

/// The links of a unit, whose codes are replaced by other characters in `plain`: `[text](target)`,
/// pictures, definitions `[label]: target`, the attributes of HTML, and `<address>`.
fn links(text: &str, plain: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, _) in plain.match_indices("](") {
        let mut depth = 1;
        let end = plain[at + 2..].find(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            depth == 0
        });
        let Some(end) = end else { continue };
        let target = text[at + 2..at + 2 + end].split_whitespace().next().unwrap_or_default();
        found.push(Found {
            at,
            text: opening(plain, at)..at,
            target: target.trim_matches(['<', '>']).into(),
        });
    }
    let mut start = 0;
    for line in text.split('\n') {
        if let Some((_, target)) = definitions(line).next() {
            found.push(Found { at: start, text: 0..0, target });
        }
        start += line.len() + 1;
    }
    for attribute in ["href=", "src=", "srcset="] {
        for (at, _) in plain.match_indices(attribute) {
            if plain[..at].ends_with(char::is_whitespace) {
                let target = attribute_value(&plain[at + attribute.len()..]);
                found.push(Found { at, text: 0..0, target: target.into() });
            }
        }
    }
    for (at, _) in plain.match_indices("<http") {
        let target = plain[at + 1..].split('>').next().unwrap_or_default();
        found.push(Found { at, text: 0..0, target: target.into() });
    }
    found
}

/// The value of an attribute of HTML, with or without quotes.
fn attribute_value(rest: &str) -> &str {
    let value = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next(),
        _ => rest.split(|end: char| end.is_whitespace() || end == '>').next(),
    };
    value.unwrap_or_default()
}

/// The positions and labels of links `[text][label]` and `[text][]`.
fn labels<'a>(text: &'a str, plain: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    plain.match_indices("][").filter_map(move |(at, _)| {
        let label = &text[at + 2..at + 2 + plain[at + 2..].find(']')?];
        Some((at, if label.is_empty() { &text[opening(plain, at)..at] } else { label }))
    })
}

/// The position of the `[` that belongs to the `]` at this position.
fn opening(text: &str, end: usize) -> usize {
    let mut depth = 1;
    let start = text[..end].rfind(|character| {
        depth += i32::from(character == ']') - i32::from(character == '[');
        depth == 0
    });
    start.map_or(end, |start| start + 1)
}

/// The text of a heading, with the text of a link instead of the link.
fn without_links(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        let start = before.rfind('[').unwrap_or(0);
        text.push_str(&before[..start]);
        text.push_str(before[start..].trim_start_matches('['));
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text + rest
}

/// What GitHub makes of a heading: lower case, hyphens for spaces, and no other punctuation.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        other => other.is_alphanumeric().then_some(other),
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_get_the_slugs_of_github() {
        let text = "# One API grammar\n\n## `tidewire.v1`: both ways\n\n## A / B, [c](d.md)\n\n## A / B, c\n
```sh
# a comment
```
";
        let headings = Markdown::parse(text).headings;
        let slugs: Vec<_> = headings.iter().map(|heading| heading.slug.as_str()).collect();
        assert_eq!(slugs, ["one-api-grammar", "tidewirev1-both-ways", "a--b-c", "a--b-c-1"]);
        assert_eq!((headings[1].line, headings[1].text.as_str()), (3, "tidewire.v1: both ways"));
    }

    #[test]
    fn codes_know_their_line_and_their_unit() {
        let text =
            "A `a` and\n`b c\nd` and ``e`f``.\n\n- `g`\n  - `h`\n- `i`\n\n| `j` | `k | l`; `m` (drawn) |\n";
        let codes = Markdown::parse(text).codes;
        let found: Vec<_> =
            codes.iter().map(|code| (code.text.as_str(), code.line, code.unit, code.column)).collect();
        let first = [("a", 1, 0, 0), ("b c d", 2, 0, 0), ("e`f", 3, 0, 0), ("g", 5, 1, 0), ("h", 6, 1, 0)];
        assert_eq!(found[..5], first);
        assert_eq!(found[5..], [("i", 7, 2, 0), ("j", 9, 3, 0), ("k | l", 9, 4, 1), ("m", 9, 4, 1)]);
        assert_eq!(codes.last().map(|code| code.after.as_str()), Some(" (drawn) "));
    }

    #[test]
    fn links_are_found_in_all_their_forms() {
        let text =
            "See [one\nline](a.md#x), ![p](b.png \"title\"), [`code`](c/d.rs), `[no](e.md)`.\n\n[f]: g.md\n
<img src=\"h.png\"> [i](j_(k).md)\n```\n[no](l.md)\n```\n| [m](n.md) |
\n[`o`] [`q`][f] [`r`]\n\n[`o`]: p.md\n";
        let markdown = Markdown::parse(text);
        let found: Vec<_> = markdown.links.iter().map(|link| (link.line, link.target.as_str())).collect();
        let all = [(2, "a.md#x"), (2, "b.png"), (2, "c/d.rs"), (4, "g.md"), (6, "j_(k).md"), (6, "h.png")];
        assert_eq!(found[..6], all);
        assert_eq!(found[6..], [(10, "n.md"), (14, "p.md")]);
        let targets: Vec<_> = markdown.codes.iter().map(|code| code.link.as_deref()).collect();
        assert_eq!(targets, [Some("c/d.rs"), None, Some("p.md"), Some("g.md"), None, Some("p.md")]);
        assert_eq!(markdown.blocks, [(8, "[no](l.md)".to_owned())]);
    }

    #[test]
    fn html_addresses_and_cells_without_an_end_have_links() {
        let text = "<img\nsrc='a.png'> <img src=b.png> <source srcset=\"c.png\"> <https://x.org/d>\n
| ``e`f`` | [g](h.md) |\n| i | [j](k.md)\n";
        let markdown = Markdown::parse(text);
        let found: Vec<_> = markdown.links.iter().map(|link| link.target.as_str()).collect();
        assert_eq!(found, ["a.png", "b.png", "c.png", "https://x.org/d", "h.md", "k.md"]);
    }

    #[test]
    fn a_block_may_show_a_block() {
        let text = "````text\n```sh\n[a](b.md)\n```\n````\n[c](d.md)\n``` `e` ```\n[f](g.md)\n";
        let markdown = Markdown::parse(text);
        let found: Vec<_> = markdown.links.iter().map(|link| link.target.as_str()).collect();
        assert_eq!((found, markdown.blocks.len()), (vec!["d.md", "g.md"], 3));
    }

    #[test]
    fn a_label_needs_a_target() {
        let text = "[a][b], [c][], [`d`][],\n[e][f] and `g[h][i]`\n\n[b]: x.md\n[`d`]: y.md\n";
        let missing = Markdown::parse(text).missing_labels;
        assert_eq!(missing, [(1, "c".to_owned()), (2, "f".to_owned())]);
    }
}
