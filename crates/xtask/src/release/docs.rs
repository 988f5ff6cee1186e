//! The documentation as docs.rs builds it, and its links.

mod links;

use tidewire_testkit::run::{Result, run as start};

use super::place::folder;
use super::tools::nightly;
use crate::published::{manifests, selected};

pub(super) fn run() -> Result {
    let packages = selected(&manifests()?);
    let target = folder().join("docs");
    let mut doc = nightly(&["doc", "--quiet", "--all-features", "--no-deps"])?;
    doc.args(&packages).env("CARGO_TARGET_DIR", &target);
    // The flag is for rustdoc alone, as on docs.rs: serde does not compile with it.
    start(doc.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings"))?;
    let (count, broken) = links::check(&target.join("doc"))?;
    if !broken.is_empty() {
        return Err(format!("links of the documentation lead nowhere:\n{}", broken.join("\n")));
    }
    println!(
        "holds: the documentation of {} packages has no warning, and {count} links lead to a page",
        packages.len()
    );
    Ok(())
}
