//! Each feature alone, and each two together. `cargo xtask check` has all features.

use tidewire_testkit::run::{Result, cargo, run as start};

use super::place::folder;
use super::tools::install;
use crate::published::{manifests, selected};

pub(super) fn run() -> Result {
    install("hack")?;
    let packages = selected(&manifests()?);
    let mut hack =
        cargo(&["hack", "clippy", "--feature-powerset", "--depth", "2", "--keep-going", "--quiet"]);
    hack.args(&packages).args(["--lib", "--bins", "--", "-D", "warnings"]);
    start(hack.env("CARGO_TARGET_DIR", folder().join("target")))?;
    println!("holds: {} packages compile without warnings with every two of their features", packages.len());
    Ok(())
}
