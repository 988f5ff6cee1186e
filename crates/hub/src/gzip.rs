//! A gzip body (RFC 1952) that many readers share. Each batch is compressed once for all readers,
//! whenever they joined.
//!
//! ```text
//!   reader A   │ head │ start │ batch 1 │ batch 2 │ batch 3 │ end │ CRC-32 and length of all that A got
//!   reader B            │ head │ start  │ batch 2 │ batch 3 │ end │ CRC-32 and length of all that B got
//!                                       └── the same bytes ─┘
//! ```
//!
//! A piece is compressed without reference to earlier pieces, and ends on a byte boundary (RFC 1951
//! §3.2.4: an empty stored block). So it may follow any other piece. Only the trailer differs
//! between readers. The CRC of two pieces can be computed from their CRCs, without their bytes. The
//! group keeps the checksum of its batches. A reader keeps its own checksum, and that of the group
//! at the moment it joined.
//!
//! A batch cannot be a gzip member of its own: browsers and curl read only the first member of a
//! body.

use std::cell::RefCell;

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};

/// The head of a member: DEFLATE, no flags, no time, unknown system.
pub(crate) const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty last block.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Level 1, as for WebSocket messages: most of the gain for the least time.
const LEVEL: u32 = 1;

/// The checksum of bytes as in the trailer: their CRC-32 and their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    crc: u32,
    len: u64,
}

impl Sum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Sum { crc: crc32fast::hash(bytes), len: bytes.len() as u64 }
    }

    /// The number of bytes.
    pub(crate) fn len(self) -> u64 {
        self.len
    }

    /// The checksum of these bytes followed by the next ones.
    pub(crate) fn then(self, next: Sum) -> Self {
        Sum { crc: shift(self.crc, next.len) ^ next.crc, len: self.len + next.len }
    }
}

/// The state of the body of one reader, as its trailer needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// The checksum of what the reader got before it joined the group.
    own: Sum,
    /// The checksum of the group when the reader joined, while it is a member.
    joined: Option<Sum>,
}

impl Body {
    pub(crate) fn new(first: Sum) -> Self {
        Body { own: first, joined: None }
    }

    /// The reader joins the group: from now on it gets what the group gets.
    pub(crate) fn join(&mut self, group: Sum) {
        self.joined = Some(group);
    }

    /// The reader leaves the group, and has everything that the group has.
    pub(crate) fn leave(&mut self, group: Sum) {
        *self = Body::new(self.sum(group));
    }

    /// The reader alone got a piece. It stays in the group if it was there.
    pub(crate) fn add(&mut self, group: Sum, piece: Sum) {
        let is_member = self.joined.is_some();
        self.leave(group);
        self.own = self.own.then(piece);
        self.joined = is_member.then_some(group);
    }

    /// The checksum of everything the reader got. CRC-32 is linear. With `C` for the bytes of the
    /// group since the reader joined: crc(joined C) = shift(crc(joined)) ^ crc(C), and crc(own C) =
    /// shift(crc(own)) ^ crc(C).
    pub(crate) fn sum(&self, group: Sum) -> Sum {
        let Some(joined) = self.joined else { return self.own };
        let len = group.len - joined.len;
        Sum { crc: shift(self.own.crc ^ joined.crc, len) ^ group.crc, len: self.own.len + len }
    }
}

/// The CRC after `len` more bytes whose own CRC is 0.
fn shift(crc: u32, len: u64) -> u32 {
    let mut hasher = Hasher::new_with_initial(crc);
    hasher.combine(&Hasher::new_with_initial_len(0, len));
    hasher.finalize()
}

/// Appends a piece, compressed on its own.
pub(crate) fn compress(mut plain: &[u8], out: &mut Vec<u8>) {
    COMPRESSOR.with_borrow_mut(|kept| {
        let stream = kept.get_or_insert_with(|| Compress::new(Compression::new(LEVEL), false));
        loop {
            // Spare room after a call means that the flush is complete.
            out.reserve(plain.len() / 2 + 64);
            let before = stream.total_in();
            stream.compress_vec(plain, out, FlushCompress::Sync).expect("a raw compressor takes any bytes");
            plain = &plain[(stream.total_in() - before) as usize..];
            if plain.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        stream.reset();
    });
}

/// Appends a piece uncompressed (RFC 1951 §3.2.4). It may follow any other piece, and any other may
/// follow it.
pub(crate) fn store(plain: &[u8], out: &mut Vec<u8>) {
    for block in plain.chunks(usize::from(u16::MAX)) {
        let len = block.len() as u16;
        out.push(0);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Appends the end of the body.
pub(crate) fn end(sum: Sum, out: &mut Vec<u8>) {
    out.extend_from_slice(&LAST_BLOCK);
    out.extend_from_slice(&sum.crc.to_le_bytes());
    // RFC 1952 §2.3.1: the length modulo 2^32.
    out.extend_from_slice(&(sum.len as u32).to_le_bytes());
}

std::thread_local! {
    /// 270 KiB for each worker that has used it.
    static COMPRESSOR: RefCell<Option<Compress>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Decodes a body to its end, which checks the trailer.
    fn decode(body: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut decoder = GzDecoder::new(body);
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "the body is one member");
        plain
    }

    #[test]
    fn readers_that_join_and_leave_at_any_time_get_valid_bodies() {
        struct Reader {
            body: Body,
            plain: Vec<u8>,
            wire: Vec<u8>,
            live: bool,
        }
        let mut rng = fastrand::Rng::with_seed(7);
        let mut piece = |most: usize| -> Vec<u8> {
            let len = rng.usize(..most);
            (0..len).map(|_| rng.u8(b'a'..b'f')).collect()
        };
        let mut dice = fastrand::Rng::with_seed(8);
        let mut group = Sum::default();
        let mut readers: Vec<Reader> = Vec::new();
        for turn in 0..300 {
            if turn % 20 == 0 {
                let plain = piece(100);
                let mut wire = HEAD.to_vec();
                compress(&plain, &mut wire);
                let mut body = Body::new(Sum::of(&plain));
                body.join(group);
                readers.push(Reader { body, plain, wire, live: true });
            }
            let batch = piece(if turn == 150 { 300_000 } else { 2_000 });
            let mut shared = Vec::new();
            compress(&batch, &mut shared);
            group = group.then(Sum::of(&batch));
            for reader in readers.iter_mut().filter(|reader| reader.live) {
                reader.plain.extend_from_slice(&batch);
                reader.wire.extend_from_slice(&shared);
            }
            let reader = &mut readers[dice.usize(..turn / 20 + 1)];
            match dice.u8(..3) {
                0 if reader.live => {
                    reader.body.leave(group);
                    reader.live = false;
                }
                0 => {
                    reader.body.join(group);
                    reader.live = true;
                }
                1 => {
                    let own = piece(50);
                    reader.body.add(group, Sum::of(&own));
                    if turn % 2 == 0 {
                        compress(&own, &mut reader.wire)
                    } else {
                        store(&own, &mut reader.wire)
                    }
                    reader.plain.extend_from_slice(&own);
                }
                _ => {}
            }
        }
        for mut reader in readers {
            end(reader.body.sum(group), &mut reader.wire);
            assert_eq!(decode(&reader.wire), reader.plain);
        }
    }

    #[test]
    fn an_empty_body_is_valid() {
        let mut wire = HEAD.to_vec();
        compress(b"", &mut wire);
        end(Sum::default(), &mut wire);
        assert_eq!(decode(&wire), b"");
    }
}
