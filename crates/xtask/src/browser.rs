//! `cargo xtask browser`: the browser's client built afresh, and tried in real Chromium against the real server.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{Result, ask, cargo, need, program, root, run as start};

const WEB: &str = "crates/tidewire/web";

/// Builds the client, compares it with what is committed (and embedded in the server), and runs the tests of `web/test`.
pub(crate) fn run() -> Result {
    need("npm", &["--version"], &["nodejs", "npm"])?;
    need("chromium", &["--version"], &["chromium"])?;
    start(&mut npm(&["ci", "--no-audit", "--no-fund"]))?;
    start(&mut npm(&["run", "--silent", "build"]))?;
    let changed = ask(&mut program("git", &["status", "--porcelain", "--", &format!("{WEB}/dist")]))
        .unwrap_or_default();
    if !changed.is_empty() {
        return Err(format!(
            "the source of the client does not build to what is committed; look at it and commit it:\n{changed}"
        ));
    }
    start(&mut cargo(&["build", "--quiet", "--package", "tidewire"]))?;
    start(&mut cargo(&["build", "--quiet", "--package", "tidewire-examples", "--example", "ws_echo"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut tests = npm(&["test", "--silent"]);
    tests.env("TIDEWIRE_BIN", target.join("debug/tidewire"));
    start(tests.env("TIDEWIRE_EXAMPLES", target.join("debug/examples")))
}

fn npm(args: &[&str]) -> Command {
    let mut command = program("npm", args);
    command.current_dir(root().join(WEB));
    command
}
