//! Commands in documents: `cargo xtask NAME`, and the packages, tests and examples of cargo.

use super::paths::Paths;
use std::collections::BTreeSet;
use syn::Item;
use tidewire_testkit::run::Result;

/// Where the commands of xtask are, and the commands whose arguments are steps. They are read from
/// the sources: the list of commands uses this module, so this module cannot use the list.
pub(super) const PROGRAM: &str = "crates/xtask/src/main.rs";
const STEPS: [(&str, &str); 2] =
    [("check", "crates/xtask/src/check.rs"), ("release-check", "crates/xtask/src/release.rs")];

/// The commands of xtask.
pub(super) struct Commands {
    names: BTreeSet<String>,
    /// Pairs of a command and one of its steps.
    steps: BTreeSet<(&'static str, String)>,
}

impl Commands {
    /// Reads them from sources, which are pairs of a path and a text.
    pub(super) fn load(sources: &[(&str, String)]) -> Result<Self> {
        let text = |file| sources.iter().find(|(name, _)| *name == file).map_or("", |(_, text)| text);
        let program = syn::parse_file(text(PROGRAM)).map_err(|error| format!("{PROGRAM}: {error}"))?;
        let names = program.items.iter().filter_map(|item| match item {
            Item::Enum(item) if item.ident == "Command" => Some(&item.variants),
            _ => None,
        });
        let names = names.flatten().map(|variant| kebab(&variant.ident.to_string()));
        let steps = STEPS.into_iter().flat_map(|(command, file)| {
            let names = text(file).split("step(\"").skip(1).filter_map(|rest| rest.split('"').next());
            names.map(move |name| (command, name.to_owned()))
        });
        Ok(Self { names: names.chain(["help".to_owned()]).collect(), steps: steps.collect() })
    }

    /// Says why a command cannot run.
    pub(super) fn check(&self, command: &str, paths: &Paths) -> Result {
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        match words.as_slice() {
            ["xtask", name, arguments @ ..] => self.check_xtask(name, arguments),
            _ => check_package(&words, paths),
        }
    }

    fn check_xtask(&self, name: &str, arguments: &[&str]) -> Result {
        if is_placeholder(name) {
            return Ok(());
        }
        if !self.names.contains(name) {
            return Err(format!("cargo xtask has no command {name}"));
        }
        let Some((command, _)) = STEPS.into_iter().find(|(command, _)| *command == name) else {
            return Ok(());
        };
        let is_step = |word: &str| self.steps.contains(&(command, word.to_owned()));
        let is_other = |word: &&&str| !word.starts_with('-') && !is_placeholder(word) && !is_step(word);
        match arguments.iter().find(is_other) {
            Some(other) => Err(format!("cargo xtask {name} has no step {other}")),
            None => Ok(()),
        }
    }
}

/// Checks the package, and the test or the example in it.
fn check_package(words: &[&str], paths: &Paths) -> Result {
    let after = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1).copied().filter(|name| !is_placeholder(name))
    };
    let Some(package) = after("-p").or_else(|| after("--package")) else { return Ok(()) };
    let folder = folder(package);
    if !paths.is_folder(&folder) {
        return Err(format!("there is no package {package}"));
    }
    for (option, kind) in [("--example", "examples"), ("--test", "tests")] {
        let Some(name) = after(option) else { continue };
        let file = format!("{folder}/{kind}/{name}");
        if !paths.has_file(&format!("{file}.rs")) && !paths.has_file(&format!("{file}/main.rs")) {
            return Err(format!("{package} has no {kind}/{name}"));
        }
    }
    Ok(())
}

/// The folder of a package.
fn folder(package: &str) -> String {
    match package {
        "tidewire-examples" => "examples".into(),
        "tidewire-fuzz" => "fuzz".into(),
        other => format!("crates/{}", other.strip_prefix("tidewire-").unwrap_or(other)),
    }
}

/// Whether a word stands for a name: `NAME`.
fn is_placeholder(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b'-')
}

/// The name that clap makes of a variant.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}
