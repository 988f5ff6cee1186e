//! The parsed source files of one target of a crate, as the tree of its modules. Code for tests is
//! left out.

use std::path::{Path, PathBuf};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, ItemMod, Meta, Token};
use tidewire_testkit::run::Result;

/// The modules of one target; the first one is its root.
pub(crate) struct Tree {
    /// The attributes of the root.
    pub(crate) attributes: Vec<Attribute>,
    /// The paths of the files, relative to the folder of the root.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) modules: Vec<Module>,
}

pub(crate) struct Module {
    /// `None` for the root.
    pub(crate) parent: Option<usize>,
    pub(crate) file: usize,
    /// The modules declared in it, by name.
    pub(crate) children: Vec<Child>,
    /// All its items, apart from modules.
    pub(crate) items: Vec<Item>,
}

pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) module: usize,
}

/// Reads a file; `None` if there is none.
pub(crate) type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Tree {
    /// Parses the file and all that it declares with `mod`.
    pub(crate) fn load(root: &Path, read: Read<'_>) -> Result<Self> {
        let folder = root.parent().unwrap_or(root).to_owned();
        let tree = Tree { attributes: Vec::new(), files: Vec::new(), modules: Vec::new() };
        let mut loader = Loader { read, tree, folder };
        let children = loader.folder.clone();
        loader.file(root, children, None)?;
        Ok(loader.tree)
    }
}

struct Loader<'a> {
    read: Read<'a>,
    tree: Tree,
    folder: PathBuf,
}

/// The place of a module in the tree of files.
struct Place<'a> {
    file: usize,
    /// The file with the text of the module.
    path: &'a Path,
    /// Where the files of its children are.
    children: PathBuf,
    /// Whether it is inside the file of another module.
    inline: bool,
    parent: Option<usize>,
}

impl Loader<'_> {
    /// Adds the module of a whole file. Returns `None` if only tests have the file.
    fn file(&mut self, path: &Path, children: PathBuf, parent: Option<usize>) -> Result<Option<usize>> {
        let text = (self.read)(path).ok_or_else(|| format!("{} cannot be read", path.display()))?;
        let syntax = syn::parse_file(&text)
            .map_err(|error| format!("{}:{}: {error}", path.display(), error.span().start().line))?;
        if only_in_tests(&syntax.attrs) {
            return Ok(None);
        }
        if parent.is_none() {
            self.tree.attributes = syntax.attrs;
        }
        let name = path.strip_prefix(&self.folder).unwrap_or(path).to_owned();
        // A file may be the text of two modules.
        let file = self.tree.files.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.tree.files.push(name);
            self.tree.files.len() - 1
        });
        let place = Place { file, path, children, inline: false, parent };
        self.module(syntax.items, &place).map(Some)
    }

    fn module(&mut self, items: Vec<Item>, place: &Place<'_>) -> Result<usize> {
        let id = self.tree.modules.len();
        self.tree.modules.push(Module {
            parent: place.parent,
            file: place.file,
            children: Vec::new(),
            items: Vec::new(),
        });
        for item in items {
            match item {
                Item::Mod(module) => self.child(module, id, place)?,
                item if only_in_tests(attributes(&item)) => {}
                item => self.tree.modules[id].items.push(item),
            }
        }
        Ok(id)
    }

    fn child(&mut self, declared: ItemMod, parent: usize, place: &Place<'_>) -> Result {
        if only_in_tests(&declared.attrs) {
            return Ok(());
        }
        let name = declared.ident.to_string();
        // The file of `mod r#type` is `type.rs`.
        let plain = name.trim_start_matches("r#");
        let children = place.children.join(plain);
        let module = match declared.content {
            Some((_, items)) => {
                let place = Place { children, inline: true, parent: Some(parent), ..*place };
                Some(self.module(items, &place)?)
            }
            None => {
                let (path, children) = self.path_of(&declared.attrs, plain, place)?;
                self.file(&path, children, Some(parent))?
            }
        };
        let private = matches!(declared.vis, syn::Visibility::Inherited);
        self.tree.modules[parent].children.extend(module.map(|module| Child { name, private, module }));
        Ok(())
    }

    /// The file of a module, and the folder of its children.
    fn path_of(&self, attributes: &[Attribute], name: &str, place: &Place<'_>) -> Result<(PathBuf, PathBuf)> {
        let beside = place.path.parent().unwrap_or(place.path);
        if let Some(given) = attributes.iter().find_map(given_path) {
            let path = if place.inline { place.children.join(given) } else { beside.join(given) };
            // As for a `mod.rs`, the children are beside it.
            let children = path.parent().unwrap_or(&path).to_owned();
            return Ok((path, children));
        }
        let folder = place.children.join(name);
        for path in [place.children.join(format!("{name}.rs")), folder.join("mod.rs")] {
            if (self.read)(&path).is_some() {
                return Ok((path, folder));
            }
        }
        Err(format!("{}: there is no file of `mod {name}`", place.path.display()))
    }
}

fn given_path(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether these are attributes of code that is compiled only for tests, also those of loom.
pub(crate) fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args().is_ok_and(|predicate| needs_a_test(&predicate))
        }
        _ => false,
    })
}

/// Whether a predicate of `cfg` holds only in tests. Of other predicates, both branches count.
fn needs_a_test(predicate: &Meta) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident("test") || path.is_ident("loom"),
        Meta::List(list) => {
            let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
                return false;
            };
            (list.path.is_ident("all") && parts.iter().any(needs_a_test))
                || (list.path.is_ident("any") && !parts.is_empty() && parts.iter().all(needs_a_test))
        }
        Meta::NameValue(_) => false,
    }
}

/// The attributes of an item of any kind.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// Files by path, below `src/`, as a crate whose root is the first one.
    pub(crate) fn load<T>(
        files: &[(&str, &str)],
        with: impl FnOnce(&Path, Read<'_>) -> Result<T>,
    ) -> Result<T> {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| path == Path::new("src").join(name));
            found.map(|(_, text)| (*text).to_owned())
        };
        with(&Path::new("src").join(files[0].0), &read)
    }

    fn names(files: &[(&str, &str)]) -> Vec<String> {
        let tree = load(files, Tree::load).unwrap();
        tree.files.iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn files_are_found_where_the_compiler_looks() {
        let found = names(&[
            (
                "lib.rs",
                "mod a; mod b; mod inline { mod deep; #[path = \"odd.rs\"] mod x; }
                 #[path = \"c/own.rs\"] mod y;",
            ),
            ("a.rs", "mod child;"),
            ("a/child.rs", ""),
            ("b/mod.rs", "mod child;"),
            ("b/child.rs", ""),
            ("inline/deep.rs", ""),
            ("inline/odd.rs", ""),
            ("c/own.rs", "mod beside;"),
            ("c/beside.rs", ""),
        ]);
        let all =
            "lib.rs a.rs a/child.rs b/mod.rs b/child.rs inline/deep.rs inline/odd.rs c/own.rs c/beside.rs";
        assert_eq!(found.join(" "), all);
    }

    #[test]
    fn the_file_of_a_keyword_has_its_plain_name() {
        let found = names(&[
            ("lib.rs", "mod r#type; mod r#in { mod deep; }"),
            ("type.rs", "mod child;"),
            ("type/child.rs", ""),
            ("in/deep.rs", ""),
        ]);
        assert_eq!(found.join(" "), "lib.rs type.rs type/child.rs in/deep.rs");
    }

    #[test]
    fn files_of_tests_are_left_out_and_files_of_other_configurations_are_not() {
        let found = names(&[
            (
                "lib.rs",
                "#[cfg(test)] mod a; #[cfg(all(loom, unix))] mod b; #[cfg(any(test, loom))] mod c;
                 #[cfg(not(test))] mod d; #[cfg(any(test, unix))] mod e; #[cfg(feature = \"x\")] mod f;
                 mod g;",
            ),
            ("d.rs", ""),
            ("e.rs", ""),
            ("f.rs", ""),
            ("g.rs", "#![cfg(test)] mod missing;"),
        ]);
        assert_eq!(found.join(" "), "lib.rs d.rs e.rs f.rs");
    }

    #[test]
    fn a_missing_file_and_broken_syntax_are_errors_that_name_the_file() {
        let problem = load(&[("lib.rs", "mod gone;")], Tree::load).err();
        assert_eq!(problem.as_deref(), Some("src/lib.rs: there is no file of `mod gone`"));
        let problem = load(&[("lib.rs", "\nfn 1() {}")], Tree::load).err().unwrap();
        assert!(problem.starts_with("src/lib.rs:2: "), "{problem}");
    }
}
