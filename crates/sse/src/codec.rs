//! The decoder and the encoder behind the traits of `tokio-util`, for `FramedRead` and `FramedWrite`.

use alloc::string::String;
use core::fmt;

use bytes::{Buf, BytesMut};

use crate::decode::{Decoder, Received};
use crate::encode::Event;
use crate::error::{EncodeError, Error};
use crate::limits::Limits;

/// Decodes an event stream and encodes events, behind the traits of `tokio-util`.
#[derive(Clone, Debug)]
pub struct Codec(Decoder);

impl Codec {
    /// A codec at the start of a stream.
    pub const fn new(limits: Limits) -> Self {
        Self(Decoder::new(limits))
    }

    /// The decoder, for [`Decoder::last_event_id`].
    pub const fn decoder(&self) -> &Decoder {
        &self.0
    }
}

/// [`Received`] with strings of its own, since an item of a stream cannot borrow the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedReceived {
    /// [`Received::Message`].
    Message {
        /// The event type.
        event_type: String,
        /// The data.
        data: String,
        /// The last id that the stream has set.
        last_event_id: String,
    },
    /// [`Received::Id`].
    Id(String),
    /// [`Received::Retry`].
    Retry(u64),
}

impl From<Received<'_>> for OwnedReceived {
    fn from(received: Received<'_>) -> Self {
        match received {
            Received::Message { event_type, data, last_event_id } => Self::Message {
                event_type: event_type.into(),
                data: data.into(),
                last_event_id: last_event_id.into(),
            },
            Received::Id(id) => Self::Id(id.into()),
            Received::Retry(ms) => Self::Retry(ms),
        }
    }
}

/// What ends a stream: its transport, or a broken limit; or an event that cannot be written.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodecError {
    /// The transport failed.
    Io(std::io::Error),
    /// The stream was refused.
    Decode(Error),
    /// The event was refused.
    Encode(EncodeError),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CodecError {}

impl From<std::io::Error> for CodecError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl tokio_util::codec::Decoder for Codec {
    type Item = OwnedReceived;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<OwnedReceived>, CodecError> {
        let (n, received) = self.0.decode(input).map_err(CodecError::Decode)?;
        let received = received.map(OwnedReceived::from);
        input.advance(n);
        Ok(received)
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<OwnedReceived>, CodecError> {
        match self.decode(input)? {
            Some(received) => Ok(Some(received)),
            None => Ok(self.0.finish().map_err(CodecError::Decode)?.map(OwnedReceived::from)),
        }
    }
}

impl tokio_util::codec::Encoder<Event<'_>> for Codec {
    type Error = CodecError;

    fn encode(&mut self, event: Event<'_>, out: &mut BytesMut) -> Result<(), CodecError> {
        event.encode_bytes(out).map_err(CodecError::Encode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{EncodeErrorKind, ErrorKind};
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use tokio_util::codec::{Decoder as _, Encoder as _};

    #[test]
    fn events_survive_a_codec_at_every_cut() {
        let mut wire = BytesMut::new();
        let mut codec = Codec::new(Limits::default());
        let events = [
            Event { id: Some("1"), retry: Some(5), ..Event::default() },
            Event { id: Some("2"), event: Some("tide"), data: Some("a\nb"), ..Event::default() },
        ];
        for event in events {
            codec.encode(event, &mut wire).unwrap();
        }
        let expected = [
            OwnedReceived::Retry(5),
            OwnedReceived::Id("1".into()),
            OwnedReceived::Message {
                event_type: "tide".into(),
                data: "a\nb".into(),
                last_event_id: "2".into(),
            },
        ];
        for cut in 0..=wire.len() {
            let mut codec = Codec::new(Limits::default());
            let mut buffer = BytesMut::from(&wire[..cut]);
            let mut received = Vec::new();
            while let Some(item) = codec.decode(&mut buffer).unwrap() {
                received.push(item);
            }
            buffer.extend_from_slice(&wire[cut..]);
            while let Some(item) = codec.decode_eof(&mut buffer).unwrap() {
                received.push(item);
            }
            assert_eq!(received, expected, "cut at {cut}");
            assert_eq!((buffer.len(), codec.decoder().last_event_id()), (0, "2"));
        }
    }

    #[test]
    fn errors_of_both_directions_come_through() {
        let mut codec = Codec::new(Limits::default().with_max_data(1));
        let refused = codec.encode(Event { id: Some("\n"), ..Event::default() }, &mut BytesMut::new());
        assert!(matches!(refused, Err(CodecError::Encode(error)) if error.kind() == EncodeErrorKind::Id));
        let failed = codec.decode(&mut BytesMut::from(&b"data: ab"[..]));
        assert!(matches!(failed, Err(CodecError::Decode(error)) if error.kind() == ErrorKind::DataTooLong));
        let failed = codec.decode_eof(&mut BytesMut::new()).unwrap_err();
        assert_eq!(failed.to_string(), "more data in one event than allowed at byte 7");
        let error =
            codec.encode(Event { event: Some("a\r"), ..Event::default() }, &mut BytesMut::new()).unwrap_err();
        assert_eq!(error.to_string(), "CR, LF or NUL in an event type, at byte 1");
        assert_eq!(CodecError::from(std::io::Error::other("cut")).to_string(), "cut");
    }
}
