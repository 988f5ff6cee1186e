//! The bytes of a file, in pages that copies share.
//!
//! A file has two contents: what readers see, and what is on the disk. They differ in few pages, so
//! both share all other pages, and a sync copies no bytes.

use std::sync::{Arc, LazyLock};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const SECTOR: u64 = 512;

type Page = [u8; PAGE as usize];

static ZERO: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new([0; PAGE as usize]));

/// The bytes of a file. A page that was never written is a hole and reads as zeros. Bytes behind
/// the size are always zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pages {
    pages: Vec<Option<Arc<Page>>>,
    size: u64,
}

impl Pages {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// How many pages are no holes. Linear in the size.
    pub(crate) fn allocated(&self) -> u64 {
        self.pages.iter().flatten().count() as u64
    }

    /// How many pages a write to this range would allocate.
    pub(crate) fn missing(&self, offset: u64, len: u64) -> u64 {
        let range = pages(offset, len);
        range.filter(|&page| self.pages.get(page).is_none_or(Option::is_none)).count() as u64
    }

    /// The bytes from `offset`, at most `len` and at most to the end of the file.
    pub(crate) fn read(&self, offset: u64, len: u64) -> Vec<u8> {
        let end = self.size.min(offset.saturating_add(len));
        let mut bytes = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let (page, start) = place(at);
            let count = (PAGE as usize - start).min((end - at) as usize);
            match self.pages.get(page) {
                Some(Some(data)) => bytes.extend_from_slice(&data[start..start + count]),
                _ => bytes.resize(bytes.len() + count, 0),
            }
            at += count as u64;
        }
        bytes
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (page, start) = place(at);
            let (now, later) = rest.split_at(rest.len().min(PAGE as usize - start));
            self.page(page)[start..start + now.len()].copy_from_slice(now);
            (at, rest) = (at + now.len() as u64, later);
        }
        self.size = self.size.max(at);
    }

    /// Allocates the holes of a range. The size stays.
    pub(crate) fn allocate(&mut self, offset: u64, len: u64) {
        for page in pages(offset, len) {
            self.slot(page).get_or_insert_with(|| ZERO.clone());
        }
    }

    /// Sets the size. Bytes behind it are gone.
    pub(crate) fn resize(&mut self, size: u64) {
        if size < self.size {
            let (page, start) = place(size);
            self.pages.truncate(page + usize::from(start > 0));
            if start > 0 && self.pages.get(page).is_some_and(Option::is_some) {
                self.page(page)[start..].fill(0);
            }
        }
        self.size = size;
    }

    /// Sets the size, if it is larger.
    pub(crate) fn grow(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// Takes a sector of another version of the file.
    pub(crate) fn take_sector(&mut self, from: &Self, sector: u64) {
        let (page, start) = place(sector * SECTOR);
        let end = start + SECTOR as usize;
        let source: &Page = from.pages.get(page).and_then(Option::as_ref).unwrap_or(&ZERO);
        self.page(page)[start..end].copy_from_slice(&source[start..end]);
    }

    /// Shares the pages of a range with another version of the file.
    pub(crate) fn take_pages(&mut self, from: &Self, offset: u64, len: u64) {
        for page in pages(offset, len) {
            *self.slot(page) = from.pages.get(page).cloned().flatten();
        }
    }

    /// Flips a bit of a byte. Does nothing behind the end.
    pub(crate) fn flip(&mut self, offset: u64, bit: u8) {
        if offset < self.size {
            let (page, start) = place(offset);
            self.page(page)[start] ^= 1 << (bit % 8);
        }
    }

    fn slot(&mut self, page: usize) -> &mut Option<Arc<Page>> {
        if page >= self.pages.len() {
            self.pages.resize(page + 1, None);
        }
        &mut self.pages[page]
    }

    fn page(&mut self, page: usize) -> &mut Page {
        Arc::make_mut(self.slot(page).get_or_insert_with(|| ZERO.clone()))
    }
}

/// The sectors of a range.
pub(crate) fn sectors(offset: u64, len: u64) -> std::ops::Range<u64> {
    offset / SECTOR..(offset + len).div_ceil(SECTOR)
}

/// The pages of a range.
fn pages(offset: u64, len: u64) -> std::ops::Range<usize> {
    if len == 0 { 0..0 } else { (offset / PAGE) as usize..(offset + len).div_ceil(PAGE) as usize }
}

/// The page of an offset, and the place in it.
fn place(offset: u64) -> (usize, usize) {
    ((offset / PAGE) as usize, (offset % PAGE) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_testkit::Rng;

    /// The naive twin is a vector.
    #[test]
    fn pages_are_a_vector() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (mut pages, mut twin) = (Pages::default(), Vec::new());
            for _ in 0..30 {
                let at = rng.below(20_000);
                if rng.chance(70) {
                    let len = 1 + rng.below(9_000);
                    let data = rng.bytes(len);
                    pages.write(at as u64, &data);
                    twin.resize(twin.len().max(at + data.len()), 0);
                    twin[at..at + data.len()].copy_from_slice(&data);
                } else {
                    pages.resize(at as u64);
                    twin.resize(at, 0);
                }
                assert_eq!(pages.size(), twin.len() as u64, "seed {seed}");
                assert!(pages.read(0, u64::MAX) == twin, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_copy_does_not_change_with_its_original() {
        let mut pages = Pages::default();
        pages.write(0, &[1; 10_000]);
        let copy = pages.clone();
        pages.write(4_000, &[2; 200]);
        pages.resize(5_000);
        assert_eq!(copy.read(0, 20_000), [1; 10_000]);
    }
}
