//! Opens a file beneath a folder. For every path and every symbolic link, the opened file lies in
//! the folder, and no name on the way to it is hidden.
//!
//! On Unix, `walk.rs` ensures this. Elsewhere the real path is checked, with its long names: the
//! Windows short name `GIT~1` is `.git` there.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use bytes::Bytes;

use super::body::PIECE_SIZE;
use super::file_state::FileState;
#[cfg(unix)]
use super::walk as sys;

/// An open file, and its state when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) content: Content,
    pub(super) state: FileState,
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// All bytes; at most one piece.
    Whole(Bytes),
    /// A file that is still to be read.
    Large(File),
}

impl Opened {
    fn of(mut file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A pipe or a device has no length, and reading one may never end.
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut state = FileState::of(&metadata);
        if state.len <= PIECE_SIZE {
            let mut bytes = Vec::with_capacity(state.len as usize + 1);
            (&mut file).take(PIECE_SIZE + 1).read_to_end(&mut bytes)?;
            // The file may have changed since it was opened.
            if bytes.len() as u64 <= PIECE_SIZE {
                state.len = bytes.len() as u64;
                return Ok(Opened { content: Content::Whole(bytes.into()), state });
            }
            state = FileState::of(&file.metadata()?);
            file.rewind()?;
        }
        Ok(Opened { content: Content::Large(file), state })
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

#[cfg(not(unix))]
mod sys {
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};

    use crate::files::path::is_hidden;

    /// The standard library has no handles of folders here, so the real path is checked. Another
    /// program could replace a file by a link between the check and the opening, if it may change
    /// the folder.
    #[derive(Debug)]
    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn open(folder: &Path) -> io::Result<Self> {
            let folder = folder.canonicalize()?;
            if folder.is_dir() { Ok(Folder(folder)) } else { Err(io::ErrorKind::NotADirectory.into()) }
        }

        pub(super) fn open_beneath(&self, segments: &[String]) -> io::Result<File> {
            let path = segments.iter().fold(self.0.clone(), |path, name| path.join(name)).canonicalize()?;
            let beneath = path.strip_prefix(&self.0).map_err(|_| io::ErrorKind::NotFound)?;
            if beneath.iter().any(|name| is_hidden(name.as_encoded_bytes())) {
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
    use std::os::unix::fs::symlink;

    /// A folder with links that could lead out of it.
    struct Scene {
        temp: tempfile::TempDir,
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
        symlink(".", inside.join("sub/here")).unwrap();
        symlink("..", inside.join("sub/back")).unwrap();
        Scene { root: Root::open(&inside).unwrap(), temp }
    }

    fn text(opened: io::Result<Opened>) -> Result<String, io::ErrorKind> {
        match opened.map_err(|error| error.kind())?.content {
            Content::Whole(bytes) => Ok(String::from_utf8(bytes.into()).unwrap()),
            Content::Large(file) => panic!("a few bytes: {file:?}"),
        }
    }

    fn names(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn nothing_outside_of_the_folder_is_opened() {
        let Scene { root, temp: _temp } = scene();
        let open = |path: &str| text(root.open_file(&names(path)));
        assert_eq!(open("a"), Ok("a".into()));
        assert_eq!(open("sub/b"), Ok("b".into()));
        assert_eq!(open("within"), Ok("b".into()), "a link that stays within is followed");
        assert_eq!(open("sub"), Err(io::ErrorKind::IsADirectory));
        assert_eq!(open("sub/here"), Err(io::ErrorKind::IsADirectory));
        // These paths are refused even without the checks of `path.rs`.
        for path in [
            "up",
            "absolute",
            "parent/secret",
            "../secret",
            "sub/../../secret",
            "loop",
            "none",
            "sub/back/../secret",
        ] {
            assert_eq!(open(path), Err(io::ErrorKind::NotFound), "{path}");
        }
    }

    #[test]
    fn links_and_steps_to_a_file_are_limited() {
        let Scene { root, temp } = scene();
        let inside = temp.path().join("served");
        for n in 0..45 {
            symlink(format!("chain{}", n + 1), inside.join(format!("chain{n}"))).unwrap();
        }
        symlink("a", inside.join("chain45")).unwrap();
        let open = |path: &str| text(root.open_file(&names(path)));
        assert_eq!(open("chain6"), Ok("a".into()), "40 links");
        assert_eq!(open("chain5"), Err(io::ErrorKind::NotFound), "41 links");
        // Each link goes down and up again twice as often as the previous link.
        symlink("sub/../a", inside.join("double0")).unwrap();
        for n in 0..30 {
            let up = format!("double{n}");
            std::fs::create_dir(inside.join(format!("d{n}"))).unwrap();
            symlink(format!("d{n}/../{up}/../{up}"), inside.join(format!("double{}", n + 1))).unwrap();
        }
        assert_eq!(open("double0"), Ok("a".into()));
        assert!(open("double30").is_err());
        symlink("sub/../".repeat(580) + "a", inside.join("long")).unwrap();
        assert_eq!(open("long"), Err(io::ErrorKind::NotFound), "more names than the limit for one file");
    }

    #[test]
    fn links_may_use_the_folders_of_kubernetes_but_requests_may_not() {
        let Scene { root, temp } = scene();
        let inside = temp.path().join("served");
        std::fs::create_dir(inside.join("..2026_01_31_10_00_00.1")).unwrap();
        std::fs::write(inside.join("..2026_01_31_10_00_00.1/page"), "page").unwrap();
        symlink("..2026_01_31_10_00_00.1", inside.join("..data")).unwrap();
        symlink("..data/page", inside.join("page")).unwrap();
        let open = |path: &str| text(root.open_file(&names(path)));
        assert_eq!(open("page"), Ok("page".into()));
        assert_eq!(open("..data/page"), Err(io::ErrorKind::NotFound));
    }

    /// A user may be able to search a folder and not to list it. A superuser may do both, so this
    /// thread gives up that right.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_needs_to_be_searchable_but_not_listable() {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        use std::os::unix::fs::PermissionsExt;

        let mut own = capabilities(None).unwrap();
        own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, own).unwrap();
        let Scene { root, temp } = scene();
        let sub = temp.path().join("served/sub");
        std::fs::set_permissions(&sub, PermissionsExt::from_mode(0o311)).unwrap();
        assert!(std::fs::read_dir(&sub).is_err(), "the folder cannot be listed");
        let open = |path: &str| text(root.open_file(&names(path)));
        assert_eq!((open("sub/b"), open("within")), (Ok("b".into()), Ok("b".into())));
        assert_eq!(open("sub/here/back/sub/b"), Ok("b".into()), "and links in it are followed");
        std::fs::set_permissions(&sub, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(open("sub/b"), Err(io::ErrorKind::PermissionDenied));
        // Otherwise the folder cannot be removed.
        std::fs::set_permissions(&sub, PermissionsExt::from_mode(0o700)).unwrap();
    }

    #[test]
    fn pipes_are_not_served() {
        let Scene { root, temp: _temp } = scene();
        let made = std::process::Command::new("mkfifo").arg(_temp.path().join("served/pipe")).status();
        assert!(made.unwrap().success());
        assert_eq!(text(root.open_file(&names("pipe"))), Err(io::ErrorKind::NotFound));
    }
}
