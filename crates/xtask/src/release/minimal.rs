//! The lowest versions that the manifests allow, of the crates that they name. Our lock file has
//! newer ones, so no other step finds a bound that is too low.

use tidewire_testkit::run::{Result, run as start};

use super::tools::nightly;
use super::unpacked::{Unpacked, Without};

pub(super) fn run() -> Result {
    let unpacked = Unpacked::new("minimal-versions", Without::Tests)?;
    // Of the crates below those, cargo chooses the newest: their bounds are not ours to fix.
    let mut update = nightly(&["update", "-Z", "direct-minimal-versions"])?;
    unpacked.here(&mut update);
    start(&mut update)?;
    for package in &unpacked.packages {
        let check = ["check", "--quiet", "--locked", "--all-features", "--package", &package.name];
        start(&mut unpacked.cargo(&check)).map_err(|problem| {
            format!(
                "{problem}: a crate lacks what we use; raise its version in the Cargo.toml of the workspace"
            )
        })?;
    }
    println!("holds: {} packages compile with the lowest versions that they allow", unpacked.packages.len());
    Ok(())
}
