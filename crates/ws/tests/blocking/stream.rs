//! A stream in memory that gives and takes few bytes at a time, and is often not ready.

use std::io::{self, ErrorKind, Read, Write};

#[derive(Debug, Default)]
pub(crate) struct Slow {
    pub(crate) input: Vec<u8>,
    at: usize,
    pub(crate) written: Vec<u8>,
    /// Bytes that were written and not flushed.
    buffered: Vec<u8>,
    /// The most bytes of a read or a write.
    pub(crate) step: usize,
    /// How many bytes it still takes.
    pub(crate) room: usize,
    /// Every other call returns this.
    pub(crate) not_ready: Option<ErrorKind>,
    is_ready: bool,
}

impl Slow {
    pub(crate) fn new(input: &[u8], step: usize, not_ready: Option<ErrorKind>) -> Self {
        Self { input: input.to_vec(), step, not_ready, room: usize::MAX, ..Self::default() }
    }

    fn ready(&mut self) -> io::Result<()> {
        self.is_ready = !self.is_ready;
        match self.not_ready {
            Some(kind) if self.is_ready => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ready()?;
        let rest = &self.input[self.at..];
        let n = rest.len().min(buffer.len()).min(self.step);
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ready()?;
        if self.room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = bytes.len().min(self.step).min(self.room);
        self.room -= n;
        self.buffered.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ready()?;
        self.written.append(&mut self.buffered);
        Ok(())
    }
}
