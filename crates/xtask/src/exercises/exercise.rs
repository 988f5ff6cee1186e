//! An exercise as its files describe it.

use std::fmt;
use std::path::PathBuf;

use tidewire_testkit::run::{Result, files, read, root};

/// The folder of the exercises, from the root.
pub(super) const FOLDER: &str = "docs/exercises";

/// The heading of the commands in a text. The block of code that follows has one on each line.
const HEADING: &str = "## Check";

/// An exercise.
pub(super) struct Exercise {
    pub(super) name: String,
    /// The first command fails before the solution. All of them pass after it.
    pub(super) commands: Vec<CargoTest>,
}

/// A command `cargo test …` of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CargoTest(Vec<String>);

/// All exercises, in the order of their numbers.
pub(super) fn all() -> Result<Vec<Exercise>> {
    names().iter().map(|name| Exercise::load(name)).collect()
}

fn names() -> Vec<String> {
    let texts = files(&root().join(FOLDER), ".md");
    let names = texts.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    names.filter(|name| name != "README").collect()
}

impl Exercise {
    /// Reads an exercise.
    ///
    /// # Errors
    /// If there is none of this name, or its text has no commands.
    pub(super) fn load(name: &str) -> Result<Self> {
        let names = names();
        if !names.iter().any(|known| known == name) {
            return Err(format!("there is no exercise {name}; the exercises are: {}", names.join(", ")));
        }
        let text = read(&root().join(FOLDER).join(format!("{name}.md")))?;
        let commands = commands(&text).map_err(|problem| format!("{FOLDER}/{name}.md: {problem}"))?;
        Ok(Self { name: name.to_owned(), commands })
    }

    /// The path of the patch with the test, from the root.
    pub(super) fn test(&self) -> PathBuf {
        format!("{FOLDER}/{}.test.patch", self.name).into()
    }

    /// The path of the patch with the solution, from the root.
    pub(super) fn solution(&self) -> PathBuf {
        format!("{FOLDER}/{}.solution.patch", self.name).into()
    }

    /// Both patches, in the order in which they are applied.
    pub(super) fn patches(&self) -> [(&Self, PathBuf); 2] {
        [(self, self.test()), (self, self.solution())]
    }

    /// The names of the tests that the first command runs.
    pub(super) fn tests(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().take(1).flat_map(|command| {
            let pairs = command.0.windows(2).filter(|pair| pair[0] == "--test");
            pairs.map(|pair| pair[1].as_str())
        })
    }
}

impl CargoTest {
    /// What follows `cargo test`.
    pub(super) fn args(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for CargoTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo test {}", self.0.join(" "))
    }
}

/// The commands of a text. What follows `#` on a line is a comment.
fn commands(text: &str) -> Result<Vec<CargoTest>> {
    let section = text.split_once(&format!("\n{HEADING}\n")).map(|(_, rest)| rest);
    let block = section.and_then(|section| section.split_once("```sh\n")?.1.split_once("```"));
    let (block, _) = block.ok_or_else(|| format!("no block ```sh under the heading `{HEADING}`"))?;
    let lines = block.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let commands: Result<Vec<_>> = lines
        .filter(|line| !line.is_empty())
        .map(|line| match line.strip_prefix("cargo test ") {
            Some(rest) => Ok(CargoTest(rest.split_whitespace().map(str::to_owned).collect())),
            None => Err(format!("`{line}` is not a command `cargo test …`")),
        })
        .collect();
    let commands = commands?;
    if commands.first().is_none_or(|first| !first.0.iter().any(|word| word == "--test")) {
        return Err("the first command must run the test of the exercise: `--test NAME`".into());
    }
    Ok(commands)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_those_under_the_heading() {
        let text = "# T\n\n```sh\ncargo test -p no\n```\n\n## Check\n\nwords\n\n```sh\n\
                    cargo test -p a --test b   # fails\n\ncargo test -p a --test c\n```\n\n\
                    ```sh\nls\n```\n";
        let exercise = Exercise { name: "n".into(), commands: commands(text).unwrap() };
        let lines: Vec<_> = exercise.commands.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["cargo test -p a --test b", "cargo test -p a --test c"]);
        assert_eq!(exercise.tests().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_text_that_cannot_be_checked_is_refused() {
        let text = |commands: &str| format!("# T\n\n## Check\n\n```sh\n{commands}\n```\n");
        for wrong in ["rm -r /", "cargo test -p a", ""] {
            assert!(commands(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(commands("# T\n").is_err());
    }

    #[test]
    fn the_readme_lists_every_exercise() {
        let readme = read(&root().join(FOLDER).join("README.md")).unwrap();
        for exercise in all().unwrap() {
            assert!(readme.contains(&format!("({}.md)", exercise.name)), "{}", exercise.name);
        }
    }
}
