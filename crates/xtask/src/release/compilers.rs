//! Older compilers: from rustup, or from a package of Debian, which is unpacked and not installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use tidewire_testkit::run::{Result, ask, files, program, run as start};

use super::place::folder;

/// The compiler of a version.
pub(super) struct Compiler {
    /// As it says itself.
    pub(super) version: String,
    rustc: PathBuf,
    /// Its libraries, if they are not where it looks for them.
    libraries: Option<PathBuf>,
}

impl Compiler {
    /// Finds the compiler of a version like `1.85`. `None` if it cannot be had here.
    pub(super) fn find(version: &str) -> Result<Option<Self>> {
        match of_rustup(version) {
            Some(found) => Ok(Some(found)),
            None => of_debian(version),
        }
    }

    /// Makes cargo use it.
    pub(super) fn select(&self, cargo: &mut Command) {
        cargo.env("RUSTC", &self.rustc).env_remove("RUSTDOC");
        if let Some(libraries) = &self.libraries {
            cargo.env("LD_LIBRARY_PATH", libraries);
        }
    }

    fn new(rustc: PathBuf, libraries: Option<PathBuf>) -> Option<Self> {
        let mut found = Self { version: String::new(), rustc, libraries };
        let mut ask_it = Command::new(&found.rustc);
        ask_it.arg("--version");
        found.select(&mut ask_it);
        // `rustc 1.85.0 (4d91de4e4 2025-02-17)`
        found.version = ask(&mut ask_it)?.split_whitespace().nth(1)?.to_owned();
        Some(found)
    }
}

/// A toolchain that is installed. The developer decides whether to install another one.
fn of_rustup(version: &str) -> Option<Compiler> {
    let mut which = program("rustup", &["which", "rustc", "--toolchain", version]);
    let path = ask(which.env("RUSTUP_AUTO_INSTALL", "0"))?;
    Compiler::new(PathBuf::from(path.trim()), None)
}

/// The packages of Debian 12 that follow Firefox and Chromium. Besides the newest version, an older
/// one may be there. `LIBRARY` and a version is a package too.
const COMPILER: &str = "rustc-web";
const LIBRARY: &str = "libstd-rust-web-";

fn of_debian(version: &str) -> Result<Option<Compiler>> {
    let place = folder().join(format!("rust-{version}"));
    let unpacked = place.join("root");
    let rustc = unpacked.join("usr/bin/rustc");
    // Debian has the libraries of LLVM in a folder of the architecture.
    let libraries = || libraries(&unpacked);
    if rustc.is_file() {
        return Ok(Compiler::new(rustc, libraries()));
    }
    let Some(full) = debian_version(version) else { return Ok(None) };
    println!("Rust {full} comes from Debian (90 MB)");
    std::fs::create_dir_all(&unpacked).map_err(|error| format!("{}: {error}", place.display()))?;
    let mut names = vec![
        format!("{COMPILER}={full}"),
        format!("{LIBRARY}dev={full}"),
        format!("{LIBRARY}{version}={full}"),
    ];
    names.extend(llvm(&format!("{LIBRARY}{version}")));
    start(program("apt-get", &["download", "--quiet"]).args(&names).current_dir(&place))?;
    for package in files(&place, ".deb") {
        start(program("dpkg", &["-x"]).arg(package).arg(&unpacked))?;
    }
    Ok(Compiler::new(rustc, libraries()))
}

/// Reads `rustc-web | 1.85.0+dfsg3-1 | http://deb.debian.org/debian bookworm/main amd64 Packages`.
fn debian_version(version: &str) -> Option<String> {
    let list = ask(&mut program("apt-cache", &["madison", COMPILER]))?;
    version_in(&list, version)
}

fn version_in(list: &str, version: &str) -> Option<String> {
    let versions = list.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    let wanted = format!("{version}.");
    versions.filter(|full| full.starts_with(&wanted)).map(str::to_owned).next()
}

/// The package with the LLVM of this compiler.
fn llvm(library: &str) -> Option<String> {
    let needs = ask(&mut program("apt-cache", &["depends", library]))?;
    let names = needs.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.filter(|name| name.starts_with("libllvm")).map(str::to_owned).next()
}

/// The folder with the libraries of the compiler.
fn libraries(unpacked: &Path) -> Option<PathBuf> {
    let all = files(&unpacked.join("usr/lib"), "");
    let is_llvm =
        |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libLLVM"));
    all.iter().find(is_llvm).and_then(|path| path.parent()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_among_the_packages() {
        let list = " rustc-web | 1.96.0+dfsg1-1~deb12u2 | http://x bookworm-security/main amd64 Packages\n \
            rustc-web | 1.85.0+dfsg3-1~deb12u3 | http://x bookworm/main amd64 Packages\n";
        assert_eq!(version_in(list, "1.85").as_deref(), Some("1.85.0+dfsg3-1~deb12u3"));
        assert_eq!(version_in(list, "1.8"), None);
    }
}
