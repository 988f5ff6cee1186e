//! What the index knows of a message, and how a run of them is written.
//!
//! ```text
//!   run:    entry   entry   entry   …            up to 128 messages of one log, in order
//!   entry:  id      size    appended             three varints
//!            │        │        └ milliseconds since the entry before
//!            │        └ bytes that the message counts in its log
//!            └ row of the message, as a difference to the last row before; 0: the row is lost
//! ```
//!
//! A varint has 7 bits of a number in each byte, the lowest ones first. The top bit says that more
//! follow. Most entries take four bytes. This file uses nothing but the standard library, so that
//! the fuzzer needs no database.

/// A message of a log: where its row is, and what decides whether it is kept and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The id of its row. 0: the row is lost.
    pub(crate) id: u64,
    /// The bytes that it counts in its log: `Message::weight`.
    pub(crate) size: usize,
    /// When it was appended, in milliseconds. It never decreases along a log.
    pub(crate) appended_ms: u64,
}

/// Writes entries of one log that are next to each other. Their rows and times increase.
pub(crate) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len().saturating_mul(5));
    let (mut id, mut appended_ms) = (0_u64, 0_u64);
    for entry in entries {
        // A row that is not after the one before cannot be written. Its reader is told of a gap.
        let step = entry.id.saturating_sub(id);
        debug_assert!(entry.id == 0 || step > 0, "rows are appended");
        debug_assert!(entry.appended_ms >= appended_ms, "the clock of a log does not step back");
        put(&mut bytes, step);
        put(&mut bytes, entry.size as u64);
        put(&mut bytes, entry.appended_ms.saturating_sub(appended_ms));
        id = id.saturating_add(step);
        appended_ms = appended_ms.max(entry.appended_ms);
    }
    bytes
}

/// Reads what [`encode`] has written. `None`: these bytes are damaged, or not `count` entries.
pub(crate) fn decode(bytes: &[u8], count: usize) -> Option<Vec<Entry>> {
    // An entry has three bytes at least, so a wrong count reserves no memory.
    if count > bytes.len() / 3 {
        return None;
    }
    let mut entries = Vec::with_capacity(count);
    let (mut id, mut appended_ms, mut rest) = (0_u64, 0_u64, bytes);
    for _ in 0..count {
        let step = take(&mut rest)?;
        let size = usize::try_from(take(&mut rest)?).ok()?;
        id = id.checked_add(step)?;
        appended_ms = appended_ms.checked_add(take(&mut rest)?)?;
        entries.push(Entry { id: if step == 0 { 0 } else { id }, size, appended_ms });
    }
    rest.is_empty().then_some(entries)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

/// Takes a varint from the front. It has one spelling: no number begins with zeros.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte holds the top bit alone.
        if shift > 63 || (shift == 63 && bits > 1) {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(number);
        }
        shift = shift.saturating_add(7);
    }
}
