//! What a feed writes into: own bytes, and long payloads that are not copied.
//!
//! ```text
//!   own     f r a m e   h e a d ,   c u r s o r ,   s h o r t   p a y l o a d s ...
//!                         ▲                                 ▲
//!   shared           (at, part)                        (at, part)
//! ```

use bytes::Bytes;

use crate::rope::Rope;

/// A part of so many bytes is shared. To copy a shorter one costs less than another slice in each
/// write, and another piece of memory to look at.
pub(crate) const SHARED_LEN: usize = 4 * 1024;

/// An output, empty at first.
#[derive(Debug, Default)]
pub(crate) struct Out {
    own: Vec<u8>,
    /// Parts, each with the number of own bytes that stand before it.
    shared: Vec<(usize, Bytes)>,
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

impl Out {
    /// With room for so many own bytes.
    pub(crate) fn with_capacity(own: usize) -> Self {
        Out { own: Vec::with_capacity(own), ..Out::default() }
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

    /// Appends a part: shared if it is long, else copied.
    pub(crate) fn push(&mut self, part: &Bytes) {
        if part.len() < SHARED_LEN {
            self.own.extend_from_slice(part);
        } else {
            self.shared_len += part.len();
            self.shared.push((self.own.len(), part.clone()));
        }
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

    /// All that was written.
    pub(crate) fn finish(self) -> Rope {
        if self.shared.is_empty() {
            return self.own.into();
        }
        let (own, mut rope, mut at) = (Bytes::from(self.own), Rope::default(), 0);
        for (before, part) in self.shared {
            rope.push(own.slice(at..before));
            rope.push(part);
            at = before;
        }
        rope.push(own.slice(at..));
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_part_is_shared_and_a_short_one_is_copied() {
        for (len, is_shared) in [(SHARED_LEN - 1, false), (SHARED_LEN, true)] {
            let (mut out, part) = (Out::default(), Bytes::from(vec![b'x'; len]));
            out.push(&part);
            assert_eq!(out.len(), len);
            assert_eq!(out.finish().into_parts()[0].as_ptr() == part.as_ptr(), is_shared, "{len} bytes");
        }
    }

    #[test]
    fn what_is_put_before_a_part_stands_before_it() {
        let part = Bytes::from(vec![b'x'; SHARED_LEN]);
        let mut out = Out::default();
        out.own().extend_from_slice(b"one");
        out.push(&part);
        let mark = out.mark();
        out.own().extend_from_slice(b"two");
        out.push(&part);
        out.own().extend_from_slice(b"three");
        assert_eq!(out.len_since(mark), 8 + SHARED_LEN);
        out.insert(mark, b"(head)");
        assert_eq!(out.len_since(mark), 14 + SHARED_LEN);
        let expected = [b"one", &part[..], b"(head)two", &part, b"three"].concat();
        assert_eq!(out.len(), expected.len());
        assert_eq!(out.finish().to_vec(), expected);
    }
}
