//! The controls of a disk.

use crate::fs::LossyFs;
use crate::loss::Loss;
use crate::mount::Mount;
use crate::state::{Counters, Shared};
use fuser::INodeNo;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A disk in memory, mounted on a folder. It is unmounted when this is dropped, and its files are
/// gone then.
#[derive(Debug)]
pub struct LossyDisk {
    // It is dropped first: after it, no request comes.
    mount: Mount,
    shared: Arc<Shared>,
}

impl LossyDisk {
    /// Mounts an empty disk of 4 GiB on a folder. It makes the folder if it does not exist.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made, and if the process may not mount. The text then begins with
    /// "needs root and /dev/fuse".
    pub fn mount(folder: impl AsRef<Path>) -> Result<Self> {
        let shared = Arc::new(Shared::new(SIZE));
        let mount = Mount::new(folder.as_ref(), LossyFs::new(Arc::clone(&shared)))?;
        Ok(Self { mount, shared })
    }

    /// The folder on which it is mounted.
    pub fn path(&self) -> &Path {
        self.mount.folder()
    }

    /// Cuts the power. Changes that were not synced are lost as `loss` says. From now on, every
    /// request fails with `EIO`, also of open files, until [`LossyDisk::restart`].
    pub fn cut(&self, loss: Loss) {
        let numbers = self.shared.lock().cut(loss);
        self.shared.notify();
        // The lock must be free: to forget a page, the kernel may need an answer from us first.
        for number in numbers {
            self.forget(number);
        }
    }

    /// Gives power again, with what is left on the disk. First it waits until all files that were
    /// open before the power cut are closed. It waits at most 30 seconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`] if files are still open. Then the disk stays without power.
    pub fn restart(&self) -> Result<()> {
        let mut state = self.shared.wait(Instant::now() + CLOSING, |state| state.stale > 0);
        if state.stale > 0 {
            let text =
                format!("after {CLOSING:?}, {} handles from before the power cut are open", state.stale);
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        state.on = true;
        Ok(())
    }

    /// Whether syncs fail with `EIO`. As on Linux, the changes that a failed sync had to write are
    /// lost: readers see them until a power cut, and a later sync succeeds without them.
    pub fn fail_syncs(&self, fail: bool) {
        self.shared.lock().fail_syncs = fail;
    }

    /// How long each sync takes. Changes that come meanwhile are not in it. A new value also ends
    /// the waiting of those that are running.
    ///
    /// A process cannot be killed while it waits in a sync.
    pub fn slow_syncs(&self, time: Duration) {
        self.shared.lock().slow_syncs = time;
        self.shared.notify();
    }

    /// How many bytes all files may have, in pages of 4,096 bytes. A write that needs more fails
    /// with `ENOSPC`. Names and folders need no room. With [`u64::MAX`], there is room for ever.
    pub fn fill(&self, limit: u64) {
        self.shared.lock().tree.limit = limit;
    }

    /// How many bytes all files have, in pages of 4,096 bytes.
    pub fn used(&self) -> u64 {
        self.shared.lock().tree.used()
    }

    /// Flips a bit (0 to 7) of a byte of a file on the disk, and makes the kernel forget what it
    /// had read. A program's own memory keeps what it has.
    ///
    /// `file` is a path from the root of the disk, or one that begins with [`LossyDisk::path`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such file, and [`ErrorKind::UnexpectedEof`] if it is
    /// not that long.
    pub fn flip(&self, file: impl AsRef<Path>, offset: u64, bit: u8) -> Result<()> {
        let path = file.as_ref();
        let path = path.strip_prefix(self.path()).unwrap_or(path);
        let mut state = self.shared.lock();
        let flipped = (state.tree.find(path))
            .and_then(|number| Ok((number, state.tree.flip(number, offset, bit)?)))
            .map_err(|error| Error::from_raw_os_error(error.code()))?;
        drop(state);
        let (number, true) = flipped else {
            let text = format!("{} has no byte {offset}", path.display());
            return Err(Error::new(ErrorKind::UnexpectedEof, text));
        };
        self.forget(number);
        Ok(())
    }

    /// What programs did since the disk was mounted.
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters
    }

    /// Makes the kernel forget the pages of a file.
    fn forget(&self, number: u64) {
        if let Some(notifier) = self.mount.notifier() {
            // It fails if the kernel does not know the file, and then there is nothing to forget.
            let _ = notifier.inval_inode(INodeNo(number), 0, 0);
        }
    }
}

impl Drop for LossyDisk {
    fn drop(&mut self) {
        // A sync that waits would keep its process waiting.
        self.slow_syncs(Duration::ZERO);
    }
}

/// Much more than a test needs, and not more than a machine has.
const SIZE: u64 = 4 << 30;

/// The kernel tells us that a file is closed a moment after its process has ended. On a busy
/// machine, that may take seconds.
const CLOSING: Duration = Duration::from_secs(30);
