//! `cargo xtask coverage`: measures how much of the protocol crates the committed corpora reach.

use crate::layers::pure;
use std::path::PathBuf;
use tidewire_testkit::run::{Result, ask, cargo, files, program, root, run as start};

/// Instrumented builds share nothing with other builds.
const TARGET: &str = "target/coverage";

pub(crate) fn run() -> Result {
    let tools = tools()?;
    for old in files(&root().join(TARGET), ".profraw") {
        std::fs::remove_file(&old).map_err(|error| format!("{}: {error}", old.display()))?;
    }
    let test = [
        "test",
        "--quiet",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--no-default-features",
        "--test",
        "corpus",
    ];
    let profiles = root().join(TARGET).join("%p-%m.profraw");
    let mut replay = cargo(&test);
    replay.args(["--target-dir", TARGET]).env("RUSTFLAGS", "-C instrument-coverage");
    start(replay.env("LLVM_PROFILE_FILE", &profiles))?;

    let merged = format!("{TARGET}/merged.profdata");
    let mut merge =
        program(&tools.join("llvm-profdata").display().to_string(), &["merge", "-sparse", "-o", &merged]);
    start(merge.args(files(&root().join(TARGET), ".profraw")))?;
    let mut report = program(&tools.join("llvm-cov").display().to_string(), &["report"]);
    report.arg(replayer()?).arg(format!("-instr-profile={merged}"));
    report.args(["-show-region-summary=false", "-show-branch-summary=false"]);
    for name in pure() {
        let folder = root().join("crates").join(name.trim_start_matches("tidewire-")).join("src");
        report.args(files(&folder, ".rs"));
    }
    start(&mut report)
}

/// Returns the folder of llvm-cov and llvm-profdata. Installs this component of the toolchain if it
/// is missing.
fn tools() -> Result<PathBuf> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libdir = ask(&mut program(&rustc, &["--print", "target-libdir"])).unwrap_or_default();
    let folder = PathBuf::from(libdir.trim()).join("../bin");
    if folder.join("llvm-cov").is_file() {
        return Ok(folder);
    }
    println!("    llvm-tools is missing: rustup component add llvm-tools");
    start(&mut program("rustup", &["component", "add", "llvm-tools"]))?;
    Ok(folder)
}

/// The newest build of fuzz/tests/corpus.rs.
fn replayer() -> Result<PathBuf> {
    let built = files(&root().join(TARGET).join("debug/deps"), "").into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("corpus-") && path.extension().is_none()
    });
    let newest = built.max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok());
    newest.ok_or_else(|| format!("no test of the corpora was built in {TARGET}"))
}
