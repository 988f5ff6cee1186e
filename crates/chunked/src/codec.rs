//! The coding as a [`tokio_util::codec`]: `FramedRead` yields [`Item`]s, `FramedWrite` takes [`Piece`]s.
//!
//! One codec reads and writes one body. When [`Item::End`] has come the stream should not be polled on: what the
//! buffer still holds belongs to the next message, and is found in `FramedParts::read_buf`.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use tidewire_chunked::codec::{Codec, Item, Piece};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut wire = BytesMut::new();
//! let mut writer = Codec::default();
//! writer.encode(Piece::Data(Bytes::from_static(b"hello")), &mut wire)?;
//! writer.encode(Piece::End { trailers: Vec::new() }, &mut wire)?;
//! assert_eq!(wire, "5\r\nhello\r\n0\r\n\r\n");
//!
//! let mut reader = Codec::default();
//! assert_eq!(reader.decode(&mut wire)?, Some(Item::Chunk { size: 5, extensions: Bytes::new() }));
//! assert_eq!(reader.decode(&mut wire)?, Some(Item::Data(Bytes::from_static(b"hello"))));
//! # Ok::<(), tidewire_chunked::codec::Error>(())
//! ```

use crate::decode::{Decoder, Event};
use crate::encode::{ChunkHead, encode_trailers};
use crate::error;
use crate::limits::Limits;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use std::io;
use tidewire_grammar::range_of;

/// Reads and writes one chunked body.
#[derive(Clone, Debug)]
pub struct Codec {
    decoder: Decoder,
    /// The end was written.
    ended: bool,
}

/// What is read: an [`Event`] that owns its bytes, which are parts of the read buffer and not copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// See [`Event::Chunk`].
    Chunk {
        /// Bytes of content that follow.
        size: u64,
        /// Raw; read it with [`extensions`](crate::extensions).
        extensions: Bytes,
    },
    /// See [`Event::Data`].
    Data(Bytes),
    /// See [`Event::Trailer`].
    Trailer {
        /// A token.
        name: Bytes,
        /// Without the whitespace around it.
        value: Bytes,
    },
    /// The body is over.
    End,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Content, as one chunk. Nothing is written for an empty piece: an empty chunk would end the body.
    Data(Bytes),
    /// The end, with names and values of trailer fields.
    End {
        /// In the order of the wire; usually none.
        trailers: Vec<(Bytes, Bytes)>,
    },
}

/// Why reading or writing failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport.
    Io(io::Error),
    /// The peer: close the connection.
    Decode(error::Error),
    /// A trailer that cannot be sent.
    Encode(error::EncodeError),
    /// A [`Piece`] after [`Piece::End`].
    AfterEnd,
}

impl Codec {
    /// For one body.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { decoder: Decoder::new(limits), ended: false }
    }

    /// Whether [`Item::End`] was yielded: what the read buffer holds now belongs to the next message.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.decoder.is_done()
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

impl tokio_util::codec::Decoder for Codec {
    type Item = Item;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Item>, Error> {
        let (n, event) = self.decoder.decode(src).map_err(Error::Decode)?;
        // The event borrows the buffer that is cut next: keep places instead of slices.
        let place = |part: &[u8]| range_of(part, src);
        match event {
            None => {
                src.advance(n);
                Ok(None)
            }
            Some(Event::End) => {
                src.advance(n);
                Ok(Some(Item::End))
            }
            Some(Event::Data(data)) => {
                let data = place(data);
                Ok(Some(Item::Data(src.split_to(n).freeze().slice(data))))
            }
            Some(Event::Chunk { size, extensions }) => {
                let extensions = place(extensions);
                Ok(Some(Item::Chunk { size, extensions: src.split_to(n).freeze().slice(extensions) }))
            }
            Some(Event::Trailer { name, value }) => {
                let (name, value) = (place(name), place(value));
                let line = src.split_to(n).freeze();
                Ok(Some(Item::Trailer { name: line.slice(name), value: line.slice(value) }))
            }
        }
    }

    /// A body that stops before its end is an error, whatever the buffer holds; one that is complete ends the stream.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Item>, Error> {
        let item = self.decode(src)?;
        if item.is_none() {
            self.decoder.finish().map_err(Error::Decode)?;
        }
        Ok(item)
    }
}

impl tokio_util::codec::Encoder<Piece> for Codec {
    type Error = Error;

    fn encode(&mut self, piece: Piece, dst: &mut BytesMut) -> Result<(), Error> {
        if self.ended {
            return Err(Error::AfterEnd);
        }
        match piece {
            Piece::Data(data) => {
                if let Some(head) = ChunkHead::new(data.len() as u64) {
                    dst.reserve(ChunkHead::MAX_LEN + data.len() + 2);
                    head.encode_to_buf(dst);
                    dst.extend_from_slice(&data);
                    dst.extend_from_slice(b"\r\n");
                }
            }
            Piece::End { trailers } => {
                let mut end = Vec::new();
                let fields = trailers.iter().map(|(name, value)| (&name[..], &value[..]));
                encode_trailers(fields, &mut end).map_err(Error::Encode)?;
                dst.extend_from_slice(&end);
                self.ended = true;
            }
        }
        Ok(())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
            Self::Encode(error) => error.fmt(f),
            Self::AfterEnd => f.write_str("a piece after the end of the body"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::AfterEnd => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use bytes::BufMut;
    use futures_util::{FutureExt, SinkExt, StreamExt};
    use tokio_util::codec::{Decoder as _, Encoder as _, FramedRead, FramedWrite};

    const WIRE: &[u8] = b"5;a=b\r\nhello\r\n0\r\nDigest: abc\r\n\r\nGET ";

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn items() -> Vec<Item> {
        vec![
            Item::Chunk { size: 5, extensions: text(";a=b") },
            Item::Data(text("hello")),
            Item::Chunk { size: 0, extensions: Bytes::new() },
            Item::Trailer { name: text("Digest"), value: text("abc") },
            Item::End,
        ]
    }

    #[test]
    fn framed_read_yields_the_items_and_keeps_the_rest() {
        let mut framed = FramedRead::new(WIRE, Codec::default());
        assert!(!framed.decoder().is_done());
        for item in items() {
            assert_eq!(framed.next().now_or_never().flatten().unwrap().unwrap(), item);
        }
        assert!(framed.decoder().is_done());
        assert_eq!(framed.read_buffer(), "GET ");
    }

    #[test]
    fn one_byte_at_a_time_yields_the_same() {
        let (mut codec, mut buffer, mut got) = (Codec::default(), BytesMut::new(), Vec::new());
        for byte in WIRE {
            buffer.put_u8(*byte);
            while let Some(item) = codec.decode(&mut buffer).unwrap() {
                got.push(item);
            }
        }
        // The content came in five pieces; all else is whole.
        let data: Vec<u8> = got
            .iter()
            .flat_map(|item| if let Item::Data(data) = item { &data[..] } else { &[] })
            .copied()
            .collect();
        assert_eq!(data, b"hello");
        got.retain(|item| !matches!(item, Item::Data(_)));
        let mut want = items();
        want.retain(|item| !matches!(item, Item::Data(_)));
        assert_eq!((got, &buffer[..]), (want, &b"GET "[..]));
    }

    #[test]
    fn an_early_end_is_an_error_at_its_place() {
        let mut framed = FramedRead::new(&b"5\r\nhel"[..], Codec::default());
        let mut last = None;
        while let Some(Some(item)) = framed.next().now_or_never() {
            last = Some(item);
            if matches!(last, Some(Err(_))) {
                break;
            }
        }
        let Some(Err(error)) = last else { panic!("{last:?}") };
        assert!(core::error::Error::source(&error).is_some_and(|source| source.is::<error::Error>()));
        let Error::Decode(error) = error else { panic!("{error:?}") };
        assert_eq!((error.kind(), error.offset()), (error::ErrorKind::UnexpectedEnd, 6));
    }

    #[test]
    fn framed_write_writes_what_is_read() {
        let mut framed = FramedWrite::new(Vec::new(), Codec::default());
        let pieces = [
            Piece::Data(text("hello")),
            Piece::Data(Bytes::new()),
            Piece::End { trailers: vec![(text("Digest"), text("abc"))] },
        ];
        for piece in pieces {
            framed.send(piece).now_or_never().unwrap().unwrap();
        }
        assert_eq!(framed.get_ref(), b"5\r\nhello\r\n0\r\nDigest: abc\r\n\r\n");
        let after = framed.send(Piece::Data(text("x"))).now_or_never().unwrap();
        assert!(matches!(after, Err(Error::AfterEnd)));
    }

    #[test]
    fn a_bad_trailer_writes_nothing() {
        let (mut codec, mut out) = (Codec::default(), BytesMut::new());
        let trailers = vec![(text("a"), text("b\r\nc: d"))];
        assert!(matches!(codec.encode(Piece::End { trailers }, &mut out), Err(Error::Encode(_))));
        assert_eq!(out, "");
        codec.encode(Piece::End { trailers: Vec::new() }, &mut out).unwrap();
        assert_eq!(out, "0\r\n\r\n");
    }
}
