//! `cargo xtask no-std`: the crates of layers 0 to 2, but for tidewire-explain, link no std without
//! their default features.
//!
//! Two proofs. Where the toolchain has a target without std, the crates are built for it.
//! Everywhere, a tiny `#![no_std]` crate links all of them and defines the panic handler itself:
//! std defines it too, so if one of them, or anything they use, links std, rustc refuses the second
//! definition (E0152). A control first shows that it does.

use crate::layers::pure;
use std::path::Path;
use tidewire_testkit::run::{Result, ask, cargo, program, read, root, run as start, write};

/// Targets without std, with the flags that outside crates need there: a kernel's, and a small
/// 32-bit machine's, where `usize` is not 64 bits wide.
const BARE_TARGETS: [(&str, &str); 2] = [
    // No vector registers, which the SHA instructions of the `sha1` crate need.
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
    let hint =
        |problem| format!("{problem}: a crate of layers 0 to 2 links std without its default features");
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

/// A crate that links std and has a panic handler must be refused, or the proof proves nothing.
fn control(folder: &Path) -> Result {
    let source = folder.join("control.rs");
    write(&source, format!("#![no_std]\nextern crate std;\n{PANIC_HANDLER}").as_bytes())?;
    let (source, out) = (source.display().to_string(), folder.display().to_string());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let args = ["--edition=2024", "--crate-type=rlib", "--emit=metadata", "--out-dir", &out, &source];
    let output =
        program(&rustc, &args).output().map_err(|error| format!("rustc cannot be started: {error}"))?;
    if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("E0152") {
        return Err(
            "rustc takes a second panic handler beside std's: this check proves nothing with it".into()
        );
    }
    Ok(())
}

/// Writes the crate that links all of layers 0 to 2. Versions are those of the workspace's lock
/// file.
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
