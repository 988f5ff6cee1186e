//! The live members of a group.
//!
//! ```text
//!     0            waiting            len
//!     ├── waiting ────┼──── served ────┤
//!                   ◄─┘ next()       ◄─┘ push()
//! ```
//!
//! A batch is given to one member after another, and the turn may end in between. The members that
//! still wait for it stand before those that have it.

use super::ids::RowId;

#[derive(Debug, Default)]
pub(super) struct Live {
    all: Vec<RowId>,
    /// The number of members that wait for the current batch. They are the first ones.
    waiting: usize,
}

impl Live {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether any member waits for the current batch.
    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether the member at this place waits for the current batch.
    pub(super) fn waits(&self, slot: u32) -> bool {
        (slot as usize) < self.waiting
    }

    /// Starts a batch for all members.
    pub(super) fn begin(&mut self) {
        self.waiting = self.all.len();
    }

    /// The next member for the batch. From now on it counts as served.
    pub(super) fn next(&mut self) -> Option<RowId> {
        self.waiting = self.waiting.checked_sub(1)?;
        Some(self.all[self.waiting])
    }

    /// Any member: the one that is removed with the least work.
    pub(super) fn last(&self) -> Option<RowId> {
        self.all.last().copied()
    }

    /// Adds a member that has everything. Returns its place.
    pub(super) fn push(&mut self, row: RowId) -> u32 {
        self.all.push(row);
        self.all.len() as u32 - 1
    }

    /// Removes a member. Calls `moved` for each member that got another place.
    pub(super) fn remove(&mut self, slot: u32, mut moved: impl FnMut(RowId, u32)) {
        let mut hole = slot as usize;
        if hole < self.waiting {
            self.waiting -= 1;
            self.fill(hole, self.waiting, &mut moved);
            hole = self.waiting;
        }
        self.fill(hole, self.all.len() - 1, &mut moved);
        self.all.pop();
        if self.all.capacity() > 64 && self.all.len() < self.all.capacity() / 4 {
            // Many have left. Keep some capacity, so that this does not happen again soon.
            self.all.shrink_to(self.all.len() * 2);
        }
    }

    fn fill(&mut self, hole: usize, from: usize, moved: &mut impl FnMut(RowId, u32)) {
        if hole != from {
            self.all[hole] = self.all[from];
            moved(self.all[hole], hole as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A simple version with two lists: members that wait, and members that have the batch.
    #[derive(Default)]
    struct Twin {
        slots: BTreeMap<RowId, u32>,
        waiting: Vec<RowId>,
        served: Vec<RowId>,
    }

    #[test]
    fn waiting_and_served_members_match_a_simple_version() {
        for seed in 0..200 {
            let mut dice = fastrand::Rng::with_seed(seed);
            let (mut live, mut twin) = (Live::default(), Twin::default());
            for number in 0..300 {
                match dice.u8(..8) {
                    0..3 => {
                        let row = RowId::new(number);
                        twin.slots.insert(row, live.push(row));
                        twin.served.push(row);
                    }
                    3 => {
                        if twin.waiting.is_empty() {
                            live.begin();
                            twin.waiting.append(&mut twin.served);
                        }
                    }
                    4..6 => match live.next() {
                        Some(row) => {
                            let at = twin.waiting.iter().position(|&one| one == row).expect("the row waits");
                            twin.served.push(twin.waiting.remove(at));
                        }
                        None => assert!(twin.waiting.is_empty()),
                    },
                    _ => {
                        let all: Vec<RowId> = twin.waiting.iter().chain(&twin.served).copied().collect();
                        let Some(&row) = dice.choice(&all) else { continue };
                        let slot = twin.slots.remove(&row).expect("the row has a slot");
                        live.remove(slot, |row, slot| {
                            twin.slots.insert(row, slot);
                        });
                        twin.waiting.retain(|&one| one != row);
                        twin.served.retain(|&one| one != row);
                    }
                }
                for (list, waits) in [(&twin.waiting, true), (&twin.served, false)] {
                    for row in list {
                        let slot = twin.slots[row];
                        assert_eq!((live.all[slot as usize], live.waits(slot)), (*row, waits), "seed {seed}");
                    }
                }
                assert_eq!(live.all.len(), twin.slots.len());
                assert_eq!(live.is_waiting(), !twin.waiting.is_empty());
            }
        }
    }
}
