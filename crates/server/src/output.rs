//! The output of one connection: a sequence of its own bytes, and of parts that it shares with
//! other connections.
//!
//! ```text
//!   own     H e a d s ,   c h u n k   h e a d s ,   s m a l l   p a r t s ...
//!           └─ written ─┘          ▲                      ▲
//!   shared                     (at, part)             (at, part)
//! ```
//!
//! A long part is queued without a copy. So a client that does not read holds a reference to it,
//! not a copy. A small part is copied and appended to the own bytes, so answers to pipelined
//! requests leave in one write of one buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tidewire_http1::{Connection, ContentAction, EncodeError, Server};

use crate::stream::Stream;

/// A part of at least this many bytes is queued without a copy. To copy a shorter part costs less
/// than one more slice in the write.
pub(crate) const MIN_SHARED: usize = 16 * 1024;

/// If the output has this many own bytes, parts of [`MIN_SHARED_LATER`] are queued too. Otherwise
/// an answer of many short parts would be copied whole.
const MAX_COPIED: usize = 64 * 1024;

/// A shorter part is always copied: a queue entry needs about as much memory.
const MIN_SHARED_LATER: usize = 1024;

/// The largest number of slices in one write. The rest goes out with the next write.
const SLICES: usize = 64;

/// An output, empty at first.
#[derive(Debug, Default)]
pub(crate) struct Output {
    own: Vec<u8>,
    /// Own bytes that are written.
    written: usize,
    /// Parts that are not written, each with the number of own bytes before it.
    shared: VecDeque<(usize, Bytes)>,
    /// The bytes of these parts.
    shared_len: usize,
}

impl Output {
    /// The own bytes, to append to at the end of the output.
    #[inline]
    pub(crate) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Appends a part: shared if it is long, else copied.
    pub(crate) fn push(&mut self, part: Bytes) {
        let copied = self.own.len() - self.written;
        let min_shared = if copied < MAX_COPIED { MIN_SHARED } else { MIN_SHARED_LATER };
        if part.len() < min_shared {
            self.own.extend_from_slice(&part);
        } else {
            self.share(part);
        }
    }

    fn share(&mut self, part: Bytes) {
        self.shared_len += part.len();
        self.shared.push_back((self.own.len(), part));
    }

    /// Appends content with its framing.
    ///
    /// # Errors
    /// As [`Connection::send_data`]; nothing was appended then.
    #[inline]
    pub(crate) fn send_data(
        &mut self,
        http: &mut Connection<Server>,
        data: Bytes,
    ) -> Result<(), EncodeError> {
        if let ContentAction::SendThen(tail) = http.send_data_head(data.len() as u64, &mut self.own)? {
            self.push(data);
            self.own.extend_from_slice(tail);
        }
        Ok(())
    }

    /// Bytes that wait, own and shared.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.own.len() - self.written + self.shared_len
    }

    /// Returns whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes as much as the socket takes. If all bytes are own, this is one plain write.
    pub(crate) fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let written = if self.shared.is_empty() {
            stream.poll_write(cx, &self.own[self.written..])
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.fill(&mut slices);
            stream.poll_write_vectored(cx, &slices[..count])
        };
        if let Poll::Ready(Ok(n)) = written {
            self.advance(n);
        }
        written
    }

    /// Forgets the written bytes. A buffer of up to `keep` bytes stays for the next output.
    #[inline]
    pub(crate) fn reset(&mut self, keep: usize) {
        debug_assert!(self.is_empty(), "bytes that wait would be lost");
        self.written = 0;
        if self.own.capacity() > keep {
            self.own = Vec::new();
        } else {
            self.own.clear();
        }
    }

    /// All bytes that wait, with the own bytes in as few parts as possible.
    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        let mut parts = Vec::with_capacity(2 * self.shared.len() + 1);
        let (own, mut at) = (Bytes::from(self.own), self.written);
        for (before, part) in self.shared {
            if at < before {
                parts.push(own.slice(at..before));
                at = before;
            }
            parts.push(part);
        }
        if at < own.len() {
            parts.push(own.slice(at..));
        }
        parts
    }

    /// Fills `slices` with the first bytes that wait. Returns the number of slices.
    fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let (mut at, mut count) = (self.written, 0);
        let last = (self.own.len(), &[][..]);
        let shared = self.shared.iter().map(|(before, part)| (*before, &part[..]));
        for (before, part) in shared.chain([last]) {
            for bytes in [&self.own[at..before], part] {
                if count == SLICES {
                    return count;
                }
                if !bytes.is_empty() {
                    slices[count] = IoSlice::new(bytes);
                    count += 1;
                }
            }
            at = before;
        }
        count
    }

    /// Removes `n` written bytes from the front.
    fn advance(&mut self, mut n: usize) {
        while let Some((before, part)) = self.shared.front_mut() {
            let own = n.min(*before - self.written);
            self.written += own;
            n -= own;
            let shared = n.min(part.len());
            part.advance(shared);
            self.shared_len -= shared;
            n -= shared;
            if !part.is_empty() {
                return;
            }
            self.shared.pop_front();
        }
        self.written += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Own bytes, a shared part, own bytes, two shared parts, own bytes.
    fn mixed_output() -> (Output, &'static [u8]) {
        let mut output = Output::default();
        output.own().extend_from_slice(b"head");
        output.share(Bytes::from_static(b"one"));
        output.push(Bytes::from_static(b"small"));
        output.own().extend_from_slice(b" own");
        output.share(Bytes::from_static(b"two"));
        output.share(Bytes::from_static(b"three"));
        output.own().extend_from_slice(b"end");
        (output, b"headonesmall owntwothreeend")
    }

    fn waiting(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = output.fill(&mut slices);
        slices[..count].iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_long_part_is_shared_and_a_short_one_is_copied() {
        for (len, is_shared) in [(MIN_SHARED - 1, false), (MIN_SHARED, true)] {
            let (mut output, part) = (Output::default(), Bytes::from(vec![b'x'; len]));
            output.push(part.clone());
            assert_eq!(output.len(), len);
            assert_eq!(output.into_parts()[0].as_ptr() == part.as_ptr(), is_shared, "{len} bytes");
        }
    }

    #[test]
    fn many_short_parts_are_not_all_copied() {
        let part = Bytes::from(vec![b'x'; MIN_SHARED - 1]);
        let mut output = Output::default();
        for _ in 0..100 {
            output.push(part.clone());
        }
        assert_eq!(output.len(), 100 * part.len());
        assert!(output.own.len() < MAX_COPIED + MIN_SHARED, "{} bytes are copied", output.own.len());
        let queued = output.shared.len();
        output.push(part.slice(..MIN_SHARED_LATER - 1));
        assert_eq!(output.shared.len(), queued, "a tiny part is always copied");
    }

    #[test]
    fn writes_of_any_length_give_all_bytes_in_order() {
        let (_, all) = mixed_output();
        for step in 1..=all.len() {
            let (mut output, mut out) = (mixed_output().0, 0);
            while out < all.len() {
                assert_eq!(output.len(), all.len() - out);
                assert_eq!(waiting(&output), all[out..], "{step} bytes in one write, at {out}");
                let n = step.min(all.len() - out);
                output.advance(n);
                out += n;
            }
            assert!(output.is_empty() && output.shared.is_empty());
            output.reset(0);
            assert_eq!(waiting(&output), b"");
        }
    }

    #[test]
    fn into_parts_gives_the_bytes_that_are_not_written() {
        let (_, all) = mixed_output();
        for out in 0..=all.len() {
            let mut output = mixed_output().0;
            output.advance(out);
            assert_eq!(output.into_parts().concat(), all[out..], "{out} bytes are written");
        }
        assert_eq!(mixed_output().0.into_parts(), ["head", "one", "small own", "two", "three", "end"]);
    }

    #[test]
    fn one_write_has_a_bounded_number_of_slices() {
        let mut output = Output::default();
        for _ in 0..SLICES {
            output.own().extend_from_slice(b"own");
            output.push(Bytes::from(vec![b'x'; MIN_SHARED]));
        }
        assert_eq!(waiting(&output).len(), SLICES / 2 * (3 + MIN_SHARED));
    }
}
