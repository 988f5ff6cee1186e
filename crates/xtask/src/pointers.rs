//! `cargo xtask pointers`: what the documents name in backticks is there.
//!
//! | form | what must hold |
//! |---|---|
//! | `hub/src/table/` | there is such a folder, below the root or `crates` |
//! | `hub/src/hub.rs` | the same for a file |
//! | `turn.rs` after `hub/src/table/todo.rs` | exactly one folder of the path before it has such a file |
//! | `hub/src/room.rs: Room, place` | the file defines both items |
//! | `hub/src/room.rs` (drawn) | the file begins with a drawing |
//! | `Inbox`, `connection::serve`, `next_exchange` | the workspace defines such an item |
//! | `--max-message` | an option of one of our programs has this name |
//! | `cargo xtask check links`, `cargo test -p tidewire-ws` | the command, package, test or example exists |
//!
//! The path before a short path is in the same paragraph, list item or cell of a table. So a reader
//! finds every file without looking elsewhere. In the README of a folder, a path may also begin in
//! that folder, or in its `src`. `*` and `NAME` stand for any name.

mod commands;
mod items;
mod paths;

use crate::checkout;
use crate::markdown::{Code, Markdown};
use commands::Commands;
use items::Items;
use paths::{Around, Base, Paths};
use tidewire_testkit::run::{Result, read, root};

/// How much of a document is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// Paths, the items named with them, options and commands. For the README of a crate, which
    /// also names items of other crates.
    Files,
    /// Also names with a path: `connection::serve`. For documents whose other code is of protocols,
    /// of browsers or of users.
    Paths,
    /// Also words that can only be items: `Inbox`, `next_exchange`.
    Items,
    /// Also words such as `advance`.
    Words,
}

/// The documents about our code. All other documents of `docs` have [`Depth::Paths`].
const DEPTHS: [(&str, Depth); 6] = [
    ("docs/ARCHITECTURE.md", Depth::Words),
    ("docs/CONTRIBUTING.md", Depth::Items),
    ("docs/channel.md", Depth::Items),
    ("docs/decoder-contract.md", Depth::Items),
    ("docs/fuzzing.md", Depth::Items),
    ("docs/limits.md", Depth::Items),
];

/// Words of Rust, of other projects and of protocols, which our code does not define.
const OF_OTHERS: &[&str] = &[
    // Rust and its standard library.
    "Copy",
    "cfg",
    "Default",
    "Err",
    "None",
    "Ok",
    "Some",
    "from_str_radix",
    "let",
    "match",
    "no_std",
    // Linux and libFuzzer.
    "SO_REUSEPORT",
    "cov",
    // Fields of HTTP and words of browsers.
    "EventSource",
    "Upgrade",
    // Our JSON, and a cell of our tables.
    "data_b64",
    "no",
    // Forms of names, and a prefix of names.
    "NAME",
    "with_FIELD",
    "path/to/file.rs::name_of_the_test",
    "docs/wire/name.md#Heading",
    "ws_",
    // Folders and files of any package, of the web-platform-tests, and of libFuzzer.
    "artifacts/",
    "artifacts/NAME/",
    "eventsource/",
    "tests/",
    "websockets/",
    "src/lib.rs",
    "index.html",
    // The URL of the client for browsers, and a text of the protocol.
    "tidewire.js",
    "--tidewire",
];

/// Crates of others, whose items are not checked.
const CRATES_OF_OTHERS: &[&str] = &["axum", "clippy", "core", "httparse", "hyper", "std", "str", "tokio"];

pub(crate) fn run() -> Result {
    let root = root();
    let files = checkout::files(&root);
    // An exercise names files that its patches add.
    let patches = files.iter().filter(|name| name.ends_with(".patch") && root.join(name).is_file());
    let patches = patches.map(|name| read(&root.join(name))).collect::<Result<Vec<_>>>()?;
    let added = patches.iter().flat_map(|patch| patch.lines().filter_map(|line| line.strip_prefix("+++ b/")));
    let paths = Paths::new(files.iter().map(String::as_str).chain(added));
    let sources = files.iter().filter(|name| items::is_source(name) && root.join(name).is_file());
    let sources: Vec<_> =
        sources.map(|name| Ok((name.as_str(), read(&root.join(name))?))).collect::<Result<_>>()?;
    let items = Items::load(&sources)?;
    let commands = Commands::load(&sources)?;
    let known = Known { paths: &paths, items: &items, commands: &commands };
    let (mut count, mut problems) = (0, Vec::new());
    for name in files.iter().filter(|name| is_checked(name) && root.join(name).is_file()) {
        let markdown = Markdown::parse(&read(&root.join(name))?);
        let usual = if name.starts_with("crates/") { Depth::Files } else { Depth::Paths };
        let depth = DEPTHS.iter().find(|(path, _)| path == name).map_or(usual, |(_, depth)| *depth);
        let (pointers, found) = known.check(name, &markdown, depth);
        count += pointers;
        problems.extend(found);
    }
    if problems.is_empty() {
        println!("    {count} pointers, and all are true");
        return Ok(());
    }
    problems
        .push("docs/ARCHITECTURE.md (\"Where each concept lives\") explains the forms of a pointer.".into());
    Err(problems.join("\n"))
}

/// All documents but two: the compliance matrix has its own check, and the changes are about files
/// of their time.
fn is_checked(name: &str) -> bool {
    let is_document = name.starts_with("docs/") && name.ends_with(".md");
    (is_document && name != "docs/compliance.md") || name == README || name.ends_with("/README.md")
}

/// For the README of a folder, this folder. A README of `docs` is about the whole repository.
fn base(document: &str, paths: &Paths) -> Option<Base> {
    let folder =
        document.strip_suffix(README)?.strip_suffix('/').filter(|folder| !folder.starts_with("docs"))?;
    let sources = format!("{folder}/src");
    let sources = if paths.is_folder(&sources) { sources } else { folder.to_owned() };
    Some(Base { folder: folder.to_owned(), sources })
}

const README: &str = "README.md";

struct Known<'a> {
    paths: &'a Paths,
    items: &'a Items,
    commands: &'a Commands,
}

/// What a code means.
#[derive(Debug, PartialEq, Eq)]
enum Pointer<'a> {
    Path { path: &'a str, items: Vec<&'a str> },
    Item(&'a str),
    Option(&'a str),
    Command(&'a str),
}

impl Known<'_> {
    /// Returns the number of pointers, and those that are wrong.
    fn check(&self, document: &str, markdown: &Markdown, depth: Depth) -> (usize, Vec<String>) {
        let (mut count, mut problems) = (0, Vec::new());
        let mut around = Around { before: None, base: base(document, self.paths) };
        let mut unit = None;
        for code in &markdown.codes {
            if unit.replace(code.unit) != Some(code.unit) {
                around.before = None;
            }
            let Some(pointer) = self.pointer(&code.text, depth) else { continue };
            count += 1;
            if let Err(problem) = self.follow(document, code, &pointer, &mut around) {
                problems.push(format!("{document}:{}: `{}`: {problem}", code.line, code.text));
            }
        }
        for (line, text) in &markdown.blocks {
            let command = text.trim().trim_start_matches("$ ").split(" #").next().unwrap_or_default();
            if command.starts_with("cargo ") {
                count += 1;
                if let Err(problem) = self.commands.check(command.trim(), self.paths) {
                    problems.push(format!("{document}:{line}: `{}`: {problem}", command.trim()));
                }
            }
        }
        (count, problems)
    }

    /// `None` for a code that names nothing of ours.
    fn pointer<'c>(&self, code: &'c str, depth: Depth) -> Option<Pointer<'c>> {
        if OF_OTHERS.contains(&code) {
            return None;
        }
        if code.starts_with("cargo ") {
            return Some(Pointer::Command(code));
        }
        if let Some(option) = code.strip_prefix("--") {
            let name = option.split([' ', '=']).next().unwrap_or_default();
            return name
                .starts_with(|first: char| first.is_ascii_alphabetic())
                .then_some(Pointer::Option(name));
        }
        let (path, rest) =
            match code.split_once(": ").or_else(|| split_test(code)).or_else(|| split_line(code)) {
                Some((path, rest)) => (path, Some(rest)),
                None => (code, None),
            };
        if self.paths.looks_like_one(path) {
            return Some(Pointer::Path { path, items: rest.map(list).unwrap_or_default() });
        }
        if depth == Depth::Files || (depth == Depth::Paths && !code.contains("::")) {
            return None;
        }
        let item = item_name(code)?;
        if OF_OTHERS.contains(&item)
            || item.split("::").next().is_some_and(|first| CRATES_OF_OTHERS.contains(&first))
        {
            return None;
        }
        let is_called = code.len() > item.len();
        let is_item = item.contains("::")
            || item.contains('_')
            || is_called
            || item.starts_with(|first: char| first.is_ascii_uppercase())
            || depth == Depth::Words;
        is_item.then_some(Pointer::Item(item))
    }

    /// Says why a pointer is wrong. Remembers its path for the next one.
    fn follow(&self, document: &str, code: &Code, pointer: &Pointer<'_>, around: &mut Around) -> Result {
        match pointer {
            Pointer::Command(command) => self.commands.check(command, self.paths),
            Pointer::Option(name) => {
                if self.items.has_option(name) {
                    Ok(())
                } else {
                    Err("no program has this option".into())
                }
            }
            Pointer::Item(item) => self.items.defined(item),
            Pointer::Path { path, items } => {
                let path = match &code.link {
                    Some(target) => self.paths.of_link(document, target, path)?,
                    None => self.paths.resolve(path, around)?,
                };
                around.before = Some(path.clone());
                if code.after.starts_with(" (drawn") && !self.items.is_drawn(&path) {
                    return Err(format!("{} does not begin with a drawing", paths::short(&path)));
                }
                items.iter().try_for_each(|item| {
                    let name =
                        item_name(item).ok_or_else(|| format!("\"{item}\" is not the name of an item"))?;
                    self.items.defined_in(name, &path)
                })
            }
        }
    }
}

/// `file.rs::name`, as docs/compliance.md writes the name of a test.
fn split_test(code: &str) -> Option<(&str, &str)> {
    let end = code.find(".rs::")? + ".rs".len();
    Some((&code[..end], &code[end + "::".len()..]))
}

/// `file.rs:10`. The number of a line is refused: soon it is another one.
fn split_line(code: &str) -> Option<(&str, &str)> {
    code.split_once(':')
        .filter(|(_, line)| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The parts of a list. A comma in parentheses does not end a part.
fn list(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        character == ',' && depth == 0
    });
    parts.map(str::trim).collect()
}

/// The name in `name`, `name(arguments)`, `Name { fields }`, `name!` and `name(event) -> action`.
fn item_name(code: &str) -> Option<&str> {
    let end = code.find(|character: char| !character.is_ascii_alphanumeric() && !"_:".contains(character));
    let (name, rest) = code.split_at(end.unwrap_or(code.len()));
    let is_name = |part: &str| part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let follows = rest.is_empty() || rest == "!" || rest.starts_with('(') || rest.starts_with(" {");
    (follows && name.split("::").all(|part| is_name(part) && !part.contains(':'))).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 10] = [
        (
            "crates/hub/src/table/advance.rs",
            "//! Text.\n//!\n//! ```text\n//!  a\n//! ```\nfn advance() {}\nenum Step { Next }",
        ),
        (
            "crates/hub/src/table/turn.rs",
            "//! Text.\nstruct Turn { #[arg(long = \"as\")] end: u64, #[arg(short, long)] max_turns: u64 }
impl Turn { fn begin() {} }",
        ),
        ("crates/hub/src/upload.rs", "pub(crate) trait Upload { fn poll_upload(&self); }"),
        ("crates/hub/src/api/upload.rs", "macro_rules! upload_all { () => {} }"),
        (
            "crates/tidewire/web/src/reader.ts",
            "export class Reader {\n  next() {}\n}\nexport function open() {}",
        ),
        (commands::PROGRAM, "enum Command { Check, ReleaseCheck, Layers }"),
        ("crates/xtask/src/check.rs", "const STEPS: &[Step] = &[step(\"lints\"), step(\"tests\")];"),
        ("crates/channel/src/log.rs", "fn advance() {}"),
        ("crates/hub/tests/documented/main.rs", ""),
        ("docs/a.md", ""),
    ];

    /// The problems of a text, and the number of its pointers.
    fn found(text: &str) -> (usize, Vec<String>) {
        let paths = Paths::new(FILES.iter().map(|(name, _)| *name));
        let sources: Vec<_> = FILES.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        let items = Items::load(&sources[..9]).unwrap();
        let commands = Commands::load(&sources).unwrap();
        Known { paths: &paths, items: &items, commands: &commands }.check(
            "docs/a.md",
            &Markdown::parse(text),
            Depth::Words,
        )
    }

    #[track_caller]
    fn wrong(text: &str, problem: &str) {
        assert_eq!(found(text).1, [format!("docs/a.md:1: {problem}")]);
    }

    #[test]
    fn true_pointers_have_no_problem() {
        let text = "`hub/src/table/advance.rs: advance, Step::Next` (drawn), `turn.rs: Turn::begin`,
`upload.rs`, `Turn`, `Turn::end`, `turn::begin`, `tidewire_hub::Turn`, `poll_upload(x)`,
`upload_all!`, `Err`, `--as KIND`, `documented`,
`--max-turns N`, `crates/hub/src/`, `hub/src/*/upload.rs`, [`a.md`](a.md),
[`src/upload.rs: Upload`](../crates/hub/src/upload.rs)

- `hub/src/table/turn.rs`
  - `advance.rs: advance() -> x`

| `tidewire/web/src/reader.ts: Reader, open, next` | `docs/a.md`, `/c/`, `text/plain`, `tokio::spawn` |

```sh
cargo xtask check lints tests  # some
```
";
        assert_eq!(found(text), (21, Vec::new()));
    }

    #[test]
    fn a_missing_file_is_named_with_the_nearest_one() {
        wrong(
            "`hub/src/turn.rs`",
            "`hub/src/turn.rs`: there is no such file; there is hub/src/table/turn.rs",
        );
        wrong("`hub/src/gone.rs`", "`hub/src/gone.rs`: there is no such file");
        wrong("`hub/src/tables/`", "`hub/src/tables/`: there is no such folder");
        wrong("`hub/tests/*.rs`", "`hub/tests/*.rs`: nothing has a path such as hub/tests/*.rs");
        wrong("`tidewire/web/src/reader.js`", "`tidewire/web/src/reader.js`: there is no such file");
    }

    #[test]
    fn a_short_path_needs_a_path_before_it_in_the_same_unit() {
        let problem =
            "`turn.rs`: this is short, and no path stands before it; there is hub/src/table/turn.rs";
        wrong("`turn.rs`", problem);
        assert_eq!(
            found("| `hub/src/table/advance.rs` | `turn.rs` |").1,
            [format!("docs/a.md:1: {problem}")],
            "another cell"
        );
        wrong(
            "`tidewire/web/src/reader.ts`, `turn.rs`",
            "`turn.rs`: no folder of tidewire/web/src/reader.ts has it; there is hub/src/table/turn.rs",
        );
    }

    #[test]
    fn a_short_path_that_fits_two_files_must_be_longer() {
        let problem = "`upload.rs`: this may be hub/src/api/upload.rs or hub/src/upload.rs; write it longer";
        wrong("`hub/src/api/upload.rs`, `upload.rs`", problem);
    }

    #[test]
    fn an_item_that_is_not_in_its_file_is_named_with_the_file_that_has_it() {
        wrong(
            "`hub/src/table/turn.rs: Turn, advance`",
            "`hub/src/table/turn.rs: Turn, advance`: `advance` is not in hub/src/table/turn.rs; it is in \
             hub/src/table/advance.rs, channel/src/log.rs",
        );
        wrong(
            "`hub/src/table/turn.rs: Turn::stop`",
            "`hub/src/table/turn.rs: Turn::stop`: `Turn::stop` is not in hub/src/table/turn.rs, nor in any \
             other file",
        );
        wrong(
            "`hub/src/table/turn.rs: a turn`",
            "`hub/src/table/turn.rs: a turn`: \"a turn\" is not the name of an item",
        );
        wrong("`hub/src/table/turn.rs:2`", "`hub/src/table/turn.rs:2`: \"2\" is not the name of an item");
        wrong(
            "`hub/src/table/turn.rs::no_test`",
            "`hub/src/table/turn.rs::no_test`: `no_test` is not in \
            hub/src/table/turn.rs, nor in any other file",
        );
    }

    #[test]
    fn a_word_that_no_file_defines_is_named() {
        wrong("`Inbox`", "`Inbox`: no file defines it");
        wrong("`next_exchange`", "`next_exchange`: no file defines it");
        wrong("`Turn::next`", "`Turn::next`: no file defines it; `next` is in tidewire/web/src/reader.ts");
        wrong("`advances`", "`advances`: no file defines it");
        wrong("`--beginning N`", "`--beginning N`: no program has this option");
        wrong("`--end N`", "`--end N`: no program has this option");
        wrong("`--begin`", "`--begin`: no program has this option");
    }

    #[test]
    fn a_drawing_that_is_not_there_is_named() {
        let problem = "`hub/src/table/turn.rs`: hub/src/table/turn.rs does not begin with a drawing";
        wrong("`hub/src/table/turn.rs` (drawn)", problem);
    }

    #[test]
    fn a_link_leads_to_the_file_that_its_text_names() {
        let problem = "`upload.rs`: the link leads to hub/src/table/turn.rs";
        wrong("[`upload.rs`](../crates/hub/src/table/turn.rs)", problem);
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        wrong("`cargo xtask layer`", "`cargo xtask layer`: cargo xtask has no command layer");
        let problem = "`cargo xtask check lint`: cargo xtask check has no step lint";
        wrong("`cargo xtask check lint`", problem);
        assert_eq!(
            found("```\ncargo xtask check lint # a step\n```").1,
            [format!("docs/a.md:2: {problem}")],
            "in a code block"
        );
        wrong(
            "`cargo test -p tidewire-hub --test gone`",
            "`cargo test -p tidewire-hub --test gone`: tidewire-hub has no tests/gone",
        );
        wrong(
            "`cargo test -p tidewire-hob`",
            "`cargo test -p tidewire-hob`: there is no package tidewire-hob",
        );
    }
}
