//! Finding the first byte that does not belong: what all the parsing time goes into.

use tidewire_grammar::class::{is_field_content, is_tchar};

use crate::target::is_target_byte;

/// Index of the first byte at or after `from` that no field value can hold: a control byte but HTAB, or DEL. The length of the
/// input if there is none.
pub(crate) fn find_control(input: &[u8], from: usize) -> usize {
    find(input, from, |b| !is_field_content(b))
}

/// Index of the first byte at or after `from` that is no *tchar*.
pub(crate) fn find_not_tchar(input: &[u8], from: usize) -> usize {
    find(input, from, |b| !is_tchar(b))
}

/// Index of the first byte at or after `from` that cannot stand in a request target.
pub(crate) fn find_not_target(input: &[u8], from: usize) -> usize {
    find(input, from, |b| !is_target_byte(b))
}

#[inline(always)]
fn find(input: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    let rest = input.get(from..).unwrap_or_default();
    rest.iter().position(|&b| stop(b)).map_or(input.len(), |at| from + at)
}
