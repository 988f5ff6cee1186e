//! What a connection receives: messages out of bytes.

use crate::decode::Step;
#[cfg(feature = "deflate")]
use crate::deflate::InflateError;
use crate::event::{Event, Found};
use crate::frame::{Header, Opcode};
use crate::pong::PongPayload;
use crate::state::StateChange;
use crate::{Connection, Error, ErrorKind, Kind, Role, close, utf8};
use alloc::boxed::Box;

/// What a connection receives.
impl<R: Role> Connection<R> {
    /// Returns one event and the number of bytes it consumed. `None`: append more bytes to the rest
    /// and call again.
    ///
    /// A message that is complete in `input` is returned as a slice of it, unmasked in place. Other
    /// messages are collected in a buffer of the connection. The first call that returns `None`
    /// after such a message frees the buffer.
    ///
    /// # Errors
    /// The first byte that RFC 6455 or a limit forbids. The error is final.
    /// [`take_output`](Connection#method.take_output) then gives the replies owed so far, and a
    /// close frame with [`Error::close_code`].
    #[inline]
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        let (n, found) = self.find(input)?;
        let Some(found) = found else { return Ok((n, None)) };
        Ok((n, Some(self.event(found, &input[..n])?)))
    }

    /// Reads until there is an event.
    #[inline]
    pub(crate) fn find(&mut self, input: &mut [u8]) -> Result<(usize, Option<Found>), Error> {
        if self.delivered {
            self.delivered = false;
            self.message.clear();
        }
        if self.state.drops_input() {
            self.message.free();
            return Ok((input.len(), None));
        }
        if !self.in_pieces {
            if let Some((n, kind, len)) = self.frames.whole_message(input) {
                self.message.begin(kind);
                self.message.fin = true;
                return Ok((n, Some(Found::Whole { len })));
            }
        }
        let mut end = 0;
        loop {
            let (n, step) = match self.frames.step(&mut input[end..]) {
                Ok(step) => step,
                Err(error) => return Err(self.failed(error)),
            };
            let start = end;
            end = end.saturating_add(n);
            let found = match step {
                None => {
                    if self.frames.is_between_messages() {
                        self.message.free();
                    }
                    return Ok((end, None));
                }
                Some(Step::Header(header)) => self.on_header(&header)?,
                Some(Step::Payload { last }) => {
                    let found = self.on_payload(&input[start..end], last)?;
                    // The valid part of a piece is returned before the error.
                    if let Some(Found::Piece { len, .. }) = found {
                        end = start.saturating_add(len);
                    }
                    found
                }
            };
            if found.is_some() {
                return Ok((end, found));
            }
        }
    }

    /// The event for what was found. Its bytes are the last ones of `consumed`, or in the buffer.
    #[inline]
    pub(crate) fn event<'a>(&'a mut self, found: Found, consumed: &'a [u8]) -> Result<Event<'a>, Error> {
        let tail = |len| &consumed[consumed.len().saturating_sub(len)..];
        let kind = self.message.kind;
        Ok(match found {
            Found::Whole { len } if kind == Kind::Binary => Event::Binary(tail(len)),
            Found::Whole { len } => match core::str::from_utf8(tail(len)) {
                Ok(text) => Event::Text(text),
                Err(e) => {
                    // RFC 6455 §8.1 (1)
                    let back = len.saturating_sub(utf8::first_impossible(tail(len), &e));
                    return Err(self.fail(ErrorKind::InvalidUtf8, back));
                }
            },
            Found::Gathered => {
                self.delivered = true;
                match kind {
                    Kind::Binary => Event::Binary(self.message.binary()),
                    Kind::Text => Event::Text(self.message.text()),
                }
            }
            #[cfg(feature = "deflate")]
            Found::InflatedPiece { last } => {
                self.delivered = true;
                Event::Piece { kind, data: self.message.bytes(), last }
            }
            Found::Piece { len, last } => Event::Piece { kind, data: tail(len), last },
            Found::Control { opcode, len } => self.on_control(opcode, tail(len))?,
        })
    }

    /// Tells the connection that the input has ended. This is legal after a close frame only.
    ///
    /// A connection reset after both close frames is a clean end as well: see
    /// [`is_closed`](Self::is_closed).
    ///
    /// # Errors
    /// [`ErrorKind::NoClose`] between two messages, [`ErrorKind::UnexpectedEnd`] inside one, or the
    /// error that came before.
    pub fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        if self.state.drops_input() {
            return Ok(None);
        }
        let error = match self.frames.finish() {
            Ok(_) => self.frames.fail(ErrorKind::NoClose, self.frames.offset()),
            Err(error) => error,
        };
        self.state = self.state.on(StateChange::InputEnded);
        Err(self.failed(error))
    }

    fn on_header(&mut self, header: &Header) -> Result<Option<Found>, Error> {
        if header.opcode.is_control() {
            self.control = Some(header.opcode);
            let empty = Found::Control { opcode: header.opcode, len: 0 };
            return Ok((header.len == 0).then_some(empty));
        }
        match header.opcode {
            Opcode::Text => self.message.begin(Kind::Text),
            Opcode::Binary => self.message.begin(Kind::Binary),
            _ => {}
        }
        self.message.fin = header.fin;
        self.control = None;
        #[cfg(feature = "deflate")]
        if header.rsv1 {
            if let Some(deflate) = &mut self.deflate {
                let start = self.frames.offset().saturating_sub(header.encoded_len() as u64);
                deflate.begin(R::SIDE, start, self.frames.limits().max_message);
            }
        }
        if header.len > 0 {
            return Ok(None);
        }
        if !header.fin && !self.message.count_empty(self.frames.limits()) {
            // The offset is that of the length, the second byte.
            return Err(self.fail(ErrorKind::TooManyEmptyFragments, header.encoded_len().saturating_sub(1)));
        }
        #[cfg(feature = "deflate")]
        if self.frames.is_compressed() {
            return self.on_compressed(&[], true);
        }
        self.on_piece(0, true)
    }

    #[inline]
    fn on_payload(&mut self, piece: &[u8], last: bool) -> Result<Option<Found>, Error> {
        if let Some(opcode) = self.control {
            return Ok(Some(Found::Control { opcode, len: piece.len() }));
        }
        #[cfg(feature = "deflate")]
        if self.frames.is_compressed() {
            return self.on_compressed(piece, last);
        }
        let ends = last && self.message.fin;
        let checked = match (self.in_pieces, ends && !self.message.gathering) {
            (true, _) => self.message.check(piece),
            (false, true) => Ok(()),
            (false, false) => self.message.gather(piece),
        };
        if let Err(at) = checked {
            let back = piece.len().saturating_sub(at) as u64;
            let error = self.frames.fail(ErrorKind::InvalidUtf8, self.frames.offset().saturating_sub(back));
            return if self.in_pieces && at > 0 {
                Ok(Some(Found::Piece { len: at, last: false }))
            } else {
                Err(self.failed(error))
            };
        }
        self.on_piece(piece.len(), last)
    }

    /// Continues after a piece of `len` bytes that was checked, and collected where necessary.
    #[inline]
    fn on_piece(&mut self, len: usize, last: bool) -> Result<Option<Found>, Error> {
        let ends = last && self.message.fin;
        if ends && !self.message.ends_whole() {
            let error = self.frames.fail(ErrorKind::InvalidUtf8, self.frames.offset());
            return if self.in_pieces && len > 0 {
                Ok(Some(Found::Piece { len, last: false }))
            } else {
                Err(self.failed(error))
            };
        }
        Ok(match (self.in_pieces, ends, self.message.gathering) {
            (true, ..) if len > 0 || ends => Some(Found::Piece { len, last: ends }),
            (false, true, true) => Some(Found::Gathered),
            (false, true, false) => Some(Found::Whole { len }),
            _ => None,
        })
    }

    /// Inflates a piece of a compressed message into the buffer.
    #[cfg(feature = "deflate")]
    fn on_compressed(&mut self, piece: &[u8], last: bool) -> Result<Option<Found>, Error> {
        let Some(deflate) = &mut self.deflate else { return Ok(None) };
        let ends = last && self.message.fin;
        let message = &mut self.message;
        message.gathering = true;
        let gather = |piece: &[u8]| message.gather(piece).is_ok();
        let mut inflated = deflate.inflate(piece, gather);
        if inflated.is_ok() && ends {
            inflated = deflate.end(R::SIDE);
        }
        let kind = match inflated {
            Ok(()) if !ends || self.message.ends_whole() => {
                return Ok(match (self.in_pieces, ends) {
                    (true, _) if ends || !self.message.bytes().is_empty() => {
                        Some(Found::InflatedPiece { last: ends })
                    }
                    (false, true) => Some(Found::Gathered),
                    _ => None,
                });
            }
            Ok(()) | Err(InflateError::Refused) => ErrorKind::InvalidUtf8,
            Err(InflateError::TooLong) => ErrorKind::MessageTooLong,
            Err(InflateError::Invalid) => ErrorKind::InvalidDeflate,
        };
        // The offset is that of the message: which compressed byte is at fault depends on how far
        // the inflater looked ahead.
        let error = self.frames.fail(kind, deflate.start());
        Err(self.failed(error))
    }

    fn on_control<'a>(&mut self, opcode: Opcode, payload: &'a [u8]) -> Result<Event<'a>, Error> {
        self.control = None;
        match opcode {
            Opcode::Ping => {
                // RFC 6455 §5.5.2 (1). After our close nothing follows it, not even a pong:
                // RFC 6455 §5.5.2 (2).
                if self.is_open() {
                    self.pong.get_or_insert_with(|| Box::new(PongPayload::EMPTY)).set(payload);
                }
                Ok(Event::Ping(payload))
            }
            Opcode::Close => {
                let (code, reason) = self.close_payload(payload)?;
                // RFC 6455 §5.5.1 (4)
                self.peer_close_code = code;
                self.state = self.state.on(StateChange::CloseReceived);
                Ok(Event::Close { code, reason })
            }
            _ => Ok(Event::Pong(payload)),
        }
    }

    /// RFC 6455 §5.5.1 (1): nothing, or a code and a reason in UTF-8. A payload of one byte was
    /// refused at its header.
    fn close_payload<'a>(&mut self, payload: &'a [u8]) -> Result<(Option<u16>, &'a str), Error> {
        let Some((code, reason)) = payload.split_first_chunk() else { return Ok((None, "")) };
        let code = u16::from_be_bytes(*code);
        // RFC 6455 §7.4.2 (1)
        if !close::is_valid(code) {
            return Err(self.fail(ErrorKind::CloseCode, payload.len()));
        }
        match core::str::from_utf8(reason) {
            Ok(reason) => Ok((Some(code), reason)),
            Err(e) => {
                let back = reason.len().saturating_sub(utf8::first_impossible(reason, &e));
                Err(self.fail(ErrorKind::InvalidUtf8, back))
            }
        }
    }

    /// Fails at the byte that is `back` bytes before the end of the consumed bytes.
    #[cold]
    fn fail(&mut self, kind: ErrorKind, back: usize) -> Error {
        let error = self.frames.fail(kind, self.frames.offset().saturating_sub(back as u64));
        self.failed(error)
    }

    #[cold]
    fn failed(&mut self, error: Error) -> Error {
        self.state = self.state.on(StateChange::Error);
        self.message.free();
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &mut self.deflate {
            deflate.free();
        }
        error
    }
}
