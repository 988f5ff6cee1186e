//! The queue of bytes that wait to be written to a socket.

#[cfg(feature = "std")]
use crate::thread_buffer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};
#[cfg(feature = "std")]
use core::cell::Cell;
use core::mem;

/// A queue of bytes for one socket, made for few and large writes.
///
/// ```text
/// sealed: [head + small frames] [1 MiB payload, by reference] [small frames]   tail: small frames, still growing
///         └── written from here ──────────────────────────────────────────────────────────── to here, in one writev
/// ```
/// Append frames to [`tail`](Self::tail), for example with the methods of
/// [`Connection`](crate::Connection). Queue a large payload without a copy with
/// [`push`](Self::push). After a write, call [`Buf::advance`] with the number of bytes written. An
/// empty queue holds no memory.
///
/// The queue has no limit of its own. Compare [`len`](Self::len) with a limit before you add
/// anything but a pong or a close, and call [`shrink`](Self::shrink) when a write must wait.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use tidewire_ws::{Kind, Outbox, encode_message};
/// let mut outbox = Outbox::new();
/// encode_message(Kind::Text, b"Hi", outbox.tail());
/// outbox.push(Bytes::from_static(b"\x82\x01!"));
/// assert_eq!(outbox.chunk(), b"\x81\x02Hi\x82\x01!");
/// outbox.advance(5);
/// assert_eq!((outbox.len(), outbox.chunk()), (2, &b"\x01!"[..]));
/// ```
#[derive(Debug, Default)]
pub struct Outbox {
    sealed: VecDeque<Bytes>,
    /// Bytes in `sealed`. A queue may hold the same bytes many times, so they may be more than a
    /// `usize` can count.
    sealed_len: u64,
    tail: Vec<u8>,
    /// Bytes of `tail` that were written already.
    written: usize,
}

impl Outbox {
    /// Returns an empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { sealed: VecDeque::new(), sealed_len: 0, tail: Vec::new(), written: 0 }
    }

    /// The number of bytes that wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        let tail = self.tail.len().saturating_sub(self.written);
        usize::try_from(self.sealed_len).map_or(usize::MAX, |sealed| sealed.saturating_add(tail))
    }

    /// Whether no bytes wait.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The end of the queue, to append to.
    #[inline]
    pub const fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// As [`tail`](Self::tail), with the buffer of the thread as its memory. Call
    /// [`release`](Self::release) if nothing is appended, and [`shrink`](Self::shrink) if a write
    /// must wait.
    #[inline]
    pub(crate) fn tail_with_room(&mut self) -> &mut Vec<u8> {
        #[cfg(feature = "std")]
        if self.tail.capacity() == 0 {
            self.tail = thread_buffer::take(&TAIL);
        }
        &mut self.tail
    }

    /// Gives the memory of an empty tail back to the thread. So a connection that waits holds no
    /// memory, and a busy one does not allocate for each batch.
    pub(crate) fn release(&mut self) {
        if self.tail.capacity() > 0 && self.tail.len() == self.written {
            self.replace_tail(Vec::new());
        }
    }

    /// Frees memory if the tail's buffer is more than twice as large as the bytes in it. Call it
    /// when a write must wait, because a slow reader decides for how long. Without it, a limit on
    /// [`len`](Self::len) does not limit the memory.
    pub fn shrink(&mut self) {
        let waits = &self.tail[self.written..];
        if self.tail.capacity() > waits.len().saturating_mul(2).saturating_add(WORTH_SHRINKING) {
            let exact = waits.to_vec();
            self.replace_tail(exact);
        }
    }

    fn replace_tail(&mut self, tail: Vec<u8>) {
        self.written = 0;
        let tail = mem::replace(&mut self.tail, tail);
        #[cfg(feature = "std")]
        thread_buffer::put(&TAIL, tail, MAX_KEPT);
        #[cfg(not(feature = "std"))]
        drop(tail);
    }

    /// Appends bytes. Fewer than 4 KiB are copied. 4 KiB or more are queued by reference.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() < BY_REFERENCE {
            self.tail.extend_from_slice(&bytes);
            return;
        }
        self.seal();
        self.push_sealed(bytes);
    }

    /// Drops all bytes that wait.
    ///
    /// The peer may have received a part of a frame, so this is only for a connection that is given
    /// up.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    fn seal(&mut self) {
        self.shrink();
        if self.tail.len() > self.written {
            let mut bytes = Bytes::from(mem::take(&mut self.tail));
            bytes.advance(self.written);
            self.push_sealed(bytes);
        }
        self.tail.clear();
        self.written = 0;
    }

    fn push_sealed(&mut self, bytes: Bytes) {
        self.sealed_len = self.sealed_len.saturating_add(bytes.len() as u64);
        self.sealed.push_back(bytes);
    }
}

/// Reads the bytes that wait, in order. `chunks_vectored` fills the slices of one vectored write.
impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.sealed.front() {
            Some(bytes) => bytes,
            None => &self.tail[self.written..],
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let tail = &self.tail[self.written..];
        let parts = self.sealed.iter().map(|b| &b[..]).chain((!tail.is_empty()).then_some(tail));
        slices.iter_mut().zip(parts).map(|(slice, part)| *slice = std::io::IoSlice::new(part)).count()
    }

    fn advance(&mut self, mut n: usize) {
        assert!(n <= self.len(), "advanced beyond what waits");
        while let Some(bytes) = self.sealed.front_mut() {
            let step = n.min(bytes.len());
            bytes.advance(step);
            self.sealed_len = self.sealed_len.saturating_sub(step as u64);
            n = n.saturating_sub(step);
            if !bytes.is_empty() {
                return;
            }
            self.sealed.pop_front();
        }
        self.written = self.written.saturating_add(n);
        if self.written == self.tail.len() {
            self.release();
            if self.sealed.capacity() > 0 {
                self.sealed = VecDeque::new();
            }
        }
    }
}

/// From this length on, a copy costs more than one more slice in the write.
pub(crate) const BY_REFERENCE: usize = 4096;
/// Below this, the copy costs more than the memory that it would free.
const WORTH_SHRINKING: usize = 256;

#[cfg(feature = "std")]
std::thread_local! {
    static TAIL: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// A larger tail is freed. Otherwise one large batch would occupy memory as long as the thread
/// lives.
#[cfg(feature = "std")]
const MAX_KEPT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_in_which_they_came(
            parts in prop::collection::vec((prop_oneof![0..40usize, 4090..4100usize], any::<bool>()), 0..20),
            steps in prop::collection::vec(1..5000usize, 1..40),
        ) {
            let (mut outbox, mut all, mut got) = (Outbox::new(), Vec::new(), Vec::new());
            let mut steps = steps.into_iter().cycle();
            for (i, (len, by_reference)) in parts.into_iter().enumerate() {
                let part = vec![i as u8; len];
                all.extend_from_slice(&part);
                if by_reference { outbox.push(part.into()) } else { outbox.tail().extend_from_slice(&part) }
                prop_assert_eq!(outbox.len() + got.len(), all.len());
                if i % 3 == 2 {
                    let n = steps.next().unwrap().min(outbox.chunk().len());
                    got.extend_from_slice(&outbox.chunk()[..n]);
                    outbox.advance(n);
                }
            }
            let mut slices = [std::io::IoSlice::new(&[]); 64];
            let filled = outbox.chunks_vectored(&mut slices);
            let vectored: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).collect();
            prop_assert_eq!(&vectored[..], &all[got.len()..]);
            while !outbox.is_empty() {
                let n = steps.next().unwrap().min(outbox.len());
                got.extend_from_slice(&outbox.copy_to_bytes(n));
            }
            prop_assert_eq!(got, all);
            prop_assert!(outbox.tail.capacity() == 0 && outbox.sealed.capacity() == 0);
        }
    }
}
