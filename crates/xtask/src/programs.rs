//! The programs of the workspace, which several commands run.

use tidewire_testkit::run::{Result, cargo, run};

/// Builds the server, the commands and the examples with the features of the tests, so that nothing
/// is compiled twice.
pub(crate) fn build() -> Result {
    run(&mut cargo(&["build", "--quiet", "--workspace", "--all-features", "--bins", "--examples"]))
}
