//! Search over many bytes at once. Nearly all time of the parser is spent here.
//!
//! Line ends of a head are searched in blocks at fixed offsets, so that no load waits for the
//! result of the load before:
//!
//! ```text
//! bytes     … g z i p \r \n A c c e p t : …
//! odd       . . . . . 1  1  . . . . . . .        one bit per byte: 1 if neither SP nor visible ASCII
//! ```
//! [`Lanes`] makes such masks of 32 bytes. [`Portable`] does it in plain Rust, and is the oracle
//! for the other implementations.

use crate::target::is_target_byte;
use tidewire_grammar::class::{is_reg_name, is_tchar};

/// A set of ASCII bytes, in two forms: a table, and sixteen bytes for a shuffle. For a byte with
/// the high half `hi` and the low half `lo`: bit `hi` of `shuffle[lo]` is set if the byte is in the
/// set.
pub(crate) struct AsciiSet {
    pub(crate) table: [bool; 256],
    pub(crate) shuffle: [u8; 16],
}

/// Makes masks of bytes: one bit per byte, bit 0 for the first.
pub(crate) trait Lanes: Copy {
    /// Whether a mask costs less than to check about ten single bytes.
    const WIDE: bool;

    /// The mask of the bytes that are neither SP nor visible ASCII.
    fn odd(self, bytes: &[u8; 32]) -> u32;

    /// The mask of the bytes that are not in the set.
    fn outside(self, set: &AsciiSet, bytes: &[u8; 32]) -> u32;

    /// Returns whether no byte is odd, as in the middle of a long value. A cheap check to skip
    /// blocks.
    fn plain(self, bytes: &[u8; 64]) -> bool;
}

/// The [`AsciiSet`] of the bytes for which a `const fn(u8) -> bool` is true.
macro_rules! ascii_set {
    ($is:path) => {{
        let (mut table, mut shuffle, mut b) = ([false; 256], [0; 16], 0_u8);
        while b < 128 {
            if $is(b) {
                table[b as usize] = true;
                shuffle[(b & 15) as usize] |= 1 << (b >> 4);
            }
            b = b.wrapping_add(1);
        }
        AsciiSet { table, shuffle }
    }};
}

pub(crate) static TCHAR: AsciiSet = ascii_set!(is_tchar);
pub(crate) static TARGET: AsciiSet = ascii_set!(is_target_byte);
/// Nearly every host consists of these bytes and a port.
pub(crate) static HOST: AsciiSet = ascii_set!(is_reg_name);

/// Plain Rust. The other implementations must give the same masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    const WIDE: bool = false;

    /// Works on eight bytes in one word. A byte `x` sets its high bit in three cases: it is over
    /// 0x7F; its low seven bits are 0x7F (to add 1 carries into the high bit); they are under 0x20
    /// (to add 0x60 does not carry into the high bit).
    #[inline(always)]
    fn odd(self, bytes: &[u8; 32]) -> u32 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const LOW_BITS: u64 = 0x7F * ONES;
        const HIGH_BIT: u64 = 0x80 * ONES;
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        words.rev().fold(0, |mask, x| {
            let low = x & LOW_BITS;
            let odd = (x | low.wrapping_add(ONES) | !low.wrapping_add(0x60 * ONES)) & HIGH_BIT;
            // Gathers the eight bits, which are 8 apart, in one byte.
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

/// Search in one input. Each `*_end` returns the index of the first byte at or after `from` that is
/// not in the set. If all bytes are in the set, it returns the length of the input or a larger
/// number.
pub(crate) trait Find {
    fn target_end(&self, from: usize) -> usize;
    fn name_end(&self, from: usize) -> usize;
    fn host_end(&self, from: usize) -> usize;

    /// The mask of the odd bytes of the block at `at`, at most 64 bytes. Bits behind the end of the
    /// input are 0.
    fn odd64(&self, at: usize) -> u64;

    /// The number of bytes from `at` on, in whole blocks, without an odd byte.
    fn plain_len(&self, at: usize) -> usize;
}

/// An input of any length. Each search loads the bytes that it needs.
pub(crate) struct LongInput<'a, L> {
    pub(crate) lanes: L,
    pub(crate) input: &'a [u8],
}

impl<L: Lanes> Find for LongInput<'_, L> {
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
        // At the end of the input, load the last 32 bytes, of which some were checked before. This
        // is faster than checking the rest byte by byte.
        let Some(last) = self.input.last_chunk() else { return 0 };
        let last = u64::from(self.lanes.odd(last));
        match rest.first_chunk() {
            Some(low) => {
                u64::from(self.lanes.odd(low)) | last.wrapping_shl(bits(rest.len().wrapping_sub(32)))
            }
            None => last.wrapping_shr(bits(32_usize.wrapping_sub(rest.len()))),
        }
    }

    #[inline(always)]
    fn plain_len(&self, at: usize) -> usize {
        let blocks = self.input.get(at..).unwrap_or_default().as_chunks::<64>().0;
        blocks.iter().take_while(|block| self.lanes.plain(block)).count().wrapping_mul(64)
    }
}

/// An input of 32 to 63 bytes. All masks are made at once, by loads that do not wait for each
/// other. Each search then only shifts a mask. (In a long input, the processor works on several
/// lines at once. In a short one, each search would wait for the search before.)
pub(crate) struct ShortInput {
    target: u64,
    name: u64,
    host: u64,
    odd: u64,
}

impl ShortInput {
    /// `None` if the input is shorter or longer, or if the masks cost more than they save.
    #[inline(always)]
    pub(crate) fn new<L: Lanes>(lanes: L, input: &[u8]) -> Option<Self> {
        if input.len() > 63 || !L::WIDE {
            return None;
        }
        let (low, high) = (input.first_chunk()?, input.last_chunk()?);
        // The two windows overlap. Where they do, their bits are equal.
        let join = |low: u32, high: u32| {
            u64::from(low) | u64::from(high).wrapping_shl(bits(input.len().wrapping_sub(32)))
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
        from.wrapping_add(outside.wrapping_shr(bits(from)).trailing_zeros() as usize)
    }
}

impl Find for ShortInput {
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
        self.odd.checked_shr(bits(at)).unwrap_or(0)
    }

    #[inline(always)]
    fn plain_len(&self, _: usize) -> usize {
        0
    }
}

/// Returns the index of the first byte at or after `from` that is not in the set, or the length of
/// the input.
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
    // Whole windows. Nearly always the first one has the result.
    while let Some(window) = input.get(at..).and_then(<[u8]>::first_chunk) {
        let outside = lanes.outside(set, window);
        if outside != 0 {
            return at.wrapping_add(outside.trailing_zeros() as usize);
        }
        at = at.wrapping_add(32);
    }
    // The end of the input: a window that starts before `at`.
    let (Some(window), Some(rest)) = (input.last_chunk(), input.len().checked_sub(at)) else {
        return input.len();
    };
    let outside = u64::from(lanes.outside(set, window)) | 1 << 32;
    at.wrapping_add(outside.wrapping_shr(bits(32_usize.wrapping_sub(rest))).trailing_zeros() as usize)
}

/// A number of bytes, as the number of bits by which a mask is shifted. Every mask has at most 64
/// bits, so what is cut off here has no meaning.
#[expect(clippy::cast_possible_truncation, reason = "shifts use the low six bits only")]
#[inline(always)]
const fn bits(bytes: usize) -> u32 {
    bytes as u32
}

#[inline(always)]
pub(crate) fn halves(block: &[u8; 64]) -> [&[u8; 32]; 2] {
    let [low, high] = block.as_chunks().0 else { unreachable!("64 is twice 32") };
    [low, high]
}
