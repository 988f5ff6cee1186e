//! What we link: licences, sources, and crates that must not be there.

use tidewire_testkit::run::{Result, cargo, run as start};

use super::tools::install;

pub(super) fn run() -> Result {
    install("deny")?;
    let check = ["deny", "--all-features", "--workspace", "check", "bans", "licenses", "sources"];
    start(&mut cargo(&check))
        .map_err(|problem| format!("{problem}. What is allowed, and why, is in .cargo/deny.toml"))?;
    println!(
        "holds: every dependency of the published crates has an allowed licence and comes from crates.io"
    );
    Ok(())
}
