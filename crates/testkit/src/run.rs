//! Runs other programs from the root of the workspace, for the developer commands.

// The user sees which programs are installed.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The error is a sentence that says what went wrong and what to do.
pub type Result<T = ()> = std::result::Result<T, String>;

/// The folder of the workspace manifest.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}

/// `cargo` with these arguments, in the root, of the toolchain that runs this program.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Any other program, in the root.
pub fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(root());
    command
}

/// The folder of cargo's build output.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Runs a command whose output the user sees. It has no standard input: in a step of the check that
/// is a pipe that never ends, and a command that asks a question would wait for ever.
pub fn run(command: &mut Command) -> Result {
    let line = line(command);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed ({status})")),
        Err(error) => Err(format!("`{line}` cannot be started: {error}")),
    }
}

/// Runs a command and returns its output. `None` if it fails.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// Makes sure that a program is there: it must succeed with the arguments `probe`. If it is
/// missing, installs Debian packages, or returns an error that names them.
pub fn need(name: &str, probe: &[&str], packages: &[&str]) -> Result {
    let present = || ask(&mut program(name, probe)).is_some();
    if present() {
        return Ok(());
    }
    println!("    {name} is missing: apt-get install {}", packages.join(" "));
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(packages);
    let apt = |args: &[&str]| run(program("apt-get", args).env("DEBIAN_FRONTEND", "noninteractive"));
    let installed = apt(&["update", "-q"]).and_then(|()| apt(&install));
    if installed.is_err() || !present() {
        let packages = packages.join(" ");
        return Err(format!(
            "{name} is missing and could not be installed; install it (on Debian: {packages})"
        ));
    }
    Ok(())
}

/// All files below a folder whose names have this ending, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of a file.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, bytes: &[u8]) -> Result {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// A command as a user would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
