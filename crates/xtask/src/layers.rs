//! `cargo xtask layers`: checks that crates use only crates of lower layers, and that the imports
//! of files have no cycles.

mod crates;
mod cycles;
mod files;
mod methods;
mod references;
mod scope;

use cargo_metadata::{Metadata, MetadataCommand, TargetKind};
use files::Graph;
use std::path::{Path, PathBuf};
use tidewire_testkit::run::{Result, root};

pub(crate) use crates::{is_protocol, pure};

/// Which crates to check.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the files of these crates. Without names: the files of all crates, and the dependencies
    /// between crates.
    #[arg(value_name = "CRATE")]
    packages: Vec<String>,
    /// Print every import between the files of these crates.
    #[arg(long, requires = "packages")]
    arrows: bool,
    /// The folder of another workspace, to check that one.
    #[arg(long)]
    root: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result {
    let folder = args.root.clone().unwrap_or_else(root);
    let metadata = MetadataCommand::new()
        .current_dir(&folder)
        .no_deps()
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if args.packages.is_empty() {
        return check(&metadata);
    }
    for name in &args.packages {
        if !metadata.packages.iter().any(|package| package.name.as_str() == name) {
            return Err(format!("the workspace has no crate {name}"));
        }
    }
    let targets = targets(&metadata, |name| args.packages.iter().any(|wanted| wanted == name));
    if args.arrows {
        for target in &targets {
            println!("{}:\n{}", target.name, target.load()?.all());
        }
    }
    no_cycles(&targets)
}

/// The step of `cargo xtask check`: all crates and all their files.
pub(crate) fn all() -> Result {
    run(&Args { packages: Vec::new(), arrows: false, root: None })
}

fn check(metadata: &Metadata) -> Result {
    let checks = [crates::check(metadata), no_cycles(&targets(metadata, |_| true))];
    let problems: Vec<_> = checks.into_iter().filter_map(Result::err).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n\n")) }
}

/// A library, a program or an example.
struct Target {
    name: String,
    path: PathBuf,
}

impl Target {
    fn load(&self) -> Result<Graph> {
        Graph::load(&self.path, &|path: &Path| std::fs::read_to_string(path).ok())
    }
}

fn targets(metadata: &Metadata, wanted: impl Fn(&str) -> bool) -> Vec<Target> {
    let packages = metadata.packages.iter().filter(|package| wanted(package.name.as_str()));
    let targets = packages.flat_map(|package| package.targets.iter().map(move |target| (package, target)));
    let kinds = [TargetKind::Lib, TargetKind::Bin, TargetKind::Example];
    let targets = targets.filter(|(_, target)| target.kind.iter().any(|kind| kinds.contains(kind)));
    targets
        .map(|(package, target)| {
            let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
            let root = target.src_path.strip_prefix(folder).unwrap_or(&target.src_path);
            Target { name: format!("{} ({root})", package.name), path: target.src_path.clone().into() }
        })
        .collect()
}

fn no_cycles(targets: &[Target]) -> Result {
    let (mut count, mut text) = (0, String::new());
    for target in targets {
        let graph = target.load()?;
        count += graph.count();
        let cycles = graph.cycles();
        if !cycles.is_empty() {
            text.push_str(&format!("{}:\n{}\n", target.name, cycles.join("\n")));
        }
    }
    if text.is_empty() {
        println!("    {count} files, no import cycle between them");
        return Ok(());
    }
    Err(format!(
        "{text}The imports of these files form cycles. Move the shared items into a file that both \
         can use; see docs/ARCHITECTURE.md."
    ))
}
