//! The numbers of rows and groups.

/// A row of the table. A row that comes later may get the number of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowId(u32);

impl RowId {
    /// It wakes the task of the table, and no row has it.
    pub(super) const NONE: RowId = RowId(u32::MAX);

    pub(super) fn new(index: usize) -> Self {
        RowId(u32::try_from(index).expect("a process has fewer than 2^32 sockets"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    /// As the inbox of ready sockets has it.
    pub(super) fn key(self) -> u32 {
        self.0
    }

    /// The row of a ready socket.
    pub(crate) fn of_key(key: u32) -> Self {
        RowId(key)
    }
}

/// A group. The number says which one is meant, also when another has taken its place.
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

/// Rows, groups and channels that an empty table keeps room for.
pub(super) const SPARE: usize = 256;
