//! A dry run of `cargo publish`: cargo makes every package and builds it from its own files. The
//! packages are also what the later steps unpack.

use tidewire_testkit::run::{Result, cargo, run as start};

use crate::published::{manifests, published};

pub(super) fn run() -> Result {
    // Never with `--allow-dirty`: a package must be what a commit has.
    let publish = ["publish", "--workspace", "--dry-run"];
    start(&mut cargo(&publish)).map_err(|problem| {
        format!("{problem}. Commit all files first: cargo publishes only what is committed")
    })?;
    println!("holds: {} packages build from their own files", published(&manifests()?).count());
    Ok(())
}
