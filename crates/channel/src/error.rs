//! Errors: what was refused, and where. Small values without strings.

use core::fmt;

/// A text that is not a cursor.
///
/// A cursor that this library wrote always parses, so the text is the client's mistake: answer 400
/// in HTTP. A cursor that parses but belongs to another log is no error; see
/// [`Continuity::Reset`](crate::Continuity::Reset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorError {
    pub(crate) kind: CursorErrorKind,
    pub(crate) offset: usize,
}

impl CursorError {
    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> CursorErrorKind {
        self.kind
    }

    /// Returns where: the index of the first byte that cannot be part of a cursor, or the length of
    /// the text if it is too short.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) const fn new(kind: CursorErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    pub(crate) const fn shifted(self, by: usize) -> Self {
        Self { kind: self.kind, offset: self.offset.saturating_add(by) }
    }
}

/// The reasons why a text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CursorErrorKind {
    // Broke the grammar.
    /// The text ends where a digit is missing.
    UnexpectedEnd,
    /// A byte is not allowed at this place.
    UnexpectedByte,
    /// A number has a leading zero. Each cursor has one spelling.
    LeadingZero,
    /// A number is over 2^64 - 1.
    Overflow,
    // Over a limit.
    /// More cursors in one text than [`Cursors::MAX`](crate::Cursors::MAX).
    TooMany,
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            CursorErrorKind::UnexpectedEnd => "the cursor is incomplete",
            CursorErrorKind::UnexpectedByte => "a byte that is not allowed in a cursor",
            CursorErrorKind::LeadingZero => "a leading zero in a cursor",
            CursorErrorKind::Overflow => "a number over 2^64 - 1 in a cursor",
            CursorErrorKind::TooMany => "too many cursors in one text",
        };
        write!(f, "{what}, at byte {}", self.offset)
    }
}

impl core::error::Error for CursorError {}

/// A message was refused: it is over a limit of the owner, the log is closed, or its key or its
/// producer does not allow it. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub(crate) kind: RefusedKind,
    pub(crate) limit: usize,
}

impl Refused {
    /// Returns why.
    #[must_use]
    pub const fn kind(&self) -> RefusedKind {
        self.kind
    }

    /// Returns the limit in its own unit, bytes or a count. For a key that is taken, it is
    /// [`Limits::max_keys`](crate::Limits::max_keys). Where no limit is broken, it is 0.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the HTTP status for this refusal: 413, 400, 422, 409 or 403.
    #[must_use]
    pub const fn status_hint(&self) -> u16 {
        match self.kind {
            RefusedKind::MessageTooLarge => 413,
            RefusedKind::KeyTooLong | RefusedKind::ProducerIdTooLong | RefusedKind::ProducerStart => 400,
            RefusedKind::KeyTaken => 422,
            RefusedKind::Closed | RefusedKind::ProducerGap { .. } => 409,
            RefusedKind::ProducerFenced { .. } => 403,
        }
    }

    pub(crate) const fn new(kind: RefusedKind, limit: usize) -> Self {
        Self { kind, limit }
    }
}

/// The reasons to refuse a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedKind {
    /// The message is larger than [`Limits::max_message`](crate::Limits::max_message).
    MessageTooLarge,
    /// The idempotency key is longer than [`Limits::max_key`](crate::Limits::max_key).
    KeyTooLong,
    /// Another message was published with this idempotency key, and the key is still remembered.
    KeyTaken,
    /// The log is closed: see [`Log::close`](crate::Log::close).
    Closed,
    /// The id of the producer is longer than
    /// [`Limits::max_producer_id`](crate::Limits::max_producer_id).
    ProducerIdTooLong,
    /// The producer has begun a newer epoch. Somebody else has its place.
    ProducerFenced {
        /// The newest epoch of the producer.
        epoch: u64,
    },
    /// The producer has left out sequence numbers: what they stand for was not appended.
    ProducerGap {
        /// The sequence number that comes next.
        expected: u64,
    },
    /// The producer, or this epoch of it, is not known, and its sequence number is not 0.
    ProducerStart,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        match self.kind {
            RefusedKind::MessageTooLarge => write!(f, "the message is over {limit} bytes"),
            RefusedKind::KeyTooLong => write!(f, "the idempotency key is over {limit} bytes"),
            RefusedKind::KeyTaken => f.write_str("another message has this idempotency key"),
            RefusedKind::Closed => f.write_str("the log is closed"),
            RefusedKind::ProducerIdTooLong => write!(f, "the id of the producer is over {limit} bytes"),
            RefusedKind::ProducerFenced { epoch } => write!(f, "the producer is in epoch {epoch}"),
            RefusedKind::ProducerGap { expected } => {
                write!(f, "the producer's next sequence number is {expected}")
            }
            RefusedKind::ProducerStart => f.write_str("an unknown producer or epoch begins with number 0"),
        }
    }
}

impl core::error::Error for Refused {}

/// Why [`Channel::wait`](crate::Channel::wait) did not register a waiter. It returns the waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WaitError<W> {
    /// There is something to read already, or the log is closed and nothing will come: read again
    /// instead of waiting.
    Ready(W),
    /// The channel has [`Limits::max_waiters`](crate::Limits::max_waiters) waiters.
    Full(W),
}

impl<W> WaitError<W> {
    /// Returns the waiter that was not registered.
    pub fn into_waiter(self) -> W {
        match self {
            Self::Ready(waiter) | Self::Full(waiter) => waiter,
        }
    }
}

impl<W> fmt::Display for WaitError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "there is something to read already",
            Self::Full(_) => "the channel has as many waiters as its limit allows",
        })
    }
}

/// Leaves the waiter out, so that `W` need not be `Debug`.
impl<W> fmt::Debug for WaitError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready(_)",
            Self::Full(_) => "Full(_)",
        })
    }
}

impl<W> core::error::Error for WaitError<W> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn an_error_says_what_and_where_and_what_to_answer() {
        use CursorErrorKind::{LeadingZero, Overflow, TooMany, UnexpectedByte, UnexpectedEnd};
        for (kind, text) in [
            (UnexpectedEnd, "the cursor is incomplete, at byte 7"),
            (UnexpectedByte, "a byte that is not allowed in a cursor, at byte 7"),
            (LeadingZero, "a leading zero in a cursor, at byte 7"),
            (Overflow, "a number over 2^64 - 1 in a cursor, at byte 7"),
            (TooMany, "too many cursors in one text, at byte 7"),
        ] {
            assert_eq!(CursorError::new(kind, 7).to_string(), text);
        }
        use RefusedKind::*;
        for (kind, status, text) in [
            (MessageTooLarge, 413, "the message is over 7 bytes"),
            (KeyTooLong, 400, "the idempotency key is over 7 bytes"),
            (KeyTaken, 422, "another message has this idempotency key"),
            (Closed, 409, "the log is closed"),
            (ProducerIdTooLong, 400, "the id of the producer is over 7 bytes"),
            (ProducerFenced { epoch: 3 }, 403, "the producer is in epoch 3"),
            (ProducerGap { expected: 3 }, 409, "the producer's next sequence number is 3"),
            (ProducerStart, 400, "an unknown producer or epoch begins with number 0"),
        ] {
            let refused = Refused::new(kind, 7);
            assert_eq!((refused.status_hint(), refused.to_string()), (status, text.into()));
        }
        for (error, name, text) in [
            (WaitError::Ready(()), "Ready(_)", "there is something to read already"),
            (WaitError::Full(()), "Full(_)", "the channel has as many waiters as its limit allows"),
        ] {
            assert_eq!((format!("{error:?}"), error.to_string()), (name.into(), text.into()));
        }
    }
}
