//! The cost of an append, a read and a wake-up, by the size of the log and the number of waiters.
//!
//! `cargo bench -p tidewire-channel --bench log`
//!
//! Each figure is the best sample, because noise only adds time.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;
use tidewire_channel::{Budget, Channel, Cursor, Epoch, Limits, Log, Retention, Since};

const EPOCH: Epoch = Epoch::new(7);

fn main() {
    println!("{:<44} {:>12} {:>12} {:>12}", "messages kept", "100", "10,000", "1,000,000");
    let sizes = [100, 10_000, 1_000_000];
    row("append, the oldest is evicted", sizes.map(|kept| append(&mut full(kept))));
    row("read 1 message, 1 behind the head", sizes.map(|kept| read(&full(kept), 1, 1)));
    row("read 1 message, the oldest kept", sizes.map(|kept| read(&full(kept), kept as u64, 1)));
    row("read 100 messages, the oldest kept", sizes.map(|kept| read(&full(kept), kept as u64, 100)));
    println!("{:<44} {:>12} {:>12} {:>12}", "waiters", "1", "1,000", "100,000");
    row("wait, and be cancelled", [1, 1_000, 100_000].map(cancel));
    row("append and take the waiters, for each of them", [1, 1_000, 100_000].map(wake));
    let cursor = Cursor::new(Epoch::new(u64::MAX / 3), 123_456);
    let text = cursor.to_string();
    println!(
        "{:<44} {:>9.1} ns",
        "parse a cursor",
        best(|| { black_box(Cursor::parse(black_box(text.as_bytes()))).is_ok() })
    );
}

fn row(name: &str, ns: [f64; 3]) {
    println!("{name:<44} {:>9.1} ns {:>9.1} ns {:>9.1} ns", ns[0], ns[1], ns[2]);
}

/// A log that keeps this number of messages and has evicted some.
fn full(kept: usize) -> Log<u64> {
    let retention =
        Retention::DEFAULT.with_max_messages(kept).with_max_bytes(usize::MAX).with_max_age_ms(Some(u64::MAX));
    let mut log = Log::new(EPOCH, retention);
    for number in 0..kept as u64 + 100 {
        log.append(number, 1, number).expect("the log is open");
    }
    log
}

fn append(log: &mut Log<u64>) -> f64 {
    let mut now_ms = 10_000_000;
    best(|| {
        now_ms += 1;
        log.append(now_ms, 1, black_box(now_ms)).is_ok_and(|cursor| cursor.seq() > 0)
    })
}

fn read(log: &Log<u64>, behind: u64, count: usize) -> f64 {
    let since = Since::After(Cursor::new(EPOCH, log.head().seq() - behind));
    best(|| {
        let read = log.read(black_box(since), Budget::messages(count));
        black_box(read.iter().map(|entry| *entry.value).sum::<u64>());
        read.len() == count
    })
}

fn channel(waiters: usize) -> Channel<u64, u32> {
    let mut channel = Channel::new(EPOCH, Retention::DEFAULT, Limits::DEFAULT.with_max_waiters(waiters + 1));
    refill(&mut channel, waiters);
    channel
}

fn refill(channel: &mut Channel<u64, u32>, waiters: usize) {
    let head = channel.log().head();
    for waiter in 0..waiters {
        assert!(channel.wait(head, waiter as u32).is_ok());
    }
}

fn cancel(waiters: usize) -> f64 {
    let mut channel = channel(waiters);
    let head = channel.log().head();
    best(|| channel.wait(head, 0).ok().and_then(|key| channel.cancel(key)).is_some())
}

fn wake(waiters: usize) -> f64 {
    let mut channel = channel(waiters);
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let woken = channel.append(0, 1, 0).map_or(0, |(_, woken)| woken.map(black_box).count());
        best = best.min(start.elapsed().as_nanos() as f64 / waiters as f64);
        assert_eq!(woken, waiters);
        refill(&mut channel, waiters);
    }
    best
}

/// Nanoseconds per call, the best of many samples.
fn best(mut call: impl FnMut() -> bool) -> f64 {
    const CALLS: u32 = 1_000;
    let sample = |call: &mut dyn FnMut() -> bool| {
        let start = Instant::now();
        for _ in 0..CALLS {
            assert!(call());
        }
        start.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    (0..100).map(|_| sample(&mut call)).fold(f64::MAX, f64::min)
}
