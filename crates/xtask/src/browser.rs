//! `cargo xtask browser`: builds the browser's client, and tests it in Chromium against the server.

use std::process::Command;

use crate::programs;
use tidewire_testkit::run::{Result, ask, need, program, root, run as start, target};

const WEB: &str = "crates/tidewire/web";

/// Builds the client and the programs, and runs the tests.
pub(crate) fn run() -> Result {
    client()?;
    programs::build()?;
    tests()
}

/// Installs what the tests need, builds the client, and compares it with the committed one, which
/// the server contains.
pub(crate) fn client() -> Result {
    need("npm", &["--version"], &["nodejs", "npm"])?;
    chromium()?;
    // The versions are exact. So installed packages are correct, and need no network.
    if ask(&mut npm(&["ls", "--silent"])).is_none() {
        start(&mut npm(&["ci", "--no-audit", "--no-fund"])).map_err(|problem| {
            format!(
                "{problem}; the tools of the client (esbuild, playwright-core) come from the npm registry"
            )
        })?;
    }
    start(&mut npm(&["run", "--silent", "build", "--", "--check"]))
}

/// Runs the tests of `web/test` with the built programs.
pub(crate) fn tests() -> Result {
    let screenshots = target().join("screenshots");
    // Pictures of an earlier run would look like new ones. There may be none.
    drop(std::fs::remove_dir_all(&screenshots));
    let tests = start(
        npm(&["test", "--silent"])
            .env("CHROMIUM", chromium()?)
            .env("TIDEWIRE_BIN", target().join("debug/tidewire"))
            .env("TIDEWIRE_EXAMPLES", target().join("debug/examples"))
            .env("TIDEWIRE_SCREENSHOTS", &screenshots),
    );
    println!("    pictures of the pages: {}", screenshots.display());
    tests
}

/// Returns the path of Chromium, under any of its names. Installs that of Debian if there is none.
fn chromium() -> Result<String> {
    let named = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".into());
    let find = format!("command -v '{named}' || command -v chromium-browser || command -v google-chrome");
    let found = || ask(&mut program("sh", &["-c", &find]));
    if found().is_none() {
        need("chromium", &["--version"], &["chromium"])?;
    }
    found()
        .map(|path| path.trim().to_owned())
        .ok_or_else(|| "Chromium was not found; set CHROMIUM to its path".into())
}

fn npm(args: &[&str]) -> Command {
    let mut command = program("npm", args);
    command.current_dir(root().join(WEB));
    command
}
