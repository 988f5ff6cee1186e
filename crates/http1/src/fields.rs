//! The field lines of a head, as offsets.
//!
//! ```text
//! H o s t :   a . b   CR LF        name  4 bytes from the start of the line to the colon
//! ^       ^   ^     ^              value without the whitespace around it
//! name  colon value end            four 16-bit offsets from the start of the head: 8 bytes a field
//! ```
//! Offsets rather than slices: a table of them has no lifetime, so it can be reused for the next head, or be kept beside
//! a refcounted buffer as an owned head, and it is a quarter of the size of two slices.

use alloc::vec::Vec;
use core::fmt;

/// The span table that a connection fills with the fields of a head. It belongs to the caller, because an idle connection
/// needs none: one table per thread serves any number of connections.
///
/// Reuse it: it allocates when a head has more fields than any before it, and never again.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    spans: Vec<Span>,
}

impl Fields {
    /// An empty table. Allocates nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { spans: Vec::new() }
    }

    /// A table that takes `fields` fields before it allocates again.
    #[must_use]
    pub fn with_capacity(fields: usize) -> Self {
        Self { spans: Vec::with_capacity(fields) }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
    }

    #[inline]
    pub(crate) fn push(&mut self, span: Span) {
        self.spans.push(span);
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }
}

/// One field line: offsets from the start of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) name: u16,
    pub(crate) colon: u16,
    pub(crate) value: u16,
    pub(crate) end: u16,
}

impl Span {
    pub(crate) fn name<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        head.get(usize::from(self.name)..usize::from(self.colon)).unwrap_or_default()
    }

    pub(crate) fn value<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        head.get(usize::from(self.value)..usize::from(self.end)).unwrap_or_default()
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
