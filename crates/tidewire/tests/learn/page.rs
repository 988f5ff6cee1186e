//! Finds the commands of a page, and the output that the page shows. `main.rs` has the rules.

/// A page, and what is to be run.
#[derive(Debug)]
pub(crate) struct Page {
    /// The path from the root of the repository.
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
    /// The parts between the headings `##`. The first one is before all of them.
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) heading: String,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The server of the page is started, with these options.
    Server(Shown),
    /// A command is run to its end.
    Run { shown: Shown, fails: bool },
    /// A command is started, and has this name.
    Start { name: String, shown: Shown },
    /// The command of this name prints more.
    Await { name: String, shown: Shown },
}

/// A command, and the output that the page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The line of the page that has the command, from 1.
    pub(crate) line: usize,
    /// The command; empty if the block is only an output.
    pub(crate) command: String,
    /// The line of the page that has the first line of the output, from 1.
    pub(crate) output_line: usize,
    pub(crate) output: Vec<String>,
    /// The blanks before the fence of the block, which are before each of its lines too.
    pub(crate) indent: usize,
}

/// A block between two fences.
struct Block<'a> {
    /// The line of the first fence, from 1.
    line: usize,
    info: &'a str,
    indent: usize,
    lines: Vec<&'a str>,
}

impl Page {
    /// Reads a page. An error says where the page breaks the rules.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let all: Vec<&str> = text.lines().collect();
        let mut sections = vec![Section { heading: "the start of the page".to_owned(), steps: Vec::new() }];
        let mut at = 0;
        while at < all.len() {
            let line = all[at];
            at += 1;
            if let Some(heading) = line.strip_prefix("## ") {
                sections.push(Section { heading: heading.trim().to_owned(), steps: Vec::new() });
            }
            let Some((indent, ticks, info)) = fence(line) else { continue };
            let start = at;
            let is_end = |line: &&str| fence(line).is_some_and(|end| end.1 >= ticks && end.2.is_empty());
            let Some(len) = all[start..].iter().position(is_end) else {
                return Err(format!("{name}:{start}: the block has no end"));
            };
            at += len + 1;
            let lines = all[start..start + len].iter().map(|line| unindented(line, indent)).collect();
            let steps = steps(&Block { line: start, info, indent, lines });
            let steps = steps.map_err(|(line, fault)| format!("{name}:{line}: {fault}"))?;
            sections.last_mut().expect("there is a first section").steps.extend(steps);
        }
        let lines = all.into_iter().map(str::to_owned).collect();
        Ok(Self { name: name.to_owned(), lines, sections })
    }

    /// The number of commands.
    pub(crate) fn commands(&self) -> usize {
        let steps = self.sections.iter().flat_map(|section| &section.steps);
        steps.filter(|step| !matches!(step, Step::Await { .. })).count()
    }
}

/// Returns the blanks before a fence, its number of backticks, and the info string.
pub(crate) fn fence(line: &str) -> Option<(usize, usize, &str)> {
    let text = line.trim_start_matches(' ');
    let info = text.trim_start_matches('`');
    let ticks = text.len() - info.len();
    // A code span may begin a line too: it has a backtick later in the line.
    (ticks >= 3 && !info.contains('`')).then(|| (line.len() - text.len(), ticks, info.trim()))
}

/// Returns a line without the blanks before the fence.
fn unindented(line: &str, indent: usize) -> &str {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    &line[blanks.min(indent)..]
}

/// A fault, and its line.
type Fault = (usize, String);

/// Returns what a block says to do.
fn steps(block: &Block<'_>) -> Result<Vec<Step>, Fault> {
    let fault = |text: &str| Err((block.line, format!("{text}, in the block `{}`", block.info)));
    let mut words = block.info.split_whitespace();
    let language = words.next().unwrap_or_default();
    let options: Vec<&str> = words.collect();
    let background = |option: &str| match option.split_once('=') {
        None if option == "background" => Some(String::new()),
        Some(("background", name)) if !name.is_empty() => Some(name.to_owned()),
        _ => None,
    };
    match (language, options[..].as_ref()) {
        ("text", [option]) => match background(option) {
            Some(_) if block.lines.is_empty() => fault("nothing is awaited"),
            Some(name) => {
                let output = block.lines.iter().map(|&line| line.to_owned()).collect();
                let shown = Shown {
                    line: block.line,
                    output_line: block.line + 1,
                    output,
                    indent: block.indent,
                    ..Shown::default()
                };
                Ok(vec![Step::Await { name, shown }])
            }
            None => Ok(Vec::new()),
        },
        ("console", ["shown"]) => Ok(Vec::new()),
        ("console", []) => {
            Ok(commands(block)?.into_iter().map(|shown| Step::Run { shown, fails: false }).collect())
        }
        ("console", ["fails"]) => {
            Ok(commands(block)?.into_iter().map(|shown| Step::Run { shown, fails: true }).collect())
        }
        ("console", [option]) => {
            let mut shown = commands(block)?;
            let (Some(shown), true) = (shown.pop(), shown.is_empty()) else {
                return fault("there must be one command");
            };
            match background(option) {
                Some(name) => Ok(vec![Step::Start { name, shown }]),
                None if *option == "server" => Ok(vec![Step::Server(shown)]),
                None => fault("unknown option"),
            }
        }
        ("console", _) => fault("at most one option is possible"),
        _ => Ok(Vec::new()),
    }
}

/// Returns the commands of a block. There is at least one.
fn commands(block: &Block<'_>) -> Result<Vec<Shown>, Fault> {
    let mut found: Vec<Shown> = Vec::new();
    let mut continues = false;
    for (index, &text) in block.lines.iter().enumerate() {
        let line = block.line + 1 + index;
        if let Some(command) = text.strip_prefix("$ ").filter(|_| !continues) {
            let command = command.to_owned();
            found.push(Shown {
                line,
                command,
                output_line: line + 1,
                indent: block.indent,
                ..Shown::default()
            });
        } else {
            let Some(last) = found.last_mut() else {
                return Err((
                    line,
                    "a `console` block begins with a line `$ COMMAND`; \
                     a block that is not run is marked `sh` or `console shown`"
                        .to_owned(),
                ));
            };
            let is_below = last.output.is_empty() && is_second_line(text);
            if continues || is_below {
                last.command = format!("{}\n{text}", last.command);
                last.output_line = line + 1;
            } else {
                last.output.push(text.to_owned());
            }
        }
        continues = found.last().is_some_and(|last| last.output.is_empty() && last.command.ends_with('\\'));
    }
    match found.last() {
        None => Err((block.line, "the block has no command".to_owned())),
        Some(_) if continues => Err((block.line, "a command ends in `\\`".to_owned())),
        Some(_) => Ok(found),
    }
}

/// Whether a line below a command belongs to it: it begins with two blanks, as wide as the `$ `.
fn is_second_line(line: &str) -> bool {
    line.strip_prefix("  ").is_some_and(|text| !text.starts_with(char::is_whitespace) && !text.is_empty())
}

#[cfg(test)]
fn only_steps(text: &str) -> Vec<Step> {
    Page::parse("page.md", text).unwrap().sections.into_iter().flat_map(|section| section.steps).collect()
}

#[cfg(test)]
fn shown(line: usize, command: &str, output: &[&str]) -> Shown {
    let output_line = line + 1 + command.matches('\n').count();
    let output = output.iter().map(|&line| line.to_owned()).collect();
    Shown { line, command: command.to_owned(), output_line, output, indent: 0 }
}

#[test]
fn a_block_has_commands_and_their_output() {
    let text = "text\n```console\n$ one\na\n b\n\n$ two \\\n    more\n     c\n\
        $ three\n  four\nd\n  e\n```\n$ not this\n";
    let expected = [
        shown(3, "one", &["a", " b", ""]),
        shown(7, "two \\\n    more", &["     c"]),
        shown(10, "three\n  four", &["d", "  e"]),
    ];
    let expected: Vec<_> = expected.into_iter().map(|shown| Step::Run { shown, fails: false }).collect();
    assert_eq!(only_steps(text), expected);
}

#[test]
fn the_info_string_says_how_a_block_is_run() {
    let named = "```console background=sse\n$ one\na\n```\n```text background=sse\nb\n```\n";
    let output = Shown { line: 5, output_line: 6, output: vec!["b".to_owned()], ..Shown::default() };
    let name = "sse".to_owned();
    let expected = [
        Step::Start { name: name.clone(), shown: shown(2, "one", &["a"]) },
        Step::Await { name, shown: output },
    ];
    assert_eq!(only_steps(named), expected);

    let shown = || shown(2, "one", &[]);
    for (info, expected) in [
        ("console", Step::Run { shown: shown(), fails: false }),
        ("console fails", Step::Run { shown: shown(), fails: true }),
        ("console background", Step::Start { name: String::new(), shown: shown() }),
        ("console server", Step::Server(shown())),
    ] {
        assert_eq!(only_steps(&format!("```{info}\n$ one\n```\n")), [expected], "{info}");
    }
    for info in ["", "sh", "console shown", "text", "text foreground", "rust", "consoles"] {
        assert_eq!(only_steps(&format!("```{info}\n$ one\n```\n")), [], "{info}");
    }
}

#[test]
fn only_blocks_of_the_page_itself_are_run() {
    // A block that is shown within another one, and a line that begins with a code span.
    assert_eq!(only_steps("````text\n```console\n$ one\n```\n````\n"), []);
    assert_eq!(only_steps("``` `` ``` is a code span\n```console\n$ one\n```\n").len(), 1);
}

#[test]
fn the_blanks_before_a_block_in_a_list_are_not_part_of_it() {
    let expected = Shown { indent: 2, ..shown(3, "one", &["a", " b"]) };
    let text = "- x\n  ```console\n  $ one\n  a\n   b\n  ```\n";
    assert_eq!(only_steps(text), [Step::Run { shown: expected, fails: false }]);
}

#[test]
fn headings_begin_sections() {
    let text = "# Page\n```console\n$ zero\n```\n## One\n### Part\n```console\n$ one\n```\n\
        ```sh\n## no\n```\n## Two\n";
    let page = Page::parse("page.md", text).unwrap();
    let found: Vec<_> = page.sections.iter().map(|part| (part.heading.as_str(), part.steps.len())).collect();
    assert_eq!(found, [("the start of the page", 1), ("One", 1), ("Two", 0)]);
    assert_eq!(page.commands(), 2);
}

#[test]
fn a_fault_of_the_page_has_its_line() {
    for (text, expected) in [
        ("```console\n$ one\n", "page.md:1: the block has no end"),
        ("\n```console\none\n```\n", "page.md:3: a `console` block begins with a line `$ COMMAND`"),
        ("```console\n```\n", "page.md:1: the block has no command"),
        ("```console\n$ one \\\n```\n", "page.md:1: a command ends in `\\`"),
        ("```console failes\n$ one\n```\n", "page.md:1: unknown option, in the block `console failes`"),
        ("```console background=\n$ one\n```\n", "page.md:1: unknown option"),
        ("```console fails server\n$ one\n```\n", "page.md:1: at most one option"),
        ("```console background\n$ one\n$ two\n```\n", "page.md:1: there must be one command"),
        ("```text background\n```\n", "page.md:1: nothing is awaited"),
    ] {
        let fault = Page::parse("page.md", text).unwrap_err();
        assert!(fault.starts_with(expected), "{text:?}: {fault}");
    }
}
