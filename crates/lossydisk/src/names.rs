//! The names of files: which are on the disk, and which changes are not.
//!
//! A change sets a few names at once: a rename takes one name away and sets another. Two changes
//! depend on each other if they set the same name, or if one makes the folder of the other. A
//! change is on the disk only together with all earlier ones that it depends on, so a rename is
//! never half done. Changes that do not depend on each other reach the disk in any order.

use crate::loss::Dice;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// A name in a folder.
pub(crate) type Name = (u64, OsString);

/// A change of names.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Each name, and the file that it names from now on.
    pub(crate) sets: Vec<(Name, Option<u64>)>,
    /// Whether it gives the file its first name. A sync of the file then makes the name durable.
    pub(crate) creates: bool,
}

impl Change {
    fn depends_on(&self, earlier: &Self) -> bool {
        self.sets.iter().any(|((folder, name), _)| {
            earlier.sets.iter().any(|((other_folder, other), file)| {
                (folder, name) == (other_folder, other) || *file == Some(*folder)
            })
        })
    }
}

/// The names on the disk, and the changes that are not on it, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Names {
    disk: BTreeMap<Name, u64>,
    pending: Vec<Change>,
}

impl Names {
    pub(crate) fn durable(disk: BTreeMap<Name, u64>) -> Self {
        Self { disk, pending: Vec::new() }
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.pending.push(change);
    }

    /// Whether a file has a name after some power cut.
    pub(crate) fn mentions(&self, file: u64) -> bool {
        self.disk.values().any(|&other| other == file)
            || self.pending.iter().flat_map(|change| &change.sets).any(|(_, set)| *set == Some(file))
    }

    /// Makes all names of a folder durable.
    pub(crate) fn sync_folder(&mut self, folder: u64) {
        self.commit(|change| change.sets.iter().any(|((of, _), _)| *of == folder));
    }

    /// Makes the first name of a file durable.
    pub(crate) fn sync_file(&mut self, file: u64) {
        self.commit(|change| change.creates && change.sets.iter().any(|(_, set)| *set == Some(file)));
    }

    fn commit(&mut self, wanted: impl Fn(&Change) -> bool) {
        if self.pending.is_empty() {
            return;
        }
        let mut chosen = vec![false; self.pending.len()];
        for at in (0..chosen.len()).rev() {
            let needed = || {
                (at + 1..chosen.len())
                    .any(|later| chosen[later] && self.pending[later].depends_on(&self.pending[at]))
            };
            chosen[at] = wanted(&self.pending[at]) || needed();
        }
        self.apply(&chosen);
    }

    /// The names on the disk after a power cut.
    pub(crate) fn cut(mut self, dice: &mut Dice) -> BTreeMap<Name, u64> {
        let mut kept = vec![false; self.pending.len()];
        for at in 0..kept.len() {
            let possible =
                (0..at).all(|before| kept[before] || !self.pending[at].depends_on(&self.pending[before]));
            kept[at] = dice.keep() && possible;
        }
        self.apply(&kept);
        self.disk
    }

    fn apply(&mut self, chosen: &[bool]) {
        let mut at = 0;
        self.pending.retain(|change| {
            at += 1;
            if !chosen[at - 1] {
                return true;
            }
            for (name, file) in &change.sets {
                match file {
                    Some(file) => self.disk.insert(name.clone(), *file),
                    None => self.disk.remove(name),
                };
            }
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use std::collections::HashSet;

    fn set(name: (u64, &str), file: Option<u64>) -> (Name, Option<u64>) {
        ((name.0, name.1.into()), file)
    }

    fn create(name: (u64, &str), file: u64) -> Change {
        Change { sets: vec![set(name, Some(file))], creates: true }
    }

    fn rename(from: (u64, &str), to: (u64, &str), file: u64) -> Change {
        Change { sets: vec![set(from, None), set(to, Some(file))], creates: false }
    }

    /// What is left after power cuts with many seeds, as `name=file`.
    fn cuts(make: impl Fn() -> Names) -> HashSet<String> {
        let show =
            |((folder, name), file): ((u64, OsString), u64)| format!("{folder}/{}={file}", name.display());
        let cut = |seed| make().cut(&mut Dice::new(Loss::Seed(seed)));
        (0..300).map(|seed| cut(seed).into_iter().map(show).collect::<Vec<_>>().join(" ")).collect()
    }

    fn texts(texts: &[&str]) -> HashSet<String> {
        texts.iter().map(|&text| text.into()).collect()
    }

    #[test]
    fn a_rename_is_never_half_done() {
        let left = cuts(|| {
            let mut names = Names::default();
            names.change(create((1, "old"), 7));
            names.change(create((1, "new"), 8));
            names.sync_folder(1);
            names.change(rename((1, "old"), (1, "new"), 7));
            names
        });
        assert_eq!(left, texts(&["1/new=8 1/old=7", "1/new=7"]));
    }

    #[test]
    fn changes_reach_the_disk_in_any_order_unless_they_depend_on_each_other() {
        let left = cuts(|| {
            let mut names = Names::default();
            names.change(create((1, "a"), 7));
            names.change(create((1, "b"), 8));
            names
        });
        assert_eq!(left, texts(&["", "1/a=7", "1/b=8", "1/a=7 1/b=8"]));
        let left = cuts(|| {
            let mut names = Names::default();
            names.change(create((1, "folder"), 7));
            names.change(create((7, "file"), 8));
            names
        });
        assert_eq!(left, texts(&["", "1/folder=7", "1/folder=7 7/file=8"]));
    }

    #[test]
    fn a_sync_of_a_new_file_makes_its_name_durable_and_what_it_needs() {
        let left = cuts(|| {
            let mut names = Names::default();
            names.change(create((1, "folder"), 7));
            names.change(create((7, "file"), 8));
            names.change(create((7, "other"), 9));
            names.sync_file(8);
            names.change(rename((7, "file"), (7, "moved"), 8));
            names.sync_file(8);
            names
        });
        // A rename needs a sync of the folder.
        let file = "1/folder=7 7/file=8";
        let moved = "1/folder=7 7/moved=8";
        let other = |names: &str| format!("{names} 7/other=9");
        assert_eq!(left, texts(&[file, moved, &other(file), &other(moved)]));
    }
}
