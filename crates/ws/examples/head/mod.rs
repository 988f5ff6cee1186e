//! The smallest HTTP part of a handshake: reads one head up to its empty line.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A head and the bytes after it.
pub(crate) struct Head {
    bytes: Vec<u8>,
    len: usize,
}

impl Head {
    /// Reads up to the empty line. Refuses a head over 16 KiB, so that it cannot grow without
    /// limit.
    pub(crate) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(1024);
        let mut seen: usize = 0;
        loop {
            if io.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Searches the new bytes and the three before them.
            let from = seen.saturating_sub(3);
            if let Some(at) = bytes[from..].windows(4).position(|w| w == b"\r\n\r\n") {
                return Ok(Self { bytes, len: from + at + 4 });
            }
            seen = bytes.len();
            if seen > 16 * 1024 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.len..]
    }
}

/// The fields of a parsed head, as pairs of name and value.
pub(crate) fn pairs<'a>(headers: &'a [httparse::Header<'a>]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    headers.iter().map(|field| (field.name.as_bytes(), field.value))
}
