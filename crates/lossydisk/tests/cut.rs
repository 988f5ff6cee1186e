//! Power cuts and failed syncs, seen by a program.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidewire_lossydisk::{Loss, LossyDisk};

/// `EIO` of Linux.
const EIO: Option<i32> = Some(5);

fn disk() -> (LossyDisk, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    (LossyDisk::mount(folder.path()).expect("a mounted disk"), folder)
}

fn new(path: impl AsRef<std::path::Path>) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).expect("a new file")
}

#[test]
fn open_files_fail_until_all_are_closed() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let file = new(&path);
    file.write_all_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(b"SYNC", 0).unwrap();
    file.write_all_at(b"more", 6).unwrap();
    disk.cut(Loss::AllUnsynced);
    let mut bytes = [0; 4];
    assert_eq!(file.read_exact_at(&mut bytes, 0).unwrap_err().raw_os_error(), EIO);
    assert_eq!(file.write_all_at(b"SYNC", 0).unwrap_err().raw_os_error(), EIO);
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), EIO);
    assert_eq!(File::open(&path).unwrap_err().raw_os_error(), EIO);
    assert_eq!(fs::read_dir(disk.path()).map(drop).unwrap_err().raw_os_error(), EIO);
    // The other thread ends its wait.
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| disk.restart());
        drop(file);
        restart.join().unwrap().unwrap();
    });
    assert_eq!(fs::read(&path).unwrap(), b"synced");
}

#[test]
fn nothing_is_lost_if_the_test_wants_it() {
    let (disk, _folder) = disk();
    let path = disk.path().join("folder/file");
    fs::create_dir(disk.path().join("folder")).unwrap();
    fs::write(&path, [1; 10_000]).unwrap();
    disk.cut(Loss::Nothing);
    disk.restart().unwrap();
    assert!(fs::read(&path).unwrap() == [1; 10_000]);
}

#[test]
fn names_need_a_sync() {
    let (disk, _folder) = disk();
    let at = |name: &str| disk.path().join(name);
    let sync = || File::open(disk.path()).unwrap().sync_all().unwrap();
    fs::write(at("lost"), "1").unwrap();
    new(at("new")).sync_all().unwrap();
    fs::write(at("old"), "2").unwrap();
    sync();
    fs::rename(at("old"), at("renamed")).unwrap();
    fs::remove_file(at("new")).unwrap();
    disk.cut(Loss::AllUnsynced);
    disk.restart().unwrap();
    // The sync of the folder kept the name "lost", and nothing kept its bytes.
    assert_eq!(fs::read(at("lost")).unwrap(), b"");
    assert!(at("new").exists() && at("old").exists() && !at("renamed").exists());
    fs::rename(at("old"), at("renamed")).unwrap();
    fs::remove_file(at("new")).unwrap();
    sync();
    disk.cut(Loss::AllUnsynced);
    disk.restart().unwrap();
    assert!(!at("new").exists() && !at("old").exists() && at("renamed").exists());
}

#[test]
fn a_failed_sync_loses_the_changes() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let file = new(&path);
    file.write_all_at(&[1; 8192], 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[2; 4096], 0).unwrap();
    disk.fail_syncs(true);
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), EIO);
    assert_eq!(disk.counters().failed_syncs, 1);
    disk.fail_syncs(false);
    file.write_all_at(&[3; 4096], 4096).unwrap();
    file.sync_data().unwrap();
    // Readers see what the disk does not have.
    assert_eq!(fs::read(&path).unwrap()[4095..4097], [2, 3]);
    drop(file);
    disk.cut(Loss::Nothing);
    disk.restart().unwrap();
    assert_eq!(fs::read(&path).unwrap()[4095..4097], [1, 3]);
}

#[test]
fn a_power_cut_ends_a_slow_sync() {
    let (disk, _folder) = disk();
    let path = disk.path().join("file");
    let file = new(&path);
    let time = Duration::from_millis(20);
    disk.slow_syncs(time);
    let start = Instant::now();
    file.sync_data().unwrap();
    assert!(start.elapsed() >= time);
    disk.slow_syncs(Duration::from_secs(3_600));
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync_data());
        // Other requests do not wait for it.
        fs::write(disk.path().join("other"), "1").unwrap();
        disk.cut(Loss::Nothing);
        assert_eq!(sync.join().unwrap().unwrap_err().raw_os_error(), EIO);
    });
}

#[test]
fn it_unmounts_with_open_files() {
    let (disk, folder) = disk();
    let file = new(disk.path().join("file"));
    file.write_all_at(b"1", 0).unwrap();
    drop(disk);
    assert!(file.sync_data().is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let _again = LossyDisk::mount(folder.path()).unwrap();
}
