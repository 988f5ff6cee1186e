//! The place of a slice within another slice.

use core::ops::Range;

/// The range of `part` in `whole`. `part` must be a slice of `whole`. Use it before you split the
/// buffer that both borrow. An empty part, from whatever slice, gives `0..0`.
///
/// ```
/// use tidewire_grammar::{range_of, trim_ows};
///
/// let line = b"  chunked ";
/// assert_eq!(range_of(trim_ows(line), line), 2..9);
/// ```
///
/// # Panics
/// If `part` is neither empty nor a slice of `whole`.
#[must_use]
pub fn range_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    let end = start.checked_add(part.len()).filter(|&end| end <= whole.len());
    start..end.expect("a part is a slice of its whole")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::panic::catch_unwind;

    proptest! {
        #[test]
        fn the_range_of_a_slice_is_found(
            whole in "[ab]{1,20}",
            start in 0usize..20,
            len in 1usize..20,
        ) {
            let whole = whole.as_bytes();
            let start = start.min(whole.len() - 1);
            let end = (start + len).min(whole.len());
            prop_assert_eq!(range_of(&whole[start..end], whole), start..end);
        }
    }

    #[test]
    fn an_empty_part_may_be_of_any_slice() {
        let whole = b"abc";
        assert_eq!(range_of(&whole[2..2], whole), 0..0);
        assert_eq!(range_of(b"", whole), 0..0);
        assert_eq!(range_of(b"", b""), 0..0);
    }

    #[test]
    fn a_slice_of_other_memory_panics() {
        let bytes = b"abcdef";
        for (part, whole) in [(0..3, 1..6), (3..6, 0..5), (0..1, 1..2), (2..4, 0..1), (0..6, 1..5)] {
            let found = catch_unwind(|| range_of(&bytes[part.clone()], &bytes[whole.clone()]));
            assert!(found.is_err(), "{part:?} in {whole:?}");
        }
    }
}
