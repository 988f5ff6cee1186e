//! Reads and writes of a handshake. A signal does not end them.

use alloc::vec::Vec;
use std::io::{self, Read, Write};

/// Reads once, and appends the bytes. Returns how many they are.
pub(crate) fn read_some(stream: &mut impl Read, out: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                let n = read?.min(buffer.len());
                out.extend_from_slice(&buffer[..n]);
                return Ok(n);
            }
        }
    }
}

/// Writes and flushes all bytes of a handshake.
pub(crate) fn write_all(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    flush(stream)
}

/// Flushes a stream, also if a signal interrupts that.
pub(crate) fn flush(stream: &mut impl Write) -> io::Result<()> {
    loop {
        match stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            flushed => return flushed,
        }
    }
}
