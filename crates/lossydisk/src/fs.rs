//! Answers the requests of the kernel.
//!
//! A file handle is the number of the life in which it was opened.

use crate::mapped::{Mapped, is_mapped};
use crate::state::{Shared, State};
use crate::tree::{Kind, Result};
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The file system of a disk.
pub(crate) struct LossyFs {
    shared: Arc<Shared>,
    /// Whether the kernel can use another file in the place of a mapped one.
    passthrough: bool,
}

/// How long the kernel may remember the attributes of a file. It knows all changes, because all go
/// through it.
const ATTRIBUTES: Duration = Duration::from_secs(3_600);
/// It must ask for each name again: a power cut changes names.
const NAMES: Duration = Duration::ZERO;

/// The kernel may keep the pages of a file when it is opened again. It does not tell us when a file
/// is closed, so that a program that ends never waits for us.
const OPEN: FopenFlags = FopenFlags::FOPEN_KEEP_CACHE.union(FopenFlags::FOPEN_NOFLUSH);
/// The same for a mapped file, whose pages are those of another file.
const OPEN_MAPPED: FopenFlags = FopenFlags::FOPEN_NOFLUSH;

impl LossyFs {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, passthrough: false }
    }

    /// Runs a request on the disk, if it has power.
    fn run<T>(&self, life: Option<FileHandle>, request: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.shared.lock();
        state.check(life.map(|life| life.0))?;
        request(&mut state)
    }

    fn entry(&self, reply: ReplyEntry, request: impl FnOnce(&mut State) -> Result<u64>) {
        let attributes = self.run(None, |state| {
            let number = request(state)?;
            state.tree.attributes(number)
        });
        match attributes {
            Ok(attributes) => reply.entry_with_ttls(&ATTRIBUTES, &NAMES, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn empty(&self, life: Option<FileHandle>, reply: ReplyEmpty, request: impl FnOnce(&mut State) -> Result) {
        match self.run(life, request) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn close(&self, number: INodeNo, life: FileHandle, reply: ReplyEmpty) {
        self.shared.lock().close(life.0, number.0);
        self.shared.notify();
        reply.ok();
    }

    /// Runs a sync, now or later. A slow one must not stop a thread that answers the kernel.
    fn sync(
        &self,
        life: FileHandle,
        reply: ReplyEmpty,
        sync: impl FnOnce(&mut State) -> Result + Send + 'static,
    ) {
        let slow = self.shared.lock().slow_syncs;
        let answer = move |done: Result| match done {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        };
        if slow.is_zero() {
            let done = sync(&mut self.shared.lock());
            return answer(done);
        }
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let same = |state: &State| state.slow_syncs == slow && state.life == life.0;
            let mut state = shared.wait(Instant::now() + slow, same);
            let done = sync(&mut state);
            drop(state);
            answer(done);
        });
    }
}

impl Filesystem for LossyFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // An older kernel may not have it, and it is only faster.
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        // Both or none: without a depth, the kernel does not pass anything through.
        self.passthrough = config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
            && config.set_max_stack_depth(1).is_ok();
        // A buffer of 1 MiB for each request is enough; Linux sends no larger ones.
        let _ = config.set_max_write(1 << 20);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |state| state.tree.lookup(parent.0, name));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.run(None, |state| state.tree.attributes(ino.0)) {
            Ok(attributes) => reply.attr(&ATTRIBUTES, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        fh: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let time = |time: TimeOrNow| match time {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => SystemTime::now(),
        };
        let attributes = self.run(fh, |state| {
            if let Some(size) = size {
                state.tree.resize(ino.0, size)?;
            }
            let node = state.tree.node(ino.0)?;
            node.mode = mode.map_or(node.mode, |mode| (mode & 0o7777) as u16);
            node.owner = (uid.unwrap_or(node.owner.0), gid.unwrap_or(node.owner.1));
            node.accessed = atime.map_or(node.accessed, time);
            node.modified = mtime.map_or(node.modified, time);
            state.tree.attributes(ino.0)
        });
        match attributes {
            Ok(attributes) => reply.attr(&ATTRIBUTES, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self.run(None, |state| match &state.tree.node(ino.0)?.kind {
            Kind::Link(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        });
        match target {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        if mode & S_IFMT != S_IFREG {
            return reply.error(Errno::EPERM);
        }
        let owner = (req.uid(), req.gid());
        self.entry(reply, |state| {
            state.tree.create(parent.0, name, Kind::File(Default::default()), mode & !umask, owner)
        });
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let owner = (req.uid(), req.gid());
        self.entry(reply, |state| {
            state.tree.create(parent.0, name, Kind::Folder(Default::default()), mode & !umask, owner)
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(None, reply, |state| state.tree.remove(parent.0, name, false));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(None, reply, |state| state.tree.remove(parent.0, name, true));
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let owner = (req.uid(), req.gid());
        self.entry(reply, |state| state.tree.create(parent.0, name, Kind::Link(target.into()), 0o777, owner));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        self.empty(None, reply, |state| {
            state.tree.rename((parent.0, name), (newparent.0, newname), flags.is_empty())
        });
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |state| state.tree.link(ino.0, newparent.0, newname).map(|()| ino.0));
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.run(None, |state| {
            let backing = match &mut state.tree.node(ino.0)?.kind {
                Kind::Mapped(mapped) => Some(mapped.backing(|file| reply.open_backing(file))?),
                _ => None,
            };
            state.tree.opened(ino.0)?;
            Ok((FileHandle(state.life), backing))
        });
        match opened {
            Ok((life, None)) => reply.opened(life, OPEN),
            Ok((life, Some(backing))) => reply.opened_passthrough(life, OPEN_MAPPED, &backing),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let owner = (req.uid(), req.gid());
        let created = self.run(None, |state| {
            let mapped = || {
                let mut mapped = Mapped::new().ok()?;
                // The kernel refuses it in a user namespace. Then it is a file as all others.
                let backing = mapped.backing(|file| reply.open_backing(file)).ok()?;
                Some((Kind::Mapped(mapped), Some(backing)))
            };
            let mapped = (self.passthrough && is_mapped(name)).then(mapped).flatten();
            let (kind, backing) = mapped.unwrap_or((Kind::File(Default::default()), None));
            let number = state.tree.create(parent.0, name, kind, mode & !umask, owner)?;
            state.tree.opened(number)?;
            Ok((state.tree.attributes(number)?, FileHandle(state.life), backing))
        });
        // The kernel remembers the name as long as the attributes.
        match created {
            Ok((attributes, life, None)) => reply.created(&NAMES, &attributes, Generation(0), life, OPEN),
            Ok((attributes, life, Some(backing))) => {
                reply.created_passthrough(&NAMES, &attributes, Generation(0), life, OPEN_MAPPED, &backing);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes =
            self.run(Some(fh), |state| Ok(state.tree.content(ino.0)?.now().read(offset, u64::from(size))));
        match bytes {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.shared.lock().write(fh.0, ino.0, offset, data);
        match written {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // With this answer, the kernel never asks again.
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.close(ino, fh, reply);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        let point = self.shared.lock().sync_point(fh.0, ino.0);
        match point {
            Ok(point) => self.sync(fh, reply, move |state| state.sync_file(fh.0, ino.0, point)),
            Err(error) => reply.error(error),
        }
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.run(None, |state| state.tree.opened(ino.0).map(|()| FileHandle(state.life)));
        match opened {
            Ok(life) => reply.opened(life, FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _: &Request, ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.run(Some(fh), |state| state.tree.list(ino.0)) {
            Ok(names) => {
                for (at, (number, kind, name)) in names.into_iter().enumerate().skip(offset as usize) {
                    if reply.add(INodeNo(number), at as u64 + 1, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn releasedir(&self, _: &Request, ino: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.close(ino, fh, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(fh, reply, move |state| state.sync_folder(fh.0, ino.0));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let state = self.shared.lock();
        let (limit, used) = (state.tree.limit / 4096, state.tree.used() / 4096);
        drop(state);
        let free = limit.saturating_sub(used);
        reply.statfs(limit, free, free, 1 << 20, 1 << 19, 4096, 255, 4096);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode & !KEEP_SIZE != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        self.empty(Some(fh), reply, |state| {
            state.tree.allocate(ino.0, offset, length, mode & KEEP_SIZE == 0)
        });
    }

    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        // Then the kernel takes the whole file as data.
        reply.error(Errno::ENOSYS);
    }
}

/// `FALLOC_FL_KEEP_SIZE` of Linux.
const KEEP_SIZE: i32 = 1;
/// The bits of a mode for the type of a file, and a regular file.
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
