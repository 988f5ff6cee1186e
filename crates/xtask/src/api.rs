//! `cargo xtask api`: checks that the published crates keep the rules of docs/api.md.

mod arithmetic;
mod rules;

use crate::layers;
use crate::published::{library, manifests, published, sources};
use tidewire_testkit::run::Result;

pub(crate) fn run() -> Result {
    let (mut count, mut problems) = (0, Vec::new());
    for package in published(&manifests()?) {
        let Some(library) = library(package) else { continue };
        let (tree, folder) = sources(library)?;
        let folder = folder.display().to_string();
        problems.extend(rules::check(&tree, &folder, package.features.contains_key("codec")));
        if layers::pure().any(|name| name == package.name.as_str()) {
            problems.extend(arithmetic::check(&tree, &folder));
        }
        count += 1;
    }
    if problems.is_empty() {
        println!("    {count} crates keep the rules of docs/api.md");
        return Ok(());
    }
    Err(format!("{}\nThe rules and their reasons are in docs/api.md.", problems.join("\n")))
}
