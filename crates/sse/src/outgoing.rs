//! An event to send that owns its text.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::encode::{Count, EventFields, Sink, front, lines};
use crate::error::EncodeError;

/// An event to send. It owns its text, so it can go through a channel or a stream.
/// [`EventFields`] is the same with borrowed text.
///
/// Nothing is checked before it is encoded. Data and comments may have any text: each of their
/// lines becomes a line of its own. An id or an event type with CR, LF or NUL is an error of the
/// encoder.
///
/// ```
/// use tidewire_sse::OutgoingEvent;
///
/// let mut wire = Vec::new();
/// OutgoingEvent::data("high\nwater").with_id("7").with_event_type("tide").encode_to(&mut wire)?;
/// OutgoingEvent::comment("still here").encode_to(&mut wire)?;
/// assert_eq!(wire, b"id: 7\nevent: tide\ndata: high\ndata: water\n\n: still here\n");
///
/// let forged = OutgoingEvent::data("x").with_id("7\ndata: forged");
/// assert_eq!(forged.encode_to(&mut wire).unwrap_err().to_string(), "CR, LF or NUL in an id, at byte 1");
/// # Ok::<(), tidewire_sse::EncodeError>(())
/// ```
///
/// JSON is one call more: `OutgoingEvent::data(serde_json::to_string(&value)?)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OutgoingEvent {
    comment: Option<String>,
    id: Option<String>,
    event_type: Option<String>,
    retry: Option<u64>,
    data: Option<String>,
}

impl OutgoingEvent {
    /// An event with this data. See [`EventFields::data`].
    #[must_use]
    pub fn data(data: impl Into<String>) -> Self {
        Self::default().with_data(data)
    }

    /// A comment, which a client ignores. Alone it is no event, and keeps the connection busy.
    #[must_use]
    pub fn comment(text: impl Into<String>) -> Self {
        Self::default().with_comment(text)
    }

    /// The time that a client waits before it reconnects. Alone it is no event for the client's
    /// page.
    #[must_use]
    pub fn retry(delay: Duration) -> Self {
        Self::default().with_retry(delay)
    }

    /// Sets the data. See [`EventFields::data`].
    #[must_use]
    pub fn with_data(mut self, data: impl Into<String>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Sets the id, which a client sends when it reconnects. An empty one unsets the client's id.
    /// No CR, LF or NUL.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the event type. Without one, a client takes `message`. No CR, LF or NUL.
    #[must_use]
    pub fn with_event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Sets the time that a client waits before it reconnects. It is sent in whole milliseconds,
    /// rounded down, at most 2^64 - 1.
    #[must_use]
    pub fn with_retry(mut self, delay: Duration) -> Self {
        self.retry = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Sets a comment, which is written before the fields.
    #[must_use]
    pub fn with_comment(mut self, text: impl Into<String>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// The fields, borrowed. The comment is not among them.
    #[must_use]
    pub fn as_fields(&self) -> EventFields<'_> {
        EventFields {
            id: self.id.as_deref(),
            event: self.event_type.as_deref(),
            retry: self.retry,
            data: self.data.as_deref(),
        }
    }

    /// The number of bytes that [`encode_to`](Self::encode_to) appends if it does not fail.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }

    /// Writes the event to the start of `out`. Returns its length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to), and
    /// [`EncodeErrorKind::BufferTooSmall`](crate::EncodeErrorKind::BufferTooSmall). Then nothing is
    /// written.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.as_fields().check()?;
        let len = self.encoded_len();
        self.write(&mut front(out, len)?);
        Ok(len)
    }

    /// Appends the event.
    ///
    /// # Errors
    /// CR, LF or NUL in the id or the event type. Then nothing is written.
    pub fn encode_to(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.as_fields().check()?;
        out.reserve(self.as_fields().likely_len());
        self.write(out);
        Ok(())
    }

    /// Appends the event.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn encode_bytes(&self, out: &mut bytes::BytesMut) -> Result<(), EncodeError> {
        self.as_fields().check()?;
        out.reserve(self.as_fields().likely_len());
        self.write(out);
        Ok(())
    }

    /// The encoded event, in a buffer of exactly its length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn to_bytes(&self) -> Result<bytes::Bytes, EncodeError> {
        self.as_fields().check()?;
        let mut out = bytes::BytesMut::with_capacity(self.encoded_len());
        self.write(&mut out);
        Ok(out.freeze())
    }

    fn write(&self, out: &mut impl Sink) {
        if let Some(text) = &self.comment {
            lines(out, b": ", text.as_bytes());
        }
        let fields = self.as_fields();
        // A blank line after a comment would end a block that another writer has begun.
        if self.comment.is_none() || fields != EventFields::default() {
            fields.write(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EncodeErrorKind;

    fn encoded(event: &OutgoingEvent) -> Vec<u8> {
        let mut wire = Vec::new();
        event.encode_to(&mut wire).unwrap();
        let mut slice = [0; 256];
        let len = event.encode(&mut slice).unwrap();
        assert_eq!((&slice[..len], event.encoded_len()), (&wire[..], wire.len()));
        let short = event.encode(&mut slice[..len - 1]).unwrap_err();
        assert_eq!((short.kind(), short.offset()), (EncodeErrorKind::BufferTooSmall, len));
        #[cfg(feature = "bytes")]
        {
            let mut bytes = bytes::BytesMut::new();
            event.encode_bytes(&mut bytes).unwrap();
            assert_eq!((&bytes[..], &event.to_bytes().unwrap()[..]), (&wire[..], &wire[..]));
        }
        wire
    }

    #[test]
    fn every_part_is_written_once() {
        let event = OutgoingEvent::data("a\r\nb\rc")
            .with_id("7")
            .with_event_type("tide")
            .with_retry(Duration::from_micros(2_000_999))
            .with_comment("x\rdata: y");
        let wire = b": x\n: data: y\nid: 7\nevent: tide\nretry: 2000\ndata: a\ndata: b\ndata: c\n\n";
        assert_eq!(encoded(&event), wire);
        assert_eq!(encoded(&OutgoingEvent::comment("")), b": \n");
        assert_eq!(encoded(&OutgoingEvent::retry(Duration::MAX)), b"retry: 18446744073709551615\n\n");
        assert_eq!(encoded(&OutgoingEvent::data("").with_id("")), b"id: \ndata: \n\n");
        assert_eq!(encoded(&OutgoingEvent::default()), b"\n");
    }

    #[test]
    fn a_refused_event_writes_nothing() {
        for (event, kind) in [
            (OutgoingEvent::comment("c").with_id("a\0"), EncodeErrorKind::Id),
            (OutgoingEvent::data("d").with_event_type("a\r"), EncodeErrorKind::EventType),
        ] {
            let mut wire = Vec::new();
            let error = event.encode_to(&mut wire).unwrap_err();
            assert_eq!((error.kind(), error.offset(), wire.len()), (kind, 1, 0));
            let mut slice = [7; 64];
            assert_eq!(event.encode(&mut slice), Err(error));
            assert_eq!(slice, [7; 64]);
            #[cfg(feature = "bytes")]
            {
                let mut bytes = bytes::BytesMut::new();
                assert_eq!((event.encode_bytes(&mut bytes), bytes.len()), (Err(error), 0));
                assert_eq!(event.to_bytes(), Err(error));
            }
        }
    }
}
