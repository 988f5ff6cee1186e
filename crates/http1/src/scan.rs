//! Looking at many bytes at once: what all the parsing time goes into.
//!
//! A head is scanned for its line ends in blocks, at fixed distances, so that no load waits for the result of the one before:
//!
//! ```text
//! bytes     … g z i p \r \n A c c e p t : …
//! odd       . . . . . 1  1  . . . . . . .        neither SP nor visible ASCII, a bit a byte
//! ```
//! [`Lanes`] says how 32 bytes become such masks. [`Portable`] says it in plain Rust, and is the oracle for the others.

use crate::target::{is_host_byte, is_target_byte};
use tidewire_grammar::class::is_tchar;

/// A set of ASCII bytes, as a table of answers and as sixteen bytes for a shuffle: byte `lo` has bit `hi` set if `0xhilo` is
/// in the set.
pub(crate) struct AsciiSet {
    pub(crate) table: [bool; 256],
    pub(crate) shuffle: [u8; 16],
}

/// How bytes become masks: one bit a byte, bit 0 for the first.
pub(crate) trait Lanes: Copy {
    /// Which bytes are neither SP nor visible ASCII.
    fn odd(self, bytes: &[u8; 32]) -> u32;

    /// Which bytes are not in the set.
    fn outside(self, set: &AsciiSet, bytes: &[u8; 32]) -> u32;

    /// Is no byte odd, as in the middle of a long value? A cheap question to skip by.
    fn plain(self, bytes: &[u8; 64]) -> bool;
}

/// An [`AsciiSet`] of the bytes that a `const fn(u8) -> bool` holds.
macro_rules! ascii_set {
    ($is:path) => {{
        let (mut table, mut shuffle, mut b) = ([false; 256], [0; 16], 0);
        while b < 128 {
            if $is(b as u8) {
                table[b] = true;
                shuffle[b & 15] |= 1 << (b >> 4);
            }
            b += 1;
        }
        AsciiSet { table, shuffle }
    }};
}

pub(crate) static TCHAR: AsciiSet = ascii_set!(is_tchar);
pub(crate) static TARGET: AsciiSet = ascii_set!(is_target_byte);
pub(crate) static HOST: AsciiSet = ascii_set!(is_host_byte);

/// Plain Rust: what the others must equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    #[inline(always)]
    fn odd(self, bytes: &[u8; 32]) -> u32 {
        mask(bytes, |b| !matches!(b, b' '..=b'~'))
    }

    #[inline(always)]
    fn outside(self, set: &AsciiSet, bytes: &[u8; 32]) -> u32 {
        mask(bytes, |b| !set.table[usize::from(b)])
    }

    #[inline(always)]
    fn plain(self, bytes: &[u8; 64]) -> bool {
        bytes.iter().fold(true, |plain, &b| plain & matches!(b, b' '..=b'~'))
    }
}

/// The odd bytes of the block at `at`, up to 64 bytes of it, with no bits behind the input's end. The input holds 32 bytes at least.
#[inline(always)]
pub(crate) fn odd64<L: Lanes>(lanes: L, input: &[u8], at: usize) -> u64 {
    let rest = input.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        let [low, high] = halves(block);
        return u64::from(lanes.odd(low)) | u64::from(lanes.odd(high)) << 32;
    }
    // The end of the input. Windows that reach back to bytes seen before, rather than that single bytes are looked at.
    let Some(last) = input.last_chunk() else { return 0 };
    let last = u64::from(lanes.odd(last));
    match rest.first_chunk() {
        Some(low) => u64::from(lanes.odd(low)) | last.wrapping_shl(rest.len().wrapping_sub(32) as u32),
        None => last.wrapping_shr(32_usize.wrapping_sub(rest.len()) as u32),
    }
}

/// How many bytes from `at` on are surely SP or visible ASCII: whole blocks only.
#[inline(always)]
pub(crate) fn plain_len<L: Lanes>(lanes: L, input: &[u8], at: usize) -> usize {
    let blocks = input[at..].as_chunks::<64>().0;
    64 * blocks.iter().take_while(|block| lanes.plain(block)).count()
}

/// Index of the first byte at or after `from` that is not in the set; the length of the input if there is none.
#[inline(always)]
pub(crate) fn find_outside<L: Lanes>(lanes: L, set: &AsciiSet, input: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        // Near the end of the input the window reaches back behind `at`.
        let start = at.min(input.len().saturating_sub(32));
        let Some(window) = input.get(start..).and_then(<[u8]>::first_chunk) else { break };
        let outside = lanes.outside(set, window).wrapping_shr(at.wrapping_sub(start) as u32);
        if outside != 0 {
            return at.wrapping_add(outside.trailing_zeros() as usize);
        }
        at = start.wrapping_add(32);
        if at >= input.len() {
            return input.len();
        }
    }
    let rest = input.get(from..).unwrap_or_default();
    rest.iter().position(|&b| !set.table[usize::from(b)]).map_or(input.len(), |i| from.wrapping_add(i))
}

#[inline(always)]
fn mask(bytes: &[u8; 32], is: impl Fn(u8) -> bool) -> u32 {
    let mut mask = 0;
    for (i, &b) in bytes.iter().enumerate() {
        mask |= u32::from(is(b)) << i;
    }
    mask
}

#[inline(always)]
pub(crate) fn halves(block: &[u8; 64]) -> [&[u8; 32]; 2] {
    let [low, high] = block.as_chunks().0 else { unreachable!("64 is twice 32") };
    [low, high]
}
