//! A rope: bytes in several pieces, some of them shared with others. It holds what is written to a
//! subscriber.
//!
//! ```text
//!   first            rest
//!   ┌────────────┐   ┌──────────────────────┐ ┌───────┐ ┌──────────────────────┐ ┌─────┐
//!   │ own bytes  │   │ a long payload, once │ │ own   │ │ another long payload │ │ own │
//!   └────────────┘   └──────────────────────┘ └───────┘ └──────────────────────┘ └─────┘
//! ```
//!
//! Cloning a rope copies no bytes. All readers, slow ones too, hold references to the long pieces.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tidewire_server::Parked;

/// The largest number of slices in one write. The rest goes out with the next write.
const SLICES: usize = 64;

/// Bytes in several pieces. Most ropes have one piece, which needs no allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    /// Empty only if the rope is empty.
    first: Bytes,
    /// No piece is empty.
    #[expect(clippy::box_collection, reason = "each row of the table has a rope, and few have this")]
    rest: Option<Box<VecDeque<Bytes>>>,
    /// Bytes taken from the first piece. The whole piece stays in memory until its rest is taken.
    taken: usize,
}

impl Rope {
    /// Length in bytes. O(pieces).
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest().map(Bytes::len).sum::<usize>()
    }

    /// Bytes that the rope keeps in memory, including those taken from its first piece. O(pieces).
    pub(crate) fn held(&self) -> usize {
        self.taken + self.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Appends a piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
        } else if self.first.is_empty() {
            self.first = piece;
        } else {
            self.rest.get_or_insert_default().push_back(piece);
        }
    }

    /// Appends another rope.
    pub(crate) fn append(&mut self, other: Rope) {
        other.into_parts().into_iter().for_each(|piece| self.push(piece));
    }

    /// Removes bytes from the front.
    pub(crate) fn advance(&mut self, mut n: usize) {
        while n >= self.first.len() && !self.first.is_empty() {
            n -= self.first.len();
            self.taken = 0;
            self.first = self.rest.as_mut().and_then(|rest| rest.pop_front()).unwrap_or_default();
        }
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
        self.first.advance(n);
        self.taken += n;
    }

    /// Removes everything after the first `len` bytes.
    pub(crate) fn truncate(&mut self, mut len: usize) {
        let whole = std::mem::take(self);
        self.taken = if len > 0 { whole.taken } else { 0 };
        for mut piece in whole.into_parts() {
            piece.truncate(len);
            len -= piece.len();
            self.push(piece);
        }
    }

    /// `begin` starts with a buffer of `len` bytes. Copies all pieces of this rope that are slices
    /// of that buffer. Afterwards the rope does not keep that buffer in memory.
    pub(crate) fn copy_out_of(&mut self, begin: &Self, len: usize) {
        let start = begin.first.as_ptr().addr();
        let whole = std::mem::take(self);
        let is_in = |piece: &Bytes| (start..start + len).contains(&piece.as_ptr().addr());
        self.taken = if is_in(&whole.first) { 0 } else { whole.taken };
        for piece in whole.into_parts() {
            self.push(if is_in(&piece) { Bytes::copy_from_slice(&piece) } else { piece });
        }
    }

    /// Writes as much as the socket takes now.
    ///
    /// # Errors
    /// As [`Parked::try_write`].
    pub(crate) fn write(&self, connection: &Parked) -> io::Result<usize> {
        if self.rest.is_none() {
            return connection.try_write(&self.first);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(self.pieces()) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        connection.try_write_vectored(&slices[..count])
    }

    /// Whether the rope begins with this buffer, at the same address.
    pub(crate) fn begins_with(&self, buffer: &Bytes) -> bool {
        self.first.as_ptr() == buffer.as_ptr()
    }

    /// The only piece.
    ///
    /// # Errors
    /// The rope, if it has several pieces.
    pub(crate) fn into_one(self) -> Result<Bytes, Self> {
        if self.rest.is_none() { Ok(self.first) } else { Err(self) }
    }

    /// The pieces. None is empty.
    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        let mut parts = Vec::with_capacity(1 + self.rest.as_ref().map_or(0, |rest| rest.len()));
        if !self.first.is_empty() {
            parts.push(self.first);
        }
        parts.extend(self.rest.into_iter().flat_map(|rest| *rest));
        parts
    }

    fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        Some(&self.first).filter(|first| !first.is_empty()).into_iter().chain(self.rest())
    }

    fn rest(&self) -> impl Iterator<Item = &Bytes> {
        self.rest.iter().flat_map(|rest| rest.iter())
    }

    /// All bytes in one vector.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.pieces().flatten().copied().collect()
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Self {
        Rope { first: bytes, ..Rope::default() }
    }
}

impl From<Vec<u8>> for Rope {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Vec<Bytes>> for Rope {
    fn from(parts: Vec<Bytes>) -> Self {
        let mut rope = Rope::default();
        parts.into_iter().for_each(|piece| rope.push(piece));
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope() -> Rope {
        Rope::from(
            ["one", "", "two", "three", "four"].map(|piece| Bytes::from_static(piece.as_bytes())).to_vec(),
        )
    }

    #[test]
    fn a_rope_yields_its_bytes_in_order() {
        let all = b"onetwothreefour";
        for step in 1..=all.len() {
            let (mut rope, mut out) = (rope(), 0);
            while out < all.len() {
                assert_eq!((rope.len(), rope.is_empty()), (all.len() - out, false));
                assert_eq!(rope.to_vec(), all[out..], "{step} bytes at a time, at {out}");
                let n = step.min(all.len() - out);
                rope.advance(n);
                out += n;
            }
            assert!(rope.is_empty() && rope.rest.is_none() && rope.into_parts().is_empty());
        }
    }

    #[test]
    fn a_rope_can_be_cut_at_any_byte() {
        for len in 0..=20 {
            let mut cut = rope();
            cut.truncate(len);
            assert_eq!(cut.to_vec(), b"onetwothreefour"[..len.min(15)]);
            assert!(cut.pieces().all(|piece| !piece.is_empty()));
        }
    }

    #[test]
    fn a_rest_does_not_keep_its_buffer_in_memory() {
        let (own, shared) = (Bytes::from(vec![b'o'; 1000]), Bytes::from(vec![b's'; 1000]));
        let all: Rope = vec![own.slice(..500), shared.clone(), own.slice(500..)].into();
        let mut rest = all.clone();
        rest.advance(499);
        rest.truncate(1002);
        rest.copy_out_of(&all, own.len());
        drop((all, own));
        let [first, second, third] = &rest.clone().into_parts()[..] else { panic!("{rest:?}") };
        assert_eq!((&first[..], second.as_ptr(), &third[..]), (&b"o"[..], shared.as_ptr(), &b"o"[..]));
    }

    #[test]
    fn held_bytes_include_the_taken_start_of_the_first_piece() {
        let mut rope =
            Rope::from([vec![b'a'; 10], vec![b'b'; 1_000], vec![b'c'; 10]].map(Bytes::from).to_vec());
        assert_eq!(rope.held(), 1_020);
        rope.advance(1_009);
        assert_eq!((rope.len(), rope.held()), (11, 1_010));
        rope.truncate(1);
        assert_eq!((rope.len(), rope.held()), (1, 1_000));
        let all = rope.clone();
        rope.copy_out_of(&all, 1);
        assert_eq!((rope.len(), rope.held()), (1, 1));
        rope.advance(1);
        assert_eq!((rope.len(), rope.held()), (0, 0));
    }

    #[test]
    fn an_appended_rope_adds_its_pieces() {
        let mut both = rope();
        both.append(Rope::default());
        both.append(rope());
        assert_eq!(both.clone().into_parts().len(), 8);
        assert_eq!(both.to_vec(), b"onetwothreefouronetwothreefour");
        let mut none = Rope::default();
        none.append(both.clone());
        assert_eq!(none.to_vec(), both.to_vec());
    }
}
