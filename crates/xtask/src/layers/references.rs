//! The items of other files that the code of a crate names, with the line.

use super::methods::{Methods, type_of};
use super::scope::{Found, Scope, leaves};
use crate::source::{Tree, attributes, only_in_tests};
use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenStream, TokenTree};
use std::collections::{HashMap, HashSet};
use syn::visit::{self, Visit};
use syn::{Expr, ImplItem, Item, Member, Stmt, TraitItem, Type};

/// A place in one file that names an item of another one.
pub(super) struct Reference {
    pub(super) from: usize,
    pub(super) line: usize,
    pub(super) to: usize,
    pub(super) name: String,
}

/// All references between files, module by module.
pub(super) fn of(tree: &Tree) -> Vec<Reference> {
    let mut scope = Scope::new(tree);
    let methods = Methods::new(tree, &scope);
    let mut found = Vec::new();
    for (module, content) in tree.modules.iter().enumerate() {
        let mut reader = Reader {
            scope: &mut scope,
            methods: &methods,
            module,
            myself: None,
            locals: Vec::new(),
            found: &mut found,
        };
        for item in &content.items {
            reader.visit_item(item);
        }
    }
    found
}

struct Reader<'a> {
    scope: &'a mut Scope,
    methods: &'a Methods,
    /// The module, or the block with items, that is being read.
    module: usize,
    /// The type that `Self` means.
    myself: Option<usize>,
    /// Names that shadow those of the module: variables and generic parameters of each enclosing
    /// function.
    locals: Vec<Locals<'a>>,
    found: &'a mut Vec<Reference>,
}

#[derive(Default)]
struct Locals<'a> {
    /// Each with its type, if only one variable has this name and its type is written.
    variables: HashMap<String, Option<&'a Type>>,
    types: HashSet<String>,
}

impl<'a> Reader<'a> {
    /// A path that was written in this line.
    fn path(&mut self, names: &[String], line: usize) {
        let [first, behind @ ..] = names else { return };
        if first == "Self" {
            if let (Some(of), Some(name)) = (self.myself, behind.last()) {
                self.method_of(of, name, line);
            }
            return;
        }
        let hidden = |locals: &Locals<'_>| {
            locals.types.contains(first) || (behind.is_empty() && locals.variables.contains_key(first))
        };
        if self.locals.iter().any(hidden) {
            return;
        }
        for found in self.scope.resolve(self.module, names) {
            self.note(found, names, line);
            if let (Some(of), Some(name)) = (found.definition, behind.last()) {
                self.method_of(of, name, line);
            }
        }
    }

    fn note(&mut self, found: Found, names: &[String], line: usize) {
        let last = || names.last().cloned().unwrap_or_default();
        let name = found.definition.map_or_else(last, |id| self.scope.definitions[id].name.clone());
        self.arrow(found.file, name, line);
    }

    fn arrow(&mut self, to: usize, name: String, line: usize) {
        let from = self.scope.file(self.module);
        if from != to {
            self.found.push(Reference { from, line, to, name });
        }
    }

    /// A function of a type, by path or on a value of that type.
    fn method_of(&mut self, of: usize, name: &str, line: usize) {
        if let Some(foreign) = self.methods.of(self.scope, of, name) {
            self.arrow(foreign.file, foreign.name, line);
        }
    }

    /// A call on a value. `of` is its type, if it is known.
    fn method(&mut self, of: Option<usize>, name: &str, line: usize) {
        if let Some(foreign) = self.methods.called(self.scope, of, name) {
            self.arrow(foreign.file, foreign.name, line);
        }
    }

    fn macro_call(&mut self, names: &[String], line: usize) {
        let found = self.scope.resolve(self.module, names);
        if !found.is_empty() {
            found.into_iter().for_each(|found| self.note(found, names, line));
        } else if let [name] = names
            && let &[id] = self.scope.textual(name)
        {
            let file = self.scope.definitions[id].file;
            self.arrow(file, name.clone(), line);
        }
    }

    /// Paths and calls in the arguments of a macro, which are only tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let before = at.checked_sub(2).and_then(|before| tokens.get(before));
                    let before = before.and_then(punctuation).unwrap_or(' ');
                    let mut names = vec![ident.to_string()];
                    while let Some(name) = behind_colons(&tokens, at) {
                        names.push(name.to_string());
                        at += 3;
                    }
                    let next = tokens.get(at);
                    let parentheses = |group: &Group| group.delimiter() == Delimiter::Parenthesis;
                    let call = matches!(next, Some(TokenTree::Group(group)) if parentheses(group));
                    let line = ident.span().start().line;
                    match before {
                        '.' if call => {
                            let on = at.checked_sub(3).and_then(|on| tokens.get(on));
                            let on_self = matches!(on, Some(TokenTree::Ident(on)) if on == "self")
                                && !matches!(
                                    at.checked_sub(4).and_then(|dot| tokens.get(dot)).and_then(punctuation),
                                    Some('.')
                                );
                            let of = self.myself.filter(|_| on_self);
                            self.method(of, &names[0], line);
                        }
                        // `.field` and `'lifetime`; `$name`, which is the caller's.
                        '.' | '\'' => {}
                        '$' if names[0] != "crate" => {}
                        _ if next.and_then(punctuation) == Some('!') => self.macro_call(&names, line),
                        _ if names.len() > 1 || call || is_capital(&names[0]) => self.path(&names, line),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads the inside of a function, or of an item with parameters.
    fn within(&mut self, locals: Locals<'a>, read: impl FnOnce(&mut Self)) {
        self.locals.push(locals);
        read(self);
        self.locals.pop();
    }

    /// The type of an expression, if it is written nearby.
    fn type_of(&self, value: &Expr) -> Option<usize> {
        match value {
            Expr::Paren(paren) => self.type_of(&paren.expr),
            Expr::Reference(reference) => self.type_of(&reference.expr),
            Expr::Field(field) => match &field.member {
                Member::Named(name) => self.methods.field(self.type_of(&field.base)?, &name.to_string()),
                Member::Unnamed(_) => None,
            },
            Expr::Path(path) => {
                let name = path.path.get_ident()?;
                if name == "self" {
                    return self.myself;
                }
                let name = name.to_string();
                let written = self.locals.iter().rev().find_map(|locals| locals.variables.get(&name))?;
                self.type_written(written.as_ref()?)
            }
            _ => None,
        }
    }

    fn type_written(&self, written: &Type) -> Option<usize> {
        let plain = match written {
            Type::Reference(reference) => &reference.elem,
            written => written,
        };
        if let Type::Path(path) = plain
            && let Some(name) = path.path.get_ident()
        {
            if name == "Self" {
                return self.myself;
            }
            // A generic parameter.
            if self.locals.iter().any(|locals| locals.types.contains(&name.to_string())) {
                return None;
            }
        }
        type_of(self.scope, self.module, plain)
    }
}

impl<'ast> Visit<'ast> for Reader<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_in_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A re-export does not use the item.
        if item.leading_colon.is_some() || !matches!(item.vis, syn::Visibility::Inherited) {
            return;
        }
        leaves(&item.tree, &mut Vec::new(), &mut |leaf| self.path(&leaf.path, leaf.line));
    }

    /// Modules inside a function are not read.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        match item.ident {
            Some(_) => self.tokens(item.mac.tokens.clone()),
            None => self.visit_macro(&item.mac),
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some((names, line)) = names_of(&call.path) {
            self.macro_call(&names, line);
        }
        self.tokens(call.tokens.clone());
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let mut locals = Locals::default();
        locals.visit_item_fn(item);
        self.within(locals, |reader| visit::visit_item_fn(reader, item));
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.within(Locals::of(&item.generics), |reader| visit::visit_item_struct(reader, item));
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.within(Locals::of(&item.generics), |reader| visit::visit_item_enum(reader, item));
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.within(Locals::of(&item.generics), |reader| visit::visit_item_type(reader, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(Locals::of(&item.generics), |reader| visit::visit_item_trait(reader, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = std::mem::replace(&mut self.myself, type_of(self.scope, self.module, &item.self_ty));
        self.within(Locals::of(&item.generics), |reader| visit::visit_item_impl(reader, item));
        self.myself = outer;
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !only_in_tests(attributes) {
            let mut locals = Locals::default();
            locals.visit_impl_item(item);
            self.within(locals, |reader| visit::visit_impl_item(reader, item));
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let mut locals = Locals::default();
        locals.visit_trait_item(item);
        self.within(locals, |reader| visit::visit_trait_item(reader, item));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !only_in_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if !only_in_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !only_in_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !only_in_tests(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes: &[_] = match statement {
            Stmt::Local(local) => &local.attrs,
            Stmt::Macro(call) => &call.attrs,
            Stmt::Expr(Expr::Block(block), _) => &block.attrs,
            Stmt::Expr(Expr::Call(call), _) => &call.attrs,
            Stmt::Expr(Expr::MethodCall(call), _) => &call.attrs,
            Stmt::Expr(Expr::If(branch), _) => &branch.attrs,
            Stmt::Expr(Expr::Macro(call), _) => &call.attrs,
            _ => &[],
        };
        if !only_in_tests(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        let outer = self.module;
        let items = block.stmts.iter().filter_map(|statement| match statement {
            Stmt::Item(item) => Some(item),
            _ => None,
        });
        if items.clone().next().is_some() {
            self.module = self.scope.block(outer, items);
        }
        visit::visit_block(self, block);
        self.module = outer;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some((names, line)) = names_of(path) {
            self.path(&names, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_type_path(&mut self, path: &'ast syn::TypePath) {
        match &path.qself {
            Some(of) if of.position == 0 => self.visit_type(&of.ty),
            _ => visit::visit_type_path(self, path),
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        match &path.qself {
            Some(of) if of.position == 0 => self.visit_type(&of.ty),
            _ => visit::visit_expr_path(self, path),
        }
    }

    /// A name in a pattern is a variable, unless it is spelled like a constant or a variant.
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let name = pattern.ident.to_string();
        if pattern.subpat.is_none() && is_capital(&name) {
            self.path(&[name], line(&pattern.ident));
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let of = self.type_of(&call.receiver);
        self.method(of, &call.method.to_string(), line(&call.method));
        visit::visit_expr_method_call(self, call);
    }

    /// Attributes have paths too, for example that of a parser for arguments.
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let of_rustc = ["cfg", "cfg_attr", "allow", "expect", "deny", "warn", "doc", "derive", "repr"];
        if let syn::Meta::List(list) = &attribute.meta
            && !of_rustc.iter().any(|name| list.path.is_ident(name))
        {
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(in path)` is not a use.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

impl<'a> Locals<'a> {
    fn of(generics: &'a syn::Generics) -> Self {
        let mut locals = Locals::default();
        locals.visit_generics(generics);
        locals
    }

    fn variable(&mut self, name: String, written: Option<&'a Type>) {
        self.variables.entry(name).and_modify(|known| *known = None).or_insert(written);
    }
}

impl<'ast> Visit<'ast> for Locals<'ast> {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let name = pattern.ident.to_string();
        if !is_capital(&name) {
            self.variable(name, None);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_pat_type(&mut self, pattern: &'ast syn::PatType) {
        match &*pattern.pat {
            syn::Pat::Ident(ident) => self.variable(ident.ident.to_string(), Some(&pattern.ty)),
            _ => visit::visit_pat_type(self, pattern),
        }
    }

    fn visit_type_param(&mut self, parameter: &'ast syn::TypeParam) {
        self.types.insert(parameter.ident.to_string());
    }

    fn visit_const_param(&mut self, parameter: &'ast syn::ConstParam) {
        self.types.insert(parameter.ident.to_string());
    }
}

/// The names of a path, and its line; `None` if it begins with `::`.
fn names_of(path: &syn::Path) -> Option<(Vec<String>, usize)> {
    let first = path.segments.first().filter(|_| path.leading_colon.is_none())?;
    let names = path.segments.iter().map(|part| part.ident.to_string()).collect();
    Some((names, line(&first.ident)))
}

fn line(ident: &Ident) -> usize {
    ident.span().start().line
}

fn is_capital(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

fn punctuation(token: &TokenTree) -> Option<char> {
    match token {
        TokenTree::Punct(punct) => Some(punct.as_char()),
        _ => None,
    }
}

/// The name after `::`.
fn behind_colons(tokens: &[TokenTree], at: usize) -> Option<&Ident> {
    match tokens.get(at..at + 3)? {
        [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(name)]
            if one.as_char() == ':' && one.spacing() == Spacing::Joint && two.as_char() == ':' =>
        {
            Some(name)
        }
        _ => None,
    }
}
