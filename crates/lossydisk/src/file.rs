//! One file: what readers see, what is on the disk, and the changes between both.
//!
//! ```text
//!             write, truncate                    sync
//!   program ------------------> now, pending ------------> disk
//!                                          \
//!                                           cut: each pending change reaches the disk,
//!                                                or a part of it, or nothing
//! ```
//!
//! A kernel keeps pages in memory and writes them to the disk in any order. The disk writes whole
//! sectors. So a sector on the disk is always a version that was in memory: a sector of a kept
//! write also has the bytes that earlier writes put into this sector, even if those writes are lost
//! elsewhere.

use crate::loss::{Dice, Fate};
use crate::pages::{Pages, SECTOR, sectors};

/// A change that is not on the disk yet.
#[derive(Clone, Debug)]
enum Change {
    Write {
        offset: u64,
        data: Box<[u8]>,
    },
    /// A new size.
    Resize(u64),
}

/// A file.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// What readers see.
    now: Pages,
    /// What survives every power cut.
    disk: Pages,
    /// What readers saw after the last sync that failed. Pending changes come on top of it. `None`
    /// if no sync failed, then they come on top of `disk`.
    base: Option<Box<Pages>>,
    pending: Vec<Change>,
    /// How many bytes the pending writes have.
    bytes: usize,
    /// How many changes were pending and are not any more.
    settled: u64,
}

/// The kernel does not keep unsynced pages for ever. With more unsynced bytes than this, the file
/// is written to the disk.
const WRITE_BACK: usize = 256 << 20;

impl Content {
    /// A file that is on the disk.
    pub(crate) fn durable(pages: Pages) -> Self {
        Self { now: pages.clone(), disk: pages, ..Self::default() }
    }

    /// What readers see.
    pub(crate) fn now(&self) -> &Pages {
        &self.now
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        self.now.write(offset, data);
        self.bytes += data.len();
        self.pending.push(Change::Write { offset, data: data.into() });
        if self.bytes > WRITE_BACK {
            self.sync();
        }
    }

    pub(crate) fn resize(&mut self, size: u64) {
        self.now.resize(size);
        self.pending.push(Change::Resize(size));
    }

    /// Reserves the pages of a range, and sets the size to its end if that is larger and `grow`.
    pub(crate) fn allocate(&mut self, offset: u64, len: u64, grow: bool) {
        self.now.allocate(offset, len);
        if grow && offset + len > self.now.size() {
            self.resize(offset + len);
        }
    }

    /// Flips a bit on the disk and in memory.
    pub(crate) fn flip(&mut self, offset: u64, bit: u8) {
        for pages in
            [Some(&mut self.now), Some(&mut self.disk), self.base.as_deref_mut()].into_iter().flatten()
        {
            pages.flip(offset, bit);
        }
    }

    /// The point after the last change, for [`Content::sync_to`].
    pub(crate) fn point(&self) -> u64 {
        self.settled + self.pending.len() as u64
    }

    /// Puts all changes on the disk.
    pub(crate) fn sync(&mut self) {
        for change in &self.pending {
            match change {
                Change::Write { offset, data } => self.disk.take_pages(&self.now, *offset, data.len() as u64),
                Change::Resize(size) => self.disk.resize(*size),
            }
        }
        self.disk.resize(self.now.size());
        if let Some(base) = &mut self.base {
            **base = self.now.clone();
        }
        self.settle(self.pending.len());
    }

    /// Puts the changes up to this point on the disk, and no later ones.
    pub(crate) fn sync_to(&mut self, point: u64) {
        let count = point.saturating_sub(self.settled) as usize;
        if count >= self.pending.len() {
            return self.sync();
        }
        for change in &self.pending[..count] {
            change.apply(&mut self.disk);
            if let Some(base) = &mut self.base {
                change.apply(base);
            }
        }
        self.settle(count);
    }

    /// Forgets all changes: the disk refused them. As on Linux, readers still see them, and the
    /// next sync succeeds without them.
    pub(crate) fn fail_sync(&mut self) {
        self.base = Some(Box::new(self.now.clone()));
        self.settle(self.pending.len());
    }

    /// What is on the disk after a power cut.
    pub(crate) fn cut(mut self, dice: &mut Dice) -> Pages {
        let mut memory = self.base.map_or_else(|| self.disk.clone(), |base| *base);
        for change in self.pending {
            change.apply(&mut memory);
            match change {
                Change::Write { offset, data } => {
                    let fate = dice.write();
                    for sector in sectors(offset, data.len() as u64) {
                        if fate == Fate::Kept || fate == Fate::Torn && dice.coin() {
                            self.disk.take_sector(&memory, sector);
                            // A sector behind the end of the file in memory cannot be written, so
                            // the file on the disk ends where it ended in memory, or before.
                            self.disk.grow(memory.size().min((sector + 1) * SECTOR));
                        }
                    }
                }
                Change::Resize(size) => {
                    if dice.keep() {
                        self.disk.resize(size);
                    }
                }
            }
        }
        self.disk
    }

    fn settle(&mut self, count: usize) {
        self.settled += count as u64;
        if count == self.pending.len() {
            // One empty vector is as good as another, but a large one is not given back.
            self.pending.clear();
            self.pending.shrink_to(1_024);
            self.bytes = 0;
        } else {
            self.bytes -= self.pending.drain(..count).map(|change| change.len()).sum::<usize>();
        }
    }
}

impl Change {
    fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write { offset, data } => pages.write(*offset, data),
            Self::Resize(size) => pages.resize(*size),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Write { data, .. } => data.len(),
            Self::Resize(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use std::collections::HashSet;
    use tidewire_testkit::Rng;

    fn bytes(pages: &Pages) -> Vec<u8> {
        pages.read(0, u64::MAX)
    }

    fn change(content: &mut Content, rng: &mut Rng) {
        let at = rng.below(20_000) as u64;
        match rng.below(10) {
            0 => content.resize(at),
            1 => content.allocate(at, 1 + rng.below(5_000) as u64, rng.chance(50)),
            _ => {
                let len = 1 + rng.below(6_000);
                content.write(at, &rng.bytes(len));
            }
        }
    }

    #[test]
    fn a_cut_loses_all_or_nothing_since_the_last_sync() {
        for seed in 0..300 {
            for loss in [Loss::AllUnsynced, Loss::Nothing] {
                let mut rng = Rng::new(seed);
                let mut content = Content::default();
                let mut synced = Vec::new();
                for _ in 0..rng.below(40) {
                    change(&mut content, &mut rng);
                    if rng.chance(20) {
                        // A slow sync does not have what comes while it runs.
                        let point = content.point();
                        synced = bytes(content.now());
                        (0..rng.below(3)).for_each(|_| change(&mut content, &mut rng));
                        content.sync_to(point);
                    }
                }
                let wanted = if loss == Loss::Nothing { bytes(content.now()) } else { synced };
                assert!(bytes(&content.cut(&mut Dice::new(loss))) == wanted, "seed {seed}, {loss:?}");
            }
        }
    }

    #[test]
    fn each_sector_is_one_that_was_in_memory() {
        let sectors = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.resize(32_768, 0);
            bytes.chunks(SECTOR as usize).map(<[u8]>::to_vec).enumerate().collect::<Vec<_>>()
        };
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let mut content = Content::default();
            let mut seen = HashSet::new();
            seen.extend(sectors(&[]));
            for _ in 0..rng.below(20) {
                let (at, len) = (rng.below(20_000) as u64, 1 + rng.below(6_000));
                content.write(at, &rng.bytes(len));
                if rng.chance(10) {
                    content.sync();
                    seen.clear();
                }
                seen.extend(sectors(&bytes(content.now())));
            }
            let size = content.now().size();
            let left = content.cut(&mut Dice::new(Loss::Seed(seed)));
            assert!(left.size() <= size, "seed {seed}");
            assert!(sectors(&bytes(&left)).into_iter().all(|sector| seen.contains(&sector)), "seed {seed}");
        }
    }

    #[test]
    fn writes_are_kept_dropped_and_torn_in_any_order() {
        let mut outcomes = HashSet::new();
        for seed in 0..500 {
            let mut content = Content::default();
            content.write(0, &[1; 1024]);
            content.write(1024, &[1; 512]);
            let mut left = bytes(&content.cut(&mut Dice::new(Loss::Seed(seed))));
            left.resize(1536, 0);
            outcomes.insert([left[0], left[512], left[1024]]);
        }
        // Of three sectors, all eight outcomes.
        assert_eq!(outcomes.len(), 8, "{outcomes:?}");
    }

    #[test]
    fn a_failed_sync_is_never_made_up_for() {
        let mut content = Content::default();
        content.write(0, &[1; 8192]);
        content.sync();
        content.write(0, &[2; 8192]);
        content.fail_sync();
        content.write(5000, &[3]);
        content.sync();
        let readers = bytes(content.now());
        assert_eq!((readers[0], readers[4999], readers[5000]), (2, 2, 3));
        let left = bytes(&content.cut(&mut Dice::new(Loss::Nothing)));
        // The later sync wrote its whole page, as a kernel does, and no other one.
        assert_eq!((left[0], left[4095], left[4096], left[5000], left[8191]), (1, 1, 2, 3, 2));
    }
}
