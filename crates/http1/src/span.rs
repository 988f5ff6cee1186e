//! One field line of a head, as three offsets.
//!
//! ```text
//! H o s t :   a . b   CR LF        name   from the start of the line to the colon
//! ^       ^           ^            value  from the colon to the CR, without the whitespace at its ends
//! name  colon        end           three 16-bit offsets from the start of the head, in 8 bytes
//! ```
//! Offsets have three advantages over slices. A table of them has no lifetime, so it can be reused
//! for the next head. It can be kept with a refcounted buffer as an owned head. And it has a
//! quarter of the size of two slices. Whitespace is trimmed when a value is read: most values never
//! are.

use tidewire_grammar::class::is_ows;

/// One field line: the offsets of its name, colon and end, 16 bits each, from the low bits. One
/// word, so that it takes one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) fn new(line: usize, colon: usize, end: usize) -> Self {
        debug_assert!(line <= colon && colon <= end && end <= usize::from(u16::MAX), "{line} {colon} {end}");
        Self(line as u64 | (colon as u64) << 16 | (end as u64) << 32)
    }

    /// The offset of the line, and of the name.
    pub(crate) const fn line(&self) -> u16 {
        (self.0 & 0xFFFF) as u16
    }

    const fn colon(&self) -> usize {
        (self.0 >> 16) as usize & 0xFFFF
    }

    const fn end(&self) -> usize {
        (self.0 >> 32) as usize
    }

    pub(crate) fn name<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        head.get(self.line().into()..self.colon()).unwrap_or_default()
    }

    pub(crate) fn value<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        let (start, end) = self.value_at(head);
        head.get(start..end).unwrap_or_default()
    }

    /// The start and the end of the value. An empty value is at the end of its line.
    #[inline(always)]
    pub(crate) fn value_at(&self, head: &[u8]) -> (usize, usize) {
        let (mut start, mut end) = (self.colon().saturating_add(1), self.end());
        while start < end && head.get(start).is_some_and(|&b| is_ows(b)) {
            start = start.saturating_add(1);
        }
        while start < end && head.get(..end).and_then(<[u8]>::last).is_some_and(|&b| is_ows(b)) {
            end = end.saturating_sub(1);
        }
        (start, end)
    }
}

/// An offset in a head. A head has at most `max_head` bytes, which is a `u16`.
#[inline(always)]
pub(crate) fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX), "{at} is beyond the longest head");
    u16::try_from(at).unwrap_or(u16::MAX)
}
