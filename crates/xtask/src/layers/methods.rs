//! Methods that are in another file than their type. A call of such a method uses that file, but no
//! path shows it.

use super::scope::Scope;
use crate::source::{Tree, only_in_tests};
use std::collections::{HashMap, HashSet};
use syn::{ImplItem, Item, ItemStruct, TraitItem, Type};

/// The inherent functions and constants of a crate's types, by name.
pub(super) struct Methods {
    inherent: HashMap<String, Vec<Method>>,
    /// Names of methods in traits of the crate, or in its implementations of other traits.
    of_traits: HashSet<String>,
    /// The types of the fields of a type, by the names of the fields.
    fields: HashMap<(usize, String), usize>,
}

struct Method {
    of: usize,
    file: usize,
}

/// A method, and the file that defines it.
pub(super) struct Foreign {
    pub(super) name: String,
    pub(super) file: usize,
}

impl Methods {
    pub(super) fn new(tree: &Tree, scope: &Scope) -> Self {
        let mut methods =
            Methods { inherent: HashMap::new(), of_traits: HashSet::new(), fields: HashMap::new() };
        for (id, module) in tree.modules.iter().enumerate() {
            for item in &module.items {
                match item {
                    Item::Struct(item) => methods.fields_of(scope, id, item),
                    Item::Trait(item) => methods.of_traits.extend(item.items.iter().filter_map(in_trait)),
                    Item::Impl(item) if item.trait_.is_some() => {
                        methods.of_traits.extend(item.items.iter().filter_map(in_impl));
                    }
                    Item::Impl(item) => {
                        let Some(of) = type_of(scope, id, &item.self_ty) else { continue };
                        for name in item.items.iter().filter_map(in_impl) {
                            let method = Method { of, file: module.file };
                            methods.inherent.entry(name).or_default().push(method);
                        }
                    }
                    _ => {}
                }
            }
        }
        methods
    }

    /// The method of this type, if it is defined in another file than the type.
    pub(super) fn of(&self, scope: &Scope, of: usize, name: &str) -> Option<Foreign> {
        self.inherent(of, name).find_map(|method| method.foreign(scope, name))
    }

    /// The method that a call on a value means. `of` is the type of the value, if it is known.
    pub(super) fn called(&self, scope: &Scope, of: Option<usize>, name: &str) -> Option<Foreign> {
        match of {
            Some(of) if self.inherent(of, name).next().is_some() => self.of(scope, of, name),
            // A method of a trait, or of the type to which the value dereferences.
            _ => self.only(scope, name),
        }
    }

    /// The only method of the crate with this name, if the call cannot mean another one.
    fn only(&self, scope: &Scope, name: &str) -> Option<Foreign> {
        let [method] = self.inherent.get(name)?.as_slice() else { return None };
        if self.of_traits.contains(name) || COMMON.contains(&name) {
            return None;
        }
        method.foreign(scope, name)
    }

    pub(super) fn field(&self, of: usize, name: &str) -> Option<usize> {
        self.fields.get(&(of, name.to_owned())).copied()
    }

    fn inherent(&self, of: usize, name: &str) -> impl Iterator<Item = &Method> {
        self.inherent.get(name).into_iter().flatten().filter(move |method| method.of == of)
    }

    fn fields_of(&mut self, scope: &Scope, module: usize, item: &ItemStruct) {
        let of = scope.resolve(module, &[item.ident.to_string()]);
        let Some(of) = of.into_iter().find_map(|found| found.definition) else { return };
        for field in &item.fields {
            if let (Some(name), Some(id)) = (&field.ident, type_of(scope, module, &field.ty)) {
                self.fields.insert((of, name.to_string()), id);
            }
        }
    }
}

impl Method {
    fn foreign(&self, scope: &Scope, name: &str) -> Option<Foreign> {
        let of = &scope.definitions[self.of];
        let name = format!("{}::{name}", of.name);
        (of.file != self.file).then_some(Foreign { name, file: self.file })
    }
}

/// The definition of a type that is written as a path, or behind references and smart pointers.
pub(super) fn type_of(scope: &Scope, module: usize, written: &Type) -> Option<usize> {
    match written {
        Type::Reference(reference) => type_of(scope, module, &reference.elem),
        Type::Paren(paren) => type_of(scope, module, &paren.elem),
        Type::Group(group) => type_of(scope, module, &group.elem),
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last()?;
            if let syn::PathArguments::AngleBracketed(arguments) = &last.arguments
                && ["Box", "Rc", "Arc"].iter().any(|pointer| last.ident == pointer)
                && let Some(syn::GenericArgument::Type(inside)) = arguments.args.first()
            {
                return type_of(scope, module, inside);
            }
            let names: Vec<_> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
            scope.resolve(module, &names).into_iter().find_map(|found| found.definition)
        }
        _ => None,
    }
}

fn in_impl(item: &ImplItem) -> Option<String> {
    match item {
        ImplItem::Fn(item) if !only_in_tests(&item.attrs) => Some(item.sig.ident.to_string()),
        ImplItem::Const(item) if !only_in_tests(&item.attrs) => Some(item.ident.to_string()),
        _ => None,
    }
}

fn in_trait(item: &TraitItem) -> Option<String> {
    match item {
        TraitItem::Fn(item) => Some(item.sig.ident.to_string()),
        TraitItem::Const(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Names that are also methods of std, or of widely used crates.
const COMMON: &[&str] = &[
    "abort",
    "accept",
    "advance",
    "all",
    "any",
    "append",
    "as_bytes",
    "as_mut",
    "as_ref",
    "as_slice",
    "as_str",
    "await",
    "bind",
    "borrow",
    "borrow_mut",
    "bytes",
    "cancel",
    "capacity",
    "chain",
    "chars",
    "check",
    "clear",
    "clone",
    "close",
    "collect",
    "connect",
    "contains",
    "copy",
    "count",
    "cursor",
    "deref",
    "drain",
    "drop",
    "elapsed",
    "end",
    "entry",
    "eq",
    "error",
    "expect",
    "extend",
    "fill",
    "filter",
    "find",
    "finish",
    "first",
    "flush",
    "fmt",
    "fold",
    "freeze",
    "from",
    "get",
    "get_mut",
    "hash",
    "head",
    "id",
    "index",
    "insert",
    "into",
    "into_iter",
    "is_closed",
    "is_done",
    "is_empty",
    "is_none",
    "is_some",
    "iter",
    "iter_mut",
    "join",
    "keys",
    "kill",
    "kind",
    "last",
    "len",
    "limit",
    "lines",
    "load",
    "lock",
    "map",
    "max",
    "message",
    "min",
    "name",
    "names",
    "new",
    "next",
    "notify",
    "now",
    "open",
    "parse",
    "path",
    "peek",
    "peer",
    "pop",
    "position",
    "push",
    "put",
    "put_slice",
    "range",
    "read",
    "recv",
    "register",
    "release",
    "remaining",
    "remove",
    "replace",
    "reserve",
    "reset",
    "resize",
    "resume",
    "retain",
    "rev",
    "run",
    "send",
    "set",
    "shutdown",
    "size",
    "skip",
    "sleep",
    "sort",
    "spawn",
    "split",
    "start",
    "state",
    "status",
    "step",
    "stop",
    "store",
    "swap",
    "take",
    "text",
    "to_string",
    "to_vec",
    "truncate",
    "try_read",
    "try_write",
    "update",
    "value",
    "values",
    "wait",
    "wake",
    "write",
    "write_all",
    "zip",
];
