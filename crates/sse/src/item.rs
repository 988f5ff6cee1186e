//! What the body of a response sends, and why it fails.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

use bytes::BytesMut;

use crate::decode::{DEFAULT_EVENT_TYPE, Event};
use crate::encode::EventFields;
use crate::error::EncodeError;
use crate::message::Message;
use crate::outgoing::OutgoingEvent;
use crate::prepared::PreparedEvent;

/// Why an [`EventBody`](crate::EventBody) has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The stream of events has failed.
    Source(Box<dyn Error + Send + Sync>),
    /// An event cannot be written.
    Encode(EncodeError),
}

/// What the stream of an [`EventBody`](crate::EventBody) may yield.
///
/// It is sealed, so that later versions can add methods. Convert your own type to an
/// [`OutgoingEvent`].
pub trait BodyItem: sealed::Sealed {
    /// Appends the event.
    ///
    /// # Errors
    /// If the item is an error, or cannot be encoded. Then nothing is appended.
    #[doc(hidden)] // only the body calls it
    fn append(self, out: &mut BytesMut) -> Result<(), BodyError>;
}

mod sealed {
    pub trait Sealed {}
}

/// Implements [`BodyItem`] for types with `encode_bytes`.
macro_rules! body_item {
    ($($item:ty),*) => {
        $(
            impl sealed::Sealed for $item {}

            impl BodyItem for $item {
                fn append(self, out: &mut BytesMut) -> Result<(), BodyError> {
                    self.encode_bytes(out).map_err(BodyError::Encode)
                }
            }
        )*
    };
}

body_item!(OutgoingEvent, EventFields<'_>, Event<'_>);

impl sealed::Sealed for Message {}

impl BodyItem for Message {
    fn append(mut self, out: &mut BytesMut) -> Result<(), BodyError> {
        // A message that was received has no CR, and has a type. A proxy may have changed it: then
        // the same text is accepted as in an `OutgoingEvent`.
        if self.data.contains('\r') {
            self.data = self.data.replace("\r\n", "\n").replace('\r', "\n");
        }
        if self.event_type.is_empty() {
            self.event_type = DEFAULT_EVENT_TYPE.into();
        }
        self.as_event().append(out)
    }
}

impl sealed::Sealed for PreparedEvent {}

impl BodyItem for PreparedEvent {
    fn append(self, out: &mut BytesMut) -> Result<(), BodyError> {
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }
}

impl<T: BodyItem, E: Into<Box<dyn Error + Send + Sync>>> sealed::Sealed for Result<T, E> {}

impl<T: BodyItem, E: Into<Box<dyn Error + Send + Sync>>> BodyItem for Result<T, E> {
    fn append(self, out: &mut BytesMut) -> Result<(), BodyError> {
        self.map_err(|error| BodyError::Source(error.into()))?.append(out)
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => write!(f, "the stream of events failed: {error}"),
            Self::Encode(error) => write!(f, "an event could not be written: {error}"),
        }
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Source(error) => &**error,
            Self::Encode(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_may_put_any_data_into_a_message() {
        let sent = |event_type: &'static str, data: &str, last_event_id: &str| {
            let mut out = BytesMut::new();
            let message = Message {
                event_type: event_type.into(),
                data: data.into(),
                last_event_id: last_event_id.into(),
            };
            message.append(&mut out).map(|()| out)
        };
        let lines = "id: 7\nevent: tide\ndata: a\ndata: b\ndata: c\ndata: \n\n";
        assert_eq!(sent("tide", "a\r\nb\rc\n", "7").unwrap(), lines);
        assert_eq!(sent("", "a", "").unwrap(), "id: \ndata: a\n\n");
        assert!(matches!(sent("tide", "a", "7\ndata: b"), Err(BodyError::Encode(_))));
        assert!(matches!(sent("tide\rdata: b", "a", "7"), Err(BodyError::Encode(_))));
        // A decoder yields such a type, so it can be forwarded.
        assert_eq!(sent("a\0", "a", "7").unwrap(), "id: 7\nevent: a\0\ndata: a\n\n");
    }
}
