//! The unit tests and the examples of the documentation, from the unpacked packages. Packagers of
//! distributions run them.

use tidewire_testkit::run::{Result, root, run as start};

use super::unpacked::{Unpacked, Without};

pub(super) fn run() -> Result {
    let unpacked = Unpacked::new("packages", Without::Nothing)?;
    // The versions of the workspace.
    let lock = unpacked.folder.join("Cargo.lock");
    std::fs::copy(root().join("Cargo.lock"), &lock)
        .map_err(|error| format!("{}: {error}", lock.display()))?;
    for (index, package) in unpacked.packages.iter().enumerate() {
        println!("==> {} ({} of {})", package.name, index + 1, unpacked.packages.len());
        let test = ["test", "--quiet", "--all-features", "--package", &package.name];
        start(&mut unpacked.cargo(&test))?;
    }
    println!("holds: the tests of {} unpacked packages pass", unpacked.packages.len());
    Ok(())
}
