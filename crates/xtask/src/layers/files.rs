//! Import cycles between the files of a crate.
//!
//! A file *uses* another file when its code names an item that is defined there. A re-export counts
//! as the file of the item. `mod child;` and `pub use child::Item` alone do not count as a use. An
//! inherent `impl` can be in another file than its type. Then its file uses the file of the type,
//! and a caller of its methods uses the file of the `impl`.
//!
//! Names are resolved as the compiler does it, but types are not inferred. So these uses may be
//! missed:
//!
//! - a call of a method whose `impl` is in another file than its type, if the type of the value is
//!   not written nearby and the name of the method is not unique in the crate
//! - the output of macros of other crates (also `include!`), and a path that a macro composes
//! - an item that only a glob imports, if a macro defines it, or if the function has a variable of
//!   the same name
//! - the crate by its own name (`extern crate self as name`)
//! - modules inside a function
//!
//! A use may also be reported by mistake: a method of another crate has the same name as a method
//! whose `impl` is in another file than its type. Add such a name to `COMMON` (`methods.rs`).
//!
//! If a macro call between the items of a module may define a name, the name counts as defined in
//! the file of that module.

use super::cycles::{components, shortest};
use super::references::{self, Reference};
use crate::source::{Read, Tree};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tidewire_testkit::run::Result;

/// The files of one target, and the names that each uses from other files.
pub(super) struct Graph {
    files: Vec<PathBuf>,
    /// The names, each with its first line, by the file that uses them and the file that defines
    /// them.
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

    /// Every use, one on each line.
    pub(super) fn all(&self) -> String {
        self.arrows.keys().map(|&(from, to)| self.arrow(from, to)).collect()
    }

    /// Each group of files that use each other, with short cycles as examples. Empty if there is no
    /// group.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::tests::load;

    fn graph(files: &[(&str, &str)]) -> Graph {
        load(files, Graph::load).unwrap()
    }

    fn cycles(files: &[(&str, &str)]) -> String {
        graph(files).cycles().join("\n")
    }

    fn arrows(files: &[(&str, &str)]) -> String {
        graph(files).all()
    }

    #[test]
    fn a_crate_without_cycles_passes() {
        let clean: &[(&str, &str)] = &[
            ("lib.rs", "mod high; mod low; pub use high::High; pub use low::Low;"),
            ("high.rs", "mod child; use crate::Low; pub struct High(Low, child::Child);"),
            ("high/child.rs", "use crate::low::Low; pub struct Child(Low);"),
            ("low.rs", "//! Below [`crate::High`].\npub struct Low;"),
        ];
        assert_eq!(cycles(clean), "");
        assert_eq!(
            arrows(clean),
            "    high.rs:1 -> high/child.rs (names Child)\n    high.rs:1 -> low.rs (names Low)\n    \
             high/child.rs:1 -> low.rs (names Low)\n"
        );
    }

    #[test]
    fn a_cycle_of_two_is_reported_use_by_use() {
        let two: &[(&str, &str)] = &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\nfn f() { crate::b::g() }"),
            ("b.rs", "pub struct B;\npub fn g() -> super::a::A { loop {} }"),
        ];
        assert_eq!(
            cycles(two),
            "  a cycle of 2:\n    a.rs:1 -> b.rs (names B, g in 3)\n    b.rs:2 -> a.rs (names A)\n"
        );
    }

    #[test]
    fn a_cycle_of_three_through_a_reexport_and_super() {
        let three: &[(&str, &str)] = &[
            ("lib.rs", "pub mod a; mod b; mod c; pub use b::B; pub(crate) use c::*;"),
            ("a.rs", "use crate::B; pub enum A { B(B) }"),
            ("b.rs", "pub struct B; fn f() { vec![super::C]; }"),
            ("c.rs", "pub struct C; fn f(a: crate::a::A) { match a { super::a::A::B(_) => {} } }"),
        ];
        assert_eq!(
            cycles(three),
            "  a cycle of 3:\n    a.rs:1 -> b.rs (names B)\n    b.rs:1 -> c.rs (names C)\n    \
             c.rs:1 -> a.rs (names A)\n"
        );
    }

    #[test]
    fn a_parent_that_uses_its_children_and_defines_what_they_use_is_a_cycle() {
        let parent = |child: &'static str| {
            cycles(&[
                ("lib.rs", "mod child; pub(crate) struct Shared; pub use child::run; fn f() { run() }"),
                ("child.rs", child),
            ])
        };
        assert_eq!(
            parent("use super::*; pub fn run() { Shared; }"),
            "  a cycle of 2:\n    lib.rs:1 -> child.rs (names run)\n    child.rs:1 -> lib.rs (names Shared)\n"
        );
        assert_eq!(parent("pub fn run() {}"), "");
    }

    #[test]
    fn tests_and_shadowed_names_do_not_count() {
        let files: &[(&str, &str)] = &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A; pub fn f() {} pub struct T; fn g() { crate::b::B; }"),
            (
                "b.rs",
                "use super::a::*; // Nothing of it is named.
                 pub struct B;
                 #[cfg(test)] use crate::a::A;
                 #[cfg(test)] mod tests { use crate::a::A; }
                 #[test] fn test() { A; }
                 impl B { #[cfg(test)] fn h() { A; } }
                 fn g<T>(f: T) -> T { #[cfg(test)] drop(A); f }",
            ),
        ];
        assert_eq!(arrows(files), "    a.rs:1 -> b.rs (names B)\n");
    }

    #[test]
    fn methods_in_another_file_than_their_type_count() {
        let files = |call: &'static str| {
            [
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", call),
                ("b.rs", "use crate::a::A; impl A { pub fn foreign(&self) {} pub fn get() {} }"),
            ]
        };
        for call in [
            "pub struct A; impl A { fn f(&self) { self.foreign() } }",
            "pub struct A; impl A { fn f() { Self::get() } }",
            "pub struct A; fn f() { A::get() }",
            "pub struct A; fn f(x: u8) { g(x).foreign() }",
            "pub struct A; struct C { a: Box<A> } impl C { fn f(&self) { self.a.get() } }",
            "pub struct A; fn f(a: &A) { assert!(a.foreign()) }",
        ] {
            let told = cycles(&files(call));
            assert!(told.contains("a.rs:1 -> b.rs (names A::"), "{call}: {told}");
        }
        for call in [
            // A method of std has this name too.
            "pub struct A; fn f(x: u8) { g(x).get() }",
            // Another type of the crate, or a trait, has it too.
            "pub struct A; pub struct C; impl C { fn foreign(&self) { self.foreign() } }",
            "pub struct A; trait T { fn foreign(&self); } fn f(x: u8) { g(x).foreign() }",
            // A field is not a call.
            "pub struct A; fn f(x: C) { x.foreign; }",
        ] {
            assert_eq!(cycles(&files(call)), "", "{call}");
        }
    }

    #[test]
    fn macros_are_found_by_path_and_by_their_place_in_the_text() {
        let by = |call: &'static str| {
            arrows(&[
                ("lib.rs", "#[macro_use] mod a; mod b; pub(crate) use a::renamed;"),
                (
                    "a.rs",
                    "macro_rules! plain { () => { $crate::b::B } } macro_rules! other { () => {} }
                     pub(crate) use other as renamed; #[macro_export] macro_rules! public { () => {} }",
                ),
                ("b.rs", call),
            ])
        };
        let up = "    a.rs:1 -> b.rs (names B)\n";
        for (call, name) in
            [("plain!()", "plain"), ("crate::renamed!(x)", "other"), ("vec![crate::public!()]", "public")]
        {
            let text: &'static str = format!("pub struct B; fn f() {{ {call}; }}").leak();
            assert_eq!(by(text), format!("{up}    b.rs:1 -> a.rs (names {name})\n"), "{call}");
        }
        assert_eq!(by("pub struct B; fn f() { unknown!(B, b::B) }"), up);
    }
}
