//! One field line of a head, as offsets.
//!
//! ```text
//! H o s t :   a . b   CR LF        name   from the start of the line to the colon
//! ^       ^           ^            value  from the colon to the CR, less the whitespace at its ends
//! name  colon        end           three 16-bit offsets from the start of the head: 8 bytes a field
//! ```
//! Offsets rather than slices: a table of them has no lifetime, so it can be reused for the next
//! head, or be kept beside a refcounted buffer as an owned head, and it is a quarter of the size of
//! two slices. Whitespace is taken away when a value is asked for: most never are.

use tidewire_grammar::class::is_ows;

/// One field line: where its name, its colon and its end are, 16 bits each, from the low ones. One
/// word, so that it is one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) fn new(line: usize, colon: usize, end: usize) -> Self {
        debug_assert!(line <= colon && colon <= end && end <= usize::from(u16::MAX), "{line} {colon} {end}");
        Self(line as u64 | (colon as u64) << 16 | (end as u64) << 32)
    }

    /// Where the line starts, and the name with it.
    pub(crate) const fn line(&self) -> u16 {
        self.0 as u16
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

    /// Where the value starts and ends. An empty one is at the end of its line.
    #[inline(always)]
    pub(crate) fn value_at(&self, head: &[u8]) -> (usize, usize) {
        let (mut start, mut end) = (self.colon() + 1, self.end());
        while start < end && head.get(start).is_some_and(|&b| is_ows(b)) {
            start += 1;
        }
        while start < end && head.get(end - 1).is_some_and(|&b| is_ows(b)) {
            end -= 1;
        }
        (start, end)
    }
}

/// An offset in a head: what is looked at is at most `max_head` long, which is a `u16`.
#[inline(always)]
pub(crate) fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX), "{at} lies behind the longest head");
    at as u16
}
