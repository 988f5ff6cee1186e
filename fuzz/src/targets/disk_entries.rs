//! Any bytes as the entries of a run, of which a file may say that it has any number: a simple
//! decoder gives the same entries, and they are written as the same bytes.

use super::disk_entry::{Entry, decode, encode};

pub fn run(data: &[u8]) {
    let Some((&count, bytes)) = data.split_first() else { return };
    let entries = decode(bytes, count.into());
    assert_eq!(entries, simple(bytes, count.into()));
    if let Some(entries) = entries {
        assert_eq!(encode(&entries), bytes);
    }
    // A damaged count must not reserve memory.
    assert_eq!(decode(bytes, usize::MAX - usize::from(count)), None);
}

/// Splits the bytes into numbers first, and counts with more bits than any number has.
fn simple(bytes: &[u8], count: usize) -> Option<Vec<Entry>> {
    let numbers: Vec<&[u8]> = bytes.split_inclusive(|byte| byte & 0x80 == 0).collect();
    let is_whole = bytes.last().is_none_or(|byte| byte & 0x80 == 0);
    if numbers.len() != count * 3 || !is_whole || numbers.iter().any(|n| n.len() > 1 && n.ends_with(&[0])) {
        return None;
    }
    // After 18 bytes there is no room for more, and the number is too large anyway.
    let value = |number: &[u8]| {
        let bits = number.iter().take(18).enumerate();
        let value = bits.fold(0_u128, |sum, (n, byte)| sum | u128::from(byte & 0x7f) << (7 * n));
        u64::try_from(value).ok().filter(|_| number.len() <= 18)
    };
    let (mut id, mut time, mut entries) = (0_u128, 0_u128, Vec::new());
    for parts in numbers.chunks(3) {
        let step = value(parts[0])?;
        id += u128::from(step);
        time += u128::from(value(parts[2])?);
        let row = if step == 0 { 0 } else { u64::try_from(id).ok()? };
        let size = value(parts[1])?.try_into().ok()?;
        entries.push(Entry { id: row, size, appended_ms: u64::try_from(time).ok()? });
    }
    Some(entries)
}
