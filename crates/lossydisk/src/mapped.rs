//! A file that programs map into memory: the kernel uses another file in its place.
//!
//! SQLite maps its file `…-shm`. A mapping that writes must not belong to a file system that runs
//! in the same process: at its end, the kernel locks the memory of the process and waits for the
//! file system to write the pages, and the file system waits for memory. Both wait for ever. So the
//! kernel maps and writes a file in memory instead (FUSE passthrough, since Linux 6.9), and tells
//! us only about opens, sizes and syncs.

use crate::file::Content;
use crate::loss::Dice;
use crate::pages::Pages;
use fuser::BackingId;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::Result;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Whether a file with this name is mapped: an index of SQLite's WAL.
pub(crate) fn is_mapped(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b"-shm")
}

/// A file that programs map.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// What the kernel uses in its place.
    file: File,
    /// What survives every power cut.
    disk: Pages,
    /// The kernel's name of `file`. All handles that are open at the same time must have the same.
    backing: Option<Arc<BackingId>>,
}

impl Mapped {
    pub(crate) fn new() -> Result<Self> {
        Self::durable(Pages::default())
    }

    fn durable(disk: Pages) -> Result<Self> {
        let file = File::from(memfd_create("lossydisk", MemfdFlags::CLOEXEC)?);
        file.write_all_at(&disk.read(0, u64::MAX), 0)?;
        Ok(Self { file, disk, backing: None })
    }

    pub(crate) fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    pub(crate) fn resize(&mut self, size: u64) -> Result<()> {
        self.file.set_len(size)
    }

    /// The kernel's name of the file, which `make` makes.
    pub(crate) fn backing(
        &mut self,
        make: impl FnOnce(&File) -> Result<BackingId>,
    ) -> Result<Arc<BackingId>> {
        match &self.backing {
            Some(backing) => Ok(Arc::clone(backing)),
            None => Ok(Arc::clone(self.backing.insert(Arc::new(make(&self.file)?)))),
        }
    }

    /// Puts all bytes on the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.disk = Pages::default();
        self.disk.write(0, &self.bytes()?);
        Ok(())
    }

    /// The file after a power cut. We do not know single writes, so all bytes are one.
    pub(crate) fn cut(self, dice: &mut Dice) -> Result<Self> {
        let bytes = self.bytes()?;
        let mut content = Content::durable(self.disk);
        content.write(0, &bytes);
        Self::durable(content.cut(dice))
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.size() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}
