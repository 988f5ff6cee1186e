//! Import cycles between the files of a crate.
//!
//! A file points at another one when its code names an item that is *defined* there. A re-export is looked through: it
//! leads to the file of the item. A mere `mod child;` or `pub use child::Item` is no arrow. An inherent `impl` in another
//! file than its type's counts too: it points at the file of the type, and who calls its methods points at it.
//!
//! Names are resolved as the compiler does, but types are not inferred. So this may miss:
//!
//! - a call of such a foreign method on a value whose type is not plain to see, if its name is not unique in the crate;
//! - what a macro of another crate makes of its arguments, and a path that a macro puts together;
//! - modules that are declared within a function.
//!
//! A name that a macro call between the items of a module may define counts as defined in that module's file.

use super::cycles::{components, shortest};
use super::references::{self, Reference};
use super::source::{Read, Tree};
use crate::run::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The files of one target and what each names of the others.
pub(super) struct Graph {
    files: Vec<PathBuf>,
    /// By the file that names and the file that defines: the names, each with the first line.
    arrows: BTreeMap<(usize, usize), Vec<(String, usize)>>,
}

impl Graph {
    /// Reads the target whose root is this file.
    pub(super) fn load(root: &Path, read: Read<'_>) -> Result<Self> {
        let tree = Tree::load(root, read)?;
        let mut arrows = BTreeMap::<_, Vec<(String, usize)>>::new();
        for Reference { from, line, to, name } in references::of(&tree) {
            let names = arrows.entry((from, to)).or_default();
            match names.iter_mut().find(|(known, _)| *known == name) {
                Some((_, first)) => *first = line.min(*first),
                None => names.push((name, line)),
            }
        }
        for names in arrows.values_mut() {
            names.sort_by_key(|(_, line)| *line);
        }
        Ok(Graph { files: tree.files, arrows })
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    /// Every arrow, a line each.
    pub(super) fn all(&self) -> String {
        self.arrows.keys().map(|&(from, to)| self.arrow(from, to)).collect()
    }

    /// Each group of files that use each other, with short cycles that show it; empty if there is none.
    pub(super) fn cycles(&self) -> Vec<String> {
        let mut arrows = vec![Vec::new(); self.files.len()];
        for &(from, to) in self.arrows.keys() {
            arrows[from].push(to);
        }
        let mut found = components(&arrows);
        found.sort();
        found.iter().map(|component| self.knot(component, &shortest(&arrows, component))).collect()
    }

    fn knot(&self, component: &[usize], cycles: &[Vec<usize>]) -> String {
        let mut text = String::new();
        if component.len() > cycles[0].len() {
            let names: Vec<_> = component.iter().map(|&file| self.name(file)).collect();
            let _ = writeln!(text, "  {} files use each other: {}", names.len(), names.join(", "));
        }
        for cycle in cycles {
            let _ = writeln!(text, "  a cycle of {}:", cycle.len());
            for (at, &from) in cycle.iter().enumerate() {
                text.push_str(&self.arrow(from, cycle[(at + 1) % cycle.len()]));
            }
        }
        text
    }

    fn arrow(&self, from: usize, to: usize) -> String {
        let names = self.arrows.get(&(from, to)).map_or(&[][..], Vec::as_slice);
        let Some(((first, line), rest)) = names.split_first() else { return String::new() };
        let mut text = format!("    {}:{line} -> {} (names {first}", self.name(from), self.name(to));
        for (name, line) in rest {
            let _ = write!(text, ", {name} in {line}");
        }
        text + ")\n"
    }

    fn name(&self, file: usize) -> String {
        self.files[file].display().to_string()
    }
}
