//! Turns a command of a page into one that runs here, and an output of it back.

use std::path::{Path, PathBuf};

/// The address of the server, as the pages say it.
pub(crate) const ADDRESS: &str = "127.0.0.1:8080";

/// The program, as the pages say it. The first form also begins the second one.
const PROGRAM: [&str; 2] = ["cargo run -q --release --", "cargo run --release --"];
const EXAMPLE: &str = "cargo run -q -p tidewire-examples --example ";

/// Programs that a reader needs, besides those of this project.
const TOOLS: [&str; 7] = ["curl", "python3", "node", "grep", "head", "tee", "tail"];

/// Returns the command with the programs that cargo has built, and with the address of a server.
pub(crate) fn command(text: &str, address: Option<&str>) -> Result<String, String> {
    let mut command = text.to_owned();
    for form in PROGRAM {
        command = command.replace(form, &quoted(&program()));
    }
    while let Some((before, after)) = command.split_once(EXAMPLE) {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, arguments) = after.split_at(end);
        let arguments =
            arguments.strip_prefix(" --").filter(|rest| rest.starts_with(' ')).unwrap_or(arguments);
        command = format!("{before}{}{arguments}", quoted(&example(name)?));
    }
    if is_word_of(&command, "cargo") {
        return Err(format!(
            "the test does not run cargo; it knows `{}` and `{EXAMPLE}NAME`. \
             A block with the info string `sh` is not run",
            PROGRAM.join("` and `")
        ));
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
    let options = PROGRAM.iter().find_map(|form| {
        let options = text.trim_end().strip_prefix(form.trim_end_matches(" --"))?;
        options.strip_prefix(" --").or(Some("").filter(|_| options.is_empty()))
    });
    let Some(options) = options else {
        return Err("a block `console server` has the command `cargo run --release -- OPTIONS`".to_owned());
    };
    if is_word_of(options, "--listen") {
        return Err("the test chooses the address of the server".to_owned());
    }
    let heartbeat = if is_word_of(options, "--heartbeat") { "" } else { " --heartbeat 3600" };
    Ok(format!("exec {}{options} --listen 127.0.0.1:0{heartbeat}", quoted(&program())))
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
    assert_eq!(run("cargo run --release -- --help"), Ok(format!("{program} --help")));
    assert_eq!(
        run("curl http://127.0.0.1:8080/c/x; curl 127.0.0.1:8080"),
        Ok("curl http://127.0.0.1:54321/c/x; curl 127.0.0.1:54321".to_owned())
    );
    assert_eq!(command("printf cargo-like", None), Ok("printf cargo-like".to_owned()));
}

#[test]
fn a_command_that_cannot_run_here_is_refused() {
    for (text, sentence) in [
        ("cargo xtask check", "the test does not run cargo"),
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
    for text in
        ["cargo run", "tidewire", "cargo run --release -- --listen 127.0.0.1:9", "cargo run --released"]
    {
        assert!(server(text).is_err(), "{text}");
    }
}
