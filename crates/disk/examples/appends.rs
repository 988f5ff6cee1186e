//! Measures appends: `cargo run --release -p tidewire-disk --example appends -- CHANNELS SYNC 10`
//!
//! 50 publishers, or PUBLISHERS in the environment, have 16 requests each under way, of 256 bytes.
//! It prints the appends of each second and the size of the files, for the store on a disk and for
//! the one in memory.

#![allow(clippy::print_stdout, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidewire_disk::{DiskOptions, DiskStore, SyncMode};
use tidewire_store::{Append, Batch, ChannelName, ChannelSettings, Limits, MemoryStore, Message, Store};

const UNDER_WAY: usize = 16;
const WORKERS: usize = 2;

fn main() {
    let mut args = std::env::args().skip(1);
    let channels: usize = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let sync = match args.next().as_deref() {
        Some("always") => SyncMode::Always,
        Some("never") => SyncMode::Never,
        _ => SyncMode::Interval,
    };
    let publishers: usize = std::env::var("PUBLISHERS").map_or(50, |text| text.parse().expect("a number"));
    let seconds: u64 = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(10);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = DiskStore::open(dir.path(), DiskOptions::DEFAULT.with_sync(sync)).expect("it opens");
    let store = Arc::new(store);
    let report = *store.start_report();
    println!("{} logs, {} messages, start {:?}; {}", report.logs, report.messages, report.took, resident());
    measure("disk", store.clone(), (channels, publishers), seconds, || size(dir.path()));
    println!("{}", resident());
    store.close().expect("it closes");
    println!("closed with {}", size(dir.path()));
    drop(store);
    let store = DiskStore::open(dir.path(), DiskOptions::DEFAULT.with_sync(sync)).expect("it opens");
    let report = store.start_report();
    println!("{} logs, {} messages, start {:?}; {}", report.logs, report.messages, report.took, resident());
    drop(store);
    measure("memory", Arc::new(MemoryStore::new(Limits::DEFAULT)), (channels, publishers), 3, || "".into());
}

/// The memory of the process.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}

fn size(dir: &Path) -> String {
    let len = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |file| file.len() >> 20);
    format!("{} MiB, write-ahead log {} MiB", len("tidewire.db"), len("tidewire.db-wal"))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn measure(
    what: &str,
    store: Arc<dyn Store>,
    (channels, publishers): (usize, usize),
    seconds: u64,
    size: impl Fn() -> String,
) {
    let names: Vec<ChannelName> =
        (0..channels).map(|number| ChannelName::new(&format!("channel/{number}")).expect("good")).collect();
    let names = Arc::new(names);
    let (done, turn) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let settings = Arc::new(ChannelSettings::DEFAULT);
    let ends = Instant::now() + Duration::from_secs(seconds);
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (store, names, done, turn) = (store.clone(), names.clone(), done.clone(), turn.clone());
            let settings = settings.clone();
            std::thread::spawn(move || {
                let (tell, told) = mpsc::channel::<()>();
                let mut under_way = 0_usize;
                let submit = || {
                    let number = turn.fetch_add(1, Ordering::Relaxed) as usize;
                    let name = &names[number % names.len()];
                    let now_ms = now_ms();
                    let message = Message::new(vec![b'x'; 256].into(), now_ms);
                    let append = Append::new(now_ms, Batch::One(Arc::new(message)), settings.clone());
                    let tell = tell.clone();
                    store.append(name, append).then(move |result| {
                        result.expect("it answers").expect("it appends");
                        let _ = tell.send(());
                    });
                };
                for _ in 0..publishers * UNDER_WAY / WORKERS {
                    submit();
                    under_way += 1;
                }
                while under_way > 0 {
                    told.recv().expect("an answer");
                    done.fetch_add(1, Ordering::Relaxed);
                    if Instant::now() < ends {
                        submit();
                    } else {
                        under_way -= 1;
                    }
                }
            })
        })
        .collect();
    let mut last = 0;
    for second in 1..=seconds {
        std::thread::sleep(Duration::from_secs(1));
        let all = done.load(Ordering::Relaxed);
        println!("{what}, {channels} channels, second {second}: {} appends; {}", all - last, size());
        last = all;
    }
    print_threads(last);
    workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
}

/// Prints the processor time of each thread for an append: it counts on a machine that is busy.
fn print_threads(appends: u64) {
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let (name, times) = (read("comm"), read("schedstat"));
        let ns: u64 = times.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        println!("  {}: {:.2} µs for each append", name.trim(), ns as f64 / 1e3 / appends.max(1) as f64);
    }
}
