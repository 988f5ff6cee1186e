//! `cargo xtask no-std`: proves that the crates of layers 0 to 2 do not link std without their
//! default features. tidewire-explain and tidewire-store are the exceptions.
//!
//! There are two proofs. If the toolchain has a target without std, the crates are built for it. In
//! any case, a small `#![no_std]` crate links all of them and defines a panic handler. std defines
//! one too. So if a crate or a dependency links std, rustc refuses the second definition (E0152). A
//! control crate first shows that rustc does so.

use crate::layers::pure;
use std::path::Path;
use tidewire_testkit::run::{Result, ask, cargo, program, read, root, run as start, write};

/// Targets without std, with the flags that other crates need there: a kernel, and a small 32-bit
/// machine, where `usize` does not have 64 bits.
const BARE_TARGETS: [(&str, &str); 2] = [
    // It has no vector registers, which the SHA instructions of the `sha1` crate need.
    ("x86_64-unknown-none", "--cfg sha1_backend=\"soft\""),
    ("thumbv7em-none-eabi", ""),
];
const PANIC_HANDLER: &str =
    "#[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! {\n    loop {}\n}\n";

pub(crate) fn run() -> Result {
    let folder = root().join("target/no-std");
    control(&folder)?;
    let manifest = probe(&folder)?;
    let build = ["build", "--quiet", "--manifest-path", &manifest, "--target-dir", "target/no-std/target"];
    let hint = |problem| {
        format!("{problem}: a crate of layers 0 to 2 links std, although its default features are off")
    };
    start(&mut cargo(&build)).map_err(hint)?;
    let installed: Vec<_> = BARE_TARGETS.into_iter().filter(|(target, _)| is_installed(target)).collect();
    for (target, flags) in &installed {
        start(cargo(&build).args(["--target", target]).env("RUSTFLAGS", flags)).map_err(hint)?;
    }
    let names: Vec<_> = installed.iter().map(|(target, _)| *target).collect();
    let built = if names.is_empty() { "no bare target is installed".into() } else { names.join(" and ") };
    println!("    {} crates link no std ({built})", pure().count());
    Ok(())
}

/// Checks that rustc refuses a crate that links std and defines a panic handler. Otherwise the
/// proof is not valid.
fn control(folder: &Path) -> Result {
    let source = folder.join("control.rs");
    write(&source, format!("#![no_std]\nextern crate std;\n{PANIC_HANDLER}").as_bytes())?;
    let (source, out) = (source.display().to_string(), folder.display().to_string());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let args = ["--edition=2024", "--crate-type=rlib", "--emit=metadata", "--out-dir", &out, &source];
    let output =
        program(&rustc, &args).output().map_err(|error| format!("rustc cannot be started: {error}"))?;
    if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("E0152") {
        return Err("rustc accepts a second panic handler, so this check is not valid with this rustc".into());
    }
    Ok(())
}

/// Writes the crate that links all crates of layers 0 to 2, with the versions of the workspace's
/// lock file.
fn probe(folder: &Path) -> Result<String> {
    let mut manifest = String::from(
        "[package]\nname = \"no-std-probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [workspace]\n\n[profile.dev]\npanic = \"abort\"\n\n[dependencies]\n",
    );
    let mut source = String::from("#![no_std]\n");
    for name in pure() {
        let path = root().join("crates").join(name.trim_start_matches("tidewire-"));
        manifest +=
            &format!("{name} = {{ path = {:?}, default-features = false }}\n", path.display().to_string());
        source += &format!("extern crate {};\n", name.replace('-', "_"));
    }
    let at = folder.join("Cargo.toml");
    write(&at, manifest.as_bytes())?;
    write(&folder.join("src/lib.rs"), (source + PANIC_HANDLER).as_bytes())?;
    write(&folder.join("Cargo.lock"), read(&root().join("Cargo.lock"))?.as_bytes())?;
    Ok(at.display().to_string())
}

fn is_installed(target: &str) -> bool {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    ask(&mut program(&rustc, &["--print", "target-libdir", "--target", target]))
        .is_some_and(|folder| Path::new(folder.trim()).is_dir())
}
