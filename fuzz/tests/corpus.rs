//! Runs every target on its committed corpus with an ordinary toolchain, so that a bug found by the
//! fuzzer does not come back.

use std::path::{Path, PathBuf};
use tidewire_fuzz::TARGETS;

#[test]
fn every_file_of_every_corpus() {
    for (name, run) in TARGETS {
        let mut files: Vec<PathBuf> = entries(&root().join("corpus").join(name));
        files.sort();
        assert!(
            !files.is_empty(),
            "fuzz/corpus/{name} is empty: add seeds in docs/wire, or write some files"
        );
        for file in files {
            let data = std::fs::read(&file).expect("a file of the corpus can be read");
            // The file name is printed first, so that a panic shows which file caused it.
            println!("{}", file.display());
            run(&data);
        }
    }
}

#[test]
fn every_target_is_complete() {
    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = entries(&root().join(folder))
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_str()?.into()))
            .filter(|name| name != "mod")
            .collect();
        names.sort();
        names
    };
    let mut table: Vec<String> = TARGETS.iter().map(|(name, _)| String::from(*name)).collect();
    table.sort();
    assert_eq!(
        names("src/targets"),
        table,
        "each file in src/targets/ needs a row in TARGETS, and each row a file"
    );
    assert_eq!(
        names("fuzz_targets"),
        table,
        "each file in fuzz_targets/ needs a row in TARGETS, and each row a file"
    );
    assert_eq!(
        names("corpus"),
        table,
        "each folder in corpus/ needs a row in TARGETS, and each row a folder"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
    listed.map(|entry| entry.path()).filter(|path| !path.ends_with("README.md")).collect()
}
