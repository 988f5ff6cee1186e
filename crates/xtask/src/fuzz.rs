//! `cargo xtask fuzz NAME… --seconds N` and `cargo xtask fuzz --all`: run cargo-fuzz with our
//! folders.
//!
//! New inputs that reach new code go to `fuzz/target/corpus/NAME`, so that the committed corpus has
//! only files with a meaningful name. A failing input goes to `fuzz/artifacts/NAME`. When a target
//! fails, the others still run for their full time. The failures are listed at the end.

use std::path::Path;
use std::time::Instant;

use tidewire_testkit::run::{Result, ask, cargo, files, program, root, run as start};

/// Which targets, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The targets: files of fuzz/fuzz_targets/ without `.rs`. Without names: prints the list.
    #[arg(value_name = "TARGET", conflicts_with = "all")]
    names: Vec<String>,
    /// Every target, one after the other.
    #[arg(long)]
    all: bool,
    /// How long each target runs, without the time to build it.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The longest input in bytes.
    #[arg(long, default_value_t = 4096)]
    max_len: usize,
}

pub(crate) fn run(args: &Args) -> Result {
    let targets = targets();
    let chosen = if args.all { &targets } else { &args.names };
    if let Some(name) = chosen.iter().find(|name| !targets.contains(name)) {
        return Err(format!("there is no fuzz target {name}; the targets are: {}", targets.join(", ")));
    }
    if chosen.is_empty() {
        return Err(format!("name some of these fuzz targets, or pass --all: {}", targets.join(", ")));
    }
    install()?;
    println!("==> building; the first time this takes about two minutes of processor time");
    match chosen.as_slice() {
        [one] => start(&mut fuzz(&["build", one]))?,
        _ => start(&mut fuzz(&["build"]))?,
    }
    let mut finds = Vec::new();
    let begin = Instant::now();
    for (index, name) in chosen.iter().enumerate() {
        let left = (chosen.len() - index) as u64 * args.seconds;
        println!(
            "==> {name} ({} of {}, after {:.0} s, about {left} s left)",
            index + 1,
            chosen.len(),
            begin.elapsed().as_secs_f32()
        );
        finds.extend(run_one(name, args).err());
    }
    if finds.is_empty() {
        println!("==> no failing input in {} targets", chosen.len());
        return Ok(());
    }
    Err(format!("{} of {} targets failed:\n{}", finds.len(), chosen.len(), finds.join("\n")))
}

/// Runs one target. The error names the failing inputs, and the commands that run them again.
fn run_one(name: &str, args: &Args) -> Result {
    let grown = format!("fuzz/target/corpus/{name}");
    std::fs::create_dir_all(root().join(&grown)).map_err(|error| format!("{grown}: {error}"))?;
    let artifacts = root().join("fuzz/artifacts").join(name);
    let before = files(&artifacts, "");
    let mut command = fuzz(&["run", name, &grown]);
    let committed = format!("fuzz/corpus/{name}");
    if root().join(&committed).is_dir() {
        command.arg(committed);
    }
    command.args(["--", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-max_len={}", args.max_len));
    let dictionary = root().join("fuzz/dict").join(format!("{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    start(&mut command).map_err(|problem| {
        let found: Vec<_> = files(&artifacts, "").into_iter().filter(|path| !before.contains(path)).collect();
        tell(name, &found).unwrap_or_else(|| {
            format!("{name}: {problem}; there is no failing input, and the reason is above")
        })
    })
}

/// The failing inputs, each with the command that runs it again; `None` if there is none.
fn tell(name: &str, found: &[impl AsRef<Path>]) -> Option<String> {
    let again = |path: &Path| {
        let path = path.strip_prefix(root()).unwrap_or(path).display().to_string();
        format!("  {path}\n    again: cargo +nightly fuzz run {name} {path}")
    };
    let lines: Vec<_> = found.iter().map(|path| again(path.as_ref())).collect();
    (!lines.is_empty()).then(|| format!("{name} fails on\n{}", lines.join("\n")))
}

fn fuzz(args: &[&str]) -> std::process::Command {
    let mut command = program("cargo", &["+nightly", "fuzz"]);
    command.args(args);
    command
}

fn targets() -> Vec<String> {
    let bodies = files(&root().join("fuzz/fuzz_targets"), ".rs");
    bodies.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

fn install() -> Result {
    if ask(&mut program("rustc", &["+nightly", "--version"])).is_none() {
        return Err(
            "fuzzing needs a nightly toolchain: rustup toolchain install nightly --profile minimal".into()
        );
    }
    if ask(&mut cargo(&["fuzz", "--version"])).is_some() {
        return Ok(());
    }
    println!("    cargo-fuzz is missing: cargo install cargo-fuzz --locked (a few minutes)");
    start(&mut cargo(&["install", "cargo-fuzz", "--locked"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_input_is_reported_with_its_path_and_the_command() {
        let found = root().join("fuzz/artifacts/chunked/crash-1");
        let told = tell("chunked", &[found]).unwrap();
        assert_eq!(
            told,
            "chunked fails on\n  fuzz/artifacts/chunked/crash-1\n    \
             again: cargo +nightly fuzz run chunked fuzz/artifacts/chunked/crash-1"
        );
        assert_eq!(tell("chunked", &[""; 0]), None);
    }

    #[test]
    fn every_target_is_known() {
        let targets = targets();
        assert!(targets.len() >= 15 && targets.contains(&"ws_deflate".to_owned()), "{targets:?}");
    }
}
