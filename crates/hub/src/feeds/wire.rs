//! A stream as it goes out on a connection: a format, chunked where HTTP/1.1 asks for it,
//! compressed where the client wants that.

use tidewire_chunked::ChunkHead;

use super::feed::Feed;
use super::format::StreamFormat;
use crate::gzip::{self, Sum};

/// How a stream goes out on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wire {
    pub(crate) format: StreamFormat,
    /// HTTP/1.1 streams are chunked; HTTP/1.0 streams and WebSocket are not.
    pub(crate) chunked: bool,
    /// The body is compressed, batch by batch.
    pub(crate) gzip: bool,
}

/// Units as they go out.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    /// Of the bytes before they were compressed; nothing where they were not.
    pub(crate) sum: Sum,
}

impl Packed {
    pub(crate) fn compressions(&self) -> u64 {
        u64::from(self.sum != Sum::default())
    }
}

impl Wire {
    /// Writes one unit. [`pack`](Self::pack) makes of all that was written what goes out.
    pub(crate) fn unit<R>(self, out: &mut Vec<u8>, write: impl FnOnce(&dyn Feed, &mut Vec<u8>) -> R) -> R {
        let start = out.len();
        let result = write(self.format.feed(), out);
        if !self.gzip {
            self.chunk(out, start);
        }
        result
    }

    /// Units in the middle of a body. Compressed they are one chunk; else each is one already.
    pub(crate) fn pack(self, units: Vec<u8>) -> Packed {
        self.pack_after(&[], units)
    }

    /// The first units of a body.
    pub(crate) fn pack_first(self, units: Vec<u8>) -> Packed {
        self.pack_after(&gzip::HEAD, units)
    }

    fn pack_after(self, head: &[u8], units: Vec<u8>) -> Packed {
        if !self.gzip || units.is_empty() {
            return Packed { bytes: units, sum: Sum::default() };
        }
        let mut bytes = head.to_vec();
        gzip::compress(&units, &mut bytes);
        self.chunk(&mut bytes, 0);
        Packed { bytes, sum: Sum::of(&units) }
    }

    /// Ends the stream in good order. `sum` is that of the body up to here.
    pub(crate) fn end(self, out: &mut Vec<u8>, retry_ms: u32, sum: Sum) {
        if self.gzip {
            let mut units = Vec::new();
            self.format.feed().end(&mut units, retry_ms);
            gzip::compress(&units, out);
            gzip::end(sum.then(Sum::of(&units)), out);
            self.chunk(out, 0);
        } else {
            self.unit(out, |feed, out| feed.end(out, retry_ms));
        }
        if self.chunked {
            out.extend_from_slice(tidewire_chunked::LAST_CHUNK);
        }
    }

    /// Makes a chunk of what is in `out` from `start` on.
    fn chunk(self, out: &mut Vec<u8>, start: usize) {
        // A unit may be empty; an empty chunk would end the body.
        if let Some(head) = ChunkHead::new((out.len() - start) as u64).filter(|_| self.chunked) {
            let mut bytes = [0; ChunkHead::MAX_LEN];
            let len = head.encode(&mut bytes).expect("the buffer has the longest length");
            out.splice(start..start, bytes[..len].iter().copied());
            out.extend_from_slice(b"\r\n");
        }
    }
}
