//! The output of a feed: its own bytes, and shared forms of payloads. Long forms are not copied.
//!
//! ```text
//!   own     f r a m e   h e a d ,   c u r s o r ,   s h o r t   p a y l o a d s ...
//!                         ▲                                 ▲
//!   shared           (at, form)                        (at, form)
//! ```

use bytes::Bytes;
use tidewire_store::Message;

use crate::form::{Form, FormKind};
use crate::form_cache::FormCache;
use crate::gzip::Sum;
use crate::rope::Rope;

/// Length from which bytes are shared, and from which a payload has cached forms. Copying fewer
/// bytes costs less than one more slice in each write.
pub(crate) const SHARED_LEN: usize = 4 * 1024;

/// Length from which messages are compressed, and from which compressed forms are cached:
/// compressing takes longer than a look-up.
pub(crate) const DEFLATED_LEN: usize = 512;

/// An output, empty at first.
#[derive(Debug)]
pub(crate) struct Out<'f> {
    forms: &'f FormCache,
    /// Whether the whole output will be compressed, so that it takes compressed forms.
    deflates: bool,
    own: Vec<u8>,
    /// Forms, each with the number of own bytes before it.
    shared: Vec<(usize, Form)>,
    /// The bytes of all forms.
    shared_len: usize,
    /// The number of compressions made for this output.
    compressions: u64,
}

/// A place in an output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    own: usize,
    shared: usize,
    len: usize,
}

impl<'f> Out<'f> {
    /// An empty output that takes its forms from this cache. `deflates`: the whole output will be
    /// compressed.
    pub(crate) fn new(forms: &'f FormCache, deflates: bool) -> Self {
        Out { forms, deflates, own: Vec::new(), shared: Vec::new(), shared_len: 0, compressions: 0 }
    }

    /// The buffer to append own bytes to, after everything written so far.
    #[inline]
    pub(crate) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Length in bytes: own and shared.
    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.shared_len
    }

    /// Appends the payload of a message in this form.
    pub(crate) fn form(&mut self, kind: FormKind, message: &Message) {
        let len = message.data().len();
        if self.deflates && len >= DEFLATED_LEN {
            let form = self.deflated(kind, message);
            self.share(form);
        } else if !self.deflates && len >= SHARED_LEN {
            self.push(self.forms.plain(kind, message));
        } else {
            kind.write(message, &mut self.own);
        }
    }

    /// The compressed form of a payload. Counts a compression if the form was not cached.
    pub(crate) fn deflated(&mut self, kind: FormKind, message: &Message) -> Form {
        let (form, made) = self.forms.deflated(kind, message);
        self.compressions += u64::from(made);
        form
    }

    /// Appends bytes: shared if they are long, otherwise copied. Not allowed if the output will be
    /// compressed.
    pub(crate) fn push(&mut self, part: Bytes) {
        debug_assert!(!self.deflates, "a reader would take the plain form for a compressed one");
        if part.len() < SHARED_LEN {
            self.own.extend_from_slice(&part);
        } else {
            self.share(Form { bytes: part, sum: Sum::default() });
        }
    }

    fn share(&mut self, form: Form) {
        self.shared_len += form.bytes.len();
        self.shared.push((self.own.len(), form));
    }

    /// The place after everything written so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark { own: self.own.len(), shared: self.shared.len(), len: self.len() }
    }

    /// The number of bytes after this place.
    pub(crate) fn len_since(&self, mark: Mark) -> usize {
        self.len() - mark.len
    }

    /// Inserts own bytes at an earlier place.
    pub(crate) fn insert(&mut self, mark: Mark, bytes: &[u8]) {
        self.own.splice(mark.own..mark.own, bytes.iter().copied());
        self.shared[mark.shared..].iter_mut().for_each(|(before, _)| *before += bytes.len());
    }

    /// Counts a compression made for this output.
    pub(crate) fn count_compression(&mut self) {
        self.compressions += 1;
    }

    /// The number of compressions made for this output.
    pub(crate) fn compressions(&self) -> u64 {
        self.compressions
    }

    /// An empty output with the same cache, for compressed bytes. It compresses nothing itself.
    pub(crate) fn to_packed(&self) -> Self {
        Out::new(self.forms, false)
    }

    /// The number of own bytes.
    pub(crate) fn own_len(&self) -> usize {
        self.own.len()
    }

    /// The own bytes, and the forms with the number of own bytes before each.
    pub(crate) fn into_pieces(self) -> (Vec<u8>, Vec<(usize, Form)>) {
        (self.own, self.shared)
    }

    /// Everything written. Own bytes are slices of one buffer, and the rope begins with that
    /// buffer.
    pub(crate) fn finish(self) -> Rope {
        if self.shared.is_empty() {
            return self.own.into();
        }
        let (own, mut rope, mut at) = (Bytes::from(self.own), Rope::default(), 0);
        for (before, form) in self.shared {
            rope.push(own.slice(at..before));
            rope.push(form.bytes);
            at = before;
        }
        rope.push(own.slice(at..));
        debug_assert!(rope.begins_with(&own), "a shared form has own bytes before it");
        rope
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_long_part_is_shared_and_a_short_one_is_copied() {
        for (len, is_shared) in [(SHARED_LEN - 1, false), (SHARED_LEN, true)] {
            let forms = FormCache::new(Arc::default());
            let (mut out, part) = (Out::new(&forms, false), Bytes::from(vec![b'x'; len]));
            out.own().push(b'h');
            out.push(part.clone());
            assert_eq!(out.len(), 1 + len);
            let is_last = out.finish().into_parts().last().unwrap().as_ptr() == part.as_ptr();
            assert_eq!(is_last, is_shared, "{len} bytes");
        }
    }

    #[test]
    fn inserted_bytes_stand_before_a_shared_part() {
        let part = Bytes::from(vec![b'x'; SHARED_LEN]);
        let forms = FormCache::new(Arc::default());
        let mut out = Out::new(&forms, false);
        out.own().extend_from_slice(b"one");
        out.push(part.clone());
        let mark = out.mark();
        out.own().extend_from_slice(b"two");
        out.push(part.clone());
        out.own().extend_from_slice(b"three");
        assert_eq!(out.len_since(mark), 8 + SHARED_LEN);
        out.insert(mark, b"(head)");
        assert_eq!(out.len_since(mark), 14 + SHARED_LEN);
        let expected = [b"one", &part[..], b"(head)two", &part, b"three"].concat();
        assert_eq!(out.len(), expected.len());
        assert_eq!(out.finish().to_vec(), expected);
    }
}
