//! The crates of the workspace that are published.

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use std::path::{Path, PathBuf};
use tidewire_testkit::run::{Result, root};

use crate::source::Tree;

/// Reads the manifests of the workspace.
pub(crate) fn manifests() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(root()).no_deps().exec().map_err(|error| format!("cargo metadata: {error}"))
}

/// The packages that are published, in the order of their names.
pub(crate) fn published(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    // `publish = false` is an empty list of registries.
    metadata.packages.iter().filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()))
}

/// The arguments that select every published package.
pub(crate) fn selected(metadata: &Metadata) -> Vec<String> {
    published(metadata).map(|package| format!("--package={}", package.name)).collect()
}

/// The root file of a package's library.
pub(crate) fn library(package: &Package) -> Option<&Path> {
    let library = package.targets.iter().find(|target| target.kind.contains(&TargetKind::Lib))?;
    Some(library.src_path.as_std_path())
}

/// The parsed sources of a library, and their folder from the root of the workspace.
pub(crate) fn sources(library: &Path) -> Result<(Tree, PathBuf)> {
    let tree = Tree::load(library, &|path: &Path| std::fs::read_to_string(path).ok())?;
    let folder = library.parent().unwrap_or(library);
    Ok((tree, folder.strip_prefix(root()).unwrap_or(folder).to_owned()))
}
