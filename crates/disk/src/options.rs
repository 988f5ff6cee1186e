//! How a store on a disk works.

use tidewire_store::Limits;

/// When messages reach the disk: what an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// It is on the disk. All appends that wait share one sync.
    Always,
    /// It is in the kernel, and on the disk within 100 ms. A crash of the process loses nothing; a
    /// power cut loses the last 100 ms, which is told.
    #[default]
    Interval,
    /// It is in the kernel. A power cut may lose more, which is told, and never damages the file.
    Never,
}

/// How a [`DiskStore`](crate::DiskStore) works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskOptions {
    /// When messages reach the disk. Default [`SyncMode::Interval`].
    pub sync: SyncMode,
    /// What the store allows. By default [`Limits::DEFAULT`], but for
    /// [`max_kept_bytes`](Limits::max_kept_bytes): the disk is the limit.
    pub limits: Limits,
}

impl DiskOptions {
    /// The defaults.
    pub const DEFAULT: Self =
        Self { sync: SyncMode::Interval, limits: Limits::DEFAULT.with_max_kept_bytes(usize::MAX) };

    /// Sets [`sync`](Self::sync).
    #[must_use]
    pub const fn with_sync(mut self, sync: SyncMode) -> Self {
        self.sync = sync;
        self
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}
