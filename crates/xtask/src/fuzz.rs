//! `cargo xtask fuzz NAME --seconds N`: cargo-fuzz with the house's folders.
//!
//! Inputs that reach new code go to `fuzz/target/corpus/NAME`, so that the committed corpus holds only files that were
//! named by a person. A crash is put into `fuzz/artifacts/NAME`.

use crate::run::{Result, ask, cargo, program, root, run as start};

/// Which target, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The target: a file of fuzz/src/targets/ without `.rs`. Left out: the list of them.
    name: Option<String>,
    /// How long to run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The longest input in bytes.
    #[arg(long, default_value_t = 4096)]
    max_len: usize,
}

pub(crate) fn run(args: &Args) -> Result {
    let targets = targets();
    let Some(name) = args.name.as_deref().filter(|name| targets.iter().any(|target| target == name)) else {
        return Err(format!("name a fuzz target: {}", targets.join(", ")));
    };
    install()?;
    let grown = format!("fuzz/target/corpus/{name}");
    std::fs::create_dir_all(root().join(&grown)).map_err(|error| format!("{grown}: {error}"))?;
    let mut command = program("cargo", &["+nightly", "fuzz", "run", name, &grown]);
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
    start(&mut command)
}

fn targets() -> Vec<String> {
    let bodies = crate::run::files(&root().join("fuzz/fuzz_targets"), ".rs");
    bodies.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

fn install() -> Result {
    if ask(&mut program("rustc", &["+nightly", "--version"])).is_none() {
        return Err("fuzzing needs a nightly toolchain: rustup toolchain install nightly".into());
    }
    if ask(&mut cargo(&["fuzz", "--version"])).is_some() {
        return Ok(());
    }
    println!("    cargo-fuzz is missing: cargo install cargo-fuzz --locked");
    start(&mut cargo(&["install", "cargo-fuzz", "--locked"]))
}
