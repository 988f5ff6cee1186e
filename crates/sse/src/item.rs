//! What the body of a response sends, and why it fails.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

use bytes::BytesMut;

use crate::decode::Event;
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
    fn append(self, out: &mut BytesMut) -> Result<(), BodyError> {
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
