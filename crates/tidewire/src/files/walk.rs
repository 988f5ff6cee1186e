//! The way to a file on Unix: name by name, each opened in the folder before it and none of them
//! through a link.
//!
//! A link is read, and its target replaces it in the list of names that are left. So every name on
//! the way is checked here: none may be hidden, and `..` goes back over names that were opened
//! before, never out of the folder. A program that changes the folder meanwhile cannot lead the
//! walk out of it, because nothing is opened whose own name was not checked. `openat2` of Linux
//! would stay in the folder too, but it does not say where a link has led.

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

/// A folder on the way is not listed. Linux asks for no more than the right to search it, as for a
/// whole path. The other systems have no common flag for that, and want it readable.
#[cfg(target_os = "linux")]
const INTERMEDIATE_FLAGS: OFlags =
    OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);
#[cfg(not(target_os = "linux"))]
const INTERMEDIATE_FLAGS: OFlags = FOLDER_FLAGS.union(OFlags::NOFOLLOW);

/// Links on the way to one file, as many as Linux follows.
const MAX_LINKS: usize = 40;

/// Names that are opened on the way to one file. A link can send the walk back to its start, so a
/// bound on links alone does not bound the work.
const MAX_STEPS: usize = 1024;

impl Folder {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Folder(openat(CWD, folder, FOLDER_FLAGS, Mode::empty())?))
    }

    /// Opens a file by its names. A folder may be opened too; the caller looks at what it got.
    pub(super) fn open_beneath(&self, segments: &[String]) -> io::Result<File> {
        let names = segments.iter().rev().map(|name| name.clone().into_bytes()).collect();
        Walk { root: &self.0, current: None, parents: Vec::new(), remaining: names, links: 0 }.run()
    }
}

struct Walk<'a> {
    root: &'a OwnedFd,
    /// The folder that was opened last; none is the root.
    current: Option<OwnedFd>,
    /// The names of the folders from the root to the current one. None of them is a link.
    parents: Vec<Vec<u8>>,
    /// The names that are left, the next one last.
    remaining: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn run(mut self) -> io::Result<File> {
        for _ in 0..MAX_STEPS {
            let Some(name) = self.remaining.pop() else {
                // A link has led to a folder by `.` or `..`.
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
                // A socket, or a device that is not there.
                Err(Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
                Err(error @ (Errno::NOENT | Errno::ACCESS)) => return Err(error.into()),
                // What a link is told to be depends on the system: ask for its target.
                Err(error) => match readlinkat(at, &*name, Vec::new()) {
                    Ok(target) => self.follow(target.as_bytes())?,
                    Err(_) => return Err(error.into()),
                },
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Puts the target of a link in its place. One that begins at the root of the system leads out.
    fn follow(&mut self, target: &[u8]) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS || target.starts_with(b"/") {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = target.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
        self.remaining.extend(names.rev().map(<[u8]>::to_vec));
        Ok(())
    }

    /// Goes to the folder above, by its names from the root: the parent on the file system may have
    /// been moved meanwhile.
    fn go_to_parent(&mut self) -> io::Result<()> {
        self.parents.pop().ok_or(io::ErrorKind::NotFound)?;
        self.current = None;
        self.remaining.extend(std::mem::take(&mut self.parents).into_iter().rev());
        Ok(())
    }
}

/// Names that Kubernetes gives to what it mounts: each file is a link to `..data/NAME`, and
/// `..data` is a link to `..2026_01_31_…`, so that all files change at once. A link may lead
/// through them; a request may not name them.
fn is_kubernetes_name(name: &[u8]) -> bool {
    name == b"..data"
        || name.strip_prefix(b"..").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}
