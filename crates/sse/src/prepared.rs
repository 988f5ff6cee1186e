//! An event that is encoded once and sent to many.

use bytes::Bytes;

use crate::encode::EventFields;
use crate::error::EncodeError;
use crate::outgoing::OutgoingEvent;

/// An event that is already encoded. A clone shares its bytes, so a broadcast encodes once for all
/// receivers.
///
/// ```
/// use tidewire_sse::OutgoingEvent;
///
/// let event = OutgoingEvent::data("high water").with_id("7").prepare()?;
/// assert_eq!(event.as_bytes(), "id: 7\ndata: high water\n\n");
///
/// // The producer of the event learns what is wrong with it, before any receiver does.
/// assert!(OutgoingEvent::data("high").with_id("7\n").prepare().is_err());
/// # Ok::<(), tidewire_sse::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreparedEvent(Bytes);

impl PreparedEvent {
    /// The encoded event.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl OutgoingEvent {
    /// Encodes the event, to send it to many.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn prepare(&self) -> Result<PreparedEvent, EncodeError> {
        self.to_bytes().map(PreparedEvent)
    }
}

impl EventFields<'_> {
    /// Encodes the event, to send it to many.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn prepare(&self) -> Result<PreparedEvent, EncodeError> {
        self.to_bytes().map(PreparedEvent)
    }
}

impl From<PreparedEvent> for Bytes {
    fn from(event: PreparedEvent) -> Self {
        event.0
    }
}

impl AsRef<[u8]> for PreparedEvent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
