//! The numbers of rows and groups.

/// A row of the table. The number of a removed row is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowId(u32);

impl RowId {
    /// A number that no row has. A wake-up with it only wakes the task of the table.
    pub(super) const NONE: RowId = RowId(u32::MAX);

    pub(super) fn new(index: usize) -> Self {
        RowId(u32::try_from(index).expect("a process has fewer than 2^32 sockets"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    /// The key of the row in the inbox of ready sockets.
    pub(super) fn key(self) -> u32 {
        self.0
    }

    /// The row of a ready socket.
    pub(crate) fn of_key(key: u32) -> Self {
        RowId(key)
    }
}

/// A group. `serial` distinguishes it from later groups at the same index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupId {
    index: u32,
    serial: u32,
}

impl GroupId {
    pub(super) fn new(index: usize, serial: u32) -> Self {
        GroupId { index: u32::try_from(index).expect("there are no more groups than rows"), serial }
    }

    pub(super) fn index(self) -> usize {
        self.index as usize
    }
}

/// Rows, groups and channels for which an empty table keeps memory.
pub(super) const SPARE: usize = 256;
