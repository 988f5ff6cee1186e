//! The frame decoder: the lower half of a connection, which can be used alone.

use crate::frame::{self, Header, Rules};
use crate::role::Side;
use crate::{Error, ErrorKind, Kind, Limits, Role};
use core::marker::PhantomData;

/// Decodes a stream of bytes into frames, unmasks them in place and checks their order.
///
/// Most callers want [`Connection`](crate::Connection), which is built on it and yields messages.
/// This decoder is for proxies and tools that need single frames. It has no buffer.
///
/// ```
/// use tidewire_ws::{FrameDecoder, FrameEvent, Limits, Server};
/// let mut frames = FrameDecoder::<Server>::new(Limits::DEFAULT);
/// let mut input = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (n, event) = frames.decode(&mut input).unwrap();
/// assert!(matches!(event, Some(FrameEvent::Header(h)) if h.len == 5) && n == 6);
/// let (n, event) = frames.decode(&mut input[6..]).unwrap();
/// assert_eq!((n, event), (5, Some(FrameEvent::Payload { data: b"Hello", last: true })));
/// ```
#[derive(Clone, Debug)]
pub struct FrameDecoder<R> {
    limits: Limits,
    /// The number of bytes consumed. After an error, the offset of that error.
    offset: u64,
    /// Payload bytes of the current frame that have not arrived.
    payload_left: u64,
    /// The sum of the payload lengths that the frames of the current or last message have declared.
    message_len: u64,
    error: Option<ErrorKind>,
    /// The masking key, rotated for the next payload byte.
    key: [u8; 4],
    /// An extension uses RSV1.
    rsv1: bool,
    /// Between the first and the last frame of a message.
    in_message: bool,
    /// The current message began with RSV1.
    compressed: bool,
    masked: bool,
    control: bool,
    role: PhantomData<fn() -> R>,
}

/// What [`FrameDecoder::decode`] yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEvent<'a> {
    /// A header. Without a payload (`len == 0`) it is the whole frame.
    Header(Header),
    /// Payload of the last header, unmasked. The payload of a control frame is one event. The
    /// payload of a data frame is returned as it arrives.
    Payload {
        /// At least one byte: the last bytes of the consumed region.
        data: &'a [u8],
        /// Whether the frame ends here.
        last: bool,
    },
}

impl<R: Role> FrameDecoder<R> {
    /// Returns a decoder for the frames that this role receives: a server reads masked frames, a
    /// client unmasked ones.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            offset: 0,
            payload_left: 0,
            message_len: 0,
            error: None,
            key: [0; 4],
            rsv1: false,
            in_message: false,
            compressed: false,
            masked: false,
            control: false,
            role: PhantomData,
        }
    }

    /// Accepts RSV1 on the first frame of a message, which permessage-deflate needs.
    pub const fn allow_rsv1(&mut self) {
        self.rsv1 = true;
    }

    /// Returns one event and the number of bytes it consumed. `None`: append more bytes to the rest
    /// and call again.
    ///
    /// `input` is `&mut` because the payload is unmasked in place. A frame header and the payload
    /// of a control frame stay in the input until they are complete (at most 14 and 125 bytes). The
    /// payload of a data frame is always consumed.
    ///
    /// # Errors
    /// The first byte that breaks RFC 6455 §5 or a limit. Final.
    #[inline]
    pub fn decode<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Option<FrameEvent<'a>>), Error> {
        let (n, step) = self.step(input)?;
        let event = step.map(|step| match step {
            Step::Header(header) => FrameEvent::Header(header),
            Step::Payload { last } => FrameEvent::Payload { data: &input[..n], last },
        });
        Ok((n, event))
    }

    /// Tells the decoder that the input has ended. This is legal between two messages.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`] inside a frame's payload or an unfinished message, or the error
    /// that came before.
    pub fn finish(&mut self) -> Result<Option<FrameEvent<'static>>, Error> {
        match self.error() {
            Some(error) => Err(error),
            None if self.is_between_messages() => Ok(None),
            None => Err(self.fail(ErrorKind::UnexpectedEnd, self.offset)),
        }
    }

    /// As [`decode`](Self::decode), without the slice. A payload is always `input[..n]`.
    #[inline]
    pub(crate) fn step(&mut self, input: &mut [u8]) -> Result<(usize, Option<Step>), Error> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        if self.payload_left > 0 {
            return Ok(self.payload(input));
        }
        match frame::parse(input, &self.rules()) {
            Ok(Some((header, n))) => {
                self.begin(&header);
                self.advance(n);
                Ok((n, Some(Step::Header(header))))
            }
            Ok(None) => Ok((0, None)),
            Err(e) => Err(self.fail(e.kind(), self.offset.saturating_add(e.offset()))),
        }
    }

    /// A fast path for most messages: one frame that is complete at the start of `input` and breaks
    /// no rule. Returns the number of bytes consumed, the kind of the message and the length of its
    /// payload, which are the last bytes consumed. `None`: use [`step`](Self::step).
    #[inline]
    pub(crate) fn whole_message(&mut self, input: &mut [u8]) -> Option<(usize, Kind, usize)> {
        let [first, second, ref more @ ..] = *input else { return None };
        let kind = match first {
            WHOLE_TEXT => Kind::Text,
            WHOLE_BINARY => Kind::Binary,
            _ => return None,
        };
        let masked = second & frame::MASK != 0;
        if self.payload_left > 0
            || self.in_message
            || self.error.is_some()
            || masked != matches!(R::SIDE, Side::Server)
        {
            return None;
        }
        let (len, mut start) = match (second & !frame::MASK, more) {
            (len @ ..=125, _) => (usize::from(len), 2),
            (126, &[a, b, ..]) => (usize::from(u16::from_be_bytes([a, b])), 4),
            _ => return None,
        };
        let too_long = len as u64 > self.limits.max_frame.min(self.limits.max_message);
        if too_long || (start == 4 && len < 126) {
            return None;
        }
        let mut key = None;
        if masked {
            let bytes = *input.get(start..)?.first_chunk::<4>()?;
            start = start.checked_add(bytes.len())?;
            key = Some(bytes);
        }
        let end = start.checked_add(len)?;
        let payload = input.get_mut(start..end)?;
        if let Some(key) = key {
            crate::mask::apply(key, payload);
        }
        (self.control, self.compressed) = (false, false);
        self.advance(end);
        Some((end, kind, len))
    }

    /// The number of payload bytes of a data frame that have not arrived. `None` if the frame is
    /// compressed.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) const fn payload_due(&self) -> Option<u64> {
        if self.control || self.compressed || self.error.is_some() { None } else { Some(self.payload_left) }
    }

    /// Consumes payload that is not longer than the rest of the frame. Returns whether the frame
    /// ends with it.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn take_payload(&mut self, payload: &mut [u8]) -> bool {
        matches!(self.payload(payload), (_, Some(Step::Payload { last: true })))
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes consumed so far.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the current message is compressed.
    #[cfg(feature = "deflate")]
    pub(crate) const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Whether a compressed message has begun and not ended. A control frame between its fragments
    /// is not a part of it.
    #[cfg(feature = "deflate")]
    pub(crate) const fn is_inside_compressed(&self) -> bool {
        self.compressed && (self.in_message || (self.payload_left > 0 && !self.control))
    }

    /// Payload bytes of the unfinished message that have arrived.
    pub(crate) const fn message_received(&self) -> u64 {
        match (self.in_message, self.control) {
            (true, true) => self.message_len,
            (false, true) => 0,
            _ if self.is_between_messages() => 0,
            _ => self.message_len.saturating_sub(self.payload_left),
        }
    }

    pub(crate) const fn is_between_messages(&self) -> bool {
        self.payload_left == 0 && !self.in_message
    }

    pub(crate) const fn error(&self) -> Option<Error> {
        match self.error {
            Some(kind) => Some(Error::new(kind, self.offset)),
            None => None,
        }
    }

    /// Makes an error in the content of the frames final.
    #[cold]
    pub(crate) const fn fail(&mut self, kind: ErrorKind, offset: u64) -> Error {
        self.error = Some(kind);
        self.offset = offset;
        Error::new(kind, offset)
    }

    #[inline]
    const fn rules(&self) -> Rules {
        Rules {
            masked: Some(matches!(R::SIDE, Side::Server)),
            rsv1: self.rsv1,
            in_message: Some(self.in_message),
            max_frame: self.limits.max_frame,
            compressed: self.in_message && self.compressed,
            max_rest: self.limits.max_message.saturating_sub(if self.in_message {
                self.message_len
            } else {
                0
            }),
        }
    }

    #[inline]
    fn begin(&mut self, header: &Header) {
        self.payload_left = header.len;
        self.masked = header.masking_key.is_some();
        self.key = header.masking_key.unwrap_or_default();
        self.control = header.opcode.is_control();
        if !self.control {
            let before = if self.in_message { self.message_len } else { 0 };
            self.message_len = before.saturating_add(header.len);
            self.compressed = if self.in_message { self.compressed } else { header.rsv1 };
            self.in_message = !header.fin;
        }
    }

    #[inline]
    fn payload(&mut self, input: &mut [u8]) -> (usize, Option<Step>) {
        let available = usize::try_from(self.payload_left).map_or(input.len(), |rest| rest.min(input.len()));
        let last = available as u64 == self.payload_left;
        if available == 0 || (self.control && !last) {
            return (0, None);
        }
        if self.masked {
            self.key = crate::mask::apply(self.key, &mut input[..available]);
        }
        self.payload_left = self.payload_left.saturating_sub(available as u64);
        self.advance(available);
        (available, Some(Step::Payload { last }))
    }

    /// Counts consumed bytes.
    #[inline]
    const fn advance(&mut self, n: usize) {
        self.offset = self.offset.saturating_add(n as u64);
    }
}

pub(crate) enum Step {
    Header(Header),
    Payload { last: bool },
}

const WHOLE_TEXT: u8 = frame::FIN | frame::Opcode::Text as u8;
const WHOLE_BINARY: u8 = frame::FIN | frame::Opcode::Binary as u8;
