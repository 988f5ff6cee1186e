//! Checks the rules in the parsed sources of one crate.

use crate::source::{Module, Tree};
use proc_macro2::TokenStream;
use std::fmt::Display;
use syn::{
    Attribute, Expr, Field, Ident, ImplItem, ImplItemFn, Item, ItemEnum, ItemImpl, ItemStruct, Meta, Stmt,
    Type, UseTree, Visibility,
};

/// Endings of the names of structs with settings, which a caller chooses.
const SETTINGS: [&str; 6] = ["Limits", "Options", "Config", "Settings", "Retention", "Backoff"];

/// Enums that may get new variants.
const KINDS: [&str; 2] = ["ErrorKind", "EncodeErrorKind"];

/// The names that a module `codec` must define.
const CODEC: [&str; 3] = ["Codec", "Item", "Error"];

/// Returns the problems of a crate whose files are in `folder`.
pub(super) fn check(tree: &Tree, folder: &str, has_codec: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for module in &tree.modules {
        let file = format!("{folder}/{}", tree.files[module.file].display());
        let mut add = |problem: Problem| problems.push(format!("{file}:{}: {}", problem.line, problem.text));
        for item in &module.items {
            match item {
                Item::Struct(item) if is_public(&item.vis) => {
                    behind_features(item).into_iter().for_each(&mut add);
                    if SETTINGS.iter().any(|ending| item.ident.to_string().ends_with(ending)) {
                        settings(tree, item).into_iter().for_each(&mut add);
                    }
                    if item.ident == "EncodeError" {
                        encode_error(tree, item).into_iter().for_each(&mut add);
                    }
                }
                Item::Enum(item) if is_public(&item.vis) && item.ident == "EncodeError" => {
                    let text = "`EncodeError` is an enum; it must be a struct with a kind and an offset";
                    add(problem(&item.ident, text));
                }
                Item::Enum(item) if is_public(&item.vis) && is_closed_kind(item) => {
                    add(problem(&item.ident, format!("`{}` is not `#[non_exhaustive]`", item.ident)));
                }
                _ => {}
            }
        }
    }
    if has_codec {
        problems.extend(codec(tree).map(|text| format!("{folder}/lib.rs: {text}")));
    }
    problems
}

struct Problem {
    line: usize,
    text: String,
}

fn problem(at: &Ident, text: impl Display) -> Problem {
    Problem { line: at.span().start().line, text: text.to_string() }
}

/// Finds public fields behind a feature. Only some builds have such a field. So a literal or a
/// pattern that compiles in one build fails in another.
fn behind_features(item: &ItemStruct) -> Vec<Problem> {
    let fields = item.fields.iter().enumerate();
    let found = fields.filter(|(_, field)| is_public(&field.vis) && has_feature(&field.attrs));
    let problem = |(index, field): (usize, &Field)| {
        // The field of a tuple struct has a number.
        let name = field.ident.as_ref().map_or_else(|| index.to_string(), Ident::to_string);
        let text = format!("the public field `{}::{name}` is behind a feature; make it private", item.ident);
        problem(field.ident.as_ref().unwrap_or(&item.ident), text)
    };
    found.map(problem).collect()
}

fn settings(tree: &Tree, item: &ItemStruct) -> Vec<Problem> {
    let name = &item.ident;
    let mut problems = Vec::new();
    let mut add = |text: String| problems.push(problem(name, text));
    if !has(&item.attrs, "non_exhaustive") && item.fields.iter().any(|field| is_public(&field.vis)) {
        add(format!("`{name}` has public fields and is not `#[non_exhaustive]`"));
    }
    let inherent: Vec<_> = inherent(tree, name).collect();
    let has_default = inherent
        .iter()
        .any(|item| matches!(item, ImplItem::Const(item) if item.ident == "DEFAULT" && is_public(&item.vis)));
    if !has_default {
        add(format!("`{name}` has no `pub const DEFAULT`"));
    }
    if !defaults_to_default(tree, name) {
        add(format!("`{name}::default()` does not return `{name}::DEFAULT`"));
    }
    if item.fields.iter().any(|field| field.ident.is_none()) {
        add(format!("`{name}` has a field without a name"));
    }
    for field in &item.fields {
        let Some(field) = &field.ident else { continue };
        let wanted = format!("with_{}", field.to_string().trim_start_matches("r#"));
        let method = inherent.iter().find_map(|item| match item {
            ImplItem::Fn(item) if item.sig.ident == wanted && is_public(&item.vis) => Some(item),
            _ => None,
        });
        match method {
            None => add(format!("`{name}` has no method `{wanted}`")),
            Some(method) if !has(&method.attrs, "must_use") => {
                add(format!("`{name}::{wanted}` is not `#[must_use]`"));
            }
            Some(_) => {}
        }
    }
    let is_new =
        |item: &ImplItemFn| item.sig.ident == "new" && item.sig.inputs.is_empty() && is_public(&item.vis);
    if inherent.iter().any(|item| matches!(item, ImplItem::Fn(item) if is_new(item))) {
        add(format!("`{name}::new()` is a second name of `{name}::DEFAULT`"));
    }
    problems
}

fn is_closed_kind(item: &ItemEnum) -> bool {
    KINDS.iter().any(|kind| item.ident == kind) && !has(&item.attrs, "non_exhaustive")
}

fn encode_error(tree: &Tree, item: &ItemStruct) -> Vec<Problem> {
    let has = |method: &str| {
        inherent(tree, &item.ident).any(
            |item| matches!(item, ImplItem::Fn(item) if item.sig.ident == method && is_public(&item.vis)),
        )
    };
    let missing = ["kind", "offset"].into_iter().filter(|method| !has(method));
    missing.map(|method| problem(&item.ident, format!("`EncodeError` has no method `{method}`"))).collect()
}

/// Returns what is missing in the public module `codec` of a crate.
fn codec(tree: &Tree) -> impl Iterator<Item = String> {
    let child = tree.modules[0].children.iter().find(|child| child.name == "codec" && !child.private);
    let problems = match child.map(|child| &tree.modules[child.module]) {
        None => vec!["the feature `codec` exists, but no public module `codec`".to_owned()],
        Some(module) => {
            let missing = CODEC.into_iter().filter(|name| !defines(module, name));
            missing.map(|name| format!("the module `codec` has no public `{name}`")).collect()
        }
    };
    problems.into_iter()
}

fn defines(module: &Module, name: &str) -> bool {
    module.items.iter().any(|item| match item {
        Item::Struct(item) => is_public(&item.vis) && item.ident == name,
        Item::Enum(item) => is_public(&item.vis) && item.ident == name,
        Item::Type(item) => is_public(&item.vis) && item.ident == name,
        Item::Use(item) => is_public(&item.vis) && imports(&item.tree, name),
        _ => false,
    })
}

fn imports(tree: &UseTree, name: &str) -> bool {
    match tree {
        UseTree::Path(path) => imports(&path.tree, name),
        UseTree::Name(item) => item.ident == name,
        UseTree::Rename(item) => item.rename == name,
        UseTree::Group(group) => group.items.iter().any(|tree| imports(tree, name)),
        UseTree::Glob(_) => false,
    }
}

/// Returns the items of the inherent `impl` blocks of a type, from all files of the crate.
fn inherent<'a>(tree: &'a Tree, name: &'a Ident) -> impl Iterator<Item = &'a ImplItem> {
    let of_type = move |item: &&ItemImpl| item.trait_.is_none() && is_for(item, name);
    let items = tree.modules.iter().flat_map(|module| &module.items);
    let impls = items.filter_map(|item| if let Item::Impl(item) = item { Some(item) } else { None });
    impls.filter(of_type).flat_map(|item| &item.items)
}

/// Whether the type implements `Default`, and `default` is nothing but `DEFAULT`. A derived one
/// would have other values.
fn defaults_to_default(tree: &Tree, name: &Ident) -> bool {
    let items = tree.modules.iter().flat_map(|module| &module.items);
    let mut impls = items.filter_map(|item| if let Item::Impl(item) = item { Some(item) } else { None });
    impls.any(|item| {
        let is_default = item.trait_.as_ref().is_some_and(|(path, _)| ends_with(path, "Default"));
        is_default && is_for(item, name) && item.items.iter().any(returns_default)
    })
}

fn returns_default(item: &ImplItem) -> bool {
    let ImplItem::Fn(method) = item else { return false };
    match &method.block.stmts[..] {
        [Stmt::Expr(Expr::Path(path), None)] => ends_with(&path.path, "DEFAULT"),
        _ => false,
    }
}

fn is_for(item: &ItemImpl, name: &Ident) -> bool {
    matches!(&*item.self_ty, Type::Path(of) if ends_with(&of.path, &name.to_string()))
}

fn ends_with(path: &syn::Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

/// Whether a `cfg` among these attributes requires a feature.
fn has_feature(attributes: &[Attribute]) -> bool {
    let feature = |tokens: &TokenStream| tokens.to_string().contains("feature");
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && feature(&list.tokens),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::load;

    fn problems(files: &[(&str, &str)], has_codec: bool) -> Vec<String> {
        check(&load(files, Tree::load).unwrap(), "src", has_codec)
    }

    fn of(source: &str) -> Vec<String> {
        problems(&[("lib.rs", source)], false)
    }

    #[test]
    fn settings_that_follow_the_rules_pass() {
        let limits = "#[non_exhaustive] pub struct Limits { pub max: u8, #[cfg(feature = \"x\")] level: u8 }
            impl Limits {
                pub const DEFAULT: Self = Self { max: 1, level: 2 };
                #[must_use] pub const fn with_max(mut self, max: u8) -> Self { self.max = max; self }
            }
            impl Default for Limits { fn default() -> Self { Self::DEFAULT } }";
        // Methods may be in another file than the type.
        let level = "impl super::Limits { #[must_use] pub fn with_level(self, level: u8) -> Self { self } }";
        assert_eq!(
            problems(&[("lib.rs", &format!("mod level; {limits}")), ("level.rs", level)], false),
            [""; 0]
        );
        assert_eq!(of("pub(crate) struct Limits { pub max: u8 }"), [""; 0]);
        assert_eq!(of("#[cfg(test)] pub struct Limits { pub max: u8 }"), [""; 0]);
    }

    #[test]
    fn each_broken_rule_of_settings_is_named() {
        let source = "\npub struct HubConfig { pub max: u8, pub min: u8 }
            impl HubConfig {
                pub const fn new() -> Self { loop {} }
                pub fn with_max(self, max: u8) -> Self { self }
                const DEFAULT: Self = Self::new();
            }";
        assert_eq!(
            of(source),
            [
                "src/lib.rs:2: `HubConfig` has public fields and is not `#[non_exhaustive]`",
                "src/lib.rs:2: `HubConfig` has no `pub const DEFAULT`",
                "src/lib.rs:2: `HubConfig::default()` does not return `HubConfig::DEFAULT`",
                "src/lib.rs:2: `HubConfig::with_max` is not `#[must_use]`",
                "src/lib.rs:2: `HubConfig` has no method `with_min`",
                "src/lib.rs:2: `HubConfig::new()` is a second name of `HubConfig::DEFAULT`",
            ]
        );
    }

    #[test]
    fn a_derived_default_and_fields_without_names_are_no_settings() {
        let default = "impl Limits { pub const DEFAULT: Self = Self(1); }";
        assert_eq!(
            of(&format!("#[derive(Default)] #[non_exhaustive] pub struct Limits(pub u8); {default}")),
            [
                "src/lib.rs:1: `Limits::default()` does not return `Limits::DEFAULT`",
                "src/lib.rs:1: `Limits` has a field without a name",
            ]
        );
    }

    #[test]
    fn a_public_field_behind_a_feature_is_named() {
        let source =
            |visibility: &str| format!("pub struct A {{ #[cfg(feature = \"b\")] {visibility} c: u8 }}");
        assert_eq!(
            of(&source("pub")),
            ["src/lib.rs:1: the public field `A::c` is behind a feature; make it private"]
        );
        assert_eq!(of(&source("pub(crate)")), [""; 0]);
        assert_eq!(
            of("pub struct A(pub u8, #[cfg(all(unix, feature = \"b\"))] pub u8);"),
            ["src/lib.rs:1: the public field `A::1` is behind a feature; make it private"]
        );
        assert_eq!(of("pub struct A { #[cfg(unix)] pub c: u8 }"), [""; 0]);
    }

    #[test]
    fn encode_errors_have_one_shape() {
        let methods = "pub fn kind(&self) {} pub const fn offset(&self) -> usize { 0 }";
        assert_eq!(of(&format!("pub struct EncodeError {{}} impl EncodeError {{ {methods} }}")), [""; 0]);
        let found = of("pub struct EncodeError {} impl EncodeError { pub fn kind(&self) {} }");
        assert_eq!(found, ["src/lib.rs:1: `EncodeError` has no method `offset`"]);
        assert!(of("pub enum EncodeError { A }")[0].contains("must be a struct"));
        assert_eq!(of("pub enum ErrorKind {}"), ["src/lib.rs:1: `ErrorKind` is not `#[non_exhaustive]`"]);
        assert_eq!(of("#[non_exhaustive] pub enum EncodeErrorKind {}"), [""; 0]);
    }

    #[test]
    fn a_feature_codec_has_its_module() {
        let parts = "pub struct Codec; pub use crate::Event as Item; #[non_exhaustive] pub enum Error {}";
        assert_eq!(problems(&[("lib.rs", "pub mod codec;"), ("codec.rs", parts)], true), [""; 0]);
        assert_eq!(
            problems(&[("lib.rs", "pub mod codec { pub struct Codec; struct Item; }")], true),
            [
                "src/lib.rs: the module `codec` has no public `Item`",
                "src/lib.rs: the module `codec` has no public `Error`"
            ]
        );
        assert!(problems(&[("lib.rs", "mod codec {}")], true)[0].contains("no public module"));
    }
}
