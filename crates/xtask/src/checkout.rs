//! The files of this checkout.

use std::path::{Path, PathBuf};
use tidewire_testkit::run::{ask, program};

/// Folders without sources. They are needed only if git does not list the files.
const NO_SOURCE: [&str; 3] = [".git", "node_modules", "target"];

/// The paths of all files that are there, relative to the root and sorted: what git knows, and new
/// files that it does not ignore. In a source archive, where git knows nothing: all files.
pub(crate) fn files(root: &Path) -> Vec<String> {
    let mut names = listed(root);
    if names.is_empty() {
        names = walked(root);
    }
    names.retain(|name| root.join(name).is_file());
    names.sort();
    names
}

/// The files that git knows, and the new ones that it does not ignore. Empty without git.
fn listed(root: &Path) -> Vec<String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let text = ask(program("git", &list).current_dir(root)).unwrap_or_default();
    text.split('\0').filter(|name| !name.is_empty()).map(String::from).collect()
}

/// All files below the root, as in a source archive.
pub(crate) fn walked(root: &Path) -> Vec<String> {
    let (mut names, mut folders) = (Vec::new(), vec![PathBuf::from(root)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.is_dir() {
                let name = path.strip_prefix(root).unwrap_or(&path);
                names.push(name.to_string_lossy().replace('\\', "/"));
            } else if !NO_SOURCE.iter().any(|name| entry.file_name() == *name) {
                folders.push(path);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_testkit::run::root;

    #[test]
    fn git_and_a_walk_find_the_same_sources() {
        let root = root();
        let (listed, walked) = (listed(&root), walked(&root));
        let source = "crates/xtask/src/checkout.rs".to_owned();
        assert!(walked.contains(&source));
        assert!(listed.is_empty() || listed.contains(&source));
        assert!(!walked.iter().any(|name| name.starts_with("target/")));
        assert!(files(&root).contains(&source));
    }
}
