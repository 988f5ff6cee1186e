//! How the store ends, on the thread of the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use tidewire_store::Failed;

use crate::directory::Directory;
use crate::load::mark_clean;
use crate::queue::{Queue, Stop};
use crate::reads::ReadPool;
use crate::sync::SyncThreads;
use crate::writer::Writer;

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
        if stop == Stop::Abandon {
            // A killed process makes no checkpoint.
            let _ = writer.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            return Ok(());
        }
        finished?;
        if let Some(failure) = failure {
            return Err(Failed::unknown(failure));
        }
        let closed = mark_clean(&writer.db);
        drop(writer);
        drop(dir);
        closed.map_err(|error| Failed::unknown(format!("the database cannot be closed: {error}")))
    }
}
