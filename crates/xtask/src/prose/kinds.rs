//! Finds out what each line of a source file is: prose, code, or the inside of a string.
//!
//! This is not a parser. It only knows comments and strings, because the limit of a line depends on
//! nothing else.

/// How a language writes comments and strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    /// JavaScript and TypeScript. Also C++, if it uses no other kinds of strings and comments.
    Script,
    Css,
    /// HTML, with scripts and styles inside.
    Html,
    Python,
    /// TOML and YAML. Only their comments have a limit: TOML cannot break a string or an inline
    /// table.
    Hash,
}

impl Language {
    /// The language of a file with this name; `None` for Markdown and for files that are not
    /// checked.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending {
            "rs" => Some(Self::Rust),
            "js" | "mjs" | "ts" | "cpp" => Some(Self::Script),
            "css" => Some(Self::Css),
            "html" => Some(Self::Html),
            "py" => Some(Self::Python),
            "toml" | "yml" => Some(Self::Hash),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only a comment, without code before it.
    Prose,
    Code,
    /// A line that a line break would change, such as the inside of a raw string.
    Data,
}

/// The kind of each line.
pub(super) fn kinds(text: &str, language: Language) -> Vec<Kind> {
    let mut scanner =
        Scanner { stack: vec![Mode::Code(language, 0)], before: '\n', joined: false, first: true };
    let kind_of_line = |line: &str| scanner.line(line);
    text.lines().map(kind_of_line).collect()
}

/// What the scanner is inside of.
#[derive(Clone, Debug)]
enum Mode {
    /// In code of a language, after this many open braces.
    Code(Language, usize),
    /// In a comment that ends with these characters.
    Comment(&'static str),
    /// In a string that ends with this character. A backslash escapes the next character.
    Text(char, Language),
    /// In a string that ends with these characters and keeps its line breaks.
    Lines { end: String, escapes: bool },
}

struct Scanner {
    /// The innermost mode is last. There is always one.
    stack: Vec<Mode>,
    /// The last character of code that is not a space. A `/` after an operator begins a regular
    /// expression.
    before: char,
    /// Whether a letter or a digit comes directly before. Then an `r` does not begin a raw string.
    joined: bool,
    /// Whether this line had only spaces so far.
    first: bool,
}

impl Scanner {
    fn line(&mut self, line: &str) -> Kind {
        let begin = self.mode().clone();
        let kind = match begin {
            Mode::Comment(_) => Kind::Prose,
            Mode::Lines { .. } => Kind::Data,
            Mode::Text(..) => Kind::Code,
            Mode::Code(language, _) if begins_comment(line.trim_start(), language) => Kind::Prose,
            Mode::Code(Language::Hash, _) => Kind::Data,
            Mode::Code(..) => Kind::Code,
        };
        self.first = true;
        let mut rest = line;
        while !rest.is_empty() {
            let length = self.step(rest);
            rest = &rest[length..];
        }
        self.joined = false;
        let over = matches!(self.mode(), Mode::Text(_, language) if *language != Language::Rust);
        if over && !line.ends_with('\\') {
            // In languages other than Rust, such a string ends with its line.
            self.stack.pop();
        }
        kind
    }

    fn mode(&self) -> &Mode {
        self.stack.last().expect("the mode of the whole file is never removed")
    }

    /// Reads one token. Returns its length in bytes.
    fn step(&mut self, rest: &str) -> usize {
        let one = rest.chars().next().map_or(1, char::len_utf8);
        let escaped = || rest.chars().take(2).map(char::len_utf8).sum();
        let (end, escapes, template) = match self.mode().clone() {
            Mode::Code(language, braces) => return self.code(rest, language, braces),
            Mode::Comment(end) => (end.to_owned(), false, false),
            Mode::Text(end, _) => (end.to_string(), true, false),
            Mode::Lines { end, escapes } => (end.clone(), escapes, end == "`"),
        };
        if escapes && rest.starts_with('\\') {
            return escaped();
        }
        if template && rest.starts_with("${") {
            self.stack.push(Mode::Code(Language::Script, 0));
            return 2;
        }
        if rest.starts_with(end.as_str()) {
            self.stack.pop();
            return end.len();
        }
        one
    }

    fn code(&mut self, rest: &str, language: Language, braces: usize) -> usize {
        let next = rest.chars().next().unwrap_or(' ');
        let joined = std::mem::replace(&mut self.joined, next.is_alphanumeric() || next == '_');
        if next.is_whitespace() {
            return next.len_utf8();
        }
        let before = std::mem::replace(&mut self.before, next);
        let first = std::mem::take(&mut self.first);
        if let Some((mode, length)) = opening(rest, language, joined, first) {
            self.stack.push(mode);
            return length;
        }
        match (language, next) {
            (Language::Hash | Language::Python, '#') => rest.len(),
            (Language::Rust | Language::Script, '/') if rest.starts_with("//") => rest.len(),
            (Language::Script, '/') if begins_pattern(before) => pattern(rest),
            (Language::Rust, '\'') => character(rest),
            (Language::Script, '{') => self.replace(Mode::Code(language, braces + 1)),
            (Language::Script, '}') if braces > 0 => self.replace(Mode::Code(language, braces - 1)),
            // The end of `${…}` in a template.
            (Language::Script, '}') if self.stack.len() > 1 => self.leave(1),
            (Language::Script | Language::Css, '<')
                if rest.starts_with("</script") || rest.starts_with("</style") =>
            {
                self.leave(2)
            }
            _ => next.len_utf8(),
        }
    }

    fn replace(&mut self, mode: Mode) -> usize {
        self.stack.pop();
        self.stack.push(mode);
        1
    }

    fn leave(&mut self, length: usize) -> usize {
        if self.stack.len() > 1 {
            self.stack.pop();
        }
        length
    }
}

/// Returns the mode of a string, or of a comment of several lines, that begins here. Also returns
/// the length of the opening mark.
fn opening(rest: &str, language: Language, joined: bool, first: bool) -> Option<(Mode, usize)> {
    let text = |end| Some((Mode::Text(end, language), 1));
    let lines = |end: &str, escapes, length| {
        let end = end.to_owned();
        Some((Mode::Lines { end, escapes }, length))
    };
    let triple = ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes));
    match language {
        Language::Html if rest.starts_with("<!--") => Some((Mode::Comment("-->"), 4)),
        Language::Html if rest.starts_with("<script") => tag(rest, Language::Script),
        Language::Html if rest.starts_with("<style") => tag(rest, Language::Css),
        Language::Rust | Language::Script | Language::Css if rest.starts_with("/*") => {
            Some((Mode::Comment("*/"), 2))
        }
        Language::Rust if rest.starts_with('"') => text('"'),
        Language::Rust if !joined => {
            let hashes = rest.strip_prefix("r").or_else(|| rest.strip_prefix("br"))?;
            let quote = hashes.trim_start_matches('#');
            let end = format!("\"{}", &hashes[..hashes.len() - quote.len()]);
            quote.starts_with('"').then(|| lines(&end, false, rest.len() - quote.len() + 1)).flatten()
        }
        Language::Script if rest.starts_with('`') => lines("`", true, 1),
        Language::Script | Language::Css if rest.starts_with('"') => text('"'),
        Language::Script | Language::Css if rest.starts_with('\'') => text('\''),
        // A string at the beginning of a line is documentation.
        Language::Python if triple.is_some() && first => Some((Mode::Comment(triple?), 3)),
        Language::Python if triple.is_some() => lines(triple?, true, 3),
        Language::Python if rest.starts_with('"') => text('"'),
        Language::Python if rest.starts_with('\'') => text('\''),
        _ => None,
    }
}

/// Returns the mode inside a script or style element of a page, and the length of its tag. `None`
/// if the tag does not end on this line.
fn tag(rest: &str, language: Language) -> Option<(Mode, usize)> {
    let end = rest.find('>')?;
    Some((Mode::Code(language, 0), end + 1))
}

fn begins_comment(line: &str, language: Language) -> bool {
    let marks: &[&str] = match language {
        Language::Rust | Language::Script => &["//", "/*"],
        Language::Css => &["/*"],
        Language::Html => &["<!--"],
        Language::Python => &["#", "\"\"\"", "'''"],
        Language::Hash => &["#"],
    };
    // `#` is not in the list of Rust, where it begins an attribute.
    marks.iter().any(|mark| line.starts_with(mark))
}

/// Whether a `/` after this character begins a regular expression. Otherwise it is a division.
fn begins_pattern(before: char) -> bool {
    !(before.is_alphanumeric() || matches!(before, ')' | ']' | '}' | '_' | '$' | '"' | '\'' | '`'))
}

/// Returns the length of a regular expression.
fn pattern(rest: &str) -> usize {
    let (mut escaped, mut class) = (false, false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '/' if !class => return at + 1,
            _ => {}
        }
    }
    1
}

/// Returns the length of a character literal of Rust, or of the `'` of a lifetime.
fn character(rest: &str) -> usize {
    let mut inner = rest.chars().skip(1);
    match (inner.next(), inner.next()) {
        (Some('\\'), Some(escaped)) => {
            let begin = 2 + escaped.len_utf8();
            rest[begin..].find('\'').map_or(1, |at| begin + at + 1)
        }
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a letter for each line: `p` for prose, `c` for code, `d` for data.
    fn letters(language: Language, text: &str) -> String {
        let letter = |kind| match kind {
            Kind::Prose => 'p',
            Kind::Code => 'c',
            Kind::Data => 'd',
        };
        kinds(text, language).into_iter().map(letter).collect()
    }

    #[test]
    fn rust() {
        let letters = |text| letters(Language::Rust, text);
        assert_eq!(letters("//! a\n/// b\n// c\nfn f() {} // d"), "pppc");
        assert_eq!(letters("/* a\n b\n*/\nf()"), "pppc");
        assert_eq!(letters("let a = \"x\n// y\nz\";\n// p"), "cccp");
        assert_eq!(letters("let a = r#\"x\n// \" y\nz\"#;\n// p"), "cddp");
        assert_eq!(letters("let a = br\"x\\\";\n// p"), "cp");
        assert_eq!(letters("let a = ('\"', b'\\'', b'\"', &'a str);\n// p"), "cp");
        assert_eq!(letters("let a = \"// \\\" /*\";\n// p"), "cp");
        assert_eq!(letters("#[cfg(test)]\nlet r#type = bar\"\";\n// p"), "ccp");
    }

    #[test]
    fn scripts() {
        let letters = |text| letters(Language::Script, text);
        assert_eq!(letters("// a\nf('//', \"/*\");\n/** b\n * c */\ng()"), "pcppc");
        assert_eq!(letters("f(`a\n// b ${g({ h: `c\n// d` })}\n// e`);\n// p"), "cdddp");
        assert_eq!(letters("f(/[`'/]\\//, a / b / `c`);\n// p"), "cp");
    }

    #[test]
    fn pages_with_styles_and_scripts() {
        let page = "<!-- a\n b -->\n<p>it's // no comment\n<style>\n/* c */\na { }\n</style>\n\
                    <script type=\"module\">\n// d\nf(`\n`);\n</script>\n<p>\n// e";
        assert_eq!(letters(Language::Html, page), "ppccpcccpcdccc");
    }

    #[test]
    fn other_languages() {
        assert_eq!(letters(Language::Css, "/* a\nb */\na::before { content: '/*' }\n// c"), "ppcc");
        let python = "\"\"\"A\nb\"\"\"\n# c\na = '''d\n# e'''\nf('#') # g\n# h";
        assert_eq!(letters(Language::Python, python), "pppcdcp");
        assert_eq!(letters(Language::Hash, "# a\nb = 'c' # d\n  # e"), "pdp");
    }
}
