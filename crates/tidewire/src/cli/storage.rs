//! Where the server keeps its channels: in memory, or in the directory of `--data`.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidewire::Hub;
use tidewire::disk::{DiskOptions, DiskStore, SyncMode};
use tidewire::hub::store::{Limits, MemoryStore, Store};
use tidewire::server::shutdown_signal;

use super::options::SyncChoice;

/// What the options ask for.
pub(super) enum Storage {
    Memory(Limits),
    Disk { directory: PathBuf, options: DiskOptions },
}

impl Storage {
    /// `kept_bytes` is the room for the channels that keep all. Without it, the store decides.
    pub(super) fn new(
        data: Option<PathBuf>,
        sync: Option<SyncChoice>,
        limits: Limits,
        kept_bytes: Option<usize>,
    ) -> Self {
        let with = |usual| limits.with_max_kept_bytes(kept_bytes.unwrap_or(usual));
        let Some(directory) = data else { return Storage::Memory(with(limits.max_kept_bytes)) };
        let usual = DiskOptions::DEFAULT;
        let options = usual
            .with_sync(sync.map_or(usual.sync, SyncChoice::mode))
            .with_limits(with(usual.limits.max_kept_bytes));
        Storage::Disk { directory, options }
    }

    /// Opens the store, and logs what it has found.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(super) fn open(self) -> Result<OpenStore, Box<dyn Error>> {
        let (directory, options) = match self {
            Storage::Memory(limits) => return Ok(OpenStore::Memory(Arc::new(MemoryStore::new(limits)))),
            Storage::Disk { directory, options } => (directory, options),
        };
        let store = DiskStore::open(&directory, options)?;
        let report = store.start_report();
        let (channels, messages, sync) = (report.logs, report.messages, options.sync);
        let (data, ms) = (directory.display(), u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX));
        if report.was_clean {
            tracing::info!(%data, ?sync, channels, messages, ms, "the data is open; the last stop was clean");
        } else {
            tracing::warn!(
                %data,
                ?sync,
                channels,
                messages,
                damaged = report.lost,
                ms,
                "the data is open; the last stop was not clean, so each channel begins an epoch: a reader \
                 that has seen more than is there will be told"
            );
        }
        Ok(OpenStore::Disk(Arc::new(store)))
    }
}

/// How long to wait for the last answers of the store. It closes after what it was asked before.
const SETTLING: Duration = Duration::from_secs(5);

impl SyncChoice {
    fn mode(self) -> SyncMode {
        match self {
            SyncChoice::Always => SyncMode::Always,
            SyncChoice::Interval => SyncMode::Interval,
            SyncChoice::Never => SyncMode::Never,
        }
    }
}

/// The store of a server that runs.
pub(super) enum OpenStore {
    Memory(Arc<MemoryStore>),
    Disk(Arc<DiskStore>),
}

/// How a store was closed.
pub(super) enum Closed {
    Well,
    /// A signal has ended it.
    Interrupted,
}

impl OpenStore {
    /// The store, for a hub.
    pub(super) fn shared(&self) -> Arc<dyn Store> {
        match self {
            OpenStore::Memory(store) => store.clone(),
            OpenStore::Disk(store) => store.clone(),
        }
    }

    /// Closes the store when it has answered the hub: all is on the disk then, and the next start
    /// is a clean one. A signal ends this at once, as it ends a drain.
    ///
    /// # Errors
    /// Something could not be written. The sentence says what happens next.
    pub(super) fn close(self, hub: Arc<Hub>) -> Result<Closed, Box<dyn Error>> {
        let OpenStore::Disk(store) = self else { return Ok(Closed::Well) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let closed = runtime.block_on(async {
            let closing = tokio::task::spawn_blocking(move || {
                if !hub.settle(SETTLING) {
                    tracing::warn!("the store has not answered everything; it is closed nevertheless");
                }
                store.close()
            });
            tokio::select! {
                closed = closing => Some(closed),
                () = shutdown_signal() => None,
            }
        });
        // Otherwise it would wait for the thread that closes.
        runtime.shutdown_background();
        match closed {
            None => Ok(Closed::Interrupted),
            Some(Ok(Ok(()))) => Ok(Closed::Well),
            Some(Ok(Err(error))) => {
                Err(format!("the data could not be closed: {error}; the next start checks it").into())
            }
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Leaves the store as it is. The next start finds that the stop was not clean.
    pub(super) fn abandon(self) {
        // To drop it would close it, which takes time.
        std::mem::forget(self);
    }
}
