//! One direction of a connection: which layer each byte belongs to, and what it is.
//!
//! ```text
//!    ┌──────── complete ────────┐
//!    ▼                          │
//!  Head ── a head ────────────► Body
//!    ├── another protocol ────► Frames, Opaque
//!    └── the connection closes ► Unread
//!
//!  Frames ── a close frame ──► Unread
//!  HeadlessBody ── complete ──► Unread
//!  each of them ── a byte that cannot be accepted ──► Refused
//! ```
//!
//! The HTTP observer knows which of them follows `Head`. The client's direction may wait in `Head`
//! for the server's answer.
//!
//! A connection begins with `Head`. A capture of something else begins with `HeadlessBody` or
//! `Frames`.

use tidewire_http1::{Error, Event, Fields, Reading};

use crate::body::{Body, HeadlessBody};
use crate::buffer::Buffer;
use crate::connection_state::ConnectionState;
use crate::direction::Direction;
use crate::frames::{Frames, Negotiated};
use crate::head;
use crate::limits::Limits;
use crate::message::{self, AfterResponse};
use crate::note::{Note, NoteKind, Notes};
use crate::refusal::Refusal;
use crate::request_context::RequestContext;
use crate::start::Start;
use crate::unstructured::Unstructured;
use crate::upgrade::NewProtocol;

/// The bytes of one direction.
#[derive(Debug)]
pub(crate) struct ByteStream {
    limits: Limits,
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
    Body(Box<Body>),
    /// A chunked body or an event stream with no head before it.
    HeadlessBody(Box<HeadlessBody>),
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
        let direction = self.notes.direction();
        if direction == Direction::Up && !self.buffer.is_empty() && !state.server_has_sent() {
            state.assume_answers();
            self.read_on(state);
        }
        let outcome = match &mut self.stage {
            Stage::Refused => return,
            Stage::Head if state.reading(direction) == Reading::Messages => self.finish_head(state),
            Stage::Head => {
                if !self.buffer.is_empty() {
                    let mut bytes = Unstructured::new(NoteKind::Unread, 0, "RFC 9110 §7.8", UNANSWERED);
                    bytes.push(self.buffer.offset(), &self.buffer, &mut self.notes);
                    bytes.flush(&mut self.notes);
                }
                Ok(())
            }
            Stage::Body(body) => {
                body.truncated(&self.buffer, &mut self.notes);
                self.finish_http(state)
            }
            Stage::HeadlessBody(body) => body.finish(&self.buffer, &mut self.notes),
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
            Stage::Body(_) => return self.body(state),
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
        let direction = self.notes.direction();
        match state.reading(direction) {
            Reading::Messages | Reading::Failed(_) => {}
            Reading::AwaitsRequest if self.buffer.is_empty() => return false,
            Reading::AwaitsRequest if !state.client_has_sent() => state.assume_request(),
            reading => return self.after_messages(reading, state),
        }
        if self.buffer.is_empty() {
            return false;
        }
        let at = self.buffer.offset();
        let (n, event) = match state.decode(direction, &self.buffer, &mut self.fields) {
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
                state.requested(request);
                Stage::Body(Box::new(body))
            }
            Some(Event::Response(head)) => {
                let request = state.next_unanswered().cloned().unwrap_or_else(RequestContext::unseen);
                match message::response(at, &head, &request, &self.limits, &mut self.notes) {
                    Err(refusal) => return self.refuse(refusal),
                    Ok(AfterResponse::Head) => Stage::Head,
                    Ok(AfterResponse::Body(body)) => {
                        state.answered(None);
                        Stage::Body(Box::new(body))
                    }
                    Ok(AfterResponse::Protocol(protocol)) => {
                        state.answered(Some(protocol));
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
        let Stage::Body(body) = &mut self.stage else { return false };
        let (n, event) = match state.decode(self.notes.direction(), &self.buffer, &mut self.fields) {
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
        if is_complete {
            body.end(&mut self.notes);
            self.stage = Stage::Head;
        }
        true
    }

    /// Chooses the stage of bytes that are not an HTTP message.
    fn after_messages(&mut self, reading: Reading, state: &ConnectionState) -> bool {
        let direction = self.notes.direction();
        // Notes need bytes, but the frames of a client need not have come.
        if self.buffer.is_empty() && !state.client_has_sent() {
            return false;
        }
        self.stage = match (reading, state.protocol(), direction) {
            (Reading::Switched, Some(protocol), _) => self.stage_of(protocol, self.buffer.offset()),
            (Reading::AwaitsRequest, ..) => {
                Stage::unread("RFC 9112 §9.2", "data without a request: a client does not read it")
            }
            (Reading::Closed, _, Direction::Up) if !state.offer_is_open() => Stage::unread(
                "RFC 9112 §9.6",
                "data after a request with \"Connection: close\": a server does not read it",
            ),
            (Reading::Closed, _, Direction::Down) => Stage::unread(
                "RFC 9112 §9.6",
                "data after the last answer of a connection that closes: a client does not read it",
            ),
            _ if self.buffer.len() > MAX_BEFORE_ANSWER => {
                Stage::unread("RFC 9110 §7.8", "data after an offer that has no answer: not decoded")
            }
            _ => return false,
        };
        true
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
    fn finish_head(&mut self, state: &mut ConnectionState) -> Result<(), Refusal> {
        // Between requests, the end says nothing.
        let is_between = self.notes.direction() == Direction::Up && self.buffer.is_empty();
        let outcome = if is_between { Ok(()) } else { self.finish_http(state) };
        let empty = self.partial_head(self.buffer.len());
        if outcome.is_err() && self.notes.direction() == Direction::Up {
            state.requested(RequestContext::refused(&self.buffer[empty..]));
        }
        outcome
    }

    fn finish_http(&mut self, state: &mut ConnectionState) -> Result<(), Refusal> {
        let direction = self.notes.direction();
        state.finish(direction).map_err(|error| Refusal::http(direction, error))
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

/// What the client's bytes are if nobody knows.
const UNANSWERED: &str = "data after an offer that has no answer";
