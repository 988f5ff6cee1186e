//! Without a power cut, it is a normal disk.
#![cfg(target_os = "linux")]

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags, fallocate, fcntl_lock, flock, open, statvfs};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tidewire_lossydisk::{Loss, LossyDisk};

fn disk() -> (LossyDisk, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    (LossyDisk::mount(folder.path()).expect("a mounted disk"), folder)
}

fn new(path: impl AsRef<std::path::Path>) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).expect("a new file")
}

#[test]
fn files() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let mut file = new(&path);
    file.write_all(b"hello world").unwrap();
    file.write_at(b"W", 6).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"hello World");
    file.set_len(5).unwrap();
    file.set_len(8).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"hello\0\0\0");
    file.write_at(b"far", 1 << 20).unwrap();
    assert_eq!(file.metadata().unwrap().len(), (1 << 20) + 3);
    file.seek(SeekFrom::End(-4)).unwrap();
    let mut end = Vec::new();
    file.read_to_end(&mut end).unwrap();
    assert_eq!(end, b"\0far");
    let mut more = OpenOptions::new().append(true).open(&path).unwrap();
    more.write_all(b"!").unwrap();
    assert_eq!(file.metadata().unwrap().len(), (1 << 20) + 4);
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    let counters = disk.counters();
    assert_eq!((counters.writes, counters.bytes, counters.syncs), (4, 11 + 1 + 3 + 1, 2));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn names() {
    let (disk, _folder) = disk();
    let at = |name: &str| disk.path().join(name);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::write(at("a/b/one"), "1").unwrap();
    fs::write(at("two"), "2").unwrap();
    fs::rename(at("a/b/one"), at("one")).unwrap();
    fs::rename(at("one"), at("two")).unwrap();
    assert_eq!(fs::read(at("two")).unwrap(), b"1");
    fs::hard_link(at("two"), at("three")).unwrap();
    assert_eq!(fs::metadata(at("two")).unwrap().nlink(), 2);
    std::os::unix::fs::symlink("two", at("link")).unwrap();
    assert_eq!(fs::read(at("link")).unwrap(), b"1");
    assert!(fs::remove_dir(at("a")).is_err());
    fs::remove_dir_all(at("a")).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(disk.path()).unwrap().map(|name| name.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["link", "three", "two"]);
    File::open(disk.path()).unwrap().sync_all().unwrap();
    assert_eq!(disk.counters().syncs, 1);
    // Hundreds of names need several answers.
    for number in 0..500 {
        fs::write(at(&format!("{number:0200}")), "").unwrap();
    }
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 503);
}

#[test]
fn an_open_file_without_a_name() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let file = new(&path);
    file.write_at(&[7; 100_000], 0).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!path.exists());
    let mut bytes = vec![0; 100_000];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [7; 100_000]);
    file.sync_all().unwrap();
}

#[test]
fn room() {
    let (disk, _folder) = disk();
    disk.fill(10 * 4096);
    let path = disk.path().join("file");
    let file = new(&path);
    file.write_all_at(&[1; 8 * 4096], 0).unwrap();
    let error = file.write_all_at(&[1; 3 * 4096], 8 * 4096).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(disk.counters().full_writes > 0);
    assert_eq!(file.metadata().unwrap().len(), 10 * 4096);
    file.set_len(8 * 4096).unwrap();
    // What is there can be written again, and room can be reserved.
    file.write_all_at(&[2; 8 * 4096], 0).unwrap();
    let other = new(disk.path().join("other"));
    fallocate(&other, FallocateFlags::empty(), 0, 2 * 4096).unwrap();
    assert_eq!(other.metadata().unwrap().len(), 2 * 4096);
    assert!(fallocate(&other, FallocateFlags::KEEP_SIZE, 2 * 4096, 4096).is_err());
    let room = statvfs(disk.path()).unwrap();
    assert_eq!((room.f_blocks * room.f_frsize, room.f_bavail), (10 * 4096, 0));
    other.write_all_at(&[3; 2 * 4096], 0).unwrap();
    file.set_len(4096).unwrap();
    assert_eq!(disk.used(), 3 * 4096);
    disk.fill(u64::MAX);
    file.write_all_at(&[1; 1 << 20], 0).unwrap();
}

#[test]
fn locks() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let (one, two) = (new(&path), new(&path));
    flock(&one, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(flock(&two, FlockOperation::NonBlockingLockExclusive).is_err());
    drop(one);
    flock(&two, FlockOperation::NonBlockingLockExclusive).unwrap();
}

/// Locks of ranges, file by file: SQLite needs them. Only another process can see them.
#[test]
fn locks_of_ranges() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let file = new(&path);
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    let lock = || {
        let script = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)";
        let python = Command::new("python3").args(["-c", script]).arg(&path).stderr(Stdio::null()).status();
        python.expect("the test needs python3").success()
    };
    assert!(!lock());
    fcntl_lock(&file, FlockOperation::Unlock).unwrap();
    assert!(lock());
}

#[test]
fn mapped_files() {
    let (disk, _folder) = disk();
    // The second one is mapped by the kernel without us.
    for name in ["file", "file-shm"] {
        let path = disk.path().join(name);
        fs::write(&path, [1; 8192]).unwrap();
        let script = "import mmap, sys; file = open(sys.argv[1], 'r+b'); map = mmap.mmap(file.fileno(), 0)\n\
                      assert map[4095:4097] == b'\\1\\1'; map[4096] = 2; map.flush(); map.close()";
        let python = Command::new("python3").args(["-c", script]).arg(&path).status();
        assert!(python.expect("the test needs python3").success());
        assert_eq!(fs::read(&path).unwrap()[4095..4098], [1, 2, 1]);
        assert_eq!(fs::metadata(&path).unwrap().len(), 8192);
    }
    disk.cut(Loss::Nothing);
    disk.restart().unwrap();
    for name in ["file", "file-shm"] {
        assert_eq!(fs::read(disk.path().join(name)).unwrap()[4095..4098], [1, 2, 1]);
    }
}

#[test]
fn a_write_to_a_file_that_is_open_for_syncs_is_a_sync() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::DSYNC;
    let file = File::from(open(&path, flags, Mode::RUSR | Mode::WUSR).unwrap());
    file.write_all_at(b"synced", 0).unwrap();
    assert_eq!(disk.counters().syncs, 1);
    drop(file);
    disk.cut(Loss::AllUnsynced);
    disk.restart().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"synced");
}

#[test]
fn a_flipped_bit_is_read_at_once() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    fs::write(&path, [0; 10_000]).unwrap();
    let file = File::open(&path).unwrap();
    let mut bytes = vec![0; 10_000];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let file_with_hole = new(disk.path().join("hole"));
    disk.flip(&path, 9_000, 3).unwrap();
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((bytes[8_999], bytes[9_000], bytes[9_001]), (0, 8, 0));
    disk.flip("file", 9_000, 3).unwrap();
    assert!(fs::read(&path).unwrap() == [0; 10_000]);
    assert!(disk.flip("file", 10_000, 3).is_err());
    // A hole becomes a page, and the file can still be removed.
    file_with_hole.set_len(1 << 20).unwrap();
    disk.flip("hole", 5_000, 0).unwrap();
    assert_eq!(disk.used(), 4 * 4096);
    fs::remove_file(disk.path().join("hole")).unwrap();
    drop(file_with_hole);
    assert!(disk.flip("no file", 0, 3).is_err());
}
