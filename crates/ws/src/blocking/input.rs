//! The read buffer of a blocking WebSocket.
//!
//! A thread waits inside `read`, so each connection needs a buffer of its own while it waits. The
//! buffer has 8 KiB. If more arrives at one time, it has 64 KiB, until eight reads in a row would
//! have fitted into 8 KiB. So messages of 8 KiB do not allocate each time.

use alloc::vec::Vec;
use std::io::{self, ErrorKind, Read};

/// Bytes that were read, and room for more.
#[derive(Default)]
pub(super) struct Input {
    /// Initialised memory. The bytes from `start` to `end` are not decoded yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How many more reads have a large buffer.
    large_reads: u8,
}

impl Input {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { end: bytes.len(), buffer: bytes, start: 0, large_reads: 0 }
    }

    pub(super) fn unread(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    pub(super) fn take(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    pub(super) fn into_unread(mut self) -> Vec<u8> {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.start);
        self.buffer
    }

    /// Reads once. `due` is how many bytes of the current frame are still to come.
    pub(super) fn read(&mut self, stream: &mut impl Read, due: u64) -> io::Result<usize> {
        if due > SMALL as u64 {
            self.large_reads = STAYS_LARGE;
        }
        self.make_room(if self.large_reads > 0 { LARGE } else { SMALL });
        let room = &mut self.buffer[self.end..];
        let n = loop {
            match stream.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?.min(room.len()),
            }
        };
        self.end = self.end.saturating_add(n);
        self.large_reads = if self.end >= SMALL { STAYS_LARGE } else { self.large_reads.saturating_sub(1) };
        Ok(n)
    }

    /// Moves the bytes that are left to the start of a buffer of this size. They are a part of a
    /// header or of a control frame, less than 256 bytes, since the payload of a message is always
    /// consumed.
    fn make_room(&mut self, size: usize) {
        let rest = self.start..self.end;
        let size = size.max(rest.len().saturating_mul(2));
        if self.buffer.len() == size {
            self.buffer.copy_within(rest.clone(), 0);
        } else {
            let mut buffer = Vec::with_capacity(size);
            buffer.extend_from_slice(&self.buffer[rest.clone()]);
            buffer.resize(size, 0);
            self.buffer = buffer;
        }
        (self.start, self.end) = (0, rest.len());
    }
}

/// Most messages fit.
const SMALL: usize = 8 * 1024;
/// With more, a read costs less than the copy of its bytes.
const LARGE: usize = 64 * 1024;
const STAYS_LARGE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_buffer_is_large_only_while_much_arrives() {
        let mut input = Input::new(vec![1, 2, 3]);
        input.take(1);
        let mut stream = &vec![7; 20_000][..];
        assert_eq!(input.read(&mut stream, 0).unwrap(), SMALL - 2);
        assert_eq!((input.unread()[..3].to_vec(), input.buffer.len()), (vec![2, 3, 7], SMALL));
        input.take(SMALL);
        assert_eq!(input.read(&mut stream, 0).unwrap(), 20_000 - SMALL + 2);
        input.take(20_000);
        for _ in 0..STAYS_LARGE {
            assert_eq!(input.read(&mut stream, 0).unwrap(), 0);
            assert_eq!(input.buffer.capacity(), LARGE);
        }
        assert_eq!(input.read(&mut stream, 0).unwrap(), 0);
        assert_eq!(input.buffer.capacity(), SMALL);
        assert_eq!(input.read(&mut stream, 10_000).unwrap(), 0);
        assert_eq!(input.buffer.capacity(), LARGE);
        assert_eq!(input.into_unread(), []);
    }
}
