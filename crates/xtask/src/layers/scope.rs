//! The meaning of a name: the definitions of a crate, and the paths to them.

use crate::source::{Tree, attributes, only_in_tests};
use std::collections::HashMap;
use syn::{ForeignItem, Item, UseTree, Visibility};

/// All names of one crate.
pub(super) struct Scope {
    modules: Vec<Names>,
    pub(super) definitions: Vec<Definition>,
    /// `macro_rules!` by name. A call without a path finds a macro of any module by its place in
    /// the text.
    macros: HashMap<String, Vec<usize>>,
}

/// The names of one module, or of one block with items.
struct Names {
    parent: Option<usize>,
    file: usize,
    block: bool,
    bindings: HashMap<String, Vec<Binding>>,
    globs: Vec<Glob>,
    /// There is a macro call between its items, which may define any name.
    generated: bool,
}

struct Binding {
    private: bool,
    means: Means,
}

#[derive(Clone)]
enum Means {
    Module(usize),
    Definition(usize),
    Use(Vec<String>),
}

struct Glob {
    private: bool,
    path: Vec<String>,
}

pub(super) struct Definition {
    pub(super) name: String,
    pub(super) file: usize,
    pub(super) kind: Kind,
}

#[derive(PartialEq, Eq)]
pub(super) enum Kind {
    /// A type or a trait, after which a path may continue.
    Type {
        variants: Vec<String>,
    },
    Macro,
    Other,
}

/// What a part of a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Module(usize),
    Definition(usize),
    /// Something that a macro defines in this module.
    Generated(usize),
}

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: usize,
    /// `None` for what a macro defines.
    pub(super) definition: Option<usize>,
}

/// Names that are being looked up, because a `use` may lead back to itself.
type Busy = Vec<(usize, String)>;

impl Scope {
    pub(super) fn new(tree: &Tree) -> Self {
        let mut scope = Scope { modules: Vec::new(), definitions: Vec::new(), macros: HashMap::new() };
        for module in &tree.modules {
            scope.modules.push(Names::new(module.parent, module.file, false));
        }
        for (id, module) in tree.modules.iter().enumerate() {
            for child in &module.children {
                scope.bind(id, &child.name, child.private, Means::Module(child.module));
            }
            for item in &module.items {
                scope.define(id, item);
            }
        }
        scope
    }

    /// The scope of a block with items.
    pub(super) fn block<'a>(&mut self, parent: usize, items: impl Iterator<Item = &'a Item>) -> usize {
        let id = self.modules.len();
        self.modules.push(Names::new(Some(parent), self.modules[parent].file, true));
        for item in items.filter(|item| !only_in_tests(attributes(item))) {
            self.define(id, item);
        }
        id
    }

    pub(super) fn file(&self, module: usize) -> usize {
        self.modules[module].file
    }

    /// The definitions that a path in this module may name: one for each namespace and each `cfg`.
    pub(super) fn resolve(&self, from: usize, path: &[String]) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for place in self.walk(from, path, &mut Busy::new()) {
            let one = match place {
                Place::Module(_) => continue,
                Place::Definition(id) => Found { file: self.definitions[id].file, definition: Some(id) },
                Place::Generated(module) => Found { file: self.modules[module].file, definition: None },
            };
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    /// The macros of this name in all modules.
    pub(super) fn textual(&self, name: &str) -> &[usize] {
        self.macros.get(name).map_or(&[], Vec::as_slice)
    }

    fn walk(&self, from: usize, path: &[String], busy: &mut Busy) -> Vec<Place> {
        let Some((first, mut rest)) = path.split_first() else { return Vec::new() };
        let mut places = match first.as_str() {
            "crate" => vec![Place::Module(0)],
            "self" => vec![Place::Module(self.module_of(from))],
            "super" => {
                let mut module = self.parent_of(from);
                while let [name, more @ ..] = rest
                    && name == "super"
                {
                    module = module.and_then(|module| self.parent_of(module));
                    rest = more;
                }
                module.map(Place::Module).into_iter().collect()
            }
            name => self.lexical(from, name, busy),
        };
        for name in rest {
            let mut next = Vec::new();
            for place in places {
                match place {
                    Place::Module(module) => next.extend(self.member(module, name, from, false, busy)),
                    // A variant, a function or a constant of the type follows.
                    Place::Definition(id) if matches!(self.definitions[id].kind, Kind::Type { .. }) => {
                        next.push(place);
                    }
                    Place::Definition(_) => {}
                    Place::Generated(_) => next.push(place),
                }
            }
            places = next;
        }
        places
    }

    /// A name without a path, of an enclosing block or of the module.
    fn lexical(&self, mut from: usize, name: &str, busy: &mut Busy) -> Vec<Place> {
        loop {
            let found = self.known(from, name, from, false, busy);
            match self.modules[from].parent {
                Some(parent) if found.is_empty() && self.modules[from].block => from = parent,
                _ => return found,
            }
        }
    }

    /// A name in a module to which a path leads.
    fn member(&self, module: usize, name: &str, from: usize, glob: bool, busy: &mut Busy) -> Vec<Place> {
        let found = self.known(module, name, from, glob, busy);
        if found.is_empty() && !glob && self.modules[module].generated {
            return vec![Place::Generated(module)];
        }
        found
    }

    /// The meanings of a name in the module itself. Through a glob, only visible items count.
    fn known(&self, module: usize, name: &str, from: usize, glob: bool, busy: &mut Busy) -> Vec<Place> {
        if busy.iter().any(|(other, known)| *other == module && known == name) {
            return Vec::new();
        }
        busy.push((module, name.to_owned()));
        let names = &self.modules[module];
        let visible = |private: bool| !glob || !private || self.is_within(from, module);
        let mut found = Vec::new();
        for binding in names.bindings.get(name).into_iter().flatten() {
            if visible(binding.private) {
                match &binding.means {
                    Means::Module(id) => found.push(Place::Module(*id)),
                    Means::Definition(id) => found.push(Place::Definition(*id)),
                    Means::Use(path) => found.extend(self.walk(module, path, busy)),
                }
            }
        }
        if found.is_empty() {
            for glob in names.globs.iter().filter(|glob| visible(glob.private)) {
                for place in self.walk(module, &glob.path, busy) {
                    match place {
                        Place::Module(id) => found.extend(self.member(id, name, module, true, busy)),
                        Place::Definition(id) => match &self.definitions[id].kind {
                            Kind::Type { variants } if variants.iter().any(|known| known == name) => {
                                found.push(place);
                            }
                            _ => {}
                        },
                        Place::Generated(_) => {}
                    }
                }
            }
        }
        busy.pop();
        found
    }

    /// The module that a block is in.
    fn module_of(&self, mut id: usize) -> usize {
        while let (true, Some(parent)) = (self.modules[id].block, self.modules[id].parent) {
            id = parent;
        }
        id
    }

    fn parent_of(&self, id: usize) -> Option<usize> {
        self.modules[self.module_of(id)].parent
    }

    fn is_within(&self, from: usize, module: usize) -> bool {
        std::iter::successors(Some(from), |&id| self.modules[id].parent).any(|id| id == module)
    }

    fn bind(&mut self, module: usize, name: &str, private: bool, means: Means) {
        let bindings = self.modules[module].bindings.entry(name.to_owned()).or_default();
        bindings.push(Binding { private, means });
    }

    fn define(&mut self, module: usize, item: &Item) {
        let variants = || Kind::Type { variants: Vec::new() };
        let (name, visibility, kind) = match item {
            Item::Const(item) => (&item.ident, &item.vis, Kind::Other),
            Item::Enum(item) => {
                let variants = item.variants.iter().map(|variant| variant.ident.to_string()).collect();
                (&item.ident, &item.vis, Kind::Type { variants })
            }
            Item::Fn(item) => (&item.sig.ident, &item.vis, Kind::Other),
            Item::Static(item) => (&item.ident, &item.vis, Kind::Other),
            Item::Struct(item) => (&item.ident, &item.vis, variants()),
            Item::Trait(item) => (&item.ident, &item.vis, variants()),
            Item::TraitAlias(item) => (&item.ident, &item.vis, variants()),
            Item::Type(item) => (&item.ident, &item.vis, variants()),
            Item::Union(item) => (&item.ident, &item.vis, variants()),
            Item::ForeignMod(item) => return self.define_foreign(module, &item.items),
            Item::Macro(item) => match &item.ident {
                Some(name) => {
                    let exported = item.attrs.iter().any(|a| a.path().is_ident("macro_export"));
                    let name = name.to_string();
                    let id = self.definition(module, &name, Kind::Macro);
                    self.macros.entry(name.clone()).or_default().push(id);
                    self.bind(if exported { 0 } else { module }, &name, !exported, Means::Definition(id));
                    return;
                }
                None => {
                    self.modules[module].generated = true;
                    return;
                }
            },
            Item::Use(item) => {
                if item.leading_colon.is_none() {
                    let private = is_private(&item.vis);
                    leaves(&item.tree, &mut Vec::new(), &mut |leaf| match leaf.name {
                        Some(name) => self.bind(module, &name, private, Means::Use(leaf.path)),
                        None => self.modules[module].globs.push(Glob { private, path: leaf.path }),
                    });
                }
                return;
            }
            _ => return,
        };
        let name = name.to_string();
        let id = self.definition(module, &name, kind);
        self.bind(module, &name, is_private(visibility), Means::Definition(id));
    }

    fn define_foreign(&mut self, module: usize, items: &[ForeignItem]) {
        for item in items {
            let (name, visibility) = match item {
                ForeignItem::Fn(item) => (&item.sig.ident, &item.vis),
                ForeignItem::Static(item) => (&item.ident, &item.vis),
                ForeignItem::Type(item) => (&item.ident, &item.vis),
                _ => continue,
            };
            let name = name.to_string();
            let id = self.definition(module, &name, Kind::Other);
            self.bind(module, &name, is_private(visibility), Means::Definition(id));
        }
    }

    fn definition(&mut self, module: usize, name: &str, kind: Kind) -> usize {
        let file = self.modules[module].file;
        self.definitions.push(Definition { name: name.to_owned(), file, kind });
        self.definitions.len() - 1
    }
}

impl Names {
    fn new(parent: Option<usize>, file: usize, block: bool) -> Self {
        Names { parent, file, block, bindings: HashMap::new(), globs: Vec::new(), generated: false }
    }
}

fn is_private(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Inherited)
}

/// One name that a `use` imports.
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    /// Its name here; `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// Calls `take` for each name of a `use`.
pub(super) fn leaves(tree: &UseTree, before: &mut Vec<String>, take: &mut dyn FnMut(Leaf)) {
    let with = |before: &[String], name: &syn::Ident| {
        let mut path = before.to_vec();
        // `use module::{self}` is `use module`.
        if name != "self" || path.is_empty() {
            path.push(name.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(tree) => {
            before.push(tree.ident.to_string());
            leaves(&tree.tree, before, take);
            before.pop();
        }
        UseTree::Name(tree) => {
            let path = with(before, &tree.ident);
            let line = tree.ident.span().start().line;
            take(Leaf { name: path.last().cloned(), path, line });
        }
        UseTree::Rename(tree) => {
            let line = tree.ident.span().start().line;
            let name = tree.rename.to_string();
            take(Leaf { path: with(before, &tree.ident), name: Some(name), line });
        }
        UseTree::Glob(tree) => {
            let line = tree.star_token.spans[0].start().line;
            take(Leaf { path: before.clone(), name: None, line });
        }
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| leaves(tree, before, take)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::tests::load;

    /// The meanings of a path in the root: names of definitions, each with its file.
    fn means(path: &str, files: &[(&str, &str)]) -> String {
        let tree = load(files, Tree::load).unwrap();
        let scope = Scope::new(&tree);
        let path: Vec<_> = path.split("::").map(str::to_owned).collect();
        let tell = |found: Found| {
            let name = found.definition.map_or("?", |id| &scope.definitions[id].name);
            format!("{name} in {}", tree.files[found.file].display())
        };
        scope.resolve(0, &path).into_iter().map(tell).collect::<Vec<_>>().join(", ")
    }

    const FILES: &[(&str, &str)] = &[
        (
            "lib.rs",
            "mod a; mod b; use a::*; use b::Kind::{self, *}; pub use b::inner as renamed; use b::both;
             use std::fmt::Debug; use circle as circle; use a::{self as again};",
        ),
        (
            "a.rs",
            "pub struct A; struct Hidden; pub use super::b::{B as Other}; use super::b::B; made! { Made }
             mod deeper { use super::*; fn f() { Hidden } }",
        ),
        (
            "b.rs",
            "pub struct B; pub enum Kind { One, Two(u8) }
             pub mod inner { pub fn f() {} pub use super::super::a::A; }
             pub fn both() {} pub mod both { pub const C: u8 = 0; }",
        ),
    ];

    #[test]
    fn a_path_leads_to_the_file_that_defines_the_item() {
        let means = |path: &str| means(path, FILES);
        assert_eq!(means("a::A"), "A in a.rs");
        assert_eq!(means("A"), "A in a.rs");
        assert_eq!(means("crate::Other"), "B in b.rs");
        assert_eq!(means("again::Other::new"), "B in b.rs");
        assert_eq!(means("renamed::f"), "f in b.rs");
        assert_eq!(means("self::renamed::A"), "A in a.rs");
        assert_eq!(means("One"), "Kind in b.rs");
        assert_eq!(means("Kind::Two"), "Kind in b.rs");
        assert_eq!(means("both"), "both in b.rs");
        assert_eq!(means("both::C"), "C in b.rs");
    }

    #[test]
    fn unknown_names_and_names_of_other_crates_have_no_file() {
        let means = |path: &str| means(path, FILES);
        for path in
            ["Debug", "std::fmt::Debug", "a", "B", "Hidden", "Three", "circle", "both::gone", "super::x"]
        {
            assert_eq!(means(path), "", "{path}");
        }
        // A macro may define it, also with an `impl`.
        assert_eq!(means("a::Made"), "? in a.rs");
    }
}
