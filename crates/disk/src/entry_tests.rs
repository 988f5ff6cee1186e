//! Tests of the entries of runs. They are not in the file of the entries, which the fuzzer includes
//! without the crates that the tests need.

use proptest::prelude::*;

use crate::entry::{Entry, decode, encode};

/// Entries as a log has them: rows and times increase, and some rows are lost.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let step = prop_oneof![Just(0), 1..300_u64, 1..1_u64 << 40];
    let size = prop_oneof![0..2_000_usize, 0..=usize::MAX];
    let wait = prop_oneof![Just(0), 0..1_000_u64, 0..1_u64 << 50];
    prop::collection::vec((step, size, wait), 0..140).prop_map(|parts| {
        let (mut id, mut appended_ms) = (0, 0);
        let entry = |(step, size, wait)| {
            (id, appended_ms) = (id + step, appended_ms + wait);
            Entry { id: if step == 0 { 0 } else { id }, size, appended_ms }
        };
        parts.into_iter().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries()) {
        let bytes = encode(&entries);
        prop_assert_eq!(decode(&bytes, entries.len()), Some(entries.clone()));
        prop_assert_eq!(decode(&bytes, entries.len() + 1), None);
        for end in bytes.len().saturating_sub(30)..bytes.len() {
            prop_assert_eq!(decode(&bytes[..end], entries.len()), None);
        }
    }

    #[test]
    fn what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for count in 0..=bytes.len() {
            if let Some(entries) = decode(&bytes, count) {
                prop_assert_eq!(encode(&entries), &bytes[..]);
            }
        }
    }
}

#[test]
fn a_usual_entry_takes_four_bytes() {
    let of = |n: u64| Entry { id: 1_000_000 + n, size: 300, appended_ms: 1_795_000_000_000 + n };
    let run: Vec<Entry> = (0..128).map(of).collect();
    assert_eq!(encode(&run).len(), 128 * 4 + 2 + 5);
}

#[test]
fn numbers_that_are_too_large_are_damage() {
    let most = [[0xff; 9].as_slice(), &[1]].concat();
    for (bytes, is_good) in [
        ([most.as_slice(), &[0, 0]].concat(), true),
        ([most.as_slice(), &[0, 0, 1, 0, 0]].concat(), false),
        ([[0xff; 9].as_slice(), &[2, 0, 0]].concat(), false),
        ([[0xff; 10].as_slice(), &[0, 0, 0]].concat(), false),
        (vec![1, 0x80, 0, 0], false),
    ] {
        let count = if bytes.len() > 13 { 2 } else { 1 };
        assert_eq!(decode(&bytes, count).is_some(), is_good, "{bytes:x?}");
    }
    assert_eq!(decode(&[], usize::MAX), None);
}
