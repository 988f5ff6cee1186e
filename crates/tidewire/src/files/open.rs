//! Opening a file beneath a folder: whatever the path says and wherever symbolic links lead, what is opened lies in the folder.
//!
//! On Linux the kernel promises it (`openat2` with `RESOLVE_BENEATH`), for links within the folder too. Where that call
//! is missing (other systems, old kernels, some sandboxes), the path is walked name by name with `O_NOFOLLOW`: no link is followed at all.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// An open file and what was known of it at that moment.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) len: u64,
    pub(super) modified: Option<SystemTime>,
}

impl Opened {
    fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A pipe or a device has no length, and reading one may never end.
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Opened { len: metadata.len(), modified: metadata.modified().ok(), file })
    }
}

/// The handle of the folder.
#[derive(Debug)]
pub(super) struct Root(sys::Folder);

impl Root {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        sys::Folder::open(folder).map(Root)
    }

    /// Opens a file by checked names. Blocks.
    pub(super) fn open_file(&self, segments: &[String]) -> io::Result<Opened> {
        Opened::of(self.0.open_beneath(segments)?)
    }
}

#[cfg(unix)]
mod sys {
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, openat};

    #[derive(Debug)]
    pub(super) struct Folder(OwnedFd);

    /// `NONBLOCK`: opening a pipe must not wait for its other end.
    const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);

    impl Folder {
        pub(super) fn open(folder: &Path) -> io::Result<Self> {
            Ok(Folder(openat(CWD, folder, FOLDER, Mode::empty())?))
        }

        #[cfg(target_os = "linux")]
        pub(super) fn open_beneath(&self, segments: &[String]) -> io::Result<File> {
            use rustix::fs::{ResolveFlags, openat2};
            use rustix::io::Errno;

            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match openat2(&self.0, segments.join("/"), FILE, Mode::empty(), resolve) {
                Ok(file) => Ok(file.into()),
                // The path would leave the folder, or its links go round in circles.
                Err(Errno::XDEV | Errno::LOOP) => Err(io::ErrorKind::NotFound.into()),
                // Not there, or a sandbox forbids it. A file that may not be read is refused by the walk as well.
                Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => self.walk(segments),
                Err(error) => Err(error.into()),
            }
        }

        #[cfg(not(target_os = "linux"))]
        pub(super) fn open_beneath(&self, segments: &[String]) -> io::Result<File> {
            self.walk(segments)
        }

        /// Opens name after name, each in the folder before it and none of them through a link.
        pub(super) fn walk(&self, segments: &[String]) -> io::Result<File> {
            let Some((name, folders)) = segments.split_last() else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let mut folder: Option<OwnedFd> = None;
            let open = |folder: &Option<OwnedFd>, name: &str, flags: OFlags| {
                let at = folder.as_ref().unwrap_or(&self.0);
                openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| match error {
                    // What a link is told to be depends on the system.
                    rustix::io::Errno::LOOP | rustix::io::Errno::MLINK => io::ErrorKind::NotFound.into(),
                    error => io::Error::from(error),
                })
            };
            for name in folders {
                folder = Some(open(&folder, name, FOLDER)?);
            }
            Ok(open(&folder, name, FILE)?.into())
        }
    }
}

#[cfg(not(unix))]
mod sys {
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};

    /// Without handles of folders in the standard library, the real path is compared. Somebody who may change the folder while it is
    /// served could exchange a file for a link between the comparison and the opening.
    #[derive(Debug)]
    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn open(folder: &Path) -> io::Result<Self> {
            let folder = folder.canonicalize()?;
            if folder.is_dir() { Ok(Folder(folder)) } else { Err(io::ErrorKind::NotADirectory.into()) }
        }

        pub(super) fn open_beneath(&self, segments: &[String]) -> io::Result<File> {
            let path = segments.iter().fold(self.0.clone(), |path, name| path.join(name)).canonicalize()?;
            if !path.starts_with(&self.0) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if path.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            File::open(path)
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    /// A folder with everything that could lead out of it.
    struct Scene {
        _temp: tempfile::TempDir,
        root: Root,
    }

    fn scene() -> Scene {
        let temp = tempfile::tempdir().unwrap();
        let inside = temp.path().join("served");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::write(temp.path().join("secret"), "secret").unwrap();
        std::fs::write(inside.join("a"), "a").unwrap();
        std::fs::write(inside.join("sub/b"), "b").unwrap();
        symlink("../secret", inside.join("up")).unwrap();
        symlink(temp.path().join("secret"), inside.join("absolute")).unwrap();
        symlink("..", inside.join("parent")).unwrap();
        symlink("sub/b", inside.join("within")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        Scene { root: Root::open(&inside).unwrap(), _temp: temp }
    }

    fn text(opened: io::Result<Opened>) -> Result<String, io::ErrorKind> {
        let mut text = String::new();
        opened.map_err(|error| error.kind())?.file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    fn names(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn nothing_outside_of_the_folder_is_opened() {
        let Scene { root, _temp } = scene();
        let open = |path: &str| text(root.open_file(&names(path)));
        assert_eq!(open("a"), Ok("a".into()));
        assert_eq!(open("sub/b"), Ok("b".into()));
        assert_eq!(open("sub"), Err(io::ErrorKind::IsADirectory));
        // The checks of the path are not relied on here.
        for path in ["up", "absolute", "parent/secret", "../secret", "sub/../../secret", "loop", "none"] {
            assert_eq!(open(path), Err(io::ErrorKind::NotFound), "{path}");
        }
    }

    #[test]
    fn the_walk_follows_no_link_at_all() {
        let Scene { root, _temp } = scene();
        let walk = |path: &str| text(root.0.walk(&names(path)).and_then(Opened::of));
        assert_eq!(walk("a"), Ok("a".into()));
        assert_eq!(walk("sub/b"), Ok("b".into()));
        assert_eq!(walk("sub"), Err(io::ErrorKind::IsADirectory));
        for path in ["up", "absolute", "within", "loop", "none"] {
            assert_eq!(walk(path), Err(io::ErrorKind::NotFound), "{path}");
        }
        assert!(walk("parent/secret").is_err());
    }

    #[test]
    fn pipes_are_no_files() {
        let Scene { root, _temp } = scene();
        let made = std::process::Command::new("mkfifo").arg(_temp.path().join("served/pipe")).status();
        assert!(made.unwrap().success());
        assert_eq!(text(root.open_file(&names("pipe"))), Err(io::ErrorKind::NotFound));
    }
}
