//! The steps of the writer at which a test lets the database fail.

/// A step of the writer that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A transaction begins.
    Begin,
    /// A message is written.
    Insert,
    /// A key or a producer is written.
    Once,
    /// The row of a log is written.
    Log,
    /// A run is written.
    Run,
    /// Rows are deleted.
    Delete,
    /// The transaction is committed: the failure comes before it is.
    Commit,
    /// The commit is synced: the failure comes after it is on the disk.
    Sync,
}

/// What fails, for tests. In a server, nothing does.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    #[cfg(test)]
    plan: std::sync::Arc<std::sync::Mutex<Plan>>,
}

impl Steps {
    /// Fails if a test has planned it.
    #[cfg(not(test))]
    #[inline]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    pub(crate) const fn at(&self, step: Step) -> rusqlite::Result<()> {
        let _ = step;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) use for_tests::{Fault, Plan};

#[cfg(test)]
mod for_tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use rusqlite::ffi;

    use super::{Step, Steps};

    /// How the database fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// There is no room.
        Full,
        /// The disk fails.
        Io,
    }

    /// Which step fails.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Plan {
        /// The number of steps that were made.
        pub(crate) made: usize,
        /// The number of the first step that fails, and the number of steps that fail.
        pub(crate) fails: Option<(usize, usize, Fault)>,
        /// The steps that have failed.
        pub(crate) failed: Vec<Step>,
    }

    impl Steps {
        pub(crate) fn planned(plan: Arc<Mutex<Plan>>) -> Self {
            Self { plan }
        }

        pub(crate) fn at(&self, step: Step) -> rusqlite::Result<()> {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            let number = plan.made;
            plan.made += 1;
            let Some((first, count, fault)) = plan.fails else { return Ok(()) };
            if number < first || number >= first + count {
                return Ok(());
            }
            plan.failed.push(step);
            let code = match (fault, step) {
                (_, Step::Sync) => ffi::SQLITE_IOERR_FSYNC,
                (Fault::Full, _) => ffi::SQLITE_FULL,
                (Fault::Io, _) => ffi::SQLITE_IOERR_WRITE,
            };
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
        }
    }
}
