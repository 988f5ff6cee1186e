//! Opens a file on Unix: name by name, each in the folder before it, and never through a link.
//!
//! When a name is a link, the target of the link replaces it in the list of remaining names. So
//! every name on the way is checked here. None may be hidden. `..` goes back over names that were
//! opened before, and never out of the folder. A program that changes the folder meanwhile cannot
//! lead the walk out of it, because every name that is opened was checked. `openat2` of Linux would
//! stay in the folder too, but it does not report where a link has led.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::path::is_hidden;

/// The handle of the folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// `NONBLOCK`: opening a pipe must not wait for its other end.
const FILE_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW);

const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);

/// For a folder on the way to a file. Linux requires only the right to search it, as for a path.
/// The other systems have no common flag for this and require the right to read it.
#[cfg(target_os = "linux")]
const INTERMEDIATE_FLAGS: OFlags =
    OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);
#[cfg(not(target_os = "linux"))]
const INTERMEDIATE_FLAGS: OFlags = FOLDER_FLAGS.union(OFlags::NOFOLLOW);

/// The most links on the way to one file; the same as in Linux.
const MAX_LINKS: usize = 40;

/// The most names that are opened on the way to one file. A link can send the walk back to its
/// start, so a limit on links alone does not limit the work.
const MAX_STEPS: usize = 1024;

impl Folder {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Folder(openat(CWD, folder, FOLDER_FLAGS, Mode::empty())?))
    }

    /// Opens a file by its names. The result may be a folder; the caller checks that.
    pub(super) fn open_beneath(&self, segments: &[String]) -> io::Result<File> {
        let names = segments.iter().rev().map(|name| name.clone().into_bytes()).collect();
        Walk { root: &self.0, current: None, parents: Vec::new(), remaining: names, links: 0 }.run()
    }
}

struct Walk<'a> {
    root: &'a OwnedFd,
    /// The folder that was opened last; `None` means the root.
    current: Option<OwnedFd>,
    /// The names of the folders from the root to the current one. None of them is a link.
    parents: Vec<Vec<u8>>,
    /// The remaining names, in reverse order: the next one is last.
    remaining: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn run(mut self) -> io::Result<File> {
        for _ in 0..MAX_STEPS {
            let Some(name) = self.remaining.pop() else {
                // A link ends with `.` or `..`, so it leads to a folder.
                return Err(io::ErrorKind::IsADirectory.into());
            };
            if name == b".." {
                self.go_to_parent()?;
                continue;
            }
            if is_hidden(&name) && !(self.links > 0 && is_kubernetes_name(&name)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let is_last = self.remaining.is_empty();
            let at = self.current.as_ref().unwrap_or(self.root);
            let flags = if is_last { FILE_FLAGS } else { INTERMEDIATE_FLAGS };
            match openat(at, &*name, flags, Mode::empty()) {
                Ok(opened) if is_last => return Ok(opened.into()),
                Ok(opened) => {
                    self.current = Some(opened);
                    self.parents.push(name);
                }
                // A socket, or the file of a device that does not exist.
                Err(Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
                Err(error @ (Errno::NOENT | Errno::ACCESS)) => return Err(error.into()),
                // The error for a link depends on the system. So try to read its target.
                Err(error) => match readlinkat(at, &*name, Vec::new()) {
                    Ok(target) => self.follow(target.as_bytes())?,
                    Err(_) => return Err(error.into()),
                },
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Replaces a link by the names of its target. An absolute target leads out of the folder.
    fn follow(&mut self, target: &[u8]) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS || target.starts_with(b"/") {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = target.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
        self.remaining.extend(names.rev().map(<[u8]>::to_vec));
        Ok(())
    }

    /// Goes to the folder above, by opening its names again from the root: the parent in the file
    /// system may have been moved meanwhile.
    fn go_to_parent(&mut self) -> io::Result<()> {
        self.parents.pop().ok_or(io::ErrorKind::NotFound)?;
        self.current = None;
        self.remaining.extend(std::mem::take(&mut self.parents).into_iter().rev());
        Ok(())
    }
}

/// Whether Kubernetes uses this name in a mounted volume. There, each file is a link to
/// `..data/NAME`, and `..data` is a link to `..2026_01_31_…`, so that all files change at once. A
/// link may lead through such names, but a request may not contain them.
fn is_kubernetes_name(name: &[u8]) -> bool {
    name == b"..data"
        || name.strip_prefix(b"..").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}
