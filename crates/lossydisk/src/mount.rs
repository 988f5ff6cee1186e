//! Mounts and unmounts, by system calls.

use fuser::{BackgroundSession, Config, Filesystem, Notifier, Session, SessionACL};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mounted file system, which is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    folder: PathBuf,
    session: Option<BackgroundSession>,
    watchdog: Option<Child>,
}

impl Mount {
    /// Mounts a file system on a folder.
    pub(crate) fn new(folder: &Path, files: impl Filesystem) -> Result<Self> {
        // The mount of a process that was killed stays there and answers with "not connected".
        if std::fs::metadata(folder).is_err_and(|error| error.kind() == ErrorKind::NotConnected) {
            unmount(folder, UnmountFlags::FORCE | UnmountFlags::DETACH)?;
        }
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let device = File::options().read(true).write(true).open(DEVICE).map_err(|error| {
            Error::new(error.kind(), format!("{NEEDS}: cannot open {DEVICE}: {error}. {CONTAINER}"))
        })?;
        let options = format!(
            "fd={},rootmode=40755,user_id={},group_id={},default_permissions,allow_other",
            device.as_raw_fd(),
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let options = CString::new(options)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
        mount("lossydisk", &folder, "fuse.lossydisk", flags, options.as_c_str()).map_err(|error| {
            let error = Error::from(error);
            let text = format!("{NEEDS}: cannot mount on {}: {error}. {CONTAINER}", folder.display());
            Error::new(error.kind(), text)
        })?;
        // From here on, an error must not leave the mount behind.
        let mut mount = Self { folder, session: None, watchdog: None };
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        let session = Session::from_fd(files, OwnedFd::from(device), SessionACL::All, config)?;
        mount.session = Some(session.spawn()?);
        // The first answer comes from a thread that the watchdog can see.
        std::fs::metadata(&mount.folder)?;
        mount.watchdog = Some(watchdog(&mount.folder)?);
        Ok(mount)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells the kernel to forget things.
    pub(crate) fn notifier(&self) -> Option<Notifier> {
        self.session.as_ref().map(BackgroundSession::notifier)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // If files are still open, the forced unmount ends all their requests with an error, so no
        // process waits for us for ever. The mount disappears when they are closed.
        if unmount(&self.folder, UnmountFlags::empty()).is_err() {
            let _ = unmount(&self.folder, UnmountFlags::FORCE | UnmountFlags::DETACH);
        }
        if let Some(session) = self.session.take() {
            let _ = session.join();
        }
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
    }
}

/// Starts a process that unmounts by force when the threads of this process are gone that answer
/// the kernel.
///
/// A thread that waits for an answer cannot be killed. If this process is killed while one of its
/// own threads waits, then the answering threads end first, and the waiting one keeps the device
/// open. So the kernel would never learn that no answer comes, and the process would stay for ever.
fn watchdog(folder: &Path) -> Result<Child> {
    Command::new("sh")
        .arg("-c")
        .arg(WATCHDOG)
        .args(["sh", &std::process::id().to_string()])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C must not end it.
        .process_group(0)
        .spawn()
        .map_err(|error| Error::new(error.kind(), format!("needs the program sh: {error}")))
}

/// `fuser` is the beginning of the names that the crate fuser gives its threads.
const WATCHDOG: &str = r#"
while grep -qs '^fuser' /proc/"$1"/task/*/comm; do sleep 1; done
umount -f "$2" || umount -l "$2"
"#;

const DEVICE: &str = "/dev/fuse";
const NEEDS: &str = "needs root and /dev/fuse";
const CONTAINER: &str = "In a container, it needs `--device /dev/fuse --cap-add SYS_ADMIN`, and \
                         `--security-opt apparmor=unconfined` where AppArmor forbids mounts";

/// One thread answers a request while the other takes the next one from the kernel.
const THREADS: usize = 2;
