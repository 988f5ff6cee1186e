//! The decoder and the encoder behind the traits of [`tokio_util::codec`]: `FramedRead` yields
//! [`Item`]s; `FramedWrite` takes [`OutgoingEvent`]s, [`PreparedEvent`]s and [`EventFields`]. It
//! also takes [`Item`]s and [`Event`]s, to forward what was read.
//!
//! ```
//! use bytes::BytesMut;
//! use tidewire_sse::EventFields;
//! use tidewire_sse::codec::{Codec, Item};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let (mut wire, mut codec) = (BytesMut::new(), Codec::default());
//! codec.encode(EventFields { retry: Some(2000), ..EventFields::default() }, &mut wire)?;
//! assert_eq!(wire, "retry: 2000\n\n");
//! assert_eq!(codec.decode(&mut wire)?, Some(Item::Retry(2000)));
//! # Ok::<(), tidewire_sse::codec::Error>(())
//! ```

use alloc::string::String;
use core::fmt;
use std::io;

use bytes::{Buf, BytesMut};

use crate::decode::{Decoder, Event};
use crate::encode::EventFields;
use crate::error;
use crate::limits::Limits;
use crate::outgoing::OutgoingEvent;
use crate::prepared::PreparedEvent;

/// Reads and writes one event stream.
#[derive(Clone, Debug)]
pub struct Codec(Decoder);

/// An [`Event`] that owns its strings. It is what is read and what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// See [`Event::Message`].
    Message {
        /// The event type.
        event_type: String,
        /// The data.
        data: String,
        /// The last id that the stream has set.
        last_event_id: String,
    },
    /// See [`Event::Id`].
    Id(String),
    /// See [`Event::Retry`].
    Retry(u64),
}

/// Why reading or writing failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Io(io::Error),
    /// The peer's stream was refused.
    Decode(error::Error),
    /// An event cannot be written.
    Encode(error::EncodeError),
}

impl Codec {
    /// A codec at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self(Decoder::new(limits))
    }

    /// The decoder, for [`Decoder::last_event_id`].
    #[must_use]
    pub const fn decoder(&self) -> &Decoder {
        &self.0
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
            Self::Message { event_type, data, last_event_id } => {
                Event::Message { event_type, data, last_event_id }
            }
            Self::Id(id) => Event::Id(id),
            Self::Retry(ms) => Event::Retry(*ms),
        }
    }
}

impl From<Event<'_>> for Item {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message { event_type, data, last_event_id } => Self::Message {
                event_type: event_type.into(),
                data: data.into(),
                last_event_id: last_event_id.into(),
            },
            Event::Id(id) => Self::Id(id.into()),
            Event::Retry(ms) => Self::Retry(ms),
        }
    }
}

impl tokio_util::codec::Decoder for Codec {
    type Item = Item;
    type Error = Error;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Item>, Error> {
        let (n, event) = self.0.decode(input).map_err(Error::Decode)?;
        let item = event.map(Item::from);
        input.advance(n);
        Ok(item)
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<Item>, Error> {
        match self.decode(input)? {
            Some(item) => Ok(Some(item)),
            None => Ok(self.0.finish().map_err(Error::Decode)?.map(Item::from)),
        }
    }
}

impl tokio_util::codec::Encoder<Item> for Codec {
    type Error = Error;

    fn encode(&mut self, item: Item, out: &mut BytesMut) -> Result<(), Error> {
        item.as_event().encode_bytes(out).map_err(Error::Encode)
    }
}

impl tokio_util::codec::Encoder<Event<'_>> for Codec {
    type Error = Error;

    fn encode(&mut self, event: Event<'_>, out: &mut BytesMut) -> Result<(), Error> {
        event.encode_bytes(out).map_err(Error::Encode)
    }
}

impl tokio_util::codec::Encoder<EventFields<'_>> for Codec {
    type Error = Error;

    fn encode(&mut self, fields: EventFields<'_>, out: &mut BytesMut) -> Result<(), Error> {
        fields.encode_bytes(out).map_err(Error::Encode)
    }
}

impl tokio_util::codec::Encoder<OutgoingEvent> for Codec {
    type Error = Error;

    fn encode(&mut self, event: OutgoingEvent, out: &mut BytesMut) -> Result<(), Error> {
        event.encode_bytes(out).map_err(Error::Encode)
    }
}

impl tokio_util::codec::Encoder<PreparedEvent> for Codec {
    type Error = Error;

    fn encode(&mut self, event: PreparedEvent, out: &mut BytesMut) -> Result<(), Error> {
        out.extend_from_slice(event.as_bytes());
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
    use crate::error::{EncodeErrorKind, ErrorKind};
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use core::error::Error as _;
    use tokio_util::codec::{Decoder as _, Encoder as _};

    #[test]
    fn events_are_the_same_at_every_cut() {
        let mut wire = BytesMut::new();
        let mut codec = Codec::default();
        let events = [
            EventFields { id: Some("1"), retry: Some(5), ..EventFields::default() },
            EventFields { id: Some("2"), event: Some("tide"), data: Some("a\nb"), retry: None },
        ];
        for event in events {
            codec.encode(event, &mut wire).unwrap();
        }
        let expected = [
            Item::Retry(5),
            Item::Id("1".into()),
            Item::Message { event_type: "tide".into(), data: "a\nb".into(), last_event_id: "2".into() },
        ];
        for cut in 0..=wire.len() {
            let mut codec = Codec::default();
            let mut buffer = BytesMut::from(&wire[..cut]);
            let mut items = Vec::new();
            while let Some(item) = codec.decode(&mut buffer).unwrap() {
                items.push(item);
            }
            buffer.extend_from_slice(&wire[cut..]);
            while let Some(item) = codec.decode_eof(&mut buffer).unwrap() {
                items.push(item);
            }
            assert_eq!(items, expected, "cut at {cut}");
            assert_eq!((buffer.len(), codec.decoder().last_event_id()), (0, "2"));
        }

        let (mut forwarded, mut again) = (BytesMut::new(), Vec::new());
        for item in expected.clone() {
            codec.encode(item, &mut forwarded).unwrap();
        }
        while let Some(item) = codec.decode(&mut forwarded).unwrap() {
            again.push(item);
        }
        assert_eq!(again, expected);
    }

    #[test]
    fn events_to_send_may_own_their_text() {
        let (mut wire, mut codec) = (BytesMut::new(), Codec::default());
        let event = OutgoingEvent::data("a\rb").with_id("7").with_comment("c");
        codec.encode(event.clone(), &mut wire).unwrap();
        codec.encode(event.prepare().unwrap(), &mut wire).unwrap();
        codec.encode(OutgoingEvent::comment(""), &mut wire).unwrap();
        let once = ": c\nid: 7\ndata: a\ndata: b\n\n";
        assert_eq!(wire, format!("{once}{once}: \n"));
        let refused = codec.encode(OutgoingEvent::data("").with_id("\n"), &mut wire);
        assert!(matches!(refused, Err(Error::Encode(_))));
    }

    #[test]
    fn errors_of_both_directions_have_their_source() {
        let mut codec = Codec::new(Limits::default().with_max_data(1));
        let mut out = BytesMut::new();
        let refused = codec.encode(EventFields { id: Some("\n"), ..EventFields::default() }, &mut out);
        assert!(matches!(refused, Err(Error::Encode(error)) if error.kind() == EncodeErrorKind::Id));
        let refused = codec.encode(Event::Id("\r"), &mut out).unwrap_err();
        assert_eq!(refused.to_string(), "CR, LF or NUL in an id, at byte 0");
        assert!(refused.source().is_some_and(|source| source.is::<error::EncodeError>()));
        assert_eq!(out, "");

        let failed = codec.decode(&mut BytesMut::from(&b"data: ab"[..]));
        assert!(matches!(failed, Err(Error::Decode(error)) if error.kind() == ErrorKind::DataTooLong));
        let failed = codec.decode_eof(&mut BytesMut::new()).unwrap_err();
        assert_eq!(failed.to_string(), "more data in one event than allowed at byte 7");
        assert!(failed.source().is_some_and(|source| source.is::<error::Error>()));

        let failed = Error::from(io::Error::other("cut"));
        assert_eq!(failed.to_string(), "cut");
        assert!(failed.source().is_some_and(|source| source.is::<io::Error>()));
    }
}
