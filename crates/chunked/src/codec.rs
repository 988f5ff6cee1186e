//! The coding as a [`tokio_util::codec`]: `FramedRead` yields [`Item`]s, and `FramedWrite` takes
//! them. So a proxy can forward a body with its chunks, extensions and trailers as they are.
//!
//! One codec reads and writes one body. After [`Item::End`] do not poll the stream again: the bytes
//! that the buffer still holds belong to the next message, and are in `FramedParts::read_buf`.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use tidewire_chunked::codec::{Codec, Item};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut wire = BytesMut::new();
//! let mut writer = Codec::default();
//! writer.encode(Item::Data(Bytes::from_static(b"hello")), &mut wire)?;
//! writer.encode(Item::End, &mut wire)?;
//! assert_eq!(wire, "5\r\nhello\r\n0\r\n\r\n");
//!
//! let mut reader = Codec::default();
//! assert_eq!(reader.decode(&mut wire)?, Some(Item::Chunk { size: 5, extensions: Bytes::new() }));
//! assert_eq!(reader.decode(&mut wire)?, Some(Item::Data(Bytes::from_static(b"hello"))));
//! # Ok::<(), tidewire_chunked::codec::Error>(())
//! ```

use crate::decode::{Decoder, Event};
use crate::encode::Encoder;
use crate::error;
use crate::limits::Limits;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use std::io;
use tidewire_grammar::range_of;

/// Reads and writes one chunked body.
///
/// ```
/// use futures_util::{FutureExt, SinkExt, StreamExt};
/// use tidewire_chunked::codec::{Codec, Item};
/// use tokio_util::codec::{FramedRead, FramedWrite};
///
/// // Slices and vectors never wait. With sockets, `.await` stands here.
/// let mut reader = FramedRead::new(&b"5\r\nhello\r\n0\r\n\r\n"[..], Codec::default());
/// let mut writer = FramedWrite::new(Vec::new(), Codec::default());
/// while let Some(item) = reader.next().now_or_never().flatten().transpose()? {
///     let is_end = item == Item::End;
///     writer.send(item).now_or_never().expect("it never waits")?;
///     if is_end {
///         break;
///     }
/// }
/// assert_eq!(writer.get_ref(), b"5\r\nhello\r\n0\r\n\r\n");
/// # Ok::<(), tidewire_chunked::codec::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Codec {
    decoder: Decoder,
    encoder: Encoder,
}

/// An [`Event`] that owns its bytes. It is what is read and what is written; [`Encoder`] says where
/// each item may be written. The bytes of an item that was read are parts of the read buffer, not
/// copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// See [`Event::Chunk`].
    Chunk {
        /// The number of bytes of content that follow.
        size: u64,
        /// The bytes between the size and the CRLF. [`extensions`](crate::extensions) reads them.
        extensions: Bytes,
    },
    /// See [`Event::Data`].
    Data(Bytes),
    /// See [`Event::Trailer`].
    Trailer {
        /// A token.
        name: Bytes,
        /// The value, without the whitespace around it.
        value: Bytes,
    },
    /// The end of the body.
    End,
}

/// Why reading or writing failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Io(io::Error),
    /// The peer's body was refused. Close the connection.
    Decode(error::Error),
    /// An item cannot be written.
    Encode(error::EncodeError),
}

impl Codec {
    /// A codec for one body.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { decoder: Decoder::new(limits), encoder: Encoder::new() }
    }

    /// Returns whether [`Item::End`] was yielded. The read buffer then begins with the next
    /// message.
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

impl Item {
    /// The event, borrowed.
    #[must_use]
    pub fn as_event(&self) -> Event<'_> {
        match self {
            Self::Chunk { size, extensions } => Event::Chunk { size: *size, extensions },
            Self::Data(data) => Event::Data(data),
            Self::Trailer { name, value } => Event::Trailer { name, value },
            Self::End => Event::End,
        }
    }
}

impl tokio_util::codec::Decoder for Codec {
    type Item = Item;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Item>, Error> {
        let (n, event) = self.decoder.decode(src).map_err(Error::Decode)?;
        // The event borrows the buffer, which is split next. So keep ranges instead of slices.
        let range = |part: &[u8]| range_of(part, src);
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
                let data = range(data);
                Ok(Some(Item::Data(src.split_to(n).freeze().slice(data))))
            }
            Some(Event::Chunk { size, extensions }) => {
                let extensions = range(extensions);
                Ok(Some(Item::Chunk { size, extensions: src.split_to(n).freeze().slice(extensions) }))
            }
            Some(Event::Trailer { name, value }) => {
                let (name, value) = (range(name), range(value));
                let line = src.split_to(n).freeze();
                Ok(Some(Item::Trailer { name: line.slice(name), value: line.slice(value) }))
            }
        }
    }

    /// The stream ends after a complete body. An unfinished body is an error.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Item>, Error> {
        let item = self.decode(src)?;
        if item.is_none() {
            self.decoder.finish().map_err(Error::Decode)?;
        }
        Ok(item)
    }
}

impl tokio_util::codec::Encoder<Item> for Codec {
    type Error = Error;

    fn encode(&mut self, item: Item, out: &mut BytesMut) -> Result<(), Error> {
        self.encoder.encode_bytes(item.as_event(), out).map_err(Error::Encode)
    }
}

impl tokio_util::codec::Encoder<Event<'_>> for Codec {
    type Error = Error;

    fn encode(&mut self, event: Event<'_>, out: &mut BytesMut) -> Result<(), Error> {
        self.encoder.encode_bytes(event, out).map_err(Error::Encode)
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
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(match self {
            Self::Io(error) => error,
            Self::Decode(error) => error,
            Self::Encode(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
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
        // The content came in five pieces. All other items are whole.
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
    fn an_early_end_is_an_error_with_its_offset() {
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
    fn a_forwarded_body_has_the_same_bytes() {
        let body = &WIRE[..WIRE.len() - 4];
        let mut reader = FramedRead::new(body, Codec::default());
        let mut writer = FramedWrite::new(Vec::new(), Codec::default());
        while let Some(item) = reader.next().now_or_never().unwrap() {
            writer.send(item.unwrap()).now_or_never().unwrap().unwrap();
        }
        assert_eq!(writer.get_ref(), body);
        let after = writer.send(Item::Data(text("x"))).now_or_never().unwrap();
        let Err(Error::Encode(error)) = after else { panic!("{after:?}") };
        assert_eq!(error.kind(), error::EncodeErrorKind::AfterEnd);
    }

    #[test]
    fn data_without_an_open_chunk_is_a_chunk() {
        let mut writer = FramedWrite::new(Vec::new(), Codec::default());
        for item in [Item::Data(text("hello")), Item::Data(Bytes::new()), Item::End] {
            writer.send(item).now_or_never().unwrap().unwrap();
        }
        assert_eq!(writer.get_ref(), b"5\r\nhello\r\n0\r\n\r\n");
    }

    #[test]
    fn a_bad_trailer_writes_nothing() {
        let (mut codec, mut out) = (Codec::default(), BytesMut::new());
        let trailer = Item::Trailer { name: text("a"), value: text("b\r\nc: d") };
        let refused = codec.encode(trailer, &mut out).unwrap_err();
        assert!(core::error::Error::source(&refused).is_some_and(|source| source.is::<error::EncodeError>()));
        assert_eq!(out, "");
        codec.encode(Event::End, &mut out).unwrap();
        assert_eq!(out, "0\r\n\r\n");
    }
}
