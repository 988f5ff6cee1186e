//! `cargo xtask api`: checks that the published crates keep the rules of docs/api.md.

mod arithmetic;
mod rules;

use crate::layers;
use crate::source::Tree;
use cargo_metadata::{Metadata, MetadataCommand, TargetKind};
use std::path::Path;
use tidewire_testkit::run::{Result, root};

pub(crate) fn run() -> Result {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let (count, problems) = check(&metadata)?;
    if problems.is_empty() {
        println!("    {count} crates keep the rules of docs/api.md");
        return Ok(());
    }
    Err(format!("{}\nThe rules and their reasons are in docs/api.md.", problems.join("\n")))
}

/// Checks every library that is published. Returns the number of libraries, and the problems.
fn check(metadata: &Metadata) -> Result<(usize, Vec<String>)> {
    let (mut count, mut problems) = (0, Vec::new());
    // `publish = false` is an empty list of registries.
    let published =
        metadata.packages.iter().filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()));
    for package in published {
        let libraries = package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Lib));
        for library in libraries {
            let path = Path::new(library.src_path.as_str());
            let tree = Tree::load(path, &|path: &Path| std::fs::read_to_string(path).ok())?;
            let folder = path.parent().unwrap_or(path);
            let folder = folder.strip_prefix(root()).unwrap_or(folder).display().to_string();
            problems.extend(rules::check(&tree, &folder, package.features.contains_key("codec")));
            if layers::pure().any(|name| name == package.name.as_str()) {
                problems.extend(arithmetic::check(&tree, &folder));
            }
            count += 1;
        }
    }
    Ok((count, problems))
}
