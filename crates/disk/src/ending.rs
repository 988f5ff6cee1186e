//! How the store ends, on the thread of the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use tidewire_store::Failed;

use crate::directory::Directory;
use crate::load::mark_clean;
use crate::queue::{Queue, Stop};
use crate::reads::ReadPool;
use crate::state::Writer;
use crate::sync::SyncThreads;

/// What ends after the writer. The lock of the directory is the last.
pub(crate) struct Ending {
    pub(crate) queue: Arc<Queue>,
    pub(crate) reads: Arc<ReadPool>,
    pub(crate) sync: SyncThreads,
    pub(crate) dir: Directory,
}

impl Ending {
    /// Lets the writer work until it is stopped, and ends the rest.
    ///
    /// # Errors
    /// The disk has failed. Then the next start tells readers what they may have lost.
    pub(crate) fn after(self, writer: Writer) -> Result<(), Failed> {
        let Self { queue, reads, mut sync, dir } = self;
        let ended = catch_unwind(AssertUnwindSafe(move || writer.run()));
        let Ok((stop, mut writer)) = ended else {
            // Who waits is told that there is no answer.
            drop(queue.stop_now());
            let what = "the writer of the store has panicked, which is a bug of Tidewire";
            tracing::error!("{what}; nothing more is written: restart the server");
            return Err(Failed::unknown(what));
        };
        reads.stop();
        let finished = if stop == Stop::Close { writer.finish() } else { Ok(()) };
        let failure = sync.stop();
        drop(sync);
        if stop == Stop::Abandon || finished.is_err() || failure.is_some() {
            // A killed process makes no checkpoint. After a failed sync, what the kernel has of the
            // write-ahead log may not be what is on the disk: the next start checks its sums.
            let _ = writer.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        if stop == Stop::Abandon {
            return Ok(());
        }
        finished?;
        if let Some(failure) = failure {
            return Err(Failed::unknown(failure));
        }
        if writer.scrub.is_some() {
            // The next start goes on to look for dead messages, which it does only if this stop was
            // not in order. Nobody is told anything: nothing is lost.
            return Ok(());
        }
        let closed = mark_clean(&writer.db);
        drop(writer);
        drop(dir);
        closed.map_err(|error| Failed::unknown(format!("the database cannot be closed: {error}")))
    }
}
