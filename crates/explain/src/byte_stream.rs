//! One direction of a connection: which layer each byte belongs to, and what it is.
//!
//! ```text
//!    ┌───── another message follows ─────┐
//!    ▼                                   │
//!  Head ── a head ──► Body ── complete ──┼── it offers another protocol ──► AwaitingAnswer
//!    │                                   └── the connection closes ───────► Unread
//!    └── a 101, or a 2xx to CONNECT ──► Frames, Opaque
//!
//!  AwaitingAnswer ──┬── accepted ──► Frames, Opaque
//!                   └── declined ──► Head
//!  Frames ── a close frame ──► Unread
//!  HeadlessBody ── complete ──► Unread
//!  each of them ── a byte that cannot be accepted ──► Refused
//! ```
//!
//! A connection begins with `Head`. A capture of something else begins with `HeadlessBody` or
//! `Frames`.

use tidewire_http1::{Error, Event, Fields};

use crate::body::{Body, HeadlessBody};
use crate::buffer::Buffer;
use crate::connection_state::ConnectionState;
use crate::direction::Direction;
use crate::frames::{Frames, Negotiated};
use crate::head;
use crate::http_decoder::HttpDecoder;
use crate::limits::Limits;
use crate::message::{self, AfterResponse};
use crate::note::{Note, NoteKind, Notes};
use crate::refusal::Refusal;
use crate::request_context::RequestContext;
use crate::start::Start;
use crate::unstructured::Unstructured;
use crate::upgrade::{NewProtocol, UpgradeOffer, UpgradeOutcome};

/// The bytes of one direction.
#[derive(Debug)]
pub(crate) struct ByteStream {
    limits: Limits,
    decoder: HttpDecoder,
    fields: Fields,
    stage: Stage,
    /// Bytes that no decoder has taken.
    buffer: Buffer,
    notes: Notes,
    refusal: Option<Refusal>,
    /// The input has ended.
    ended: bool,
}

/// What the next bytes are.
#[derive(Debug)]
enum Stage {
    Head,
    Body {
        body: Box<Body>,
        /// Whether the answer to this request decides what follows the body.
        decides_protocol: bool,
    },
    /// A chunked body or an event stream with no head before it.
    HeadlessBody(Box<HeadlessBody>),
    /// The meaning of the bytes depends on an answer that has not come.
    AwaitingAnswer,
    Frames(Box<Frames>),
    /// A protocol that is not decoded.
    Opaque(Unstructured),
    /// Bytes that the recipient does not read any more.
    Unread(Unstructured),
    Refused,
}

impl ByteStream {
    pub(crate) fn new(direction: Direction, start: Start, limits: Limits) -> Self {
        let stage = match (start, direction) {
            (Start::Http, _) | (Start::Chunked | Start::EventStream, Direction::Up) => Stage::Head,
            (Start::Chunked, Direction::Down) => {
                Stage::HeadlessBody(Box::new(HeadlessBody::chunked(&limits)))
            }
            (Start::EventStream, Direction::Down) => {
                Stage::HeadlessBody(Box::new(HeadlessBody::event_stream(&limits)))
            }
            (Start::Frames, _) => {
                Stage::Frames(Box::new(Frames::new(direction, Negotiated::default(), limits.ws, 0)))
            }
        };
        Self {
            limits,
            decoder: HttpDecoder::new(direction, limits.http1),
            fields: Fields::new(),
            stage,
            buffer: Buffer::default(),
            notes: Notes::new(direction),
            refusal: None,
            ended: false,
        }
    }

    pub(crate) const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// Takes more bytes. Bytes after a refusal or after the end are dropped.
    pub(crate) fn push(&mut self, bytes: &[u8], state: &mut ConnectionState) {
        if matches!(self.stage, Stage::Refused) || self.ended {
            return;
        }
        self.buffer.push(bytes);
        self.read_on(state);
    }

    /// Decodes as much of the buffer as possible.
    pub(crate) fn read_on(&mut self, state: &mut ConnectionState) {
        while self.step(state) {}
        self.buffer.compact();
    }

    /// Takes the end of the input.
    pub(crate) fn finish(&mut self, state: &mut ConnectionState) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if matches!(self.stage, Stage::AwaitingAnswer) && !self.buffer.is_empty() && !state.server_has_sent()
        {
            // The capture has only the client's bytes. A client sends bytes after its offer only if
            // the server accepts. So assume that it accepted.
            let protocol = match state.last_unanswered() {
                Some(RequestContext { upgrade: Some(UpgradeOffer::WebSocket { .. }), .. }) => {
                    NewProtocol::WebSocket(Negotiated::default())
                }
                _ => NewProtocol::Other,
            };
            state.assume(UpgradeOutcome::Accepted(protocol));
            self.read_on(state);
        }
        let outcome = match &mut self.stage {
            Stage::Refused => return,
            Stage::Head => self.finish_head(state),
            Stage::Body { body, .. } => {
                body.truncated(&self.buffer, &mut self.notes);
                self.finish_http()
            }
            Stage::HeadlessBody(body) => body.finish(&self.buffer, &mut self.notes),
            Stage::AwaitingAnswer => {
                let what = "data after an offer that has no answer";
                let mut bytes = Unstructured::new(NoteKind::Unread, 0, "RFC 9110 §7.8", what);
                bytes.push(self.buffer.offset(), &self.buffer, &mut self.notes);
                bytes.flush(&mut self.notes);
                Ok(())
            }
            Stage::Frames(frames) => frames.finish(&self.buffer, &mut self.notes),
            Stage::Opaque(bytes) | Stage::Unread(bytes) => {
                bytes.flush(&mut self.notes);
                Ok(())
            }
        };
        if let Err(refusal) = outcome {
            self.refuse(Refusal { len: 0, ..refusal });
        }
    }

    /// Takes one step. Returns `false` if nothing more can be done for now.
    fn step(&mut self, state: &mut ConnectionState) -> bool {
        let outcome = match &mut self.stage {
            Stage::Refused => {
                self.buffer.clear();
                return false;
            }
            Stage::Head => return self.head(state),
            Stage::Body { .. } => return self.body(state),
            Stage::AwaitingAnswer => return self.await_answer(state),
            Stage::HeadlessBody(body) if body.is_done() => {
                self.stage = Stage::unread("RFC 9112 §7.1", "data after the body");
                return true;
            }
            Stage::HeadlessBody(body) => body.decode(&self.buffer, self.buffer.offset(), &mut self.notes),
            Stage::Frames(frames) if frames.is_closed() => {
                let what = "data after the close frame: nobody reads it";
                self.stage = Stage::unread("RFC 6455 §5.5.1", what);
                return true;
            }
            Stage::Frames(frames) => frames.decode(&self.buffer, &mut self.notes),
            Stage::Opaque(bytes) | Stage::Unread(bytes) => {
                bytes.push(self.buffer.offset(), &self.buffer, &mut self.notes);
                Ok(self.buffer.len())
            }
        };
        match outcome {
            Ok(0) => false,
            Ok(n) => {
                self.buffer.take(n);
                !self.buffer.is_empty() || matches!(&self.stage, Stage::Frames(frames) if frames.is_closed())
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Decodes a head, or empty lines before it.
    fn head(&mut self, state: &mut ConnectionState) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        let request = match self.notes.direction() {
            Direction::Up => None,
            Direction::Down => {
                // After an interim response, the request is still unanswered.
                let request = state.next_unanswered();
                if request.is_none() && state.client_has_sent() && !self.decoder.expects_response() {
                    let what = "data without a request: a client does not read it";
                    self.stage = Stage::unread("RFC 9112 §9.2", what);
                    return true;
                }
                let request = request.cloned().unwrap_or_else(RequestContext::unseen);
                self.decoder.expect_response(&request);
                Some(request)
            }
        };
        let at = self.buffer.offset();
        let (n, event) = match self.decoder.decode(&self.buffer, &mut self.fields) {
            Ok((0, None)) => return false,
            Ok(decoded) => decoded,
            Err(error) => return self.refuse_head(error, state),
        };
        self.stage = match event {
            None => {
                head::empty_lines(at, &self.buffer[..n], &mut self.notes);
                Stage::Head
            }
            Some(Event::Request(head)) => {
                let empty = n - head.as_bytes().len();
                head::empty_lines(at, &self.buffer[..empty], &mut self.notes);
                let (body, request) =
                    message::request(at + empty as u64, &head, &self.limits, &mut self.notes);
                let decides_protocol = request.decides_protocol();
                state.requested(request);
                Stage::Body { body: Box::new(body), decides_protocol }
            }
            Some(Event::Response(head)) => {
                let request = request.unwrap_or_else(RequestContext::unseen);
                match message::response(at, &head, &request, &self.limits, &mut self.notes) {
                    Err(refusal) => return self.refuse(refusal),
                    Ok(AfterResponse::Head) => Stage::Head,
                    Ok(AfterResponse::Body(body)) => {
                        state.answered(&request, UpgradeOutcome::Declined);
                        Stage::Body { body: Box::new(body), decides_protocol: false }
                    }
                    Ok(AfterResponse::Protocol(protocol)) => {
                        state.answered(&request, UpgradeOutcome::Accepted(protocol));
                        self.stage_of(protocol, at + n as u64)
                    }
                }
            }
            Some(_) => return false,
        };
        self.buffer.take(n);
        true
    }

    fn refuse_head(&mut self, error: Error, state: &mut ConnectionState) -> bool {
        let len = error.offset().saturating_sub(self.buffer.offset()) as usize;
        let empty = self.partial_head(len.min(self.buffer.len()));
        let direction = self.notes.direction();
        if direction == Direction::Up {
            state.requested(RequestContext::refused(&self.buffer[empty..]));
        }
        self.refuse(Refusal::http(direction, error))
    }

    /// Adds the notes of the start of a head: the first `len` bytes of the buffer. Returns how many
    /// bytes of them are empty lines.
    fn partial_head(&mut self, len: usize) -> usize {
        let (at, start) = (self.buffer.offset(), &self.buffer[..len]);
        let empty = head::empty_lines(at, start, &mut self.notes);
        head::partial(at + empty as u64, &start[empty..], &mut self.notes);
        empty
    }

    /// Decodes a piece of a body, or its end.
    fn body(&mut self, state: &mut ConnectionState) -> bool {
        let Stage::Body { body, decides_protocol } = &mut self.stage else { return false };
        let (n, event) = match self.decoder.decode(&self.buffer, &mut self.fields) {
            Ok((0, None)) => return false,
            Ok(decoded) => decoded,
            Err(error) => {
                // The bytes before the fault have no notes yet.
                let earlier = body.refused(&self.buffer, &mut self.notes);
                let refusal = earlier.unwrap_or_else(|| Refusal::http(self.notes.direction(), error));
                return self.refuse(refusal);
            }
        };
        let data = match event {
            Some(Event::Data(data)) => Some(data),
            _ => None,
        };
        let is_complete = matches!(event, Some(Event::End));
        if let Err(refusal) = body.push(self.buffer.offset(), &self.buffer[..n], data, &mut self.notes) {
            return self.refuse(refusal);
        }
        self.buffer.take(n);
        if !is_complete {
            return true;
        }
        body.end(&mut self.notes);
        if *decides_protocol {
            self.stage = Stage::AwaitingAnswer;
            return self.await_answer(state);
        }
        self.next_message()
    }

    fn next_message(&mut self) -> bool {
        self.stage = match (self.decoder.next_message(), self.notes.direction()) {
            (true, _) => Stage::Head,
            (false, Direction::Up) => Stage::unread(
                "RFC 9112 §9.6",
                "data after a request with \"Connection: close\": a server does not read it",
            ),
            (false, Direction::Down) => Stage::unread(
                "RFC 9112 §9.6",
                "data after the last answer of a connection that closes: a client does not read it",
            ),
        };
        true
    }

    /// Decodes the bytes after an offer to change the protocol, once the answer has come.
    fn await_answer(&mut self, state: &mut ConnectionState) -> bool {
        match state.take_outcome() {
            None if self.buffer.len() > MAX_BEFORE_ANSWER => {
                let what = "data after an offer that has no answer: not decoded";
                self.stage = Stage::unread("RFC 9110 §7.8", what);
                true
            }
            None => false,
            Some(UpgradeOutcome::Declined) => self.next_message(),
            Some(UpgradeOutcome::Accepted(protocol)) => {
                self.stage = self.stage_of(protocol, self.buffer.offset());
                true
            }
        }
    }

    /// Returns the stage of another protocol, which begins at the offset `at`.
    fn stage_of(&self, protocol: NewProtocol, at: u64) -> Stage {
        match protocol {
            NewProtocol::WebSocket(negotiated) => {
                let direction = self.notes.direction();
                Stage::Frames(Box::new(Frames::new(direction, negotiated, self.limits.ws, at)))
            }
            NewProtocol::Other => {
                Stage::Opaque(Unstructured::new(NoteKind::Opaque, 0, "RFC 9110 §7.8", "another protocol"))
            }
        }
    }

    /// Adds the last note of this direction.
    fn refuse(&mut self, refusal: Refusal) -> bool {
        self.notes.refuse(&refusal);
        self.refusal = Some(refusal);
        self.stage = Stage::Refused;
        self.buffer.clear();
        false
    }

    /// Takes the end of the input before or within a head.
    fn finish_head(&mut self, state: &ConnectionState) -> Result<(), Refusal> {
        if let Some(request) = state.next_unanswered() {
            self.decoder.expect_response(request);
        }
        let outcome = self.finish_http();
        self.partial_head(self.buffer.len());
        outcome
    }

    fn finish_http(&mut self) -> Result<(), Refusal> {
        self.decoder.finish().map_err(|error| Refusal::http(self.notes.direction(), error))
    }
}

impl Stage {
    fn unread(section: &'static str, what: &'static str) -> Self {
        Self::Unread(Unstructured::new(NoteKind::Unread, 0, section, what))
    }
}

/// The number of bytes kept of what a client sends before its offer is answered. A correct client
/// sends nothing then.
const MAX_BEFORE_ANSWER: usize = 1 << 20;
