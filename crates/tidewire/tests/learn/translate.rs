//! Turns a command of a page into one that runs here, and an output of it back.

use std::path::{Path, PathBuf};

/// The address of the server, as the pages say it.
pub(crate) const ADDRESS: &str = "127.0.0.1:8080";

/// Programs that a reader needs, besides those of this project.
const TOOLS: [&str; 7] = ["curl", "python3", "node", "grep", "head", "tee", "tail"];

/// Returns the command with the programs that cargo has built, and with the address of a server.
pub(crate) fn command(text: &str, address: Option<&str>) -> Result<String, String> {
    let mut command = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("cargo run ") {
        let run = CargoRun::parse(after);
        let program = match run.example {
            Some(name) => example(name)?,
            None => program(),
        };
        command += &format!("{before}{}", quoted(&program));
        rest = run.arguments;
    }
    command += rest;
    if is_word_of(&command, "cargo") {
        return Err("the test runs of cargo only `cargo run -q --release --` and \
                    `cargo run -q -p tidewire-examples --example NAME`. \
                    A block with the info string `sh` is not run"
            .to_owned());
    }
    if let Some(tool) = TOOLS.into_iter().find(|tool| is_word_of(text, tool) && !is_installed(tool)) {
        return Err(format!("this command needs {tool}, which is not installed"));
    }
    if !command.contains(ADDRESS) {
        return Ok(command);
    }
    let address = address.ok_or_else(|| {
        format!("the command uses {ADDRESS}, but no block `console server` before it starts a server")
    })?;
    Ok(command.replace(ADDRESS, address))
}

/// Returns the command that starts the server of a page on a free port.
pub(crate) fn server(text: &str) -> Result<String, String> {
    let run = text.strip_prefix("cargo run").map(|rest| CargoRun::parse(rest.trim_start()));
    let Some(CargoRun { example: None, arguments: options }) = run else {
        return Err("a block `console server` has the command `cargo run --release -- OPTIONS`".to_owned());
    };
    if is_word_of(options, "--listen") {
        return Err("the test chooses the address of the server".to_owned());
    }
    let heartbeat = if is_word_of(options, "--heartbeat") { "" } else { " --heartbeat 3600" };
    Ok(format!("exec {}{options} --listen 127.0.0.1:0{heartbeat}", quoted(&program())))
}

/// What follows `cargo run`.
struct CargoRun<'a> {
    /// The name of an example; `None` for the program.
    example: Option<&'a str>,
    /// The arguments for the program, and the rest of the command.
    arguments: &'a str,
}

impl<'a> CargoRun<'a> {
    fn parse(text: &'a str) -> Self {
        let mut found = Self { example: None, arguments: text };
        loop {
            let rest = found.arguments.trim_start_matches(' ');
            let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            match word {
                "-q" | "--quiet" | "--release" | "-p" | "tidewire" | "tidewire-examples" => {}
                "--example" => {
                    let after = after.trim_start_matches(' ');
                    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
                    let (name, after) = after.split_at(after.find(is_end).unwrap_or(after.len()));
                    found = Self { example: Some(name), arguments: after };
                    continue;
                }
                "--" => return Self { arguments: after, ..found },
                _ => return found,
            }
            found.arguments = after;
        }
    }
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tidewire"))
}

/// Examples are built beside the program.
fn example(name: &str) -> Result<PathBuf, String> {
    let path = program().with_file_name("examples").join(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(format!(
            "there is no program {}: run `cargo build -p tidewire-examples --examples`, \
             or see whether the page has the right name",
            path.display()
        )),
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Whether a command has this word.
fn is_word_of(command: &str, word: &str) -> bool {
    let ends = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '/' | '.');
    command.split(ends).any(|found| found == word)
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

#[test]
fn the_program_and_the_address_are_replaced() {
    let program = quoted(&program());
    let run = |text: &str| command(text, Some("127.0.0.1:54321"));
    assert_eq!(run("echo a | cargo run -q --release -- explain"), Ok(format!("echo a | {program} explain")));
    for form in ["cargo run --release --", "cargo run -q --release --", "cargo run -q -p tidewire --"] {
        assert_eq!(run(&format!("{form} --help | head")), Ok(format!("{program} --help | head")));
        assert_eq!(run(&format!("x=$({form}\n{form} -q)")), Ok(format!("x=$({program}\n{program} -q)")));
    }
    assert_eq!(
        run("curl http://127.0.0.1:8080/c/x; curl 127.0.0.1:8080"),
        Ok("curl http://127.0.0.1:54321/c/x; curl 127.0.0.1:54321".to_owned())
    );
    assert_eq!(command("printf cargo-like", None), Ok("printf cargo-like".to_owned()));
}

#[test]
fn an_example_is_replaced_with_its_arguments() {
    for (text, name, arguments) in [
        ("-q -p tidewire-examples --example chat", Some("chat"), ""),
        ("-p tidewire-examples --example chat -- 127.0.0.1:0 &", Some("chat"), " 127.0.0.1:0 &"),
        ("-p tidewire-examples --example chat | head", Some("chat"), " | head"),
        ("-p tidewire-examples --example chat)", Some("chat"), ")"),
        ("--release -- --comet", None, " --comet"),
        ("-q", None, ""),
    ] {
        let run = CargoRun::parse(text);
        assert_eq!((run.example, run.arguments.trim_end()), (name, arguments), "{text}");
    }
}

#[test]
fn a_command_that_cannot_run_here_is_refused() {
    for (text, sentence) in [
        ("cargo xtask check", "the test runs of cargo only"),
        ("curl http://127.0.0.1:8080/", "no block `console server`"),
        (
            "cargo run -q -p tidewire-examples --example no_such",
            "cargo build -p tidewire-examples --examples",
        ),
    ] {
        let fault = command(text, None).unwrap_err();
        assert!(fault.contains(sentence), "{text}: {fault}");
    }
    assert!(!is_installed("no-such-program") && is_installed("bash"));
}

#[test]
fn the_server_gets_a_free_port_and_the_options_of_the_page() {
    let program = quoted(&program());
    let ending = "--listen 127.0.0.1:0 --heartbeat 3600";
    for text in ["cargo run --release", "cargo run -q --release"] {
        assert_eq!(server(text), Ok(format!("exec {program} {ending}")));
        assert_eq!(server(&format!("{text} -- --comet")), Ok(format!("exec {program} --comet {ending}")));
    }
    let own = server("cargo run --release -- --heartbeat 1").unwrap();
    assert!(own.ends_with("--heartbeat 1 --listen 127.0.0.1:0"), "{own}");
    let example = "cargo run -p tidewire-examples --example chat";
    for text in ["tidewire", example, "cargo run -- --listen 127.0.0.1:9"] {
        assert!(server(text).is_err(), "{text}");
    }
}
