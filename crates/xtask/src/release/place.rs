//! Where the logs and all builds of the command are.

use std::path::PathBuf;

use crate::steps;

/// The name of the command.
pub(super) const NAME: &str = "release-check";

pub(super) fn folder() -> PathBuf {
    steps::folder(NAME)
}
