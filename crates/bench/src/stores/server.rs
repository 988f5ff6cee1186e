//! The servers that are compared: one program, four stores.

use crate::process::{Running, free_port, listens};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tidewire_testkit::run::{Result, cargo, root, run, target};

/// Where a server keeps its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Memory,
    Never,
    Interval,
    Always,
}

impl Store {
    pub(super) const ALL: [Self; 4] = [Self::Memory, Self::Never, Self::Interval, Self::Always];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Never => "never",
            Self::Interval => "interval",
            Self::Always => "always",
        }
    }
}

pub(super) fn prepare() -> Result {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    run(&mut cargo(&["build", "--release", "-p", "tidewire"]))
}

/// A running server. It is ended when dropped, and its folder is removed.
pub(super) struct Started {
    pub(super) store: Store,
    pub(super) port: u16,
    folder: PathBuf,
    running: Option<Running>,
    /// Whether the folder was here before.
    is_kept: bool,
}

impl Started {
    pub(super) fn start(store: Store) -> Result<Self> {
        let port = free_port()?;
        let folder = target().join(format!("bench/disk-{}-{port}", store.name()));
        Self::start_in(store, folder, false)
    }

    /// Starts with what a folder has.
    pub(super) fn start_in(store: Store, folder: PathBuf, is_kept: bool) -> Result<Self> {
        let mut started = Self { store, port: free_port()?, folder, running: None, is_kept };
        started.spawn()?;
        Ok(started)
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, Running::pid)
    }

    /// Ends the server in order, and starts it again.
    pub(super) fn restart(&mut self) -> Result {
        drop(self.running.take());
        self.spawn()
    }

    fn spawn(&mut self) -> Result {
        let mut command = Command::new(target().join("release/tidewire"));
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)]);
        if self.store != Store::Memory {
            command.arg("--data").arg(&self.folder).args(["--sync", self.store.name()]);
        }
        command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(Running::start(self.store.name(), &mut command)?);
        if listens(self.port) { Ok(()) } else { Err(format!("{} does not answer", self.store.name())) }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.running.take());
        if !self.is_kept && self.store != Store::Memory {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
