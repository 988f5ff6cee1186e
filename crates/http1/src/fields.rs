//! The table of fields: the field lines of one head, as offsets.

use crate::head_info::HeadInfo;
use crate::span::Span;
use alloc::vec::Vec;
use core::fmt;

/// The table that a connection fills with the fields of a head. The caller owns it, because an idle
/// connection needs none: one table for each thread can serve all its connections.
///
/// Reuse it. It allocates only when a head has more than 16 fields and more than any head before
/// it.
///
/// ```
/// use tidewire_http1::{Fields, Limits, RequestHead};
///
/// let mut fields = Fields::new();
/// for input in [b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /2 HTTP/1.1\r\nHost: b\r\n\r\n"] {
///     let (_, head) = RequestHead::parse(input, &Limits::DEFAULT, &mut fields)?.expect("a whole head");
///     assert_eq!(head.fields().len(), 1);
/// }
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Debug)]
pub struct Fields {
    /// Stored in place, so that an owned head can copy the table without an allocation.
    few: [Span; FEW],
    /// The number of spans.
    length: usize,
    /// All spans, if there are more than `few` can hold.
    many: Vec<Span>,
    /// What is known about the head besides its fields. It is stored here once, and views of the
    /// head borrow it. If a view copied it, the processor would load in one piece what was just
    /// stored byte by byte, and would have to wait (store forwarding fails).
    pub(crate) info: HeadInfo,
}

/// Browsers send 10 to 15 fields. To copy 16 spans of eight bytes costs less than an allocation.
const FEW: usize = 16;

impl Fields {
    /// Returns an empty table. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { few: [Span::NONE; FEW], length: 0, many: Vec::new(), info: HeadInfo::NEW }
    }

    /// Returns a table with room for this many fields.
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
        // This cannot wrap: a head has fewer lines than bytes.
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
    /// Copies all of `few`, used or not. Copying a fixed number of bytes takes a few instructions.
    /// Copying a variable number of spans would take a loop.
    #[inline]
    fn clone(&self) -> Self {
        let many = if self.length > FEW { self.many.clone() } else { Vec::new() };
        Self { few: self.few, length: self.length, many, info: self.info }
    }
}

#[cfg(test)]
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.spans() == other.spans() && self.info == other.info
    }
}

/// An iterator over the fields of a head in their order: `(name, value)`, names as received, values
/// without the whitespace around them.
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
