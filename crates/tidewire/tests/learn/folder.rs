//! A folder that looks like the root of the repository.
//!
//! Commands of a page may write files there. They do not reach the repository, so that two runs of
//! a page do not see the files of each other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::root;

/// A folder with a link to each entry of the root. Dropping it removes it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(root()).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The names of what commands have written and not removed.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap());
        let written = entries.filter(|entry| !entry.file_type().unwrap().is_symlink());
        let mut names: Vec<_> =
            written.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_folder_has_what_the_root_has_and_keeps_what_is_written() {
    let folder = Folder::create();
    assert!(folder.path().join("docs/http-api.md").is_file());
    fs::write(folder.path().join("new.txt"), "x").unwrap();
    assert_eq!(folder.left_behind(), ["new.txt"]);
    assert!(!root().join("new.txt").exists());
    let path = folder.path().to_owned();
    drop(folder);
    assert!(!path.exists() && root().join("docs/http-api.md").is_file());
}
