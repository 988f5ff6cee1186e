//! The field lines of a head, as offsets.
//!
//! ```text
//! H o s t :   a . b   CR LF        name   from the start of the line to the colon
//! ^       ^           ^            value  from the colon to the CR, less the whitespace at its ends
//! name  colon        end           three 16-bit offsets from the start of the head: 8 bytes a field
//! ```
//! Offsets rather than slices: a table of them has no lifetime, so it can be reused for the next head, or be kept beside
//! a refcounted buffer as an owned head, and it is a quarter of the size of two slices. Whitespace is taken away when a value is
//! asked for: most never are.

use crate::meta::Meta;
use alloc::vec::Vec;
use core::fmt;
use tidewire_grammar::class::is_ows;

/// The span table that a connection fills with the fields of a head, and with what they say. It belongs to the caller, because
/// an idle connection needs none: one table per thread serves any number of connections.
///
/// Reuse it: it allocates when a head has more than 16 fields, and more than any before it, and never again.
#[derive(Debug)]
pub struct Fields {
    /// In place, so that an owned head is a copy of the table and allocates nothing.
    few: [Span; FEW],
    /// How many spans there are.
    length: usize,
    /// All of them instead, where they are more than `few` holds.
    many: Vec<Span>,
    /// What the head says beside its fields. Here, so that it is written once and heads borrow it: a copy of it in each view would be
    /// a load of bytes that were just stored one by one, which a processor has to wait for.
    pub(crate) meta: Meta,
}

/// A browser sends 10 to 15 fields. At eight bytes each, these are less than an allocation costs.
const FEW: usize = 16;

impl Fields {
    /// An empty table. Allocates nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { few: [Span::NONE; FEW], length: 0, many: Vec::new(), meta: Meta::NEW }
    }

    /// A table that takes `fields` fields before it allocates again.
    #[must_use]
    pub fn with_capacity(fields: usize) -> Self {
        Self { many: Vec::with_capacity(if fields > FEW { fields } else { 0 }), ..Self::new() }
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, span: Span) {
        match self.few.get_mut(self.length) {
            Some(place) => *place = span,
            None => self.push_many(span),
        }
        // Cannot wrap: a head has fewer lines than bytes.
        self.length = self.length.wrapping_add(1);
    }

    #[cold]
    #[inline(never)]
    fn push_many(&mut self, span: Span) {
        if self.length == FEW {
            self.many.clear();
            self.many.extend_from_slice(&self.few);
        }
        self.many.push(span);
    }

    #[inline]
    pub(crate) fn spans(&self) -> &[Span] {
        self.few.get(..self.length).unwrap_or(&self.many)
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Fields {
    /// All places are copied, taken or not: that many bytes are a few instructions, so many spans a loop.
    #[inline]
    fn clone(&self) -> Self {
        let many = if self.length > FEW { self.many.clone() } else { Vec::new() };
        Self { few: self.few, length: self.length, many, meta: self.meta }
    }
}

#[cfg(test)]
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.spans() == other.spans() && self.meta == other.meta
    }
}

/// One field line: where its name, its colon and its end are, 16 bits each, from the low ones. One word, so that it is one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

/// An offset in a head: what is looked at is at most `max_head` long, which is a `u16`.
#[inline(always)]
pub(crate) fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX), "{at} lies behind the longest head");
    at as u16
}

impl Span {
    const NONE: Self = Self(0);

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

/// The fields of a head in their order: `(name, value)`, names as they came, values without the whitespace around them.
#[derive(Clone)]
pub struct FieldIter<'a> {
    head: &'a [u8],
    spans: core::slice::Iter<'a, Span>,
}

impl<'a> FieldIter<'a> {
    pub(crate) fn new(head: &'a [u8], spans: &'a [Span]) -> Self {
        Self { head, spans: spans.iter() }
    }
}

impl<'a> Iterator for FieldIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.spans.next()?;
        Some((span.name(self.head), span.value(self.head)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for FieldIter<'_> {}
impl core::iter::FusedIterator for FieldIter<'_> {}

impl fmt::Debug for FieldIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| alloc::format!("{}", bytes.escape_ascii());
        f.debug_map().entries(self.clone().map(|(n, v)| (text(n), text(v)))).finish()
    }
}
