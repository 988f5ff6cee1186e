//! The cheap part of `cargo xtask release-check`, which is also a step of `cargo xtask check`: what
//! the manifests say, and which files the packages have.

mod files;
mod keys;
mod names;
mod syntax;

use tidewire_testkit::run::Result;

use crate::published::{library, manifests, published, sources};

pub(crate) fn run() -> Result {
    let metadata = manifests()?;
    let mut problems = keys::same(&metadata);
    let (mut count, mut packed) = (0, files::Sum::default());
    for package in published(&metadata) {
        let mut found = keys::check(package, &keys::rust_versions(&metadata));
        found.extend(names::check(package)?);
        found.extend(files::check(package, &mut packed)?);
        if let Some(library) = library(package) {
            let (tree, folder) = sources(library)?;
            found.extend(syntax::check(package, &tree, &folder));
        }
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", package.name)));
        count += 1;
    }
    if problems.is_empty() {
        println!("holds: {count} packages have {packed}, licences, and complete manifests");
        return Ok(());
    }
    Err(format!(
        "{}\nThe rules and their reasons are in crates/xtask/src/release/manifests/.",
        problems.join("\n")
    ))
}
