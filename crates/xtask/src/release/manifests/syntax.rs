//! Syntax that is newer than the `rust-version` of a crate.
//!
//! Clippy finds newer functions of the standard library (`incompatible_msrv`), but no newer syntax.
//! An old compiler finds both: see the step `msrv`. This rule needs none, so it runs with every
//! check.

use cargo_metadata::Package;
use std::path::Path;
use syn::visit::{Visit, visit_expr_binary};
use syn::{BinOp, Expr, ExprBinary};

use crate::source::Tree;

/// Rust 1.88 has `if let A = b && c`.
const LET_CHAINS: u64 = 88;

pub(super) fn check(package: &Package, tree: &Tree, folder: &Path) -> Vec<String> {
    let Some(version) = &package.rust_version else { return Vec::new() };
    if version.minor >= LET_CHAINS {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for module in &tree.modules {
        let file = folder.join(&tree.files[module.file]);
        let mut finder = Finder::default();
        module.items.iter().for_each(|item| finder.visit_item(item));
        problems.extend(finder.lines.iter().map(|line| {
            format!(
                "{}:{line}: a `let` joined with `&&` needs Rust 1.{LET_CHAINS}, and rust-version is {}.{}",
                file.display(),
                version.major,
                version.minor
            )
        }));
    }
    problems
}

/// Collects the lines of chains with a `let`.
#[derive(Default)]
struct Finder {
    lines: Vec<usize>,
}

impl Visit<'_> for Finder {
    fn visit_expr_binary(&mut self, binary: &ExprBinary) {
        match &binary.op {
            BinOp::And(and) if is_let(&binary.left) || is_let(&binary.right) => {
                self.lines.push(and.spans[0].start().line);
            }
            _ => {}
        }
        visit_expr_binary(self, binary);
    }
}

fn is_let(expr: &Expr) -> bool {
    matches!(expr, Expr::Let(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::load;

    fn found(source: &str, version: &str) -> Vec<String> {
        let package: Package = serde_json::from_str(&format!(
            r#"{{"name":"x","version":"0.1.0","id":"x","source":null,"targets":[],"features":{{}},
            "manifest_path":"/x/Cargo.toml","dependencies":[],"rust_version":"{version}"}}"#
        ))
        .unwrap();
        check(&package, &load(&[("lib.rs", source)], Tree::load).unwrap(), Path::new("src"))
    }

    #[test]
    fn a_chain_is_found_in_every_place_and_only_below_its_version() {
        let source = "fn f() { if a && let B = c {} }\nfn g() { while let A = b && c {} }
            fn h() { match a { B if let C = d && e => {} _ => {} } }
            fn i() { if let A = (b && c) {} let d = e && f; }";
        assert_eq!(found(source, "1.88.0"), [""; 0]);
        let problems = found(source, "1.85.0");
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[1].starts_with("src/lib.rs:2: "), "{problems:?}");
    }
}
