//! `cargo xtask browser`: the browser's client built afresh, and tried in real Chromium against the
//! real server.

use std::process::Command;

use crate::programs;
use tidewire_testkit::run::{Result, ask, need, program, root, run as start, target};

const WEB: &str = "crates/tidewire/web";

/// The client and its tests, with all that they need.
pub(crate) fn run() -> Result {
    client()?;
    programs::build()?;
    tests()
}

/// Installs what the tests need, builds the client, and compares it with what is committed (and
/// embedded in the server).
pub(crate) fn client() -> Result {
    need("npm", &["--version"], &["nodejs", "npm"])?;
    chromium()?;
    // The versions are exact, so what is there is right; without a network it can be used again.
    if ask(&mut npm(&["ls", "--silent"])).is_none() {
        start(&mut npm(&["ci", "--no-audit", "--no-fund"])).map_err(|problem| {
            format!("{problem}; the client's tools (esbuild, playwright-core) come from the npm registry")
        })?;
    }
    start(&mut npm(&["run", "--silent", "build", "--", "--check"]))
}

/// Runs the tests of `web/test` with the programs that were built.
pub(crate) fn tests() -> Result {
    let screenshots = target().join("screenshots");
    // Those of an earlier run would be taken for this one's; there may be none.
    drop(std::fs::remove_dir_all(&screenshots));
    let tests = start(
        npm(&["test", "--silent"])
            .env("CHROMIUM", chromium()?)
            .env("TIDEWIRE_BIN", target().join("debug/tidewire"))
            .env("TIDEWIRE_EXAMPLES", target().join("debug/examples"))
            .env("TIDEWIRE_SCREENSHOTS", &screenshots),
    );
    println!("    what the pages looked like: {}", screenshots.display());
    tests
}

/// Where Chromium is, under any of its names; Debian's is installed where there is none.
fn chromium() -> Result<String> {
    let named = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".into());
    let find = format!("command -v '{named}' || command -v chromium-browser || command -v google-chrome");
    let found = || ask(&mut program("sh", &["-c", &find]));
    if found().is_none() {
        need("chromium", &["--version"], &["chromium"])?;
    }
    found()
        .map(|path| path.trim().to_owned())
        .ok_or_else(|| "no Chromium is to be found; CHROMIUM may name one".into())
}

fn npm(args: &[&str]) -> Command {
    let mut command = program("npm", args);
    command.current_dir(root().join(WEB));
    command
}
