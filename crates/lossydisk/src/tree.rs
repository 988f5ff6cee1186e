//! The files and folders of a disk.

use crate::file::Content;
use crate::loss::Dice;
use crate::mapped::Mapped;
use crate::names::{Change, Name, Names};
use crate::pages::{PAGE, Pages};
use fuser::{Errno, FileAttr, FileType, INodeNo};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) type Result<T = ()> = std::result::Result<T, Errno>;

pub(crate) const ROOT: u64 = 1;

/// No file is longer. A longer one would need too much memory for its table of pages.
const LONGEST: u64 = 64 << 30;

/// What a file or folder is.
#[derive(Debug)]
pub(crate) enum Kind {
    File(Content),
    Mapped(Mapped),
    Folder(BTreeMap<OsString, u64>),
    Link(PathBuf),
}

/// A file, a folder or a symbolic link. Its owner, mode and times are on the disk at once.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    pub(crate) owner: (u32, u32),
    pub(crate) accessed: SystemTime,
    pub(crate) modified: SystemTime,
    /// How many names it has.
    names: u32,
    /// How many handles are open.
    opens: u32,
}

/// The files and folders of a disk, and which names are not on it yet.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: HashMap<u64, Node>,
    names: Names,
    /// Numbers are never used twice, so the kernel's memory of a file before a power cut is not
    /// taken for a file after it.
    next: u64,
    /// Bytes of the pages of all files.
    used: u64,
    /// The most bytes that files may have.
    pub(crate) limit: u64,
}

impl Node {
    fn new(kind: Kind, mode: u32, owner: (u32, u32)) -> Self {
        let now = SystemTime::now();
        let (mode, names) = ((mode & 0o7777) as u16, 0);
        Self { kind, mode, owner, accessed: now, modified: now, names, opens: 0 }
    }

    fn file_type(&self) -> FileType {
        match &self.kind {
            Kind::File(_) | Kind::Mapped(_) => FileType::RegularFile,
            Kind::Folder(_) => FileType::Directory,
            Kind::Link(_) => FileType::Symlink,
        }
    }
}

impl Tree {
    pub(crate) fn new(limit: u64) -> Self {
        let mut root = Node::new(Kind::Folder(BTreeMap::new()), 0o755, (0, 0));
        root.names = 1;
        Self { nodes: HashMap::from([(ROOT, root)]), names: Names::default(), next: ROOT + 1, used: 0, limit }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// All numbers.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// How many handles are open.
    pub(crate) fn opens(&self) -> u64 {
        self.nodes.values().map(|node| u64::from(node.opens)).sum()
    }

    pub(crate) fn node(&mut self, number: u64) -> Result<&mut Node> {
        // Only a file before a power cut has an unknown number.
        self.nodes.get_mut(&number).ok_or(Errno::EIO)
    }

    pub(crate) fn content(&mut self, number: u64) -> Result<&mut Content> {
        match &mut self.node(number)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Errno::EISDIR),
            Kind::Link(_) | Kind::Mapped(_) => Err(Errno::EINVAL),
        }
    }

    fn folder(&mut self, number: u64) -> Result<&mut BTreeMap<OsString, u64>> {
        match &mut self.node(number)?.kind {
            Kind::Folder(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(crate) fn attributes(&mut self, number: u64) -> Result<FileAttr> {
        let node = self.node(number)?;
        let (size, blocks) = match &node.kind {
            Kind::File(content) => (content.now().size(), content.now().size().div_ceil(512)),
            Kind::Mapped(mapped) => (mapped.size(), mapped.size().div_ceil(512)),
            Kind::Folder(_) => (PAGE, 8),
            Kind::Link(target) => (target.as_os_str().len() as u64, 0),
        };
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks,
            atime: node.accessed,
            mtime: node.modified,
            ctime: node.modified,
            crtime: node.modified,
            kind: node.file_type(),
            perm: node.mode,
            nlink: node.names,
            uid: node.owner.0,
            gid: node.owner.1,
            rdev: 0,
            blksize: PAGE as u32,
            flags: 0,
        })
    }

    pub(crate) fn lookup(&mut self, folder: u64, name: &OsStr) -> Result<u64> {
        self.folder(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// The file of a path below the root.
    pub(crate) fn find(&mut self, path: &Path) -> Result<u64> {
        path.iter().try_fold(ROOT, |folder, name| self.lookup(folder, name))
    }

    /// The names of a folder, with `.` and `..`.
    pub(crate) fn list(&mut self, number: u64) -> Result<Vec<(u64, FileType, OsString)>> {
        let names = self.folder(number)?.clone();
        let dots = [".", ".."].map(|dot| (number, FileType::Directory, OsString::from(dot)));
        let kind = |file: u64| self.nodes.get(&file).map_or(FileType::RegularFile, Node::file_type);
        let names = names.into_iter().map(|(name, file)| (file, kind(file), name));
        Ok(dots.into_iter().chain(names).collect())
    }

    /// Makes a file, a folder or a link.
    pub(crate) fn create(
        &mut self,
        folder: u64,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        owner: (u32, u32),
    ) -> Result<u64> {
        self.free_name(folder, name)?;
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, Node::new(kind, mode, owner));
        self.set(vec![((folder, name.into()), Some(number))], true)?;
        Ok(number)
    }

    /// Gives a file one more name.
    pub(crate) fn link(&mut self, number: u64, folder: u64, name: &OsStr) -> Result {
        self.free_name(folder, name)?;
        if matches!(self.node(number)?.kind, Kind::Folder(_)) {
            return Err(Errno::EPERM);
        }
        self.set(vec![((folder, name.into()), Some(number))], true)
    }

    fn free_name(&mut self, folder: u64, name: &OsStr) -> Result {
        if name.len() > 255 {
            return Err(Errno::ENAMETOOLONG);
        }
        if self.folder(folder)?.contains_key(name) { Err(Errno::EEXIST) } else { Ok(()) }
    }

    /// Takes a name away: of a folder if `folder_wanted`, else of a file or link.
    pub(crate) fn remove(&mut self, folder: u64, name: &OsStr, folder_wanted: bool) -> Result {
        let number = self.lookup(folder, name)?;
        match (&self.node(number)?.kind, folder_wanted) {
            (Kind::Folder(_), false) => return Err(Errno::EISDIR),
            (Kind::Folder(names), true) if !names.is_empty() => return Err(Errno::ENOTEMPTY),
            (Kind::Folder(_), true) | (_, false) => {}
            (_, true) => return Err(Errno::ENOTDIR),
        }
        self.set(vec![((folder, name.into()), None)], false)
    }

    pub(crate) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), replace: bool) -> Result {
        let number = self.lookup(from.0, from.1)?;
        if let Ok(other) = self.lookup(to.0, to.1) {
            if !replace {
                return Err(Errno::EEXIST);
            }
            if other == number {
                return Ok(());
            }
            let is_folder = matches!(self.node(number)?.kind, Kind::Folder(_));
            match (&self.node(other)?.kind, is_folder) {
                (Kind::Folder(names), true) if !names.is_empty() => return Err(Errno::ENOTEMPTY),
                (Kind::Folder(_), true) => {}
                (Kind::Folder(_), false) => return Err(Errno::EISDIR),
                (_, true) => return Err(Errno::ENOTDIR),
                (_, false) => {}
            }
        }
        let name = |(folder, name): (u64, &OsStr)| (folder, name.to_os_string());
        self.set(vec![(name(from), None), (name(to), Some(number))], false)
    }

    /// Sets names, and remembers that the disk does not have them yet.
    fn set(&mut self, sets: Vec<(Name, Option<u64>)>, creates: bool) -> Result {
        let mut old = Vec::new();
        for ((folder, name), file) in &sets {
            let names = self.folder(*folder)?;
            old.extend(match file {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            });
            self.node(*folder)?.modified = SystemTime::now();
            if let Some(file) = file {
                self.node(*file)?.names += 1;
            }
        }
        self.names.change(Change { sets, creates });
        for file in old {
            self.node(file)?.names -= 1;
            self.collect(file);
        }
        Ok(())
    }

    pub(crate) fn opened(&mut self, number: u64) -> Result {
        self.node(number)?.opens += 1;
        Ok(())
    }

    pub(crate) fn closed(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.opens = node.opens.saturating_sub(1);
            self.collect(number);
        }
    }

    /// Frees a file that nobody can see any more, not even after a power cut.
    fn collect(&mut self, number: u64) {
        let unused = |node: &Node| node.names == 0 && node.opens == 0;
        if !self.nodes.get(&number).is_some_and(unused) || self.names.mentions(number) {
            return;
        }
        if let Some(Node { kind: Kind::File(content), .. }) = self.nodes.remove(&number) {
            self.used -= content.now().allocated() * PAGE;
        }
    }

    /// Writes as much as there is room for, and at least a byte. Returns how many bytes.
    pub(crate) fn write(&mut self, number: u64, offset: u64, data: &[u8]) -> Result<usize> {
        let written = match self.reserve(number, offset, data.len() as u64) {
            Ok(()) => data,
            Err(full) => {
                // Full pages: the part before the first page that has no room.
                let mut fits = |end: &usize| self.reserve(number, offset, *end as u64).is_ok();
                let ends = (0..data.len()).rev().filter(|&end| (offset + end as u64).is_multiple_of(PAGE));
                &data[..ends.filter(|&end| end > 0).find(&mut fits).ok_or(full)?]
            }
        };
        self.content(number)?.write(offset, written);
        self.node(number)?.modified = SystemTime::now();
        Ok(written.len())
    }

    pub(crate) fn resize(&mut self, number: u64, size: u64) -> Result {
        if size > LONGEST {
            return Err(Errno::EFBIG);
        }
        if let Kind::Mapped(mapped) = &mut self.node(number)?.kind {
            return Ok(mapped.resize(size)?);
        }
        let content = self.content(number)?;
        if content.now().size() == size {
            return Ok(());
        }
        let before = content.now().allocated();
        content.resize(size);
        let after = content.now().allocated();
        self.used = self.used + after * PAGE - before * PAGE;
        self.node(number)?.modified = SystemTime::now();
        Ok(())
    }

    pub(crate) fn allocate(&mut self, number: u64, offset: u64, len: u64, grow: bool) -> Result {
        self.reserve(number, offset, len)?;
        self.content(number)?.allocate(offset, len, grow);
        Ok(())
    }

    /// Flips a bit of a byte on the disk. Returns whether the file is that long.
    pub(crate) fn flip(&mut self, number: u64, offset: u64, bit: u8) -> Result<bool> {
        let content = self.content(number)?;
        if offset >= content.now().size() {
            return Ok(false);
        }
        let before = content.now().allocated();
        content.flip(offset, bit);
        // A hole is a page now.
        let more = content.now().allocated() - before;
        self.used += more * PAGE;
        Ok(true)
    }

    fn reserve(&mut self, number: u64, offset: u64, len: u64) -> Result {
        if offset.saturating_add(len) > LONGEST {
            return Err(Errno::EFBIG);
        }
        let more = self.content(number)?.now().missing(offset, len) * PAGE;
        if more > 0 && self.used + more > self.limit {
            return Err(Errno::ENOSPC);
        }
        self.used += more;
        Ok(())
    }

    /// The point after the last change of a file.
    pub(crate) fn point(&mut self, number: u64) -> Result<u64> {
        match &self.node(number)?.kind {
            Kind::Mapped(_) => Ok(0),
            _ => Ok(self.content(number)?.point()),
        }
    }

    /// Puts the changes of a file up to a point on the disk, and its first name.
    pub(crate) fn sync_file(&mut self, number: u64, point: u64) -> Result {
        match &mut self.node(number)?.kind {
            Kind::Mapped(mapped) => mapped.sync()?,
            _ => self.content(number)?.sync_to(point),
        }
        self.names.sync_file(number);
        Ok(())
    }

    /// Forgets the changes of a file, as a disk that refuses them.
    pub(crate) fn fail_sync(&mut self, number: u64) -> Result {
        match &self.node(number)?.kind {
            Kind::Mapped(_) => Ok(()),
            _ => self.content(number).map(Content::fail_sync),
        }
    }

    /// Makes the names of a folder durable.
    pub(crate) fn sync_folder(&mut self, number: u64) {
        self.names.sync_folder(number);
        let forgotten = self.nodes.iter().filter(|(_, node)| node.names == 0 && node.opens == 0);
        for number in forgotten.map(|(&number, _)| number).collect::<Vec<_>>() {
            self.collect(number);
        }
    }

    /// The tree after a power cut.
    pub(crate) fn cut(mut self, dice: &mut Dice) -> Self {
        let names = std::mem::take(&mut self.names).cut(dice);
        let mut after = Self { next: self.next, ..Self::new(self.limit) };
        if let Some(root) = self.nodes.get(&ROOT) {
            (after.nodes.entry(ROOT)).and_modify(|node| (node.mode, node.owner) = (root.mode, root.owner));
        }
        // The old and the new numbers of the files with a name.
        let mut numbers = HashMap::from([(ROOT, ROOT)]);
        let mut folders = vec![ROOT];
        while let Some(folder) = folders.pop() {
            let of_folder = (folder, OsString::new())..(folder + 1, OsString::new());
            for ((_, name), old) in names.range(of_folder) {
                let number = match numbers.get(old) {
                    Some(number) => *number,
                    None => {
                        let Some(node) = self.nodes.remove(old) else { continue };
                        let number = after.revive(node, dice);
                        numbers.insert(*old, number);
                        folders.push(*old);
                        number
                    }
                };
                let names = after.folder(numbers[&folder]);
                names.expect("a folder with names is a folder").insert(name.clone(), number);
                after.node(number).expect("it was just made").names += 1;
            }
        }
        let disk = names.into_iter().filter_map(|((folder, name), file)| {
            Some(((*numbers.get(&folder)?, name), *numbers.get(&file)?))
        });
        after.names = Names::durable(disk.collect());
        after
    }

    /// Adds a file of the disk before a power cut, with a new number.
    fn revive(&mut self, node: Node, dice: &mut Dice) -> u64 {
        let kind = match node.kind {
            Kind::File(content) => {
                let pages: Pages = content.cut(dice);
                self.used += pages.allocated() * PAGE;
                Kind::File(Content::durable(pages))
            }
            Kind::Mapped(mapped) => {
                Kind::Mapped(mapped.cut(dice).expect("a file in memory can be made and copied"))
            }
            Kind::Folder(_) => Kind::Folder(BTreeMap::new()),
            link @ Kind::Link(_) => link,
        };
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, Node { kind, names: 0, opens: 0, ..node });
        number
    }
}
