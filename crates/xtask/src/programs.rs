//! The programs of the workspace, which several commands try.

use tidewire_testkit::run::{Result, cargo, run};

/// Builds the server, the commands and the examples, as the build of the tests does: nothing is
/// compiled twice.
pub(crate) fn build() -> Result {
    run(&mut cargo(&["build", "--quiet", "--workspace", "--all-features", "--bins", "--examples"]))
}
