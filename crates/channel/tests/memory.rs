//! Reads, and appends to a full log, allocate no memory.

#![allow(clippy::unwrap_used)]

use tidewire_channel::{
    Budget, Channel, Cursor, Epoch, Fingerprint, Limits, Log, Once, ProducerSeq, Retention, Since,
};
use tidewire_testkit::heap::{CountingAllocator, allocations, held};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const EPOCH: Epoch = Epoch::new(7);

#[test]
fn nothing_is_allocated_before_the_first_message() {
    let count = allocations(|| {
        let channel = Channel::<u64, u32>::new(EPOCH, Retention::DEFAULT, Limits::DEFAULT);
        assert!(channel.read(Since::Earliest, Budget::UNLIMITED).is_empty());
    });
    assert_eq!(count, 0);
}

#[test]
fn a_full_log_appends_and_reads_without_allocating() {
    let mut log = Log::new(EPOCH, Retention::DEFAULT.with_max_messages(1_000));
    for number in 0..2_000_u64 {
        if number % 300 == 299 {
            log.begin_epoch(Epoch::new(1_000 + number));
        }
        log.append(number, 1, number).unwrap();
    }
    let count = allocations(|| {
        let mut readers = [Cursor::new(EPOCH, 0); 100];
        for number in 2_000..3_000 {
            log.append(number, 1, number).unwrap();
            for (index, reader) in readers.iter_mut().enumerate() {
                // Some read each time, some rarely. A slow reader is told of a gap.
                if number % (index as u64 + 1) == 0 {
                    let read = log.read((*reader).into(), Budget::messages(1 + index));
                    assert_eq!(read.iter().next_back().map(|entry| entry.cursor), Some(read.cursor()));
                    *reader = read.cursor();
                }
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_cursor_is_parsed_and_written_without_allocating() {
    let mut text = String::with_capacity(Cursor::MAX_LEN);
    let count = allocations(|| {
        use std::fmt::Write;
        let cursor = Cursor::new(Epoch::new(u64::MAX), u64::MAX);
        write!(text, "{cursor}").unwrap();
        assert_eq!(Since::parse(text.as_bytes()), Ok(cursor.into()));
    });
    assert_eq!(count, 0);
}

/// Checks what docs/limits.md says of `max_keys`.
#[test]
fn a_key_costs_its_length_and_at_most_150_bytes() {
    let limits = Limits::DEFAULT;
    let retention = Retention::DEFAULT.with_max_messages(1);
    let mut channel = Channel::<(), ()>::new(EPOCH, retention, limits);
    let mut most = 0;
    let before = held();
    for number in 0..10 * limits.max_keys {
        // Scattered, as random keys are.
        let key = format!("{:0>128x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        drop(channel.append_once(0, key.as_bytes(), Fingerprint([1; 16]), 0, ()).unwrap());
        drop(key);
        most = most.max((held() - before).unsigned_abs());
    }
    assert_eq!(channel.keys(), limits.max_keys);
    let log = 1024;
    assert!(
        most <= limits.max_keys * (limits.max_key + 150) + log,
        "{most} bytes for {} keys",
        limits.max_keys
    );
}

/// Checks what docs/limits.md says of `max_producers`.
#[test]
fn a_producer_costs_its_id_and_at_most_240_bytes() {
    let limits = Limits::DEFAULT;
    let retention = Retention::DEFAULT.with_max_messages(1);
    let mut channel = Channel::<(), ()>::new(EPOCH, retention, limits);
    let mut most = 0;
    let before = held();
    for number in 0..5 * limits.max_producers {
        let id = format!("{:0>128x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let once = Once::Producer(ProducerSeq { id: id.as_bytes(), epoch: 0, seq: 0 });
        drop(channel.append_batch(0, [(0, ())], false, once).unwrap());
        drop(id);
        most = most.max((held() - before).unsigned_abs());
    }
    assert_eq!(channel.producers(), limits.max_producers);
    let log = 1024;
    assert!(
        most <= limits.max_producers * (limits.max_producer_id + 240) + log,
        "{most} bytes for {} producers",
        limits.max_producers
    );
}
