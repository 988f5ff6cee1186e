//! The wire format of a stream: its feed, the chunked coding of HTTP/1.1, and gzip if the client
//! accepts it.

use tidewire_chunked::ChunkHead;

use super::feed::{Ending, Feed};
use super::format::StreamFormat;
use crate::form_cache::FormCache;
use crate::gzip::{self, Sum};
use crate::out::{Mark, Out};
use crate::rope::Rope;

/// The wire format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wire {
    pub(crate) format: StreamFormat,
    /// Whether the body is chunked. HTTP/1.1 streams are, HTTP/1.0 streams and WebSockets are not.
    pub(crate) chunked: bool,
    /// Whether the body is compressed, batch by batch.
    pub(crate) gzip: bool,
}

/// Units in their wire format.
pub(crate) struct Packed {
    pub(crate) rope: Rope,
    /// Bytes that are not shared.
    pub(crate) own: usize,
    /// The checksum of the uncompressed bytes; 0 if nothing was compressed.
    pub(crate) sum: Sum,
    /// The number of compressions made for this, not counting cached forms.
    pub(crate) compressions: u64,
}

impl Wire {
    /// An output for units of this stream.
    pub(crate) fn out(self, forms: &FormCache) -> Out<'_> {
        Out::new(forms, self.gzip)
    }

    /// Writes one unit. Call [`pack`](Self::pack) after all units.
    pub(crate) fn unit<R>(self, out: &mut Out<'_>, write: impl FnOnce(&dyn Feed, &mut Out<'_>) -> R) -> R {
        let start = out.mark();
        let result = write(self.format.feed(), out);
        if !self.gzip {
            self.chunk(out, start);
        }
        result
    }

    /// Packs units in the middle of a body. With gzip they become one chunk; otherwise each is a
    /// chunk already.
    pub(crate) fn pack(self, units: Out<'_>) -> Packed {
        self.pack_after(&[], units)
    }

    /// Packs the first units of a body.
    pub(crate) fn pack_first(self, units: Out<'_>) -> Packed {
        self.pack_after(&gzip::HEAD, units)
    }

    fn pack_after(self, head: &[u8], units: Out<'_>) -> Packed {
        if !self.gzip || units.len() == 0 {
            let own = units.own_len();
            return Packed { rope: units.finish(), own, sum: Sum::default(), compressions: 0 };
        }
        let mut packed = units.to_packed();
        let start = packed.mark();
        packed.own().extend_from_slice(head);
        let (own, forms) = units.into_pieces();
        let (mut at, mut sum, mut compressions) = (0, Sum::default(), 0);
        // Between forms, short pieces are the heads of messages, which do not compress well.
        let compressed_from = if forms.is_empty() { 0 } else { MIN_COMPRESSED };
        let mut pack_own = |piece: &[u8], packed: &mut Out<'_>| {
            if piece.len() < compressed_from {
                gzip::store(piece, packed.own());
            } else {
                gzip::compress(piece, packed.own());
                compressions += 1;
            }
            Sum::of(piece)
        };
        for (before, form) in forms {
            sum = sum.then(pack_own(&own[at..before], &mut packed)).then(form.sum);
            packed.push(form.bytes);
            at = before;
        }
        if at < own.len() {
            sum = sum.then(pack_own(&own[at..], &mut packed));
        }
        self.chunk(&mut packed, start);
        let own = packed.own_len();
        Packed { rope: packed.finish(), own, sum, compressions }
    }

    /// Writes the end of the stream. `sum` is the checksum of the body so far.
    pub(crate) fn end(self, out: &mut Vec<u8>, ending: &Ending<'_>, sum: Sum) {
        let mut units = Vec::new();
        self.format.feed().end(&mut units, ending);
        if self.gzip {
            let mut bytes = Vec::new();
            gzip::compress(&units, &mut bytes);
            gzip::end(sum.then(Sum::of(&units)), &mut bytes);
            units = bytes;
        }
        self.put_chunk(&units, out);
        if self.chunked {
            out.extend_from_slice(tidewire_chunked::LAST_CHUNK);
        }
    }

    /// Makes a chunk of everything after `start`.
    fn chunk(self, out: &mut Out<'_>, start: Mark) {
        let mut bytes = [0; ChunkHead::MAX_LEN];
        if let Some(head) = self.chunk_head(out.len_since(start), &mut bytes) {
            out.insert(start, head);
            out.own().extend_from_slice(CHUNK_END);
        }
    }

    /// Appends bytes as one chunk.
    fn put_chunk(self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut buffer = [0; ChunkHead::MAX_LEN];
        let head = self.chunk_head(bytes.len(), &mut buffer);
        out.extend_from_slice(head.unwrap_or_default());
        out.extend_from_slice(bytes);
        out.extend_from_slice(if head.is_some() { CHUNK_END } else { b"" });
    }

    /// The head of a chunk of this length. `None` if the body is not chunked, or for an empty unit:
    /// an empty chunk would end the body.
    fn chunk_head(self, len: usize, buffer: &mut [u8; ChunkHead::MAX_LEN]) -> Option<&[u8]> {
        let head = ChunkHead::new(len as u64).filter(|_| self.chunked)?;
        let len = head.encode(buffer).expect("the buffer has the longest length");
        Some(&buffer[..len])
    }
}

/// A shorter piece between forms is stored uncompressed.
const MIN_COMPRESSED: usize = 512;

const CHUNK_END: &[u8] = b"\r\n";
