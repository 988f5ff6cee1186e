//! Which lines of a file are too long.
//!
//! | line | limit |
//! |---|---|
//! | prose: Markdown, comments, doc comments | 100 characters |
//! | code | 110 characters |
//! | a table, a code block (also in a comment), a link alone on its line | none |
//! | a Markdown heading with a link | none |
//! | a word that cannot be broken, such as a URL, with at most 40 characters beside it | none |
//! | TOML and YAML other than comments, as they cannot break such lines | none |
//! | a line within a raw or multi-line string, where a line break would change the value | none |
//! | Markdown that a command generates, between `<!-- cargo xtask NAME: begin -->` and `end` | none |

use super::kinds::{Kind, Language, kinds};

const PROSE: usize = 100;
const CODE: usize = 110;

/// The most characters that a line may have beside a word that cannot be broken.
const BESIDE_A_LONG_WORD: usize = 40;

/// A line that is longer than its limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) line: usize,
    /// In characters, not bytes.
    pub(super) length: usize,
    pub(super) limit: usize,
}

/// Whether files with this name are checked.
pub(super) fn knows(name: &str) -> bool {
    name.ends_with(".md") || Language::of(name).is_some()
}

/// The lines of a file that are too long.
pub(super) fn check(name: &str, text: &str) -> Vec<TooLong> {
    match Language::of(name) {
        Some(language) => source(text, language),
        None => markdown(text),
    }
}

fn source(text: &str, language: Language) -> Vec<TooLong> {
    let mut block = Block::default();
    let lines = text.lines().zip(kinds(text, language)).enumerate();
    let found = lines.filter_map(|(index, (line, kind))| {
        let limit = match kind {
            Kind::Prose => {
                let words = comment(line);
                if block.has(words) || is_table(words) || is_link(words) {
                    return None;
                }
                PROSE
            }
            Kind::Code | Kind::Data => {
                block = Block::default();
                if kind == Kind::Data {
                    return None;
                }
                CODE
            }
        };
        too_long(index, line, limit)
    });
    found.collect()
}

fn markdown(text: &str) -> Vec<TooLong> {
    let (mut block, mut generated) = (Block::default(), false);
    let lines = text.lines().enumerate().filter(|(_, line)| {
        if line.starts_with("<!-- cargo xtask ") {
            generated = line.ends_with(": begin -->");
        }
        let words = line.trim_start_matches(['>', ' ']);
        let heading = words.starts_with('#') && words.contains("](");
        !(generated || block.has(words) || is_table(words) || heading || is_link(words))
    });
    lines.filter_map(|(index, line)| too_long(index, line, PROSE)).collect()
}

/// The lines of a source file where a heading of a doc comment, or the end of its code block, was
/// joined with the text after it. rustdoc shows the first as a long heading, and after the second
/// all text as code.
pub(super) fn joined(name: &str, text: &str) -> Vec<usize> {
    if Language::of(name) != Some(Language::Rust) {
        return Vec::new();
    }
    let (mut block, mut found) = (Block::default(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let Some(words) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            block = Block::default();
            continue;
        };
        let words = words.trim_start();
        let inside = block.fence.clone();
        let heading = || HEADINGS.iter().any(|heading| words.starts_with(heading) && words != *heading);
        let joined = match &inside {
            Some(fence) => words.starts_with(fence.as_str()) && words.trim_end() != fence,
            None => heading(),
        };
        if joined {
            found.push(index + 1);
        }
        block.has(words);
    }
    found
}

/// The headings that rustdoc's readers expect, alone on their line.
const HEADINGS: [&str; 4] = ["# Errors", "# Panics", "# Examples", "# Safety"];

/// The code block around the current line, if there is one. It ends with the same fence with which
/// it began.
#[derive(Default)]
struct Block {
    fence: Option<String>,
}

impl Block {
    /// Whether this line belongs to a code block. The two fences belong to it too.
    fn has(&mut self, words: &str) -> bool {
        let mark = if words.starts_with("```") { '`' } else { '~' };
        let length = words.len() - words.trim_start_matches(mark).len();
        match &self.fence {
            Some(fence) => {
                if words.starts_with(fence.as_str()) && words.trim_end().len() == length {
                    self.fence = None;
                }
                true
            }
            None => {
                let begins = length >= 3;
                self.fence = begins.then(|| words[..length].to_owned());
                begins
            }
        }
    }
}

/// Returns a line of a comment without the mark of the comment.
fn comment(line: &str) -> &str {
    let line = line.trim_start();
    let marks = ["///", "//!", "//", "/**", "/*", "*/", "*", "#", "<!--"];
    marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line).trim_start()
}

fn is_table(words: &str) -> bool {
    words.starts_with('|')
}

/// Whether the line is only a link or a picture, also as a list item, or the definition of a link.
fn is_link(words: &str) -> bool {
    let words = words.trim_start_matches(['-', '*', ' ']).trim_end_matches(['.', ',', ';', ':', ' ']);
    let Some(text) = words.strip_prefix('!').unwrap_or(words).strip_prefix('[') else { return false };
    let Some((label, target)) = text.split_once("](").or_else(|| text.split_once("]: ")) else {
        return false;
    };
    !label.contains("](") && !target.trim_end_matches(')').contains([' ', ')'])
}

fn too_long(index: usize, line: &str, limit: usize) -> Option<TooLong> {
    let length = line.chars().count();
    if length <= limit {
        return None;
    }
    let longest = line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let breakable = length - longest > BESIDE_A_LONG_WORD;
    breakable.then_some(TooLong { line: index + 1, length, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a line of `length` characters: `begin`, then words.
    fn line(begin: &str, length: usize) -> String {
        let mut line = String::from(begin);
        while line.chars().count() < length {
            line.push(if line.chars().count() % 8 == 7 { ' ' } else { 'ä' });
        }
        line
    }

    fn lines(name: &str, text: &str) -> Vec<usize> {
        check(name, text).iter().map(|found| found.line).collect()
    }

    #[test]
    fn headings_and_fences_stand_alone() {
        let good = "/// # Errors\n/// One.\n///\n/// ```text\n/// # Errors of a comment\n/// ```\nfn a() {}";
        assert_eq!(joined("a.rs", good), [0; 0]);
        assert_eq!(joined("a.rs", "    /// # Errors One.\n    /// ```\n    /// ``` Two."), [1, 3]);
        assert_eq!(joined("a.md", "/// # Errors One."), [0; 0]);
    }

    #[test]
    fn the_limit_counts_characters_and_not_bytes() {
        assert_eq!(check("a.md", &line("", 100)), []);
        assert_eq!(check("a.md", &line("", 101)), [TooLong { line: 1, length: 101, limit: 100 }]);
    }

    #[test]
    fn prose_may_have_100_characters_and_code_110() {
        assert_eq!(lines("a.toml", &format!("{}\n{}", line("# ", 101), line("code ", 111))), [1]);
        for (name, comment) in
            [("a.rs", "/// "), ("a.ts", "// "), ("a.css", "/* "), ("a.html", "<!-- "), ("a.py", "# ")]
        {
            assert_eq!(check(name, &line(comment, 100)), [], "{name}");
            assert_eq!(lines(name, &line(comment, 101)), [1], "{name}");
            assert_eq!(check(name, &line("code ", 110)), [], "{name}");
            assert_eq!(lines(name, &line("code ", 111)), [1], "{name}");
        }
    }

    #[test]
    fn tables_links_and_code_blocks_have_no_limit() {
        let long = line("x ", 150);
        for text in [
            format!("| {long} |"),
            format!("```text\n{long}\n```"),
            format!("~~~\n{long}\n```\n{long}\n~~~"),
            format!("![{long}](picture.png)"),
            format!("- [{long}](page.md)."),
            format!("[{long}]: https://example.org/"),
            format!("## [{long}](page.md) and more"),
            format!("<!-- cargo xtask bench: begin -->\n{long}\n<!-- cargo xtask bench: end -->"),
            format!("see https://example.org/{}", "x".repeat(150)),
        ] {
            assert_eq!(check("a.md", &text), [], "{text}");
        }
        for text in [format!("```\n```\n{long}"), format!("```\n{long}\n```\n{long}"), format!("# {long}")] {
            let last = text.lines().count();
            assert_eq!(lines("a.md", &text), [last], "{text}");
        }
        assert_eq!(lines("a.md", &format!("See [a page](page.md) and {long}")), [1]);
        assert_eq!(lines("a.md", &format!("[a](b.md), [c](d.md) and {long}")), [1]);
    }

    #[test]
    fn a_block_in_a_comment_ends_with_the_comment() {
        let long = line("//! ", 120);
        assert_eq!(check("a.rs", &format!("//! ```text\n{long}\n//! ```")), []);
        assert_eq!(check("a.rs", &format!("//! | {} |", line("x ", 120))), []);
        assert_eq!(lines("a.rs", &format!("//! ```text\n{long}\n//! ```\n{long}")), [4]);
        assert_eq!(lines("a.rs", &format!("//! ```text\n\nfn f() {{}}\n{long}")), [4]);
    }

    #[test]
    fn a_line_within_a_raw_string_has_no_limit() {
        let long = line("x ", 150);
        assert_eq!(check("a.rs", &format!("const A: &str = r#\"\n{long}\n\"#;")), []);
        assert_eq!(check("a.js", &format!("const a = `\n{long}\n`;")), []);
        assert_eq!(lines("a.rs", &format!("const A: &str = \"\\\n{long}\";")), [2]);
    }
}
