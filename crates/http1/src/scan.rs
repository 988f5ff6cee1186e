//! Looking at many bytes at once: what all the parsing time goes into.
//!
//! A head is scanned for its line ends in blocks, at fixed distances, so that no load waits for the result of the one before:
//!
//! ```text
//! bytes     … g z i p \r \n A c c e p t : …
//! odd       . . . . . 1  1  . . . . . . .        neither SP nor visible ASCII, a bit a byte
//! ```
//! [`Lanes`] says how 32 bytes become such masks. [`Portable`] says it in plain Rust, and is the oracle for the others.

use crate::target::is_target_byte;
use tidewire_grammar::class::{is_reg_name, is_tchar};

/// A set of ASCII bytes, as a table of answers and as sixteen bytes for a shuffle: byte `lo` has bit `hi` set if `0xhilo` is
/// in the set.
pub(crate) struct AsciiSet {
    pub(crate) table: [bool; 256],
    pub(crate) shuffle: [u8; 16],
}

/// How bytes become masks: one bit a byte, bit 0 for the first.
pub(crate) trait Lanes: Copy {
    /// Does a mask cost less than a look at some ten single bytes?
    const WIDE: bool;

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
/// Nearly every host is made of these and a port.
pub(crate) static HOST: AsciiSet = ascii_set!(is_reg_name);

/// Plain Rust: what the others must equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    const WIDE: bool = false;

    /// Eight bytes in a word. Per byte, of which the high bit is kept: `x` is over 0x7F, or its low seven bits are 0x7F (one more carries into
    /// the high bit), or they are under 0x20 (0x60 more does not).
    #[inline(always)]
    fn odd(self, bytes: &[u8; 32]) -> u32 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        words.rev().fold(0, |mask, x| {
            let low = x & (0x7F * ONES);
            let odd = (x | (low + ONES) | !(low + 0x60 * ONES)) & (0x80 * ONES);
            // The eight bits, which are 8 apart, side by side.
            mask << 8 | ((odd >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
        })
    }

    #[inline(always)]
    fn outside(self, set: &AsciiSet, bytes: &[u8; 32]) -> u32 {
        bytes.iter().rev().fold(0, |mask, &b| mask << 1 | u32::from(!set.table[usize::from(b)]))
    }

    #[inline(always)]
    fn plain(self, bytes: &[u8; 64]) -> bool {
        bytes.iter().fold(true, |plain, &b| plain & matches!(b, b' '..=b'~'))
    }
}

/// Where the next byte of a kind is, in one input. Each `*_end` is the index of the first byte at or after `from` that is not of the
/// kind; the length of the input, or more, if there is none.
pub(crate) trait Find {
    fn target_end(&self, from: usize) -> usize;
    fn name_end(&self, from: usize) -> usize;
    fn host_end(&self, from: usize) -> usize;

    /// The odd bytes of the block at `at`, up to 64 bytes of it, with no bits behind the input's end.
    fn odd64(&self, at: usize) -> u64;

    /// How many bytes from `at` on are surely not odd: whole blocks only.
    fn plain_len(&self, at: usize) -> usize;
}

/// An input of any length. Each question loads the bytes that it is about.
pub(crate) struct Long<'a, L> {
    pub(crate) lanes: L,
    pub(crate) input: &'a [u8],
}

impl<L: Lanes> Find for Long<'_, L> {
    #[inline(always)]
    fn target_end(&self, from: usize) -> usize {
        find_outside(self.lanes, &TARGET, self.input, from)
    }

    #[inline(always)]
    fn name_end(&self, from: usize) -> usize {
        find_outside(self.lanes, &TCHAR, self.input, from)
    }

    #[inline(always)]
    fn host_end(&self, from: usize) -> usize {
        find_outside(self.lanes, &HOST, self.input, from)
    }

    #[inline(always)]
    fn odd64(&self, at: usize) -> u64 {
        let rest = self.input.get(at..).unwrap_or_default();
        if let Some(block) = rest.first_chunk() {
            let [low, high] = halves(block);
            return u64::from(self.lanes.odd(low)) | u64::from(self.lanes.odd(high)) << 32;
        }
        // The end of the input. Windows that reach back to bytes seen before, rather than that single bytes are looked at.
        let Some(last) = self.input.last_chunk() else { return 0 };
        let last = u64::from(self.lanes.odd(last));
        match rest.first_chunk() {
            Some(low) => {
                u64::from(self.lanes.odd(low)) | last.wrapping_shl(rest.len().wrapping_sub(32) as u32)
            }
            None => last.wrapping_shr(32_usize.wrapping_sub(rest.len()) as u32),
        }
    }

    #[inline(always)]
    fn plain_len(&self, at: usize) -> usize {
        let blocks = self.input.get(at..).unwrap_or_default().as_chunks::<64>().0;
        64 * blocks.iter().take_while(|block| self.lanes.plain(block)).count()
    }
}

/// An input of 32 to 63 bytes: everything is asked at once, with loads that wait for nothing, and answered by shifting. In a long input lines
/// are looked at side by side; in a short one each answer would wait for the one before.
pub(crate) struct Short {
    target: u64,
    name: u64,
    host: u64,
    odd: u64,
}

impl Short {
    /// `None` if the input is shorter or longer, or if asking everything costs more than it saves.
    #[inline(always)]
    pub(crate) fn new<L: Lanes>(lanes: L, input: &[u8]) -> Option<Self> {
        if input.len() > 63 || !L::WIDE {
            return None;
        }
        let (low, high) = (input.first_chunk()?, input.last_chunk()?);
        // The two overlap; where they do they say the same.
        let join = |low: u32, high: u32| {
            u64::from(low) | u64::from(high).wrapping_shl(input.len().wrapping_sub(32) as u32)
        };
        let outside = |set| join(lanes.outside(set, low), lanes.outside(set, high));
        Some(Self {
            target: outside(&TARGET),
            name: outside(&TCHAR),
            host: outside(&HOST),
            odd: join(lanes.odd(low), lanes.odd(high)),
        })
    }

    #[inline(always)]
    fn end(outside: u64, from: usize) -> usize {
        from.wrapping_add(outside.wrapping_shr(from as u32).trailing_zeros() as usize)
    }
}

impl Find for Short {
    #[inline(always)]
    fn target_end(&self, from: usize) -> usize {
        Self::end(self.target, from)
    }

    #[inline(always)]
    fn name_end(&self, from: usize) -> usize {
        Self::end(self.name, from)
    }

    #[inline(always)]
    fn host_end(&self, from: usize) -> usize {
        Self::end(self.host, from)
    }

    #[inline(always)]
    fn odd64(&self, at: usize) -> u64 {
        self.odd.checked_shr(at as u32).unwrap_or(0)
    }

    #[inline(always)]
    fn plain_len(&self, _: usize) -> usize {
        0
    }
}

/// Index of the first byte at or after `from` that is not in the set; the length of the input if there is none.
#[inline(always)]
fn find_outside<L: Lanes>(lanes: L, set: &AsciiSet, input: &[u8], from: usize) -> usize {
    let mut at = from;
    if !L::WIDE {
        let rest = input.get(from..).unwrap_or_default();
        return rest
            .iter()
            .position(|&b| !set.table[usize::from(b)])
            .map_or(input.len(), |i| from.wrapping_add(i));
    }
    // Whole windows, of which the first nearly always answers.
    while let Some(window) = input.get(at..).and_then(<[u8]>::first_chunk) {
        let outside = lanes.outside(set, window);
        if outside != 0 {
            return at.wrapping_add(outside.trailing_zeros() as usize);
        }
        at = at.wrapping_add(32);
    }
    // The end of the input: a window that reaches back behind `at`.
    let (Some(window), Some(rest)) = (input.last_chunk(), input.len().checked_sub(at)) else {
        return input.len();
    };
    let outside = u64::from(lanes.outside(set, window)) | 1 << 32;
    at.wrapping_add(outside.wrapping_shr(32_u32.wrapping_sub(rest as u32)).trailing_zeros() as usize)
}

#[inline(always)]
pub(crate) fn halves(block: &[u8; 64]) -> [&[u8; 32]; 2] {
    let [low, high] = block.as_chunks().0 else { unreachable!("64 is twice 32") };
    [low, high]
}
