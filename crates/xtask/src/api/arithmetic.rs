//! Checks that clippy refuses arithmetic that can wrap in the crates that parse untrusted bytes.
//!
//! `overflow-checks` in a profile of ours does not reach the builds of callers. So the code itself
//! must not be able to wrap, and this attribute is the only thing that makes sure of it.

use crate::source::Tree;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Returns the problem of a crate that parses untrusted bytes, if its root has no [`ATTRIBUTE`].
pub(super) fn check(tree: &Tree, folder: &str) -> Option<String> {
    let found = tree.attributes.iter().any(forbids_outside_tests);
    (!found).then(|| {
        format!(
            "{folder}/lib.rs: a crate that parses untrusted bytes needs `{ATTRIBUTE}`; \
             without it, a length can wrap in a release build of a caller"
        )
    })
}

fn forbids_outside_tests(attribute: &Attribute) -> bool {
    if !attribute.path().is_ident("cfg_attr") {
        return false;
    }
    let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let parts: Vec<Meta> = parts.map(|parts| parts.into_iter().collect()).unwrap_or_default();
    let [condition, levels @ ..] = &parts[..] else { return false };
    has(condition, "not", "test") && levels.iter().any(|level| has(level, "forbid", LINT))
}

/// Whether `list` is `name(…, argument, …)`.
fn has(list: &Meta, name: &str, argument: &str) -> bool {
    let Meta::List(list) = list else { return false };
    let arguments = list.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
    let text = |path: &syn::Path| {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        names.collect::<Vec<_>>().join("::")
    };
    list.path.is_ident(name)
        && arguments.is_ok_and(|arguments| arguments.iter().any(|path| text(path) == argument))
}

const LINT: &str = "clippy::arithmetic_side_effects";
/// `forbid`, because `deny` could be lifted by an `allow` anywhere in the crate.
const ATTRIBUTE: &str = "#![cfg_attr(not(test), forbid(clippy::arithmetic_side_effects))]";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::load;

    fn problem(source: &str) -> Option<String> {
        check(&load(&[("lib.rs", source)], Tree::load).unwrap(), "src")
    }

    #[test]
    fn the_root_forbids_the_lint_outside_tests() {
        assert_eq!(problem(ATTRIBUTE), None);
        assert_eq!(
            problem(
                "#![no_std]
                #![cfg_attr(not(test), forbid(clippy::a, clippy::arithmetic_side_effects), deny(clippy::b))]"
            ),
            None
        );
    }

    #[test]
    fn weaker_attributes_are_refused() {
        let problem = |source| problem(source).is_some_and(|text| text.contains("src/lib.rs: a crate that"));
        assert!(problem(""));
        assert!(problem("#![warn(clippy::arithmetic_side_effects)]"));
        assert!(problem("#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]"));
        assert!(problem("#![cfg_attr(test, forbid(clippy::arithmetic_side_effects))]"));
        assert!(problem("#![cfg_attr(not(test), forbid(arithmetic_side_effects))]"));
        assert!(problem("#![cfg_attr(not(feature = \"x\"), forbid(clippy::arithmetic_side_effects))]"));
        // An attribute of a module is not one of the crate.
        assert!(problem("mod a { #![cfg_attr(not(test), forbid(clippy::arithmetic_side_effects))] }"));
    }
}
