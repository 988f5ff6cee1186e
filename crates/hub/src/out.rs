//! What a feed writes into: own bytes, and the forms of payloads. Long ones are not copied.
//!
//! ```text
//!   own     f r a m e   h e a d ,   c u r s o r ,   s h o r t   p a y l o a d s ...
//!                         ▲                                 ▲
//!   shared           (at, form)                        (at, form)
//! ```

use bytes::Bytes;

use crate::form::{Form, FormKind};
use crate::forms::Forms;
use crate::gzip::Sum;
use crate::message::Message;
use crate::rope::Rope;

/// A part of so many bytes is shared, and a payload of so many has forms. To copy a shorter one
/// costs less than another slice in each write, and another piece of memory to look at.
pub(crate) const SHARED_LEN: usize = 4 * 1024;

/// A payload of so many bytes has compressed forms: to compress one takes longer than to find it.
/// It is the length from which on messages are compressed.
pub(crate) const DEFLATED_LEN: usize = 512;

/// An output, empty at first.
#[derive(Debug)]
pub(crate) struct Out<'f> {
    forms: &'f Forms,
    /// All of it will be compressed, so it has compressed forms.
    deflates: bool,
    own: Vec<u8>,
    /// Forms, each with the number of own bytes that stand before it.
    shared: Vec<(usize, Form)>,
    /// Their bytes.
    shared_len: usize,
    /// How often something was compressed for this.
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
    /// Takes forms from these, compressed ones if all of it will be compressed.
    pub(crate) fn new(forms: &'f Forms, deflates: bool) -> Self {
        Out { forms, deflates, own: Vec::new(), shared: Vec::new(), shared_len: 0, compressions: 0 }
    }

    /// Where own bytes are appended, behind all that is there.
    #[inline]
    pub(crate) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Bytes, own and shared ones.
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

    /// The compressed form of a payload, which is counted if it had to be made.
    pub(crate) fn deflated(&mut self, kind: FormKind, message: &Message) -> Form {
        let (form, made) = self.forms.deflated(kind, message);
        self.compressions += u64::from(made);
        form
    }

    /// Appends a part: shared if it is long, else copied. Not where all will be compressed.
    pub(crate) fn push(&mut self, part: Bytes) {
        debug_assert!(!self.deflates, "it would be taken for a compressed one");
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

    /// The place behind all that is there.
    pub(crate) fn mark(&self) -> Mark {
        Mark { own: self.own.len(), shared: self.shared.len(), len: self.len() }
    }

    /// Bytes behind this place.
    pub(crate) fn len_since(&self, mark: Mark) -> usize {
        self.len() - mark.len
    }

    /// Puts own bytes at an earlier place.
    pub(crate) fn insert(&mut self, mark: Mark, bytes: &[u8]) {
        self.own.splice(mark.own..mark.own, bytes.iter().copied());
        self.shared[mark.shared..].iter_mut().for_each(|(before, _)| *before += bytes.len());
    }

    /// Notes that something was compressed for this.
    pub(crate) fn count_compression(&mut self) {
        self.compressions += 1;
    }

    /// How often something was compressed for this.
    pub(crate) fn compressions(&self) -> u64 {
        self.compressions
    }

    /// An empty output that takes its forms from the same place, and is not compressed any more.
    pub(crate) fn to_packed(&self) -> Self {
        Out::new(self.forms, false)
    }

    /// Own bytes so far.
    pub(crate) fn own_len(&self) -> usize {
        self.own.len()
    }

    /// Own bytes, and the forms with the number of own bytes before each.
    pub(crate) fn into_pieces(self) -> (Vec<u8>, Vec<(usize, Form)>) {
        (self.own, self.shared)
    }

    /// All that was written. Own bytes are parts of one buffer, which begins where the rope does.
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
        debug_assert!(rope.begins_with(&own), "what is shared has a head");
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
            let forms = Forms::new(Arc::default());
            let (mut out, part) = (Out::new(&forms, false), Bytes::from(vec![b'x'; len]));
            out.own().push(b'h');
            out.push(part.clone());
            assert_eq!(out.len(), 1 + len);
            let is_last = out.finish().into_parts().last().unwrap().as_ptr() == part.as_ptr();
            assert_eq!(is_last, is_shared, "{len} bytes");
        }
    }

    #[test]
    fn what_is_put_before_a_part_stands_before_it() {
        let part = Bytes::from(vec![b'x'; SHARED_LEN]);
        let forms = Forms::new(Arc::default());
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
