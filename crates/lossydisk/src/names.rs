//! The names of files: which are on the disk, and which changes are not.
//!
//! A change sets a few names at once: a rename takes one name away and sets another. Two changes
//! depend on each other if they set the same name, or if one makes the folder of the other. A change
//! is on the disk only together with all earlier ones that it depends on, so a rename is never half
//! done. Changes that do not depend on each other reach the disk in any order.

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
