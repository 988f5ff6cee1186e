//! [`Lanes`](crate::scan::Lanes) in AVX2: 32 bytes in one register.
//!
//! Each head is parsed with it if the machine has AVX2, BMI1 and BMI2, as nearly all x86-64
//! machines do. Without the feature `std`, the crate must be compiled for these instructions.
//! `docs/benchmarks.md` shows the gain. [`Portable`](crate::scan::Portable) is the oracle, in
//! property tests and in a fuzz target.
#![allow(unsafe_code)]

use crate::fast_path;
use crate::fields::Fields;
use crate::limits::Limits;
use crate::scan::{AsciiSet, Lanes, halves};
use crate::start_line::StartLine;
use core::arch::x86_64::*;

/// Parses a head with [`fast_path::parse_with`] in AVX2. `None` if the machine does not have it.
#[inline(always)]
pub(crate) fn parse(
    first: StartLine,
    input: &[u8],
    limits: &Limits,
    fields: &mut Fields,
) -> Option<Option<usize>> {
    if !available() {
        return None;
    }
    // SAFETY: `available` is true, so the machine has the features of these functions.
    Some(unsafe {
        match first {
            StartLine::Request => parse_request(input, limits, fields),
            StartLine::Status => parse_response(input, limits, fields),
        }
    })
}

/// Returns whether the machine has AVX2, BMI1 and BMI2. The result is cached: three checks for each
/// head take a noticeable part of the time for a short head.
#[inline(always)]
pub(crate) fn available() -> bool {
    #[cfg(feature = "std")]
    let has = {
        static HAS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
            std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("bmi1")
                && std::arch::is_x86_feature_detected!("bmi2")
        });
        *HAS
    };
    #[cfg(not(feature = "std"))]
    let has = cfg!(all(target_feature = "avx2", target_feature = "bmi1", target_feature = "bmi2"));
    has
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn parse_request(input: &[u8], limits: &Limits, fields: &mut Fields) -> Option<usize> {
    fast_path::parse_with(Avx2(()), StartLine::Request, input, limits, fields)
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn parse_response(input: &[u8], limits: &Limits, fields: &mut Fields) -> Option<usize> {
    fast_path::parse_with(Avx2(()), StartLine::Status, input, limits, fields)
}

/// Proof that the machine has AVX2, BMI1 and BMI2. Only this module can make one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Lanes for Avx2 {
    const WIDE: bool = true;

    #[inline(always)]
    fn odd(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: an `Avx2` exists, so the machine has AVX2.
        unsafe { odd(bytes) }
    }

    #[inline(always)]
    fn outside(self, set: &AsciiSet, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { outside(&set.shuffle, bytes) }
    }

    #[inline(always)]
    fn plain(self, bytes: &[u8; 64]) -> bool {
        // SAFETY: as above.
        unsafe { plain(bytes) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the pointer is valid for 32 bytes, and this load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn bits(lanes: __m256i) -> u32 {
    _mm256_movemask_epi8(lanes).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn odd(bytes: &[u8; 32]) -> u32 {
    !bits(visible(load(bytes)))
}

/// Adds 1, so that 0x20..=0x7E becomes 0x21..=0x7F. As signed numbers, only these are then over
/// 0x20.
#[inline]
#[target_feature(enable = "avx2")]
fn visible(bytes: __m256i) -> __m256i {
    _mm256_cmpgt_epi8(_mm256_add_epi8(bytes, _mm256_set1_epi8(1)), _mm256_set1_epi8(0x20))
}

#[inline]
#[target_feature(enable = "avx2")]
fn outside(shuffle: &[u8; 16], bytes: &[u8; 32]) -> u32 {
    let bytes = load(bytes);
    // SAFETY: the pointer is valid for 16 bytes, and this load needs no alignment.
    let rows = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(shuffle.as_ptr().cast()) });
    // A shuffle looks up the low four bits of each byte. It gives 0 for bytes over 0x7F: no set has
    // them.
    let row = _mm256_shuffle_epi8(rows, bytes);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(0x0F));
    let bit =
        _mm256_shuffle_epi8(_mm256_set1_epi64x(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128])), high);
    bits(_mm256_cmpeq_epi8(_mm256_and_si256(row, bit), _mm256_setzero_si256()))
}

#[inline]
#[target_feature(enable = "avx2")]
fn plain(bytes: &[u8; 64]) -> bool {
    let [low, high] = halves(bytes);
    bits(_mm256_and_si256(visible(load(low)), visible(load(high)))) == u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{HOST, Portable, TARGET, TCHAR};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn avx2_gives_the_masks_of_plain_rust(
            low: [u8; 32], high: [u8; 32], ascii in prop::array::uniform32(0x1Fu8..0x80),
        ) {
            prop_assume!(available());
            let lanes = Avx2(());
            for bytes in [low, high, ascii] {
                prop_assert_eq!(lanes.odd(&bytes), Portable.odd(&bytes));
                for set in [&TCHAR, &TARGET, &HOST] {
                    prop_assert_eq!(lanes.outside(set, &bytes), Portable.outside(set, &bytes));
                }
            }
            let mut both = [0; 64];
            both[..32].copy_from_slice(&ascii);
            both[32..].copy_from_slice(&ascii);
            both[usize::from(low[0] & 63)] = high[0];
            prop_assert_eq!(lanes.plain(&both), Portable.plain(&both));
        }
    }

    /// Each byte value in each lane.
    #[test]
    fn every_byte_in_every_lane() {
        if !available() {
            return;
        }
        for b in 0..=255 {
            for at in 0..32 {
                let mut bytes = [b'a'; 32];
                bytes[at] = b;
                assert_eq!(Avx2(()).odd(&bytes), Portable.odd(&bytes), "{b:#04x} at {at}");
                for set in [&TCHAR, &TARGET, &HOST] {
                    assert_eq!(
                        Avx2(()).outside(set, &bytes),
                        Portable.outside(set, &bytes),
                        "{b:#04x} at {at}"
                    );
                }
            }
        }
    }
}
