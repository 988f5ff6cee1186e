//! Measures the disk: `cargo run --release -p tidewire-lossydisk --example speed`, as root.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = tidewire_lossydisk::LossyDisk::mount(folder.path())?;
    let file = std::fs::File::create_new(disk.path().join("file"))?;
    measure("writes of 100 bytes", 100, 200_000, |number| write(&file, number, 100, false))?;
    measure("writes of 4,096 bytes", 4_096, 50_000, |number| write(&file, number, 4_096, false))?;
    measure("writes of 64 KiB", 65_536, 5_000, |number| write(&file, number, 65_536, false))?;
    measure("a write of 4,096 bytes and fdatasync", 4_096, 20_000, |number| {
        write(&file, number, 4_096, true)
    })?;
    measure("fdatasync", 0, 50_000, |_| file.sync_data())?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn write(file: &std::fs::File, number: u64, len: u64, sync: bool) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.write_all_at(&[1; 65_536][..len as usize], number * len)?;
    if sync { file.sync_data() } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn measure(
    what: &str,
    len: u64,
    times: u64,
    mut step: impl FnMut(u64) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let start = std::time::Instant::now();
    (0..times).try_for_each(&mut step)?;
    let each_second = times as f64 / start.elapsed().as_secs_f64();
    println!("{what}: {each_second:.0} a second, {:.0} MB/s", each_second * len as f64 / 1e6);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
