//! Messages out of bytes, and the replies that the protocol owes.

use crate::decode::{FrameDecoder, Step};
#[cfg(feature = "deflate")]
use crate::deflate::{self, Deflate, InflateError};
use crate::event::{Event, Found, Kind, Role};
use crate::frame::{self, Header, Opcode};
use crate::message::Message;
use crate::state::{Happening, State};
use crate::{Error, ErrorKind, Limits, close, utf8};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// One end of an open connection, from the first byte after the handshake: frames, messages, control frames and the closing.
///
/// Bytes in, [`Event`]s out; what has to be answered gathers until [`take_output`](Self::take_output). No socket and no clock:
/// deadlines of the caller watch [`awaiting_close`](Self::awaiting_close) and [`message_unfinished`](Self::message_unfinished).
///
/// A connection without an unfinished message holds no heap and is 160 bytes or less, so 10,000 can wait cheaply.
///
/// ```
/// use tidewire_ws::{Connection, Event, Limits, Role};
/// let mut server = Connection::new(Role::Server, Limits::DEFAULT);
/// let mut input = *b"\x89\x82\x01\x02\x03\x04ik\x82\x80\x00\x00\x00\x00";
///
/// let (n, event) = server.decode(&mut input).unwrap();
/// assert_eq!((n, event), (8, Some(Event::Ping(b"hi"))));
/// let mut out = Vec::new();
/// server.take_output(&mut out);
/// assert_eq!(out, b"\x8a\x02hi");
///
/// let (n, event) = server.decode(&mut input[8..]).unwrap();
/// assert_eq!((n, event), (6, Some(Event::Binary(b""))));
/// assert_eq!(server.decode(&mut input[14..]), Ok((0, None)));
/// ```
#[derive(Debug)]
pub struct Connection {
    pub(crate) frames: FrameDecoder,
    pub(crate) message: Message,
    /// The latest ping's payload, until its pong is taken.
    pub(crate) pong: Option<Box<Pong>>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<Deflate>,
    /// The fragmented message that is being sent.
    pub(crate) sending: Option<Kind>,
    /// The peer's close code.
    pub(crate) echo: Option<u16>,
    pub(crate) state: State,
    /// The control frame whose payload has yet to come.
    control: Option<Opcode>,
    in_pieces: bool,
    /// The buffer holds a message that was handed out.
    delivered: bool,
}

impl Connection {
    /// A connection in this `role`, right after its handshake.
    pub const fn new(role: Role, limits: Limits) -> Self {
        Self {
            frames: FrameDecoder::new(role, limits),
            message: Message::new(),
            pong: None,
            #[cfg(feature = "deflate")]
            deflate: None,
            sending: None,
            echo: None,
            state: State::Open,
            control: None,
            in_pieces: false,
            delivered: false,
        }
    }

    /// Hands messages out in pieces as they arrive, as [`Event::Piece`], instead of gathering them.
    ///
    /// For messages that need not be held whole, such as an upload. The limits stay as they are: raise them. A compressed message
    /// is handed out as it inflates; if it turns out to be damaged, how much of it has come by then depends on the reads.
    #[must_use]
    pub const fn in_pieces(mut self) -> Self {
        self.in_pieces = true;
        self
    }

    /// Compresses and inflates as the handshake agreed on. `config` says how hard to compress, and from which length on.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, params: deflate::Params, config: &deflate::Config) -> Self {
        self.deflate = Some(Deflate::new(params, config));
        self.frames.allow_rsv1();
        self
    }

    /// One event and how many bytes it took; `None` until bytes are appended to what remains.
    ///
    /// A message that lies whole in `input` is handed out as a slice of it, unmasked in place. Others are copied to a buffer of
    /// the connection, which is freed by the first call that returns `None` after the message was handed out.
    ///
    /// # Errors
    /// The first byte that RFC 6455 or a limit forbids. Final. The replies owed so far and a close frame with
    /// [`Error::close_code`] are in the output then.
    #[inline]
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        let (n, found) = self.find(input)?;
        let Some(found) = found else { return Ok((n, None)) };
        Ok((n, Some(self.event(found, &input[..n])?)))
    }

    /// Reads on until there is something to hand out.
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
        if !self.in_pieces
            && let Some((n, kind, len)) = self.frames.whole_message(input)
        {
            self.message.begin(kind);
            self.message.fin = true;
            return Ok((n, Some(Found::Whole { len })));
        }
        let mut end = 0;
        loop {
            let (n, step) = match self.frames.step(&mut input[end..]) {
                Ok(step) => step,
                Err(error) => return Err(self.failed(error)),
            };
            let start = end;
            end += n;
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
                    // What is good of a piece comes before the error that cuts it short.
                    if let Some(Found::Piece { len, .. }) = found {
                        end = start + len;
                    }
                    found
                }
            };
            if found.is_some() {
                return Ok((end, found));
            }
        }
    }

    /// What was found, with its bytes: the last ones of `consumed`, or the buffer.
    #[inline]
    pub(crate) fn event<'a>(&'a mut self, found: Found, consumed: &'a [u8]) -> Result<Event<'a>, Error> {
        let tail = |len| &consumed[consumed.len() - len..];
        let kind = self.message.kind;
        Ok(match found {
            Found::Whole { len } if kind == Kind::Binary => Event::Binary(tail(len)),
            Found::Whole { len } => match core::str::from_utf8(tail(len)) {
                Ok(text) => Event::Text(text),
                Err(e) => {
                    // RFC 6455 §8.1 (1)
                    let back = len - utf8::first_impossible(tail(len), &e);
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

    /// The end of the input: whether it came at a legal place, which is after a close frame.
    ///
    /// A connection reset after both close frames is a clean end as well: ask [`is_closed`](Self::is_closed).
    ///
    /// # Errors
    /// [`ErrorKind::NoClose`] between two messages, [`ErrorKind::Truncated`] inside one, or the error that came before.
    pub fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        if self.state.drops_input() {
            return Ok(None);
        }
        let error = match self.frames.finish() {
            Ok(_) => self.frames.fail(ErrorKind::NoClose, self.frames.offset()),
            Err(error) => error,
        };
        // Nobody is left to send a close to, unless it was owed before.
        if self.state != State::Failing {
            self.state = State::Failed;
        }
        Err(self.failed(error))
    }

    /// Appends what a server owes to `out`: the pong for the latest ping, and the close frame of a reply or of a failure.
    ///
    /// Call it after each [`decode`](Self::decode), or once after the last one of a read: a pong replaces the one before it, so
    /// never more than two frames wait. A client has to mask them: in that role this does nothing, and
    /// [`take_output_masked`](Self::take_output_masked) does it.
    #[inline]
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        debug_assert!(self.role() == Role::Server, "a client takes its output with `take_output_masked`");
        if self.has_output() && self.role() == Role::Server {
            self.put_replies(|| None, out);
        }
    }

    /// As [`take_output`](Self::take_output), for the client role: `keys` makes the masking key of each frame, four fresh
    /// bytes of a cryptographic random source. A server takes no key.
    #[inline]
    pub fn take_output_masked(&mut self, mut keys: impl FnMut() -> [u8; 4], out: &mut Vec<u8>) {
        if self.has_output() {
            let client = self.role() == Role::Client;
            self.put_replies(|| client.then(&mut keys), out);
        }
    }

    /// Whether `input`, which begins where the last [`decode`](Self::decode) ended, holds a whole frame: the next call will take
    /// it. Looks at the header only.
    #[inline]
    pub fn has_frame(&self, input: &[u8]) -> bool {
        self.frames.has_frame(input)
    }

    /// Whether something is owed to the peer.
    #[inline]
    pub const fn has_output(&self) -> bool {
        self.pong.is_some() || self.state.owes_close()
    }

    /// Whether messages may be sent: no close frame was sent or received, and nothing failed.
    #[inline]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether our close is sent and the peer's has not come: the caller's deadline for that should run.
    #[inline]
    pub const fn awaiting_close(&self) -> bool {
        matches!(self.state, State::CloseSent)
    }

    /// Whether all is over: both close frames were exchanged, or the connection failed and the close for it was taken.
    ///
    /// A server shuts the TCP connection now; a client waits a moment for that (RFC 6455 §7.1.1). A reset is no error any more.
    #[inline]
    pub const fn is_closed(&self) -> bool {
        self.state.is_over()
    }

    /// Whether a message or a frame has begun and not ended: a deadline of the caller's bounds how long a peer may take.
    #[inline]
    pub const fn message_unfinished(&self) -> bool {
        !self.frames.is_between_messages()
    }

    /// Payload bytes that have come of the message that is unfinished, for a deadline that is fair to slow peers; 0 between two messages.
    pub const fn unfinished_len(&self) -> u64 {
        self.frames.message_came()
    }

    /// Whether a compressed message has begun and not ended: until it does, the connection holds an inflater and what came out of it, which may be
    /// a thousand times what the peer has sent. A server with many connections bounds how many of them may be here at one time.
    #[cfg(feature = "deflate")]
    #[inline]
    pub const fn is_inflating(&self) -> bool {
        self.frames.is_inside_compressed()
    }

    /// The error that the connection failed with.
    #[inline]
    pub const fn error(&self) -> Option<Error> {
        self.frames.error()
    }

    /// Which end this is.
    #[inline]
    pub const fn role(&self) -> Role {
        self.frames.role()
    }

    /// The message that [`Found::Gathered`] told of.
    #[cfg(feature = "bytes")]
    pub(crate) fn take_gathered(&mut self) -> crate::Message {
        self.message.take()
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
        if header.rsv1
            && let Some(deflate) = &mut self.deflate
        {
            let start = self.frames.offset() - header.encoded_len() as u64;
            deflate.begin(self.frames.role(), start, self.frames.limits().max_message);
        }
        if header.len > 0 {
            return Ok(None);
        }
        if !header.fin && !self.message.count_empty(self.frames.limits()) {
            // At the length, which is the second byte.
            return Err(self.fail(ErrorKind::TooManyEmptyFragments, header.encoded_len() - 1));
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
            let error =
                self.frames.fail(ErrorKind::InvalidUtf8, self.frames.offset() - (piece.len() - at) as u64);
            return if self.in_pieces && at > 0 {
                Ok(Some(Found::Piece { len: at, last: false }))
            } else {
                Err(self.failed(error))
            };
        }
        self.on_piece(piece.len(), last)
    }

    /// After a piece of `len` bytes that was checked, and gathered where that is needed.
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

    /// A piece of a compressed message. What it inflates to gathers in the buffer.
    #[cfg(feature = "deflate")]
    fn on_compressed(&mut self, piece: &[u8], last: bool) -> Result<Option<Found>, Error> {
        let Some(deflate) = &mut self.deflate else { return Ok(None) };
        let ends = last && self.message.fin;
        let message = &mut self.message;
        message.gathering = true;
        let gather = |piece: &[u8]| message.gather(piece).is_ok();
        let mut inflated = deflate.inflate(piece, gather);
        if inflated.is_ok() && ends {
            inflated = deflate.end(self.frames.role());
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
        // Where in the compressed bytes it went wrong depends on how far the inflater looked ahead.
        let error = self.frames.fail(kind, deflate.start());
        Err(self.failed(error))
    }

    fn on_control<'a>(&mut self, opcode: Opcode, payload: &'a [u8]) -> Result<Event<'a>, Error> {
        self.control = None;
        match opcode {
            Opcode::Ping => {
                // RFC 6455 §5.5.2 (1). After our close nothing follows it, not even a pong: RFC 6455 §5.5.2 (2).
                if self.is_open() {
                    self.pong.get_or_insert_with(|| Box::new(Pong::EMPTY)).set(payload);
                }
                Ok(Event::Ping(payload))
            }
            Opcode::Close => {
                let (code, reason) = self.close_payload(payload)?;
                // RFC 6455 §5.5.1 (4)
                self.echo = code;
                self.state = self.state.on(Happening::CloseReceived);
                Ok(Event::Close { code, reason })
            }
            _ => Ok(Event::Pong(payload)),
        }
    }

    /// RFC 6455 §5.5.1 (1): nothing, or a code and a reason in UTF-8. One byte was refused at the header.
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
                Err(self.fail(ErrorKind::InvalidUtf8, reason.len() - utf8::first_impossible(reason, &e)))
            }
        }
    }

    /// Fails at the byte that lies `back` bytes before the end of what was consumed.
    #[cold]
    fn fail(&mut self, kind: ErrorKind, back: usize) -> Error {
        let error = self.frames.fail(kind, self.frames.offset() - back as u64);
        self.failed(error)
    }

    #[cold]
    fn failed(&mut self, error: Error) -> Error {
        self.state = self.state.on(Happening::Error);
        self.message.free();
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &mut self.deflate {
            deflate.free();
        }
        error
    }
}

/// A ping's payload. Behind a pointer, since most connections owe no pong.
#[derive(Debug)]
pub(crate) struct Pong {
    len: u8,
    bytes: [u8; frame::MAX_CONTROL as usize],
}

impl Pong {
    const EMPTY: Self = Self { len: 0, bytes: [0; frame::MAX_CONTROL as usize] };

    fn set(&mut self, payload: &[u8]) {
        // The decoder lets no control frame through that is longer.
        self.len = payload.len() as u8;
        self.bytes[..payload.len()].copy_from_slice(payload);
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    #[test]
    fn a_waiting_connection_is_small() {
        assert!(size_of::<Connection>() <= 160, "{}", size_of::<Connection>());
    }
}
