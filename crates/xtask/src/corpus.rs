//! `cargo xtask corpus` and `cargo xtask seeds`: the inputs that fuzzers start from, which also run
//! as ordinary tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use tidewire_testkit::run::{Result, cargo, files, root, run as start, target, write};
use tidewire_testkit::vectors;

/// How the names of exported seeds begin. Other files of a corpus are not changed.
const EXPORTED: &str = "wire-";

/// Runs the bodies of the fuzz targets, which are plain functions, on the committed corpora.
pub(crate) fn run() -> Result {
    let stale: Vec<_> = stale(&wanted()?).into_iter().map(|path| path.display().to_string()).collect();
    if !stale.is_empty() {
        return Err(format!(
            "these seeds differ from docs/wire/*.md; run `cargo xtask seeds`:\n{}",
            stale.join("\n")
        ));
    }
    let quiet = ["test", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--tests"];
    start(cargo(&quiet).arg("--target-dir").arg(target()))
}

/// Writes the cases of the wire documents to the corpora that they name, and removes exported seeds
/// without a case.
pub(crate) fn seeds() -> Result {
    let wanted = wanted()?;
    for path in stale(&wanted) {
        match wanted.get(&path) {
            Some(bytes) => write(&path, bytes)?,
            None => std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?,
        }
    }
    println!("    {} seeds", wanted.len());
    Ok(())
}

/// The seeds that should exist.
fn wanted() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut seeds = BTreeMap::new();
    for document in files(&root().join("docs/wire"), ".md") {
        let name = document.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for case in vectors::of(&name) {
            for target in &case.seeds {
                if !root().join(format!("fuzz/fuzz_targets/{target}.rs")).is_file() {
                    return Err(format!(
                        "{name}.md:{}: there is no fuzz target {target} (see fuzz/README.md)",
                        case.line
                    ));
                }
                let path = corpora().join(target).join(format!("{EXPORTED}{name}-{}", case.slug()));
                if seeds.insert(path.clone(), case.input.clone()).is_some() {
                    return Err(format!(
                        "{name}.md:{}: two headings give the seed {}",
                        case.line,
                        path.display()
                    ));
                }
            }
        }
    }
    Ok(seeds)
}

/// The exported files that are missing, different, or no longer needed.
fn stale(wanted: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let exported =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(EXPORTED));
    let gone = files(&corpora(), "").into_iter().filter(exported).filter(|path| !wanted.contains_key(path));
    let changed = wanted.iter().filter(|(path, bytes)| std::fs::read(path).ok().as_ref() != Some(bytes));
    gone.chain(changed.map(|(path, _)| path.clone())).collect()
}

fn corpora() -> PathBuf {
    root().join("fuzz/corpus")
}
