//! The rows of a table, by number.

use std::ops::{Index, IndexMut};

use slab::Slab;

use super::ids::RowId;
use super::ids::SPARE;
use super::row::Row;
use super::state::{Action, Event};

/// The rows of a table.
#[derive(Default)]
pub(super) struct Rows(Slab<Row>);

impl Rows {
    /// Adds a row. `make` gets its number.
    pub(super) fn add(&mut self, make: impl FnOnce(RowId) -> Row) -> RowId {
        let entry = self.0.vacant_entry();
        let id = RowId::new(entry.key());
        entry.insert(make(id));
        id
    }

    pub(super) fn get(&self, id: RowId) -> Option<&Row> {
        self.0.get(id.index())
    }

    pub(super) fn get_mut(&mut self, id: RowId) -> Option<&mut Row> {
        self.0.get_mut(id.index())
    }

    pub(super) fn remove(&mut self, id: RowId) -> Row {
        self.0.remove(id.index())
    }

    /// Moves a row to its next state. Returns the action; `None` if the row was removed.
    pub(super) fn step(&mut self, id: RowId, event: Event) -> Option<Action> {
        let row = self.get_mut(id)?;
        let after = row.state.after(event);
        debug_assert!(after.is_some(), "{event:?} in {:?}", row.state);
        let (state, action) = after?;
        row.state = state;
        Some(action)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RowId, &Row)> {
        self.0.iter().map(|(index, row)| (RowId::new(index), row))
    }

    /// The row with this index, if there is one.
    pub(super) fn id_at(&self, index: usize) -> Option<RowId> {
        self.0.contains(index).then(|| RowId::new(index))
    }

    /// An index that is larger than that of every row.
    pub(super) fn end(&self) -> usize {
        self.0.capacity()
    }

    /// Frees memory that is no longer needed.
    pub(super) fn shrink(&mut self) {
        if self.0.capacity() > 4 * self.0.len().max(SPARE) {
            self.0.shrink_to_fit();
        }
    }
}

impl Index<RowId> for Rows {
    type Output = Row;

    fn index(&self, id: RowId) -> &Row {
        &self.0[id.index()]
    }
}

impl IndexMut<RowId> for Rows {
    fn index_mut(&mut self, id: RowId) -> &mut Row {
        &mut self.0[id.index()]
    }
}
