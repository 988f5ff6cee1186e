//! The span table: the field lines of a head, and what else it says.

use crate::head_info::HeadInfo;
use crate::span::Span;
use alloc::vec::Vec;
use core::fmt;

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
    pub(crate) info: HeadInfo,
}

/// A browser sends 10 to 15 fields. At eight bytes each, these are less than an allocation costs.
const FEW: usize = 16;

impl Fields {
    /// An empty table. Allocates nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { few: [Span::NONE; FEW], length: 0, many: Vec::new(), info: HeadInfo::NEW }
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
        Self { few: self.few, length: self.length, many, info: self.info }
    }
}

#[cfg(test)]
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.spans() == other.spans() && self.info == other.info
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
