//! The items that the sources define, by name.

use super::paths::{nearest, short};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use tidewire_testkit::run::Result;

/// Whether items are read from a file: our Rust code, also of tests, and our scripts.
pub(super) fn is_source(name: &str) -> bool {
    let is_code = [".rs", ".ts", ".js", ".mjs"].iter().any(|ending| name.ends_with(ending));
    let is_generated = name.starts_with("crates/tidewire/web/dist/");
    is_code
        && !is_generated
        && ["crates/", "examples/", "fuzz/"].iter().any(|folder| name.starts_with(folder))
}

pub(super) struct Items {
    files: Vec<String>,
    /// The places of the items with a name.
    by_name: BTreeMap<String, Vec<Place>>,
    /// The options of our programs, without the `--`.
    options: BTreeSet<String>,
    /// The files that begin with a drawing.
    drawn: BTreeSet<String>,
    /// The environment variables of our programs.
    variables: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: usize,
    /// The type, trait, enum or module that it belongs to.
    within: Option<String>,
}

impl Items {
    /// Reads the items of files, which are pairs of a path and a text.
    pub(super) fn load(sources: &[(&str, String)]) -> Result<Self> {
        let mut items = Items {
            files: sources.iter().map(|(name, _)| (*name).to_owned()).collect(),
            by_name: BTreeMap::new(),
            options: BTreeSet::new(),
            drawn: BTreeSet::new(),
            variables: BTreeSet::new(),
        };
        for (file, (name, text)) in sources.iter().enumerate() {
            let mut found = Found { names: Vec::new(), within: Vec::new(), options: Vec::new() };
            if name.ends_with(".rs") {
                let syntax = syn::parse_file(text)
                    .map_err(|error| format!("{name}:{}: {error}", error.span().start().line))?;
                found.visit_file(&syntax);
            } else {
                script(text, &mut found);
            }
            // A file is a module. `main.rs` and `mod.rs` are the modules of their folders.
            let (path, _) = name.split_once('.').unwrap_or((name, ""));
            let mut folders = path.rsplit('/').skip_while(|part| ["main", "mod"].contains(part));
            found.names.push((folders.next().unwrap_or_default().to_owned(), None));
            for (name, within) in found.names {
                items.by_name.entry(name).or_default().push(Place { file, within });
            }
            items.options.extend(found.options);
            if begins_with_a_drawing(text) {
                items.drawn.insert((*name).to_owned());
            }
            items.variables.extend(variables(text));
        }
        Ok(items)
    }

    /// Whether a program has the option `--NAME`.
    pub(super) fn has_option(&self, name: &str) -> bool {
        self.options.contains(name)
    }

    pub(super) fn is_drawn(&self, file: &str) -> bool {
        self.drawn.contains(file)
    }

    /// Checks that a file defines the item.
    pub(super) fn defined_in(&self, item: &str, file: &str) -> Result {
        let places = self.places(item);
        if places.iter().any(|place| self.files[place.file] == file) {
            return Ok(());
        }
        let others = self.names(&places, file);
        let elsewhere =
            if others.is_empty() { ", nor in any other file".into() } else { format!("; it is in {others}") };
        Err(format!("`{item}` is not in {}{elsewhere}", short(file)))
    }

    /// Checks that any file defines the item.
    pub(super) fn defined(&self, item: &str) -> Result {
        if !self.places(item).is_empty() || self.variables.contains(item) {
            return Ok(());
        }
        let last = item.rsplit("::").next().unwrap_or(item);
        let others = self.names(&self.places(last), "");
        let near = if others.is_empty() { String::new() } else { format!("; `{last}` is in {others}") };
        Err(format!("no file defines it{near}"))
    }

    /// The places of `name`, `Type::name`, `module::name` or `krate::module::Type::name`.
    fn places(&self, item: &str) -> Vec<&Place> {
        let mut segments = item.rsplit("::");
        let name = segments.next().unwrap_or_default();
        let around: Vec<_> = segments.collect();
        let places = self.by_name.get(name).into_iter().flatten();
        places.filter(|place| around.iter().all(|segment| self.is_within(place, segment))).collect()
    }

    /// Whether a place belongs to a type, a module, a folder or a crate with this name.
    fn is_within(&self, place: &Place, name: &str) -> bool {
        let folder = name.strip_prefix("tidewire_").unwrap_or(name);
        let path = &self.files[place.file];
        let stem = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
        place.within.as_deref() == Some(name) || stem.split('/').any(|part| part == folder)
    }

    /// The files of places, the nearest ones to this file first.
    fn names(&self, places: &[&Place], near: &str) -> String {
        let names = places.iter().map(|place| self.files[place.file].as_str()).collect::<BTreeSet<_>>();
        nearest(names, near).join(", ")
    }
}

/// The names of one file, each with what it belongs to.
struct Found {
    names: Vec<(String, Option<String>)>,
    within: Vec<String>,
    options: Vec<String>,
}

impl Found {
    fn add(&mut self, name: impl ToString) {
        let name = name.to_string();
        self.names.push((name.trim_start_matches("r#").to_owned(), self.within.last().cloned()));
    }

    fn inside(&mut self, name: impl ToString, visit: impl FnOnce(&mut Self)) {
        self.within.push(name.to_string());
        visit(self);
        self.within.pop();
    }

    /// The names in a macro, which is not parsed: each name after `fn`, `struct` and so on.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut defines = false;
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    if defines {
                        self.add(&name);
                    }
                    defines =
                        ["fn", "struct", "enum", "trait", "const", "static", "mod"].contains(&name.as_str());
                }
                _ => defines = false,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig.ident);
        visit::visit_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(&item.ident);
        self.inside(&item.ident, |found| visit::visit_item_struct(found, item));
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.add(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add(&item.ident);
        self.inside(&item.ident, |found| visit::visit_item_enum(found, item));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.add(&variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.add(name);
            self.options.extend(field.attrs.iter().filter_map(|attribute| option(attribute, name)));
        }
        visit::visit_field(self, field);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add(&item.ident);
        self.inside(&item.ident, |found| visit::visit_item_trait(found, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.add(&item.sig.ident);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let name = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        self.inside(name.unwrap_or_default(), |found| visit::visit_item_impl(found, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.add(&item.ident);
        Names(self).visit_expr(&item.expr);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.add(&item.ident);
        Names(self).visit_expr(&item.expr);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.add(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add(&item.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.add(&item.ident);
        self.inside(&item.ident, |found| visit::visit_item_mod(found, item));
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if let Some(name) = &item.ident {
            self.add(name);
        }
        self.tokens(item.mac.tokens.clone());
    }
}

/// The option that `#[arg(long)]` or `#[arg(long = "name")]` makes of a field.
fn option(attribute: &syn::Attribute, field: &syn::Ident) -> Option<String> {
    let syn::Meta::List(list) = &attribute.meta else { return None };
    let tokens = list.tokens.to_string();
    let mut arguments = tokens.split(',').map(str::trim);
    let long =
        arguments.find_map(|argument| argument.strip_prefix("long").filter(|_| list.path.is_ident("arg")))?;
    match long.trim_start_matches([' ', '=']).trim_matches('"') {
        "" => Some(field.to_string().replace('_', "-")),
        name => Some(name.to_owned()),
    }
}

/// The names in the value of a constant, such as the names of limits in a list of limits.
struct Names<'a>(&'a mut Found);

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        let name = text.value();
        if name.contains('_') && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            self.0.add(name);
        }
    }
}

/// The names in a script: of functions, classes, constants, and of methods, each at the begin of a
/// line.
fn script(text: &str, found: &mut Found) {
    for line in text.lines() {
        let mut words =
            line.split(|character: char| !character.is_ascii_alphanumeric() && !"_$#".contains(character));
        let kinds = ["function", "class", "const", "let", "type", "interface", "enum"];
        let declared = words.by_ref().any(|word| kinds.contains(&word));
        let name = if declared { words.find(|word| !word.is_empty()) } else { method(line) };
        if let Some(name) = name {
            found.add(name.trim_start_matches('#'));
        }
    }
}

/// The name of a method: a call with an open brace after it.
fn method(line: &str) -> Option<&str> {
    let line = line.trim();
    let (head, _) = line.split_once('(')?;
    let name = head.rsplit(' ').next()?;
    (line.ends_with(['{', '}']) && !["if", "for", "while", "switch", "catch"].contains(&name)).then_some(name)
}

/// Whether the comment at the begin of a file has a code block of text, which is a drawing.
fn begins_with_a_drawing(text: &str) -> bool {
    let comment = text.lines().take_while(|line| line.starts_with("//"));
    comment.into_iter().any(|line| line.starts_with("//! ```text"))
}

/// Names such as `TIDEWIRE_BIN`.
fn variables(text: &str) -> impl Iterator<Item = String> {
    text.match_indices("TIDEWIRE_").map(|(at, _)| {
        let rest = &text[at..];
        let is_name = |character: char| character.is_ascii_uppercase() || character == '_';
        rest[..rest.find(|character| !is_name(character)).unwrap_or(rest.len())].to_owned()
    })
}
