//! Which files a package has: what a user builds or reads, and nothing else.

use cargo_metadata::Package;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use tidewire_testkit::run::{Result, cargo, read, root};

/// Written by cargo.
const OF_CARGO: [&str; 4] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Folders of one package: what its sources include.
const MORE: [(&str, &[&str]); 1] = [("tidewire", &["web/dist/", "web/playground/"])];

/// Bytes of a package, not compressed. The largest has 900 KB. A file that was added by mistake, as
/// a capture or a picture, is often larger than the rest.
const MAX_BYTES: u64 = 1_000_000;

/// What all packages have together.
#[derive(Default)]
pub(super) struct Sum {
    files: usize,
    bytes: u64,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of {} KB", self.files, self.bytes / 1000)
    }
}

pub(super) fn check(package: &Package, sum: &mut Sum) -> Result<Vec<String>> {
    let list = list(&package.name)?;
    let mut problems = unexpected(&package.name, &list);
    let folder = package.manifest_path.parent().map_or_else(root, |folder| folder.as_std_path().to_owned());
    problems.extend(licences(&folder)?);
    problems.extend(uses_of_the_test_kit(&folder, &list)?);
    let size = |name: &&str| folder.join(name).metadata().map_or(0, |metadata| metadata.len());
    let bytes: u64 = list.iter().map(|name| size(&name.as_str())).sum();
    if bytes > MAX_BYTES {
        problems.push(format!("the package has {bytes} bytes, more than {MAX_BYTES}"));
    }
    sum.files += list.len();
    sum.bytes += bytes;
    Ok(problems)
}

/// The files that cargo would put into the package, also when they are not committed.
fn list(package: &str) -> Result<Vec<String>> {
    let mut command =
        cargo(&["package", "--list", "--allow-dirty", "--offline", "--quiet", "--package", package]);
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("`cargo package --list --package {package}` failed"));
    }
    let text =
        String::from_utf8(output.stdout).map_err(|error| format!("a file name is not UTF-8: {error}"))?;
    // Windows has `\`.
    Ok(text.lines().map(|line| line.replace('\\', "/")).collect())
}

/// The files that do not belong there, and those that are missing.
fn unexpected(package: &str, list: &[String]) -> Vec<String> {
    let more = MORE.iter().find(|(name, _)| *name == package).map_or(&[][..], |(_, more)| more);
    let fits = |file: &str| {
        OF_CARGO.contains(&file)
            || LICENCES.contains(&file)
            || file == "README.md"
            || file.starts_with("src/")
            || more.iter().any(|folder| file.starts_with(folder))
    };
    let has = |wanted: &str| {
        list.iter().any(|file| file == wanted || file.starts_with(wanted) && wanted.ends_with('/'))
    };
    let needed = LICENCES.iter().chain(&["README.md", "src/"]).chain(more);
    let missing = needed.filter(|wanted| !has(wanted));
    let odd = list.iter().filter(|file| !fits(file));
    odd.map(|file| format!("the package has {file}; leave it out with `include` in Cargo.toml"))
        .chain(
            missing.map(|wanted| format!("the package has no {wanted}; add it to `include` in Cargo.toml")),
        )
        .collect()
}

/// The licences are copies. With links, a package that is made on Windows can have the path of the
/// licence as its text: git has no links there unless the user turns them on.
fn licences(folder: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for name in LICENCES {
        let wanted = read(&root().join(name))?;
        let file = folder.join(name);
        let is_link = file.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        if is_link || read(&file).ok().as_ref() != Some(&wanted) {
            problems.push(format!("{name} is not a copy of the file in the root of the workspace"));
        }
    }
    Ok(problems)
}

/// Unit tests are in the package, and the test kit is not published. So they would not compile.
fn uses_of_the_test_kit(folder: &Path, list: &[String]) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in list.iter().filter(|file| file.ends_with(".rs")) {
        if read(&folder.join(file))?.contains("tidewire_testkit") {
            problems
                .push(format!("{file} uses the test kit, which is not published; move the test to tests/"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_odd_file_and_a_missing_one_are_named() {
        let good = "Cargo.toml LICENSE-APACHE LICENSE-MIT README.md src/lib.rs";
        assert_eq!(unexpected("tidewire-ws", &names(good)), [""; 0]);
        let odd = unexpected("tidewire-ws", &names(&format!("{good} tests/a.rs")));
        assert_eq!(odd, ["the package has tests/a.rs; leave it out with `include` in Cargo.toml"]);
        let missing = unexpected("tidewire-ws", &names(good.trim_end_matches("src/lib.rs")));
        assert_eq!(missing, ["the package has no src/; add it to `include` in Cargo.toml"]);
        assert_eq!(unexpected("tidewire", &names(good)).len(), 2, "it includes files of web/");
    }

    #[test]
    fn a_copy_of_a_licence_must_be_equal() {
        assert_eq!(licences(&root().join("crates/grammar")), Ok(Vec::new()));
        assert_eq!(licences(&root().join("docs")).map(|problems| problems.len()), Ok(2));
    }
}
