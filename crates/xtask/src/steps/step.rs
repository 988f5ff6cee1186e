//! What a step is.

use tidewire_testkit::run::Result;

/// A part of the command.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) lane: Lane,
    /// Steps that must be done before, if they are part of the run.
    pub(crate) needs: &'static [&'static str],
    /// Seconds that it takes, for the first run on a machine.
    pub(crate) usual: u64,
    pub(crate) run: fn() -> Result,
}

/// Steps of one lane run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Uses the target folder, which cargo locks.
    Cargo,
    /// Does not use the target folder.
    Beside,
    /// Begins when all other steps are done, and shows its output while it runs.
    Alone,
}

pub(crate) const fn step(
    name: &'static str,
    lane: Lane,
    needs: &'static [&'static str],
    usual: u64,
    run: fn() -> Result,
) -> Step {
    Step { name, lane, needs, usual, run }
}
